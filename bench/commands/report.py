"""`rtfbench report` and `rtfbench plot`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.packages import missing, require
from rtfbench.commands.app import app, examples
from rtfbench.commands.options import Full

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtfbench.base.values import Value
    from rtfbench.report import hosts
    from rtfbench.report.document import Document
    from rtfbench.results.rows import Summary
    from rtfbench.results.store import RunFolder

ReportFormat = Literal[
    "markdown", "json", "csv", "pytest-benchmark", "github-action-benchmark", "bencher", "html"
]
RunDirs = Annotated[
    list[Path],
    Argument(metavar="RUN_DIR...", help="A folder that `rtfbench run` made; several are compared."),
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
    run_dirs: Annotated[
        list[Path],
        Argument(
            metavar="RUN_DIR...",
            help="A folder that `rtfbench run` made, or tune, capacity or explain; several runs "
            "are compared.",
        ),
    ],
    format: Annotated[
        ReportFormat | None,
        Option(help="How to print it. [default: tables on a terminal, else markdown]"),
    ] = None,
    github_summary: Annotated[
        bool,
        Option("--github-summary", help="Append the markdown to $GITHUB_STEP_SUMMARY instead."),
    ] = False,
    full: Full = False,
) -> None:
    """Derive a run's result from its records and print it to standard output.

    csv has a line a measurement; pytest-benchmark is for `pytest-benchmark compare`;
    github-action-benchmark is for its tool customSmallerIsBetter, bencher for its adapter json.
    Several runs are set side by side, ratio by ratio: which conclusions hold on all their hosts,
    and which turn. `rtfbench history` shows many runs over time.
    """
    if github_summary and format not in (None, "markdown"):
        raise typer.BadParameter("--github-summary is markdown; leave --format out")
    if len(run_dirs) > 1:
        if format not in (None, "markdown"):
            raise typer.BadParameter("several runs are compared in markdown; leave --format out")
        show_hosts(run_dirs, github_summary=github_summary)
    else:
        show(run_dirs[0], format, github_summary=github_summary, full=full)


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
        Path | None, Option(help="Folder for the pictures. [default: RUN_DIR/plots]")
    ] = None,
) -> None:
    """Draw RTF by model and chunk size, thread scaling, where the time goes, accuracy and speed.

    Each picture is written as SVG and PNG, as far as the run has figures for it.
    """
    from rtfbench.measure.whole_run import read_stored
    from rtfbench.report import plots
    from rtfbench.report.page import write_pictures
    from rtfbench.results.store import PLOTS

    if len(run_dirs) > 1:
        require("matplotlib")
        from rtfbench.report.plots.runs import hosts as drawn

        picture = drawn(_named(run_dirs))
        if picture is None:
            names = ", ".join(map(str, run_dirs))
            raise InputError(f"{names}: no ratio was measured in two of them")
        folder, pictures = out or Path(PLOTS), [picture]
    else:
        path = run_dirs[0]
        _, summary = read_stored(path)
        require("matplotlib")
        folder, pictures = out or path / PLOTS, list(plots.draw(summary))
        if not pictures:
            raise InputError(f"{path}: no cell of this run has an RTF, so there is nothing to draw")
    for written in write_pictures(folder, pictures):
        print(written)


def show(
    path: Path,
    format: ReportFormat | None = None,
    *,
    github_summary: bool = False,
    full: bool = False,
) -> None:
    """Print a finished run again; without a format, a terminal gets tables and a file markdown.

    A file gets everything, a terminal the answer and its tables unless it is to be `full`.
    """
    from rtfbench.measure.whole_run import read_stored
    from rtfbench.report import markdown, terminal
    from rtfbench.report.page import append_to_step_summary
    from rtfbench.report.run_document import of_run

    if format is None and not github_summary and (told := _answer_in(path)) is not None:
        terminal.show(told)
        return
    folder, summary = read_stored(path)
    if github_summary:
        append_to_step_summary(markdown.draw(of_run(summary)))
    elif format is None:
        output = terminal.Output()
        terminal.show(of_run(summary), output, full=full or not output.is_terminal)
    else:
        print(_formatted(folder, summary, format), end="")


def _answer_in(folder: Path) -> "Document | None":
    """Return the answer of tune, capacity or explain in a folder; None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    from rtfbench.explain.finding import Findings, of_findings
    from rtfbench.measure.capacity import JSON
    from rtfbench.report.capacity import of_capacity
    from rtfbench.report.explained import of_explanation
    from rtfbench.report.lengths import of_lengths
    from rtfbench.results.capacity import CapacityAnswer
    from rtfbench.results.explanation import Explanation, LengthReport
    from rtfbench.results.store import EXPLANATION, LENGTHS, WHERE_WRONG
    from rtfbench.tune.report import stored

    kinds: tuple[tuple[str, type[Value], Callable[[Any], Document]], ...] = (
        (JSON, CapacityAnswer, of_capacity),
        (EXPLANATION, Explanation, of_explanation),
        (LENGTHS, LengthReport, of_lengths),
        (WHERE_WRONG, Findings, of_findings),
    )
    for name, kind, of in kinds:
        path = folder / name
        if path.is_file():
            with as_input(ValueError, before=f"{path}: "):
                return of(kind.model_validate_json(path.read_text(encoding="utf-8")))
    return stored(folder)


def show_hosts(paths: Sequence[Path], *, github_summary: bool = False) -> None:
    """Print several runs side by side."""
    from rtfbench.report import hosts, markdown, terminal
    from rtfbench.report.page import append_to_step_summary

    told = hosts.of_hosts(_named(paths))
    if github_summary:
        append_to_step_summary(markdown.draw(told))
    else:
        terminal.show(told)


def _named(paths: Sequence[Path]) -> "list[hosts.NamedRun]":
    from rtfbench.measure.whole_run import read_stored
    from rtfbench.report import hosts

    return hosts.named([(path.name, read_stored(path)[1]) for path in paths])


def _formatted(folder: "RunFolder", summary: "Summary", format: ReportFormat) -> str:
    from rtfbench.measure.whole_run import to_json
    from rtfbench.report import exports, markdown, page, plots
    from rtfbench.report.run_document import of_run

    cells = list(folder.originals().values())
    match format:
        case "json":
            return to_json(summary)
        case "csv":
            return exports.tidy_csv(cells)
        case "pytest-benchmark":
            return exports.pytest_benchmark(summary, cells)
        case "github-action-benchmark":
            return exports.github_action_benchmark(summary)
        case "bencher":
            return exports.bencher(summary)
        case "html":
            require("jinja2")
            pictures = [] if missing("matplotlib") else list(plots.draw(summary))
            return page.render(summary, cells, pictures)
        case "markdown":
            return markdown.draw(of_run(summary))
