"""Which rows stand together, and what is said of them; markdown and terminal only print it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.report import figures
from bench.results.cells import Protocol
from bench.results.rows import CellSummary, Environment, Summary
from engines.protocol import MEGA_MACS, MEGA_MACS_FROM
from frontends.chunking import WHOLE_UTTERANCE

PROTOCOL_TITLES: dict[Protocol, str] = {
    "published": "published protocol: a fresh session for every utterance, its first run timed",
    "steady": "steady protocol: one session, warmed",
    "throughput": "throughput protocol: processes at work on one queue of utterances",
}


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


def sections(summary: Summary) -> list[Section]:
    """Group the rows of a result, one section a protocol, thread count and chunk size."""
    ranks = _rank(summary)
    ordered = sorted(summary.cells, key=lambda row: ranks.index(_key(row)))
    return [
        Section(
            title=PROTOCOL_TITLES[protocol],
            conditions=conditions(summary.environment, rows),
            rows=tuple(rows),
        )
        for (protocol, *_), grouped in groupby(ordered, key=_key)
        for rows in [list(grouped)]
    ]


def _key(row: CellSummary) -> tuple[Protocol, int, int, int, int]:
    return (row.protocol, row.threads, row.chunk_samples, row.jobs, row.batch)


def _rank(summary: Summary) -> list[tuple[Protocol, int, int, int, int]]:
    """Return the sections' keys in the order in which the run met them."""
    return list(dict.fromkeys(map(_key, summary.cells)))


def conditions(environment: Environment, rows: Sequence[CellSummary]) -> str:
    """Say under which conditions the rows of a section were measured, in one line."""
    chunk_samples, threads, jobs, batch = rows[0].setting
    versions = dict.fromkeys(f"{row.engine} {row.version}" for row in rows if row.version)
    samples = "whole utterance" if chunk_samples == WHOLE_UTTERANCE else str(chunk_samples)
    parts = [environment.cpu_kind, *versions]
    parts += [f"num_threads = {threads}", f"samples_per_chunk = {samples}"]
    parts += [f"jobs = {jobs}"] if rows[0].protocol == "throughput" else []
    parts += [f"batch = {batch}"] if batch > 1 else []
    return " · ".join(parts)


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
