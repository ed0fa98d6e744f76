"""What an explanation comes to: five sentences at most, each with its figure."""

from collections.abc import Iterator, Sequence

from bench.report import figures
from bench.results.explanation import EngineCost, Explanation, GroupCost

MOST = 5
#: A part that takes so much of an engine's time is named with it.
DOMINANT = 1 / 3
#: So many parts of the model are named.
NAMED = 3
#: A rate that is so far above the peak is no error of measuring it.
ABOVE_PEAK = 1.05


def sentences(found: Explanation) -> list[str]:
    """Return what the times say, most important first.

    Of several pairs of engines, each has its first sentence before any has its second.
    """
    if not found.profiled:
        return []
    first, *others = found.profiled
    if not others:
        return list(_alone(found, first))[:MOST]
    told = [list(_pair(found, first, other)) for other in others]
    return [each for column in _columns(told) for each in column][:MOST]


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for index in range(max(map(len, rows))):
        yield [row[index] for row in rows if index < len(row)]


def _alone(found: Explanation, index: int) -> Iterator[str]:
    """Say where one engine's time goes."""
    engine = found.engines[index]
    total = engine.ms or 0.0
    yield (
        f"{engine.engine} takes {figures.number(total)} ms {_chunk(found)}"
        f"{_dominant(found, (index,))}."
    )
    for group in found.kinds[:2]:
        ms = group.ms[index] or 0.0
        yield (
            f"{_upper(group.name)}: {figures.number(ms)} ms, {figures.percent(ms / total)} of its "
            f"time{_speed(found, group, index)}."
        )
    yield from _fewer_multiplications(found, index)
    most = max(engine.operators, key=lambda each: each.ms)
    yield (
        f"Its costliest operator is {most.name} ({most.kind}; {most.block}): "
        f"{figures.number(most.ms)} ms, {figures.percent(most.ms / total)}."
    )


def _pair(found: Explanation, first: int, other: int) -> Iterator[str]:
    """Say what makes the difference between two engines."""
    a, b = found.engines[first], found.engines[other]
    yield f"{_totals(found, a, b)}{_dominant(found, (first, other))}."
    apart = _surely_apart(found.kinds, other)
    if not apart:
        yield f"No kind of operator surely takes another time in {b.engine} than in {a.engine}."
        return
    main, *rest = apart
    yield _main(found, main, first, other)
    for index in (other, first):
        yield from _fewer_multiplications(found, index)
    parts = _surely_apart(found.blocks, other)[:NAMED]
    if len(parts) > 1:
        told = ", ".join(f"{each.name} ({each.more_ms[other]:+.2f} ms)" for each in parts)
        yield f"By part of the model, {b.engine} differs most in {told}."
    if rest:
        same = _more(rest[0], other) * _more(main, other) > 0
        yield (
            f"{'Next' if same else 'The other way'}: {rest[0].name}, "
            f"{_both(found, rest[0], first, other)}."
        )


def _surely_apart(groups: Sequence[GroupCost], other: int) -> list[GroupCost]:
    """Return groups whose time surely differs, the one that differs most first."""
    sure = [group for group in groups if group.sure(other)]
    return sorted(sure, key=lambda group: -abs(_more(group, other)))


def _totals(found: Explanation, a: EngineCost, b: EngineCost) -> str:
    """Compare the totals, as surely as their interval allows."""
    times = (
        f"{b.engine} takes {figures.number(b.ms)} ms {_chunk(found)} and {a.engine} "
        f"{figures.number(a.ms)}"
    )
    if b.ratio is None:
        return times
    told = figures.ratio(b.ratio, b.ratio_ci95)
    if b.sure:
        return f"{times}: {told} times as long"
    return f"{times}, which cannot be told apart (ratio {told})"


def _main(found: Explanation, main: GroupCost, first: int, other: int) -> str:
    """Name the kind that differs most, with what it reaches in both."""
    b = found.engines[other]
    more = _more(main, other)
    whole = (b.ms or 0.0) - (found.engines[first].ms or 0.0)
    both = _both(found, main, first, other)
    largest = max(abs(_more(group, other)) for group in found.kinds)
    if b.sure and abs(more) == largest and 0 <= more / whole <= 1:
        share = f"{figures.number(abs(more))} of the {figures.number(abs(whole))} ms"
        return f"{share} are in {main.name}: {both}."
    most = "largest" if abs(more) == largest else "largest sure"
    return (
        f"The {most} difference is in {main.name}, which alone would make {b.engine} "
        f"{figures.number(abs(more))} ms {'slower' if more > 0 else 'faster'}: {both}."
    )


def _both(found: Explanation, group: GroupCost, first: int, other: int) -> str:
    """Write a group's time in both engines, with what it reaches."""
    return ", ".join(
        f"{figures.number(group.ms[index])} ms in {found.engines[index].engine}"
        f"{_speed(found, group, index)}"
        for index in (first, other)
    )


def _dominant(found: Explanation, places: Sequence[int]) -> str:
    """Name the part of the model that takes much of every engine's time."""
    for group in found.blocks:
        shares = [(group.ms[i] or 0.0) / (found.engines[i].ms or 1.0) for i in places]
        if min(shares) >= DOMINANT:
            told = " and ".join(figures.percent(share) for share in shares)
            return f"; {group.name} takes {told} of it"
    return ""


def _fewer_multiplications(found: Explanation, index: int) -> Iterator[str]:
    """Say where an engine is faster than the core can multiply; no runtime tells how."""
    engine = found.engines[index]
    asked = [(each, each.macs) for each in engine.operators if each.macs and each.ms]
    shares = [found.share_of_peak(2 * macs / each.ms / 1e6, index) for each, macs in asked]
    rates = [share for share in shares if share is not None]
    above = [rate for rate in rates if rate > ABOVE_PEAK]
    if above:
        how = f", as {engine.fewer_operations} do" if engine.fewer_operations else ""
        yield (
            f"In {len(above)} of its {len(rates)} operators that multiply, {engine.engine} is up "
            f"to {max(above):.2f} times as fast as {_cores(found)} peak: it needs fewer "
            f"multiplications there than the model asks for{how}."
        )


def _speed(found: Explanation, group: GroupCost, index: int) -> str:
    """Say what a group reaches."""
    rate = group.gflops[index]
    if rate is None:
        return ""
    share = found.share_of_peak(rate, index)
    told = "" if share is None else f", {figures.percent(share)} of {_cores(found)} peak"
    return f" ({figures.number(rate)} GFLOP/s{told})"


def _chunk(found: Explanation) -> str:
    return "for the first chunk" if found.protocol == "published" else "a chunk"


def _cores(found: Explanation) -> str:
    return "the core's" if found.threads == 1 else "the cores'"


def _more(group: GroupCost, other: int) -> float:
    return group.more_ms[other] or 0.0


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
