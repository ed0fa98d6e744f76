"""What a report says beside its tables: of host, software, input, counts, and rows that failed."""

from collections.abc import Sequence

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import MEGA_MACS, MEGA_MACS_FROM
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.report import figures
from rtfbench.report.compare import versions
from rtfbench.results import protocols
from rtfbench.results.host import Environment, Host, Probes, facts, measured
from rtfbench.results.rows import CellSummary, Summary

#: What cores do in a cycle: one or two multiply-adds of 256 or 512 bits.
FLOP_A_CYCLE = (16, 32, 64)
#: A peak that is further from all of them is none, or the clock is not the core's.
OFF_CYCLE = 0.10


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
        *([f"Front end: {environment.front_ends}."] if environment.front_ends else []),
        " ".join([f"Weights: {environment.weights}", *denormals(summary.cells)]),
        f"Host: {host(environment)}",
        *recipes(summary),
        *(machine(environment.host) if environment.host else ()),
        f"Software: rtfbench {environment.rtfbench}, Python {environment.python}, {packages}.",
        f"Started {environment.started_utc}.",
    ]


def recipes(summary: Summary) -> list[str]:
    """Say how the files of other precisions were made."""
    made = grouped((row.recipe, row.engine_label) for row in summary.cells if row.recipe)
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
    if not probes.ceiling:
        return " Held against nothing: no peak of a core was measured, which takes a C++ compiler."
    cycle = probes.flop_a_cycle
    if cycle is None:
        return f" Held against: {probes.ceiling}; the clock could not be measured."
    text = f" Held against: {probes.ceiling}, {cycle:.1f} FLOP a cycle"
    if min(abs(cycle / full - 1) for full in FLOP_A_CYCLE) > OFF_CYCLE:
        return f"{text}, where {', '.join(map(str, FLOP_A_CYCLE))} are expected: do not trust it."
    return f"{text}."


def conditions(environment: Environment, rows: Sequence[CellSummary]) -> str:
    """Say under which conditions the rows of a section were measured, in one line."""
    chunk_samples, threads, jobs, batch, load = rows[0].setting
    samples = "whole utterance" if chunk_samples == WHOLE_UTTERANCE else str(chunk_samples)
    parts = [environment.cpu_kind, *versions(rows)]
    parts += [f"num_threads = {threads}", f"samples_per_chunk = {samples}"]
    parts += [f"jobs = {jobs}"] if protocols.named(rows[0].protocol).queued else []
    parts += [f"batch = {batch}"] if batch > 1 else []
    parts += [str(load)] if load else []
    return " · ".join(parts)


def reasons(rows: Sequence[CellSummary]) -> list[str]:
    """Return why rows are not ok, a line each reason with all rows that share it."""
    found = grouped(
        (
            ": ".join(dict.fromkeys([row.ended, row.reason])),
            f"{row.title}, {row.engine_label}, {row.form}",
        )
        for row in rows
        if row.status != "ok"
    )
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
