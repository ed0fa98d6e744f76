"""`rtfbench report` and `rtfbench plot`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples


class ReportFormat(StrEnum):
    """How a result is printed."""

    markdown = "markdown"
    json = "json"
    csv = "csv"
    pytest_benchmark = "pytest-benchmark"
    github_action_benchmark = "github-action-benchmark"
    bencher = "bencher"
    html = "html"


RunDirs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN_DIR...", help="A folder that `rtfbench run` made; several are compared."
    ),
]


@app.command(
    short_help="Print a finished run again, in a format of choice.",
    epilog=examples(
        "rtfbench report runs/bench",
        "rtfbench report runs/bench --format json | jq '.cells[] | [.engine, .rtf]'",
        "rtfbench report runs/bench --format html > report.html",
        "rtfbench report runs/bench --format pytest-benchmark > new.json",
        "rtfbench report runs/bench --github-summary",
        "rtfbench report runs/zen4 runs/zen5    # two hosts: what holds on both, and what turns",
    ),
)
def report(
    run_dirs: RunDirs,
    format: Annotated[
        ReportFormat | None,
        typer.Option(help="How to print it. [default: tables on a terminal, else markdown]"),
    ] = None,
    github_summary: Annotated[
        bool,
        typer.Option(
            "--github-summary", help="Append the markdown to $GITHUB_STEP_SUMMARY instead."
        ),
    ] = False,
) -> None:
    """Derive a run's result from its records and print it to standard output.

    csv has a line a measurement; pytest-benchmark is for `pytest-benchmark compare`;
    github-action-benchmark is for its tool customSmallerIsBetter, bencher for its adapter json.
    Several runs are set side by side, ratio by ratio: which conclusions hold on all their hosts,
    and which turn. `rtfbench history` shows many runs over time.
    """
    from bench.commands import report as command

    if github_summary and format not in (None, ReportFormat.markdown):
        raise typer.BadParameter("--github-summary is markdown; leave --format out")
    if len(run_dirs) > 1:
        if format not in (None, ReportFormat.markdown):
            raise typer.BadParameter("several runs are compared in markdown; leave --format out")
        raise typer.Exit(command.report_hosts(run_dirs, github_summary=github_summary))
    raise typer.Exit(
        command.report(run_dirs[0], format.value if format else None, github_summary=github_summary)
    )


@app.command(
    short_help="Draw a finished run's pictures.",
    epilog=examples(
        "rtfbench plot runs/bench",
        "rtfbench plot runs/bench --out pictures/",
        "rtfbench plot runs/zen4 runs/zen5 --out pictures/    # ratios of both hosts, side by side",
    ),
)
def plot(
    run_dirs: RunDirs,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures. [default: RUN_DIR/plots]")
    ] = None,
) -> None:
    """Draw RTF by model and chunk size, thread scaling, where the time goes, accuracy and speed.

    Each picture is written as SVG and PNG, as far as the run has figures for it.
    """
    from bench.commands import report as command

    if len(run_dirs) > 1:
        raise typer.Exit(command.plot_hosts(run_dirs, out))
    raise typer.Exit(command.plot(run_dirs[0], out))
