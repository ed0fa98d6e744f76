"""`rtfbench report` and `rtfbench plot`."""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.outputs import writing_to
from bench.measure.whole_run import read_summary, to_json
from bench.report import exports, hosts, html, markdown, plots, terminal
from bench.results.rows import Summary
from bench.results.store import PAGE, PLOTS, RECORDS, RunFolder

if TYPE_CHECKING:
    from bench.report.plots.style import Picture

OK = 0
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
#: What each extra of the package brings.
EXTRAS = {"matplotlib": "plot", "jinja2": "report", "ruptures": "history"}


def report(path: Path, format_name: str | None, *, github_summary: bool) -> int:
    """Print a finished run again; without a format, a terminal gets tables and a file markdown."""
    folder = _existing(path)
    summary = read_summary(folder)
    if github_summary:
        append_to_step_summary(markdown.render(summary))
    elif format_name is None:
        terminal.show(summary, terminal.Output())
    else:
        print(_formatted(folder, summary, format_name), end="")
    return OK


def plot(path: Path, out: Path | None) -> int:
    """Draw a finished run's pictures and print the files' names."""
    summary = read_summary(_existing(path))
    require("matplotlib")
    pictures = list(plots.draw(summary))
    if not pictures:
        raise InputError(f"{path}: no cell of this run has an RTF, so there is nothing to draw")
    for written in write_pictures(out or path / PLOTS, pictures):
        print(written)
    return OK


def report_hosts(paths: Sequence[Path], *, github_summary: bool) -> int:
    """Print several runs side by side."""
    text = hosts.render(_named(paths))
    if github_summary:
        append_to_step_summary(text)
    else:
        print(text, end="")
    return OK


def plot_hosts(paths: Sequence[Path], out: Path | None) -> int:
    """Draw several runs' ratios side by side, and print the files' names."""
    require("matplotlib")
    picture = plots.draw_hosts(_named(paths))
    if picture is None:
        raise InputError(f"{', '.join(map(str, paths))}: no ratio was measured in two of them")
    for written in write_pictures(out or Path(PLOTS), [picture]):
        print(written)
    return OK


def _named(paths: Sequence[Path]) -> list[hosts.NamedRun]:
    folders = [_existing(path) for path in paths]
    return hosts.named([(each.path.name, read_summary(each)) for each in folders])


def write_page(folder: RunFolder, summary: Summary) -> Iterator[str]:
    """Write the pictures and the page of a run; yield a line for each part that is left out."""
    pictures: list[Picture] = []
    if missing("matplotlib"):
        yield f"no pictures: {cure('matplotlib')}"
    else:
        pictures = list(plots.draw(summary))
        write_pictures(folder.path / PLOTS, pictures)
    if missing("jinja2"):
        yield f"no {PAGE}: {cure('jinja2')}"
    else:
        folder.write(PAGE, html.render(summary, list(folder.originals().values()), pictures))


def write_pictures(folder: Path, pictures: Sequence["Picture"]) -> list[Path]:
    """Write each picture as SVG and PNG."""
    written: list[Path] = []
    with writing_to(folder):
        for picture in pictures:
            for ending, content in (("svg", picture.svg), ("png", picture.png)):
                path = folder / f"{picture.name}.{ending}"
                with replacing(path) as part:
                    part.write_bytes(content)
                written.append(path)
    return written


def _existing(path: Path) -> RunFolder:
    """Return a folder that a run was made in."""
    if not (path / RECORDS).is_file():
        raise InputError(f"{path}: no {RECORDS} here; name a folder that `rtfbench run --out` made")
    return RunFolder(path)


def _formatted(folder: RunFolder, summary: Summary, format_name: str) -> str:
    cells = list(folder.originals().values())
    match format_name:
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
            return html.render(summary, cells, pictures)
        case _:
            return markdown.render(summary)


def append_to_step_summary(text: str) -> None:
    """Append to the file that GitHub shows on the page of a workflow's run."""
    path = os.environ.get(SUMMARY_VARIABLE)
    if not path:
        raise InputError(
            f"--github-summary: {SUMMARY_VARIABLE} is not set; it is in a GitHub workflow, "
            "elsewhere set it to a file"
        )
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{SUMMARY_VARIABLE}: {path}: {error.strerror}") from error


def missing(package: str) -> bool:
    """Say whether a package is not installed."""
    return find_spec(package) is None


def require(package: str) -> None:
    """Refuse to go on without a package, with the cure."""
    if missing(package):
        raise InputError(cure(package))


def cure(package: str) -> str:
    """Say that a package is not installed, and which extra brings it."""
    return f"{package} is not installed; install it with: pip install 'rtfbench[{EXTRAS[package]}]'"
