"""`rtfbench history`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples


@app.command(
    short_help="Show how ratios went over many runs, host by host.",
    epilog=examples(
        "rtfbench history runs/",
        "rtfbench history runs/2026-* --out public/speed    # public/speed/index.html is the page",
        "rtfbench history artifacts/ && jq '.hosts[].series[].changes[]' history/history.json",
    ),
)
def history(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Run folders, or folders that hold some at any depth: each summary.json is a run.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the page and what is beside it.")] = Path(
        "history"
    ),
) -> None:
    """Write a page of every ratio over time, from runs that were stored.

    Runs of one host alone are set in a row, never those of two. Where the level of a ratio moved,
    the page says since when, by how much, and what the runs before and after differ in: an engine's
    version, the model file, the harness, the commit. OUT gets index.html, history.md, history.json
    and plots/.
    """
    from bench.commands import history as command

    raise typer.Exit(command.history(folders, out))
