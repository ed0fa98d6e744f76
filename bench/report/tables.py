"""Which rows, columns and notes a result has; markdown and terminal only print them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.report import figures, libraries
from bench.report.compare import to_reference
from bench.results.cells import Protocol
from bench.results.rows import CellSummary, Environment, Summary
from engines.protocol import MEGA_MACS, MEGA_MACS_FROM
from frontends.chunking import WHOLE_UTTERANCE

PROTOCOL_TITLES: dict[Protocol, str] = {
    "published": "published protocol: a fresh session for every utterance, its first run timed",
    "steady": "steady protocol: one session, warmed",
}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Column:
    """A column: its heading, and how a row's figure is written."""

    heading: str
    text: Callable[[CellSummary], str]
    numeric: bool = True


@dataclass(frozen=True)
class Section:
    """The rows that share protocol, threads and chunk size."""

    title: str
    conditions: str
    rows: tuple[CellSummary, ...]

    def is_fastest(self, row: CellSummary) -> bool:
        """Say whether a row has the smallest RTF of its model's, two at least."""
        rtfs = [each.rtf for each in self.rows if each.rtf is not None and each.model == row.model]
        return len(rtfs) > 1 and row.rtf == min(rtfs)


class Footnotes:
    """Numbers notes in the order in which rows first need them."""

    def __init__(self, rows: Sequence[CellSummary]) -> None:
        self.notes = list(dict.fromkeys(row.note for row in rows if row.note))

    def mark(self, row: CellSummary) -> str:
        """Return a row's superscript mark, empty when it has no note."""
        if not row.note:
            return ""
        return f" {self.notes.index(row.note) + 1}".translate(_SUPERSCRIPTS)

    def lines(self) -> list[str]:
        """Return the notes, each behind its mark."""
        return [
            f"{number} {note}".replace(str(number), str(number).translate(_SUPERSCRIPTS), 1)
            for number, note in enumerate(self.notes, start=1)
        ]


def sections(summary: Summary) -> list[Section]:
    """Group the rows of a result, one section a protocol, thread count and chunk size."""

    def key(row: CellSummary) -> tuple[Protocol, int, int]:
        return (row.protocol, row.threads, row.chunk_samples)

    ordered = sorted(summary.cells, key=lambda row: [*map(_rank(summary).index, [key(row)])])
    return [
        Section(
            title=PROTOCOL_TITLES[protocol],
            conditions=conditions(summary.environment, list(rows), threads, chunk_samples),
            rows=tuple(rows),
        )
        for (protocol, threads, chunk_samples), grouped in groupby(ordered, key=key)
        for rows in [list(grouped)]
    ]


def _rank(summary: Summary) -> list[tuple[Protocol, int, int]]:
    """Return the sections' keys in the order in which the run met them."""
    return list(
        dict.fromkeys((row.protocol, row.threads, row.chunk_samples) for row in summary.cells)
    )


def conditions(
    environment: Environment, rows: Sequence[CellSummary], threads: int, chunk_samples: int
) -> str:
    """Say under which conditions the rows were measured, in one line."""
    versions = dict.fromkeys(f"{row.engine} {row.version}" for row in rows if row.version)
    samples = "whole utterance" if chunk_samples == WHOLE_UTTERANCE else str(chunk_samples)
    parts = [environment.cpu, *versions]
    parts += [f"num_threads = {threads}", f"samples_per_chunk = {samples}"]
    return " · ".join(parts)


def result(row: CellSummary) -> str:
    """Return a row's RTF, or in its place how the cell ended."""
    return figures.rtf(row.rtf) if row.status == "ok" else row.status.replace("_", " ")


def max_rel_err(row: CellSummary) -> str:
    """Return the largest relative error of a row's embeddings."""
    return f"{row.parity.max_rel_err:.1e}" if row.parity else figures.MISSING


def published_columns(footnotes: Footnotes) -> list[Column]:
    """Return the columns of the published table."""
    return [
        Column("Model", lambda row: row.title, numeric=False),
        Column("Params", lambda row: figures.params(row.params), numeric=False),
        Column("FLOPs", lambda row: figures.flops(row.flops), numeric=False),
        Column("engine", lambda row: row.engine_label + footnotes.mark(row), numeric=False),
        Column("RTF", result, numeric=False),
    ]


def ratio_columns(summary: Summary) -> list[Column]:
    """Return the ratio to the reference engine with its half width, where any was measured."""
    if not summary.ratios:
        return []

    def text(row: CellSummary) -> str:
        found = to_reference(summary, row)
        if found is None:
            return figures.MISSING
        return f"{figures.times(found.ratio)} {figures.plus_minus(found.ci95)}"

    references = list(dict.fromkeys(r.reference.partition("[")[0] for r in summary.ratios))
    return [Column(f"× {references[0]}" if len(references) == 1 else "× reference", text)]


def ratio_text(summary: Summary, row: CellSummary) -> str:
    """Return how many times as long a row takes as the first of its section, with the interval."""
    found = to_reference(summary, row)
    return figures.ratio(found.ratio, found.ci95) if found else figures.MISSING


