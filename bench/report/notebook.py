"""A result as a few tables and sentences of HTML, for a notebook's cell; needs no template."""

from html import escape

from bench.report import libraries
from bench.report.columns import columns
from bench.report.findings import findings
from bench.report.footnotes import Footnotes
from bench.report.tables import Section, sections
from bench.results.rows import Summary

RIGHT = ' style="text-align: right"'


def render(summary: Summary) -> str:
    """Return the tables of every section, why rows have no RTF, and the findings."""
    summary = libraries.named(summary)
    footnotes = Footnotes(summary.cells)
    parts = [
        part for section in sections(summary) for part in _section(section, summary, footnotes)
    ]
    told = "".join(f"<li>{escape(each.text)}</li>" for each in findings(summary))
    if summary.noise is not None:
        parts.append(f"<p>Noise: {escape(summary.noise.sentence)}</p>")
    return "".join([*parts, f"<ul>{told}</ul>" if told else ""])


def _section(section: Section, summary: Summary, footnotes: Footnotes) -> list[str]:
    placed = columns("narrow", summary, section.rows)
    styles = [RIGHT if column.numeric else "" for column in placed]
    heads = [
        f"<th{style}>{escape(c.heading)}</th>" for c, style in zip(placed, styles, strict=True)
    ]
    lines = [
        "".join(
            f"<td{style}>{escape(column.text(row))}</td>"
            for column, style in zip(placed, styles, strict=True)
        )
        for row in section.rows
    ]
    reasons = "".join(
        f"<li>{escape(row.title)}, {escape(row.engine_label)}: {escape(row.reason)}</li>"
        for row in section.rows
        if row.status != "ok" and row.reason
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return [
        f"<p><b>{escape(section.title)}</b><br>{escape(section.conditions)}</p>",
        f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table>",
        *(f"<p>{escape(line)}</p>" for line in footnotes.lines(section.rows)),
        f"<ul>{reasons}</ul>" if reasons else "",
    ]
