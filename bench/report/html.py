"""A result as one page: no file beside it, no request to anywhere."""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from bench.report import exports, figures, libraries, markdown
from bench.report.compare import times, to_reference
from bench.report.findings import Finding, findings
from bench.report.palette import VARIABLES
from bench.report.tables import counts_line, max_rel_err, result, sections
from bench.results.cells import MAX_REL_ERR
from bench.results.rows import CellSummary, Summary
from bench.results.store import CellData

if TYPE_CHECKING:
    from bench.report.plots.style import Picture

TEMPLATES = files("bench.report") / "templates"


class Column(NamedTuple):
    """A column of the page's table: a figure is sorted by its value, not by its text."""

    name: str
    heading: str
    numeric: bool = True
    filtered: bool = False


class Item(NamedTuple):
    """One field of a row."""

    column: Column
    text: str
    value: str


COLUMNS = (
    Column("model", "model", numeric=False, filtered=True),
    Column("engine", "engine", numeric=False, filtered=True),
    Column("rtf", "RTF"),
    Column("ci", "± 95 %"),
    Column("ratio", "× reference (95 %)"),
    Column("form", "form", numeric=False),
    Column("threads", "threads", filtered=True),
    Column("chunk", "samples a chunk", filtered=True),
    Column("protocol", "protocol", numeric=False, filtered=True),
    Column("chunk_ms", "chunk ms"),
    Column("first", "first chunk ms"),
    Column("load", "load ms"),
    Column("rss", "peak MB"),
    Column("error", "max rel err"),
)


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
    import jinja2

    stored, summary = summary, libraries.named(summary)

    def read(name: str) -> str:
        return (TEMPLATES / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    best = {id(r) for section in sections(summary) for r in section.rows if section.is_fastest(r)}
    return environment.get_template("report.html.j2").render(
        title=_title(summary),
        limit=figures.error(MAX_REL_ERR),
        started=summary.environment.started_utc,
        findings=[_finding(each) for each in findings(summary)],
        noise=summary.noise,
        columns=COLUMNS,
        choices=_choices(summary),
        lines=[_line(summary, row, best=id(row) in best) for row in summary.cells],
        notes=list(dict.fromkeys(row.note for row in summary.cells if row.note)),
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


def _choices(summary: Summary) -> dict[str, list[str]]:
    """Return, for each filter, what can be chosen."""
    found: dict[str, list[str]] = {}
    for column in COLUMNS:
        if column.filtered:
            texts = [_texts(summary, row)[column.name][0] for row in summary.cells]
            found[column.name] = list(dict.fromkeys(texts))
    return found


def _line(summary: Summary, row: CellSummary, *, best: bool) -> PageRow:
    texts = _texts(summary, row)
    items = [Item(column, *texts[column.name]) for column in COLUMNS]
    where = (
        f"{row.title}, {row.engine_label} {row.form}, {row.protocol}, "
        f"{figures.setting(row.chunk_samples, row.threads)}"
    )
    return PageRow(where, items, row.status, row.reason, best)


def _texts(summary: Summary, row: CellSummary) -> dict[str, tuple[str, str]]:
    """Return, for each column, what is shown and what is sorted by."""
    comparison = to_reference(summary, row)
    ratio = times(comparison.ratio, comparison.ci95) if comparison else figures.MISSING
    size = "whole" if row.chunk_samples < 0 else str(row.chunk_samples)
    half = figures.plus_minus(row.rtf_ci95)
    error = row.parity.max_rel_err if row.parity else None
    return {
        "model": (row.title, row.title),
        "engine": (row.engine_label, row.engine_label),
        "form": (row.form, row.form),
        "threads": (str(row.threads), str(row.threads)),
        "chunk": (size, str(row.chunk_samples)),
        "protocol": (row.protocol, row.protocol),
        "rtf": (result(row), _value(row.rtf)),
        "ci": (half, half.strip("± %") if row.rtf_ci95 else ""),
        "ratio": (ratio, _value(comparison.ratio if comparison else None)),
        "chunk_ms": (figures.number(row.chunk_ms), _value(row.chunk_ms)),
        "first": (figures.number(row.first_chunk_ms), _value(row.first_chunk_ms)),
        "load": (figures.number(row.load_ms), _value(row.load_ms)),
        "rss": (figures.number(row.peak_rss_mb), _value(row.peak_rss_mb)),
        "error": (max_rel_err(row), _value(error)),
    }


def _value(value: float | None) -> str:
    return "" if value is None else repr(value)
