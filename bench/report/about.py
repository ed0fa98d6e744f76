"""What a report says of host, software and input."""

from rtfbench.report import figures
from rtfbench.report.tables import denormals
from rtfbench.results.host import Host, Probes, facts, measured
from rtfbench.results.rows import Environment, Summary

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
    if not probes.ceiling:
        return " Held against nothing: no peak of a core was measured, which takes a C++ compiler."
    cycle = probes.flop_a_cycle
    if cycle is None:
        return f" Held against: {probes.ceiling}; the clock could not be measured."
    text = f" Held against: {probes.ceiling}, {cycle:.1f} FLOP a cycle"
    if min(abs(cycle / full - 1) for full in FLOP_A_CYCLE) > OFF_CYCLE:
        return f"{text}, where {', '.join(map(str, FLOP_A_CYCLE))} are expected: do not trust it."
    return f"{text}."
