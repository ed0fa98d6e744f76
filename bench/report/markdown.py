"""A result as markdown, the content of `table.md`."""

from collections.abc import Sequence

from bench.report import figures, libraries
from bench.report.columns import columns
from bench.report.findings import findings
from bench.report.footnotes import Footnotes
from bench.report.grid import escape, grid
from bench.report.matrix import EXPLAINED, FASTEST, Matrix, matrices
from bench.report.tables import Section, counts_line, denormals, reasons, sections
from bench.report.views import MARKDOWN, Placed
from bench.results.host import Host, Probes, facts, measured
from bench.results.rows import CellSummary, Environment, Summary
from engines.protocol import FLOAT32

#: What cores do in a cycle: one or two multiply-adds of 256 or 512 bits.
FLOP_A_CYCLE = (16, 32, 64)
#: A peak that is further from all of them is none, or the clock is not the core's.
OFF_CYCLE = 0.10


def render(summary: Summary) -> str:
    """Return the whole report."""
    summary = libraries.named(summary)
    footnotes = Footnotes(summary.cells)
    parts = [
        part for section in sections(summary) for part in _section(section, summary, footnotes)
    ]
    parts += verification(summary)
    for matrix in matrices(summary):
        parts += [f"## {matrix.title}", EXPLAINED, _matrix(matrix)]
    parts += _findings(summary)
    parts.append(_about(summary))
    return "\n\n".join(parts) + "\n"


def _matrix(matrix: Matrix) -> str:
    lines = [
        [f"**{text}**" if text == FASTEST else text for text in line] for line in matrix.models
    ]
    return grid([["Model", *matrix.engines], *lines], [False, *[True] * len(matrix.engines)])


def _findings(summary: Summary) -> list[str]:
    """Return the noise of the run and what its numbers say."""
    lines = [f"- {escape(each.text)}" for each in findings(summary)]
    parts = [] if summary.noise is None else [f"Noise: {summary.noise.sentence}"]
    parts += ["\n".join(lines)] if lines else []
    return ["## Findings", *parts] if parts else []


def _section(section: Section, summary: Summary, footnotes: Footnotes) -> list[str]:
    fewer_bits = any(row.precision != FLOAT32 for row in section.rows)
    published, *others = (
        table(columns(view, summary, section.rows), section.rows)
        for view in MARKDOWN
        if view != "accuracy" or fewer_bits
    )
    return [
        f"## {section.title[0].upper()}{section.title[1:]}",
        section.conditions,
        published,
        *footnotes.lines(section.rows),
        *(f"- {reason}" for reason in reasons(section.rows)),
        *others,
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
        f"Audio: {figures.counted(len(environment.audio), 'utterance')}, "
        f"{environment.audio_s:.1f} s.",
        " ".join([f"Weights: {environment.weights}", *denormals(summary.cells)]),
        f"Host: {host(environment)}",
        *recipes(summary),
        *(machine(environment.host) if environment.host else ()),
        f"Software: rtfbench {environment.rtfbench}, Python {environment.python}, {packages}.",
        f"Started {environment.started_utc}.",
    ]


def recipes(summary: Summary) -> list[str]:
    """Say how the files of other precisions were made."""
    made: dict[str, list[str]] = {}
    for row in summary.cells:
        if row.recipe:
            made.setdefault(row.recipe, []).append(row.engine_label)
    return [f"{', '.join(dict.fromkeys(rows))}: {recipe}." for recipe, rows in made.items()]


def host(environment: Environment) -> str:
    """Describe the machine in one sentence."""
    return (
        f"{environment.cpu_kind}, {environment.core_count} of {environment.cores} cores usable, "
        f"{environment.memory_bytes / 1e9:.0f} GB, {environment.os}, "
        f"load {environment.load_average_1min} at the start."
    )


def machine(found: Host) -> list[str]:
    """Say what identifies a machine, and what was measured of it."""
    told = [f"{name} {text}" for name, text in facts(found).items()]
    told += [f"BLAS of numpy {found.blas}"] if found.blas else []
    lines = [f"Fingerprint: {'; '.join(told)}."] if told else []
    if found.probes is None:
        return lines
    reached = "; ".join(f"{name} {text}" for name, text in measured(found.probes).items())
    return [*lines, f"Measured of one core: {reached}.{_ceiling(found.probes)}"]


def _ceiling(probes: Probes) -> str:
    """Say what the ceiling is, and whether it looks like one."""
    cycle = probes.flop_a_cycle
    if cycle is None:
        return f" Held against: {probes.ceiling}, which is no ceiling; a C++ compiler makes one."
    text = f" Held against: {probes.ceiling}, {cycle:.1f} FLOP a cycle"
    if min(abs(cycle / full - 1) for full in FLOP_A_CYCLE) > OFF_CYCLE:
        return f"{text}, where {', '.join(map(str, FLOP_A_CYCLE))} are expected: do not trust it."
    return f"{text}."
