"""`--help` leads: what a newcomer wants stands first, and each command begins with an example."""

import pytest
import typer.main
from typer.testing import CliRunner

from rtfbench import commands
from rtfbench.commands.app import GROUPS, MORE, app

# Importing the package registers its commands.
assert commands
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_groups_name_commands_and_leave_none_out() -> None:
    """Tuning, running and reporting come first; what no group names stands under More."""
    text = CliRunner().invoke(app, ["--help"]).output
    places = [text.index(f"\n{title}:\n") for title in (*GROUPS, MORE)]
    assert places == sorted(places)
    named = [name for names in GROUPS.values() for name in names]
    assert set(named) <= set(COMMANDS)
    for name in COMMANDS:
        assert text.count(f"\n  {name} ") == 1, name
    assert text.index("\n  tune ") < text.index("\n  run ") < text.index("\n  extract ")


#: Commands that are groups of others have their examples below those.
ALONE = [name for name, each in COMMANDS.items() if not hasattr(each, "commands")]


@pytest.mark.parametrize("name", sorted(ALONE))
def test_the_help_of_a_command_begins_with_an_example(name: str) -> None:
    """The shortest one, before any word of explanation."""
    lines = CliRunner().invoke(app, [name, "--help"]).output.splitlines()
    first = next(line.strip() for line in lines[1:] if line.strip())
    assert first.startswith(f"rtfbench {name}")
