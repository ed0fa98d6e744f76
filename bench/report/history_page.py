"""A history as one page: no file beside it, no request to anywhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report import history_text, html
from bench.report.history import HostHistory

if TYPE_CHECKING:
    from bench.report.plots.style import Picture


def render(
    hosts: Sequence[HostHistory],
    left_out: Sequence[str],
    pictures: Sequence[Sequence["Picture"]],
) -> str:
    """Return the page.

    Args:
        hosts: their histories.
        left_out: what is not in it, a sentence each.
        pictures: those of each host.

    Raises:
        ImportError: jinja2 is not installed.
    """
    sections = [
        {
            "name": host.name,
            "described": history_text.described(host),
            "changes": [history_text.sentence(*each) for each in host.changes],
            "tables": [
                ("Ratios", *_split(history_text.ratio_lines(host))),
                ("Runs", *_split(history_text.run_lines(host))),
            ],
            "pictures": [(each, html.inline(each)) for each in drawn],
        }
        for host, drawn in zip(hosts, pictures, strict=True)
    ]
    return html.template("history.html.j2").render(
        style=html.read("report.css"),
        explained=history_text.EXPLAINED,
        method=history_text.METHOD,
        left_out=left_out,
        sections=sections,
        content=html.script_json(history_text.content(hosts, left_out)),
    )


def _split(lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return lines[0], lines[1:]
