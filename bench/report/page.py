"""A run's result as one page, and what is shown of it as files: pictures, a workflow's summary."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtfbench.base.cache import write_whole
from rtfbench.base.errors import InputError
from rtfbench.base.files import writing_to
from rtfbench.base.packages import cure, missing
from rtfbench.report import exports, figures, libraries, plots
from rtfbench.report.about import about, counts_line
from rtfbench.report.answer import is_noisy
from rtfbench.report.columns import columns
from rtfbench.report.compare import setting
from rtfbench.report.document import document
from rtfbench.report.engine_findings import EXPLAINED, FASTEST, matrices
from rtfbench.report.findings import findings
from rtfbench.report.html import draw, figure, read, script_json, template
from rtfbench.report.run_document import caption, fastest_rows, in_order, of_answer, published
from rtfbench.report.views import Footnotes
from rtfbench.results.cells import MAX_REL_ERR
from rtfbench.results.rows import CellSummary, Summary
from rtfbench.results.store import PAGE, PLOTS, CellData, RunFolder

if TYPE_CHECKING:
    from rtfbench.report.plots.style import Picture


#: What findings of a kind are called, where that is not its name.
KINDS = {"protocol": "what the timing includes", "padding": "filled-up chunks"}


def render(summary: Summary, cells: Sequence[CellData], pictures: Sequence["Picture"] = ()) -> str:
    """Return the page of a result, with all lines of the run for download, and its pictures.

    Raises:
        ImportError: jinja2 is not installed.
    """
    stored, summary = summary, libraries.named(summary)
    rows = in_order(summary.cells)
    best = fastest_rows(summary)
    placed = columns("page", summary, rows)
    return template("report.html.j2").render(
        title=_title(summary),
        limit=figures.error(MAX_REL_ERR),
        started=summary.environment.started_utc,
        day=summary.environment.started_utc[:16].replace("T", " "),
        findings=[(KINDS.get(each.kind, each.kind), each.text) for each in findings(summary)],
        noise=summary.noise,
        noisy=is_noisy(summary.noise),
        answer=draw(document(of_answer(stored))),
        published=draw(document(published(summary, Footnotes(summary.cells)))),
        caption=caption(summary, rows) if rows else "",
        columns=placed,
        choices={
            column.key: list(dict.fromkeys(map(column.text, rows)))
            for column in placed
            if column.filtered
        },
        lines=[(row, _where(row), id(row) in best) for row in rows],
        notes=list(dict.fromkeys(row.note for row in summary.cells if row.note)),
        matrices=list(matrices(summary)),
        matrix_explained=EXPLAINED,
        fastest=FASTEST,
        pictures=list(map(figure, pictures)),
        about=[*about(summary), *counts_line(summary), *libraries.described(summary)],
        style=read("report.css"),
        script=read("report.js"),
        downloads={
            "summary.json": script_json(stored.model_dump(mode="json", by_alias=True)),
            "measurements.csv": script_json(exports.tidy_csv(cells)),
        },
    )


def _title(summary: Summary) -> str:
    models = list(dict.fromkeys(row.title for row in summary.cells))
    engines = list(dict.fromkeys(row.engine for row in summary.cells))
    what = models[0] if len(models) == 1 else f"{len(models)} models"
    return f"{what} on {', '.join(engines)}"


def _where(row: CellSummary) -> str:
    """Name a row in words."""
    return f"{row.title}, {row.engine_label} {row.form}, {setting(row)}"


SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


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
        folder.write(PAGE, render(summary, list(folder.originals().values()), pictures))


def write_pictures(folder: Path, pictures: Sequence["Picture"]) -> list[Path]:
    """Write each picture as SVG and PNG."""
    written: list[Path] = []
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            for ending, content in (("svg", picture.svg), ("png", picture.png)):
                path = folder / f"{picture.name}.{ending}"
                write_whole(path, content)
                written.append(path)
    return written


def step_summary() -> str:
    """Return the file that GitHub shows on the page of a workflow's run.

    Raises:
        InputError: there is none.
    """
    path = os.environ.get(SUMMARY_VARIABLE)
    if not path:
        raise InputError(
            f"--github-summary: {SUMMARY_VARIABLE} is not set; it is in a GitHub workflow, "
            "elsewhere set it to a file"
        )
    return path


def append_to_step_summary(text: str) -> None:
    """Append to that file."""
    path = step_summary()
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{SUMMARY_VARIABLE}: {path}: {error.strerror}") from error