def extended_columns(summary: Summary, rows: Sequence[CellSummary] = ()) -> list[Column]:
    """Return how sure a cell's figure is; sizes of libraries where rows have any."""
    sizes = [Column("library MB", lambda row: figures.number(libraries.size_mb(row)))]
    return [
        *_names(),
        Column("RTF 95 %", lambda row: figures.plus_minus(row.rtf_ci95)),
        Column("sessions", lambda row: str(row.sessions or figures.MISSING)),
        Column("passes", lambda row: str(row.passes)),
        Column("ratio", lambda row: ratio_text(summary, row)),
        Column("p50 ms", lambda row: figures.number(row.chunk_ms)),
        Column("p90 ms", lambda row: figures.number(row.chunk_ms_p90)),
        Column("p99 ms", lambda row: figures.number(row.chunk_ms_p99)),
        Column("load ms", lambda row: figures.number(row.load_ms)),
        Column("first chunk ms", lambda row: figures.number(row.first_chunk_ms)),
        *sizes * libraries.any_size(rows),
        Column("max rel err", max_rel_err),
        Column("cosine", lambda row: f"{row.parity.cosine:.6f}" if row.parity else figures.MISSING),
    ]


def part_columns() -> list[Column]:
    """Return where a cell's time and memory go, and how it uses the machine."""
    return [
        *_names(),
        Column("front end", lambda row: figures.rtf(row.rtf_frontend)),
        Column("inference", lambda row: figures.rtf(row.rtf_engine)),
        Column("of it copies", lambda row: figures.rtf(row.rtf_copy)),
        Column("pooling", lambda row: figures.rtf(row.rtf_pooling)),
        Column("padded RTF", lambda row: figures.rtf(row.rtf_padded)),
        Column("padding", lambda row: _percent(row.padded_share)),
        Column("GFLOP/s", lambda row: figures.number(row.gflops)),
        Column("of GEMM", lambda row: _percent(row.gemm_share)),
        Column("CPU/wall", lambda row: figures.number(row.cpu_per_wall)),
        Column("speed-up", lambda row: figures.times(row.speedup) if row.speedup else "-"),
        Column("efficiency", lambda row: _percent(row.efficiency)),
        Column("steady MB", lambda row: figures.number(row.steady_rss_mb)),
        Column("peak MB", lambda row: figures.number(row.peak_rss_mb)),
    ]


def _names() -> list[Column]:
    return [
        Column("Model", lambda row: row.title, numeric=False),
        Column("engine", lambda row: row.engine_label, numeric=False),
        Column("form", lambda row: row.form, numeric=False),
    ]


def _percent(share: float | None) -> str:
    return figures.MISSING if share is None else figures.percent(share)


def verification_columns(rows: Sequence[CellSummary]) -> list[Column]:
    """Return the columns of a table of error rates; every row has one."""
    first: dict[str, float] = {}
    for row in rows:
        first.setdefault(row.title, row.eer or 0.0)

    def difference(row: CellSummary) -> str:
        return f"{100 * ((row.eer or 0.0) - first[row.title]):+.4f}"

    return [
        Column("Model", lambda row: row.title, numeric=False),
        Column("engine", lambda row: row.engine_label, numeric=False),
        Column("form", lambda row: row.form, numeric=False),
        Column("protocol", lambda row: row.protocol, numeric=False),
        Column("threads", lambda row: str(row.threads)),
        Column("chunk samples", lambda row: str(row.chunk_samples)),
        Column("EER %", lambda row: f"{100 * (row.eer or 0.0):.4f}"),
        Column("difference", difference),
    ]


def reasons(rows: Sequence[CellSummary]) -> list[str]:
    """Return one line for every row that is not ok."""
    return [
        f"{row.title}, {row.engine_label}, {row.form}: {row.status.replace('_', ' ')}: {row.reason}"
        for row in rows
        if row.status != "ok"
    ]


def counts_line(summary: Summary) -> list[str]:
    """Return, for each model and chunk size, the exact counts behind the rounded ones."""
    lines: dict[str, None] = {}
    for row in summary.cells:
        if row.flops is None:
            continue
        text = f"{row.title}: "
        text += f"{row.params:,} parameters; " if row.params is not None else ""
        text += f"{row.flops:,} FLOPs {row.flops_basis}"
        if row.macs is not None:
            text += f"; {row.macs:,} multiply-accumulates at {row.chunk_samples} samples"
            text += _runtime_count(summary, row)
        text += f"; {row.about}" if row.about else ""
        lines[text] = None
    return list(lines)


def denormals(rows: Sequence[CellSummary]) -> list[str]:
    """Say what share of the models' activations is denormal, nothing where nobody has looked."""
    shares = {r.title: r.denormal_share for r in rows if r.denormal_share is not None}
    if not shares:
        return []
    some = [
        f"{title} {figures.significant(100 * share, 2)} %"
        for title, share in shares.items()
        if share
    ]
    if len(some) < len(shares):
        some.append("all others 0 %" if some else "0 %")
    return [f"Denormal activations on a chunk of speech: {', '.join(some)}."]


def _runtime_count(summary: Summary, row: CellSummary) -> str:
    """Return what a runtime itself counts for the same model and chunk, as a cross-check."""
    for other in summary.cells:
        counted = other.effective.get(MEGA_MACS)
        if MEGA_MACS_FROM in other.effective:
            continue  # the runtime itself counts nothing
        if (other.title, other.macs) == (row.title, row.macs) and counted and row.macs:
            excess = float(counted) * 1e6 / row.macs - 1
            return f" ({other.engine} counts {float(counted):,.0f} M, {excess:+.2%})"
    return ""
