"""Which rows stand together, and what is said of them; markdown and terminal only print it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rtfbench.engines.protocol import MEGA_MACS, MEGA_MACS_FROM
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.report import figures
from rtfbench.results import protocols
from rtfbench.results.rows import CellSummary, Environment, Summary


@dataclass(frozen=True)
class Section:
    """The rows that share protocol, threads and chunk size."""

    title: str
    conditions: str
    rows: tuple[CellSummary, ...]


def sections(summary: Summary) -> list[Section]:
    """Group the rows of a result, one section a protocol, thread count and chunk size."""
    groups: dict[tuple[object, ...], list[CellSummary]] = {}
    for row in summary.cells:
        groups.setdefault((row.protocol, row.setting), []).append(row)
    return [
        Section(
            title=protocols.named(rows[0].protocol).title,
            conditions=conditions(summary.environment, rows),
            rows=tuple(rows),
        )
        for rows in groups.values()
    ]


def conditions(environment: Environment, rows: Sequence[CellSummary]) -> str:
    """Say under which conditions the rows of a section were measured, in one line."""
    chunk_samples, threads, jobs, batch, load = rows[0].setting
    versions = dict.fromkeys(f"{row.engine} {row.version}" for row in rows if row.version)
    samples = "whole utterance" if chunk_samples == WHOLE_UTTERANCE else str(chunk_samples)
    parts = [environment.cpu_kind, *versions]
    parts += [f"num_threads = {threads}", f"samples_per_chunk = {samples}"]
    parts += [f"jobs = {jobs}"] if protocols.named(rows[0].protocol).queued else []
    parts += [f"batch = {batch}"] if batch > 1 else []
    parts += [str(load)] if load else []
    return " · ".join(parts)


def reasons(rows: Sequence[CellSummary]) -> list[str]:
    """Return why rows are not ok, a line each reason with all rows that share it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.status != "ok":
            why = f"{row.status.replace('_', ' ')}: {row.reason}"
            found.setdefault(why, []).append(f"{row.title}, {row.engine_label}, {row.form}")
    return [f"{'; '.join(dict.fromkeys(names))}: {why}" for why, names in found.items()]


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
    """Say what share of the models' activations is denormal, nothing where that is not known."""
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
