"""What the published timing says of engines, and what the server's does; and when it is nothing."""

from collections.abc import Iterator
from itertools import combinations

from rtfbench.engines.protocol import FIRST_RUN
from rtfbench.report import compare, figures
from rtfbench.results import protocols
from rtfbench.results.cells import Condition
from rtfbench.results.protocols import PUBLISHED, STEADY
from rtfbench.results.rows import CellSummary, Ratio, Summary

#: Up to here a share is about the whole; what is more is more than the difference.
WHOLE = 1.10


def protocol_findings(summary: Summary) -> Iterator[compare.Finding]:
    """Yield a sentence for each pair of engines of which the protocols disagree."""
    for model, threads in dict.fromkeys((row.model, row.threads) for row in summary.cells):
        sizes = [
            each.chunk_samples
            for each in compare.conditions(summary)
            if (each.model, each.threads, each.protocol) == (model, threads, STEADY.name)
        ]
        for size in compare.stated_first(sizes):
            published = Condition(
                model=model, threads=threads, chunk_samples=size, protocol=PUBLISHED.name
            )
            if found := list(_pairs(summary, published)):
                yield from found
                break


def _pairs(summary: Summary, published: Condition) -> Iterator[compare.Finding]:
    steady = published.model_copy(update={"protocol": STEADY.name})
    rows = compare.rows_of(summary, published)
    if len({row.utterances for row in [*rows, *compare.rows_of(summary, steady)]}) > 1:
        return  # some were measured on fewer utterances than others
    named = compare.engine_names(rows)
    for first, second in combinations(rows, 2):
        before = compare.paired_ratio(summary, published, compare.side(first), compare.side(second))
        if before is None or not before.differs:
            continue
        before = before.slower_first()
        after = compare.paired_ratio(summary, steady, before.left, before.right)
        if after is None or after.ci95 is None or before.ci95 is None:
            continue
        if after.ci95[1] >= before.ci95[0]:  # the protocols do not disagree
            continue
        slow, fast = (first, second) if before.left == compare.side(first) else (second, first)
        left, right = named[before.left], named[before.right]
        text = (
            f"{slow.title}, {figures.setting(*slow.setting)}: under the published protocol {left} "
            f"takes {figures.factor(before.ratio)} times as long ({compare.ends(before.ci95)}) as "
            f"{right}; {_steady(after, left, right)}"
        )
        told = _preparation(summary, slow, fast, steady, before, after)
        yield compare.Finding("protocol", f"{text}{told}.")


def _steady(after: Ratio, left: str, right: str) -> str:
    interval = compare.ends(after.ci95)
    if after.differs and after.ratio < 1:
        turned = after.inverted()
        return (
            f"in steady state it is the other way round: {right} takes "
            f"{figures.factor(turned.ratio)} times as long as {left} ({compare.ends(turned.ci95)})"
        )
    if after.differs:
        return f"in steady state {figures.factor(after.ratio)} times as long ({interval})"
    return f"in steady state they cannot be told apart: {figures.factor(after.ratio)} ({interval})"


def _preparation(
    summary: Summary,
    slow: CellSummary,
    fast: CellSummary,
    steady: Condition,
    before: Ratio,
    after: Ratio,
) -> str:
    """Say how much of a difference is what a dynamic model does in its first chunk."""
    warm = slow.chunk_ms or next(
        (
            row.chunk_ms
            for row in compare.rows_of(summary, steady)
            if compare.side(row) == compare.side(slow)
        ),
        None,
    )
    if slow.form != "dynamic" or warm is None or not slow.first_chunk_ms:
        return ""
    assert slow.rtf is not None
    assert fast.rtf is not None
    assert before.ci95 is not None
    environment = summary.environment
    extra_ms = slow.first_chunk_ms - warm
    if extra_ms <= 0 or slow.rtf <= fast.rtf or not environment.audio_s:
        return ""
    extra_rtf = extra_ms / 1000 * len(environment.audio) / environment.audio_s
    what = slow.effective.get(FIRST_RUN, "preparation")
    cause = f"{figures.number(extra_ms)} ms of {what} at the first resize of each session"
    # The difference is as uncertain as the ratio that both have in turns.
    least, most = (extra_rtf / (fast.rtf * (end - 1)) for end in reversed(before.ci95))
    if least <= 1 <= most or 1 < least <= WHOLE:
        return f": {cause} explain about all of the difference"
    if most < 1:
        share = f"{figures.percent(least)} to {figures.percent(most)}"
        return f": {cause} explain {share} of the difference"
    if after.differs and after.ratio < 1:
        return f": {cause} more than account for the difference"
    return f": {cause} are more than the difference"


#: Where requests arrived for less of the time that it took to serve them, the queue only grew.
KEPT_UP = 0.8
TAILS = (("latency_ms_p99", "99"), ("latency_ms_p95", "95"))


def findings(summary: Summary) -> Iterator[compare.Finding]:
    """Yield a sentence a row."""
    for row in summary.cells:
        if protocols.named(row.protocol).offered and row.rtf is not None:
            head = f"{row.title}, {row.engine_label}, {figures.setting(*row.setting)}"
            yield compare.Finding("protocol", f"{head}: {_of_row(row)}.")


def _of_row(row: CellSummary) -> str:
    kept_up = row.figure("kept_up")
    if kept_up is not None and kept_up < KEPT_UP:
        return "more requests arrive than are served, so latencies grow for as long as it lasts"
    half = f"{figures.number(row.figure('latency_ms_p50'))} ms{_between(row, 'latency_ms_p50')}"
    tail = next(
        (
            f", {share} of 100 within {figures.number(value)} ms{_between(row, name)}"
            for name, share in TAILS
            if (value := row.figure(name)) is not None
        ),
        "",
    )
    busy = figures.percent(row.figure("utilisation") or 0.0)
    return (
        f"half of the requests are answered within {half}{tail}; the processes are at work {busy} "
        f"of the time{_apart(row)}"
    )


def _between(row: CellSummary, name: str) -> str:
    interval = (row.own_ci95 or {}).get(name)
    if interval is None:
        return ""
    low, high = map(figures.number, interval)
    return f" (over {low})" if interval[1] is None else f" ({low} to {high})"


def _apart(row: CellSummary) -> str:
    """Say what was late or rejected, and what of the features was known."""
    told = ""
    if row.load is not None and (late := row.figure("late_share")) is not None:
        told += f"; {100 * late:.1f} % are not answered within {row.load.latency_ms:g} ms"
    if (rejected := row.figure("rejected_share")) is not None:
        told += f"; {100 * rejected:.1f} % find no place"
    if (known := row.figure("known_share")) is not None:
        told += f"; {figures.percent(known)} of the features were known from the window before"
    return told
