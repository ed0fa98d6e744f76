"""Pictures and page have the same colours."""

import re

import pytest

from rtfbench.report.html import TEMPLATES
from rtfbench.report.palette import VARIABLES

STYLE = (TEMPLATES / "report.css").read_text(encoding="utf-8")
LIGHT, *DARK = (
    dict(re.findall(r"(--\w+): (#\w+);", block))
    for block in re.findall(r":root[^{]*{([^}]*--ink[^}]*)}", STYLE)
)


@pytest.mark.parametrize(("color", "variable"), VARIABLES.items())
def test_the_page_has_each_colour_of_the_pictures(color: str, variable: str) -> None:
    """In the light a variable is the picture's own colour; the dark has another, always the same.

    Dark is written twice, for the system's wish and for the button.
    """
    assert LIGHT[variable] == color
    by_system, by_button = (block[variable] for block in DARK)
    assert by_system == by_button != color
