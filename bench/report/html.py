"""A result as one page: no file beside it, no request to anywhere."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from bench.report import exports, figures, libraries, markdown
from bench.report.columns import columns
from bench.report.finding import Finding
from bench.report.findings import findings
from bench.report.matrix import EXPLAINED, FASTEST, matrices
from bench.report.palette import VARIABLES
from bench.report.tables import counts_line, sections
from bench.report.views import Placed
from bench.results.cells import MAX_REL_ERR
from bench.results.rows import CellSummary, Summary
from bench.results.store import CellData

if TYPE_CHECKING:
    import jinja2

    from bench.report.plots.style import Picture

TEMPLATES = files("bench.report") / "templates"


class Item(NamedTuple):
    """One field of a row."""

    column: Placed
    text: str
    value: str


class PageRow(NamedTuple):
    """A row of the page's table; `where` names it in words."""

    where: str
    items: list[Item]
    status: str
    reason: str
    best: bool


def render(summary: Summary, cells: Sequence[CellData], pictures: Sequence["Picture"] = ()) -> str:
    """Return the page.

    Args:
        summary: the result.
        cells: all lines of the run, offered for download.
        pictures: what `plots.draw` drew; none leaves the pictures out.

    Raises:
        ImportError: jinja2 is not installed.
    """
    stored, summary = summary, libraries.named(summary)
    placed = columns("page", summary, summary.cells)
    best = {id(r) for section in sections(summary) for r in section.rows if section.is_fastest(r)}
    return template("report.html.j2").render(
        title=_title(summary),
        limit=figures.error(MAX_REL_ERR),
        started=summary.environment.started_utc,
        findings=[_finding(each) for each in findings(summary)],
        noise=summary.noise,
        columns=placed,
        choices=_choices(placed, summary.cells),
        lines=[_line(placed, row, best=id(row) in best) for row in summary.cells],
        notes=list(dict.fromkeys(row.note for row in summary.cells if row.note)),
        matrices=list(matrices(summary)),
        matrix_explained=EXPLAINED,
        fastest=FASTEST,
        pictures=[(each, inline(each)) for each in pictures],
        about=[
            *markdown.about(summary),
            *counts_line(summary),
            *libraries.described(summary),
        ],
        style=read("report.css"),
        script=read("report.js"),
        downloads={
            "summary.json": script_json(stored.model_dump(mode="json", by_alias=True)),
            "measurements.csv": script_json(exports.tidy_csv(cells)),
        },
    )


def read(name: str) -> str:
    """Return a file that pages are made of."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def template(name: str) -> "jinja2.Template":
    """Return a page's template.

    Raises:
        ImportError: jinja2 is not installed.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def inline(picture: "Picture") -> str:
    """Return a picture's SVG as part of a page: its colours follow the page's, its ids are its own.

    Several pictures on a page would otherwise share ids, and one would clip by another's frame.
    """
    svg = picture.svg.decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = picture.name
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    for color, variable in VARIABLES.items():
        svg = re.sub(rf"{color}\b", f"var({variable}, {color})", svg)
    # An attribute takes no variable, a style does.
    svg = re.sub(r'(fill|stroke)="(var\([^"]*\))"', r'style="\1: \2"', svg)
    label = picture.title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def script_json(value: object) -> str:
    """Write JSON that can stand within a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(summary: Summary) -> str:
    models = list(dict.fromkeys(row.title for row in summary.cells))
    engines = list(dict.fromkeys(row.engine for row in summary.cells))
    what = models[0] if len(models) == 1 else f"{len(models)} models"
    return f"{what} on {', '.join(engines)}"


def _finding(finding: Finding) -> tuple[str, str]:
    names = {"protocol": "what the timing includes", "padding": "filled-up chunks"}
    return names.get(finding.kind, finding.kind), finding.text


def _choices(placed: Sequence[Placed], rows: Sequence[CellSummary]) -> dict[str, list[str]]:
    """Return, for each filter, what can be chosen."""
    return {
        column.key: list(dict.fromkeys(map(column.text, rows)))
        for column in placed
        if column.filtered
    }


def _line(placed: Sequence[Placed], row: CellSummary, *, best: bool) -> PageRow:
    items = [Item(column, column.text(row), column.sorted_by(row)) for column in placed]
    where = (
        f"{row.title}, {row.engine_label} {row.form}, {row.protocol}, "
        f"{figures.setting(*row.setting)}"
    )
    return PageRow(where, items, row.status, row.reason, best)
