"""Input of many lengths, as a document."""

from collections.abc import Iterator

from rtfbench.base.values import Interval
from rtfbench.report import figures
from rtfbench.report.document import Document, Heading, Table, bullets, document, table
from rtfbench.results.cells import MAX_REL_ERR
from rtfbench.results.explanation import EngineLengths, LengthReport

#: Coming to a length, for the first time or later, is told of from this ratio on.
MATTERS = 1.05
#: Memory follows the length where it differs by this share.
FOLLOWS = 0.05


def of_lengths(found: LengthReport) -> Document:
    """Return the whole report."""
    return document(
        Heading(f"{found.model}: input of many lengths", 1),
        conditions(found),
        bullets(sentences(found)),
        *((Heading(engine.engine), _table(engine)) for engine in found.engines if engine.lengths),
        "`first`: the first run of a length; `back`: coming back to it from another length; "
        "`again`: once more. `memory`: the resident size of the process after runs of the length, "
        "the first ones apart. Times are of one process and no comparison of engines: that is "
        "`rtfbench run`.",
    )


def conditions(found: LengthReport) -> str:
    """Say what was run where."""
    threads = figures.counted(found.threads, "thread")
    return f"Dynamic models, {threads}; {found.cpu}; rtfbench {found.rtfbench}, seed {found.seed}."


def sentences(found: LengthReport) -> Iterator[str]:
    """Yield what was found, each with its figure."""
    for engine in found.engines:
        name = engine.engine
        if engine.failed:
            how = "is not complete" if engine.interrupted else "failed"
            yield f"{name} {how} ({engine.failed})."
        if engine.moved is not None and engine.moved > MAX_REL_ERR:
            yield (
                f"{name} computes another embedding when a length comes back: up to "
                f"{figures.error(engine.moved)} of its largest value."
            )
        if engine.growth_kb is not None and engine.growth_kb_ci95 is not None:
            yield f"{name}: {growth(engine)}"
            yield f"{name}: {_memory(engine)}"
        yield from (f"{name}: {each}" for each in _times(engine))


def growth(engine: EngineLengths) -> str:
    """Say whether the resident size grows, with its slope."""
    assert engine.growth_kb is not None
    assert engine.growth_kb_ci95 is not None
    low, high = engine.growth_kb_ci95
    slope = f"{engine.growth_kb:+.1f} kB a run (95 % interval {low:+.1f} to {high:+.1f})"
    runs = figures.counted(len(engine.memory_mb), "run")
    late = f"in the second half of {runs}"
    if engine.leaks:
        grown_mb = engine.growth_kb * len(engine.memory_mb) / 1000
        return f"a leak: the resident size grows by {slope}, {grown_mb:.0f} MB in {runs}."
    if engine.arena_grows:
        return (
            f"an arena that grows: {engine.settled_mb:+.0f} MB after every length had come, and "
            f"then no more for sure: {slope} {late}."
        )
    return f"the resident size is steady: {slope} {late}."


def _memory(engine: EngineLengths) -> str:
    """Say whether memory is given back for shorter input."""
    short, long = engine.lengths[0], engine.lengths[-1]
    if long.memory_mb > short.memory_mb * (1 + FOLLOWS):
        return (
            f"memory follows the length: {short.memory_mb:.0f} MB at {short.num_frames} frames, "
            f"{long.memory_mb:.0f} MB at {long.num_frames}."
        )
    return (
        f"memory stays at that of the longest input: {short.memory_mb:.0f} MB at "
        f"{short.num_frames} frames too, {engine.opened_mb:.0f} MB before the first run."
    )


def _times(engine: EngineLengths) -> Iterator[str]:
    """Say what a change of length costs, where it surely does."""
    if times := _surely(engine.first, engine.first_ci95):
        yield f"the first run of a length takes {times} as long as the next one."
    if times := _surely(engine.back, engine.back_ci95):
        longest = engine.lengths[-1]
        yield (
            f"coming back to a length takes {times} as long as staying at it: "
            f"{figures.number(longest.back_ms)} against {figures.number(longest.again_ms)} ms at "
            f"{longest.num_frames} frames."
        )


def _surely(value: float | None, interval: Interval | None) -> str:
    """Write how many times as long something takes, nothing where that may not matter."""
    if value is None or interval is None or interval[0] <= MATTERS:
        return ""
    written, low, high = figures.factors(value, *interval)
    return f"{written} ({low} to {high}) times"


def _table(engine: EngineLengths) -> Table:
    heading = ["frames", "first ms", "back ms", "again ms", "memory MB"]
    lines = (
        [
            str(each.num_frames),
            *map(figures.number, (each.first_ms, each.back_ms, each.again_ms)),
            f"{each.memory_mb:.0f}",
        ]
        for each in engine.lengths
    )
    return table(heading, lines, "rrrrr")
