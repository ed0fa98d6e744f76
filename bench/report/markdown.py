"""A result as markdown, the content of `table.md`."""

from collections.abc import Sequence

from bench.report import libraries
from bench.report.columns import columns
from bench.report.findings import findings
from bench.report.footnotes import Footnotes
from bench.report.tables import Section, counts_line, denormals, reasons, sections
from bench.report.views import Placed
from bench.results.rows import CellSummary, Environment, Summary


def render(summary: Summary) -> str:
    """Return the whole report."""
    summary = libraries.named(summary)
    parts = [part for section in sections(summary) for part in _section(section, summary)]
    parts += verification(summary)
    parts += _findings(summary)
    parts.append(_about(summary))
    return "\n\n".join(parts) + "\n"


def _findings(summary: Summary) -> list[str]:
    """Return the noise of the run and what its numbers say."""
    lines = [f"- {_escape(each.text)}" for each in findings(summary)]
    parts = [] if summary.noise is None else [f"Noise: {summary.noise.sentence}"]
    parts += ["\n".join(lines)] if lines else []
    return ["## Findings", *parts] if parts else []


def _section(section: Section, summary: Summary) -> list[str]:
    published, precision, parts = (
        table(columns(view, summary, section.rows), section.rows)
        for view in ("published", "precision", "parts")
    )
    return [
        f"## {section.title[0].upper()}{section.title[1:]}",
        section.conditions,
        published,
        *Footnotes(section.rows).lines(),
        *(f"- {reason}" for reason in reasons(section.rows)),
        precision,
        parts,
    ]


def verification(summary: Summary) -> list[str]:
    """Return the error rates of a run that was given trials."""
    rows = [row for row in summary.cells if row.eer is not None]
    if not rows:
        return []
    return [
        "## Speaker verification on the run's trials",
        "EER of the embeddings that each cell computed, and its difference, in percentage points, "
        "to the first cell of the same model.",
        table(columns("verification", summary, rows), rows),
    ]


def table(placed: Sequence[Placed], rows: Sequence[CellSummary]) -> str:
    """Return a markdown table whose columns line up in plain text too."""
    lines = [[column.heading for column in placed]]
    lines += [[column.text(row) for column in placed] for row in rows]
    return grid(lines, [column.numeric for column in placed])


def grid(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return a markdown table of texts, the first line of which holds the headings."""
    texts = [[_escape(cell) for cell in line] for line in lines]
    widths = [max(len(line[index]) for line in texts) for index in range(len(numeric))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * (width - 1) + ":" if right else ":" + "-" * (width - 1)
        for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join([line(texts[0]), f"| {' | '.join(rule)} |", *map(line, texts[1:])])


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _about(summary: Summary) -> str:
    lines = ["## About this run", ""]
    lines += [f"- {line}" for line in [*counts_line(summary), *libraries.described(summary)]]
    lines += [f"- {line}" for line in about(summary)]
    return "\n".join(lines)


def about(summary: Summary) -> list[str]:
    """Describe host, software and input."""
    environment = summary.environment
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return [
        "RTF is processing time (front end, chunking, inference) over true audio duration; the "
        "last chunk is filled up and costs a full one. Loading is its own column. "
        "It is of this host, this hour: compare hosts by ratios.",
        f"Audio: {len(environment.audio)} utterances, {environment.audio_s:.1f} s.",
        " ".join([f"Weights: {environment.weights}", *denormals(summary.cells)]),
        f"Host: {host(environment)}",
        f"Software: rtfbench {environment.rtfbench}, Python {environment.python}, {packages}.",
        f"Started {environment.started_utc}.",
    ]


def host(environment: Environment) -> str:
    """Describe the machine in one sentence."""
    return (
        f"{environment.cpu}, {environment.usable_cores} of {environment.cores} cores usable, "
        f"{environment.memory_bytes / 1e9:.0f} GB, {environment.os}, "
        f"load {environment.load_average_1min} at the start."
    )
