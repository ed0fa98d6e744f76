"""How many requests engines hold within a latency, as a document."""

from collections.abc import Iterator

from rtfbench.report import figures
from rtfbench.report.document import Document, Heading, bullets, document, table
from rtfbench.results.capacity import CapacityAnswer, EngineCapacity
from rtfbench.results.load import Load
from rtfbench.results.server import MOST_LATE

HEADS = ("× the first", "serving ms", "utilisation", "requests")
CHECKS = ("came late", "expected")
#: So many times as many late requests as were expected, of so many at least, are no luck.
MUCH, LEAST_LATE = 3.0, 10
WHY_LONGER = ", because two sessions are measured in any case"


def of_capacity(found: CapacityAnswer) -> Document:
    """Return the answer: a sentence an engine, and the table."""
    chunk_samples, threads, jobs = found.setting
    processes = f"{jobs} process{'es' * (jobs > 1)} of {figures.counted(threads, 'thread')}"
    setting = f"{figures.chunk(chunk_samples)}, {processes}"
    limit = f"{100 * found.slo:g} of 100 requests within {found.latency_ms:g} ms"
    return document(
        Heading(f"{found.title}, {setting}: {limit}", 1),
        bullets(_sentences(found)),
        table(
            ("engine", what_is_held(found.load)[0], *HEADS, *CHECKS),
            (_line(found, each) for each in found.engines),
            "lrrrrrrr",
        ),
        'Plan with the lower end. "Came late" is of the requests that were measured, at rates '
        "around the capacity and above it, beside what the replay of their service times expects "
        "of the same rates.",
        f"{figures.counted(found.sessions, 'session')} in "
        f"{figures.spent(found.spent_s, found.budget_s, WHY_LONGER)}, "
        f"seed {found.seed}; {found.host}.",
    )


def _sentences(found: CapacityAnswer) -> Iterator[str]:
    first = found.engines[0]
    for each in found.engines:
        if each.rate_per_s is None:
            yield f"{each.engine}: {each.why}."
            continue
        what, factor = what_is_held(found.load)
        text = f"{each.engine} holds {figures.number(each.rate_per_s * factor)} {what}"
        if each.interval is not None:
            low, high = each.interval
            text += f" ({figures.number(low * factor)} to {figures.number(high * factor)})"
        if each.ratio is not None:
            text += (
                f", {figures.ratio(each.ratio, each.ratio_interval)} times those of {first.engine}"
            )
        yield f"{text}."
        if _much_later(each):
            yield (
                f"{each.engine}: {_share(each.late)} of the measured requests came late where "
                f"{_share(each.late_expected)} were expected. Slow ones came together, so it "
                "holds fewer than that; a quiet machine would tell."
            )
        if each.lateness is not None and each.lateness > MOST_LATE:
            late = figures.percent(each.lateness)
            yield (
                f"{each.engine}: requests were seen {late} of a service time late, so what came "
                "late is the harness's too; leave it a core of its own."
            )


def _much_later(each: EngineCapacity) -> bool:
    if each.late is None or each.late_expected is None:
        return False
    return each.late > MUCH * each.late_expected and each.late * each.requests >= LEAST_LATE


def what_is_held(load: Load) -> tuple[str, float]:
    """Return what a capacity is of, and how many of these a request a second is."""
    if not load.streams:
        return "requests/s", 1.0
    return f"live streams of {load.window_s:g} s every {load.hop_s:g} s", load.hop_s


def _line(found: CapacityAnswer, each: EngineCapacity) -> list[str]:
    held = None if each.rate_per_s is None else each.rate_per_s * what_is_held(found.load)[1]
    interval = f" {figures.plus_minus(each.interval)}" if each.interval else ""
    return [
        each.engine,
        figures.number(held) + interval,
        figures.ratio(each.ratio, each.ratio_interval),
        figures.number(each.service_ms),
        figures.percent(each.utilisation),
        str(each.requests),
        _share(each.late),
        _share(each.late_expected),
    ]


def _share(share: float | None) -> str:
    return figures.MISSING if share is None else f"{100 * share:.1f} %"
