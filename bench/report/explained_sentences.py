"""What an explanation comes to: five sentences at most, each with its figure."""

from collections.abc import Iterator, Sequence

from bench.report import figures
from bench.results.explanation import EngineCost, Explanation, GroupCost

MOST = 5
#: A part that takes so much of an engine's time is named with it.
DOMINANT = 1 / 3
#: What goes the other way is named from this share of the largest difference on.
OPPOSITE = 0.1
#: A rate that is so far above the peak is no error of measuring it.
ABOVE_PEAK = 1.05


def sentences(found: Explanation) -> list[str]:
    """Return what the times say, most important first; of pairs, the first engine with each."""
    if not found.profiled:
        return []
    first, *others = found.profiled
    if not others:
        return list(_alone(found, first))[:MOST]
    told = [list(_pair(found, first, other)) for other in others]
    # Of several pairs each has its first sentences before any has its later ones.
    return [each for column in _columns(told) for each in column][:MOST]


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for index in range(max(map(len, rows))):
        yield [row[index] for row in rows if index < len(row)]


def _alone(found: Explanation, index: int) -> Iterator[str]:
    """Say where one engine's time goes."""
    engine = found.engines[index]
    total = engine.ms or 0.0
    yield f"{engine.engine} takes {figures.number(total)} ms a chunk{_dominant(found, (index,))}."
    for group in found.kinds[:2]:
        ms = group.ms[index] or 0.0
        yield (
            f"{_upper(group.name)}: {figures.number(ms)} ms, {figures.percent(ms / total)} of its "
            f"time{_speed(found, group, index)}."
        )
    most = max(engine.operators, key=lambda each: each.ms)
    yield (
        f"Its costliest operator is {most.name} ({most.kind}, {most.block}): "
        f"{figures.number(most.ms)} ms, {figures.percent(most.ms / total)}."
    )


def _pair(found: Explanation, first: int, other: int) -> Iterator[str]:
    """Say what makes the difference between two engines."""
    a, b = found.engines[first], found.engines[other]
    whole = (b.ms or 0.0) - (a.ms or 0.0)
    yield f"{_totals(a, b)}{_dominant(found, (first, other))}."
    apart = sorted(found.kinds, key=lambda group: -abs(_apart(group, first, other)))
    main = apart[0]
    yield _main(found, main, first, other, whole)
    inside = _inside(found, main.name, first, other)
    if inside:
        yield inside
    against = next(
        (each for each in apart if _apart(each, first, other) * _apart(main, first, other) < 0),
        None,
    )
    if against and abs(_apart(against, first, other)) >= OPPOSITE * abs(_apart(main, first, other)):
        yield (
            f"The other way go {against.name}: {figures.number(against.ms[first])} ms in "
            f"{a.engine} and {figures.number(against.ms[other])} ms in {b.engine}."
        )
    elif len(apart) > 1:
        second = apart[1]
        yield (
            f"Next come {second.name}: {figures.number(second.ms[first])} ms in {a.engine} and "
            f"{figures.number(second.ms[other])} ms in {b.engine}."
        )


def _totals(a: EngineCost, b: EngineCost) -> str:
    """Compare the totals, as surely as their interval allows."""
    times = (
        f"{b.engine} takes {figures.number(b.ms)} ms a chunk and {a.engine} {figures.number(a.ms)}"
    )
    if b.ratio is None:
        return times
    told = figures.ratio(b.ratio, b.ratio_ci95)
    if b.ratio_ci95 and b.ratio_ci95[0] <= 1 <= b.ratio_ci95[1]:
        return f"{times}, which cannot be told apart (ratio {told})"
    return f"{times}: {told} times as long"


def _main(found: Explanation, main: GroupCost, first: int, other: int, whole: float) -> str:
    """Name the kind that differs most, with what it reaches in both."""
    a, b = found.engines[first], found.engines[other]
    apart = _apart(main, first, other)
    times = (
        f"{figures.number(main.ms[first])} ms in {a.engine}{_speed(found, main, first)}, "
        f"{figures.number(main.ms[other])} ms in {b.engine}{_speed(found, main, other)}"
    )
    if apart * whole > 0 and abs(apart) <= abs(whole):
        share = f"{figures.number(abs(apart))} of the {figures.number(abs(whole))} ms"
        return f"{_upper(main.name)} account for {share}: {times}."
    more = "slower" if apart > 0 else "faster"
    return (
        f"{_upper(main.name)} differ most, and alone would make {b.engine} "
        f"{figures.number(abs(apart))} ms {more}: {times}."
    )


def _inside(found: Explanation, kind: str, first: int, other: int) -> str:
    """Name the parts of the model in which a kind differs most, empty where there is one alone."""
    ms: dict[str, float] = {}
    for sign, index in ((-1, first), (1, other)):
        for each in found.engines[index].operators:
            if each.kind == kind:
                ms[each.block] = ms.get(each.block, 0.0) + sign * each.ms
    if len(ms) < 2:
        return ""
    ordered = sorted(ms.items(), key=lambda item: -abs(item[1]))[:3]
    parts = ", ".join(f"{name} ({value:+.2f} ms)" for name, value in ordered)
    return f"Among them, {found.engines[other].engine} differs most in {parts}."


def _dominant(found: Explanation, places: Sequence[int]) -> str:
    """Name the part of the model that takes much of every engine's time."""
    for group in found.blocks:
        shares = [(group.ms[i] or 0.0) / (found.engines[i].ms or 1.0) for i in places]
        if min(shares) >= DOMINANT:
            told = " and ".join(figures.percent(share) for share in shares)
            return f"; {group.name} takes {told} of it"
    return ""


def _speed(found: Explanation, group: GroupCost, index: int) -> str:
    """Say what a group reaches, and what follows where that is more than the core can multiply."""
    rate, peak = group.gflops[index], found.peak_gflops
    if rate is None:
        return ""
    if peak is None:
        return f" ({figures.number(rate)} GFLOP/s)"
    if rate <= ABOVE_PEAK * peak:
        return (
            f" ({figures.number(rate)} GFLOP/s, {figures.percent(rate / peak)} of the core's peak)"
        )
    engine = found.engines[index]
    how = f", as {engine.fewer_operations} do" if engine.fewer_operations else ""
    return (
        f" ({figures.number(rate)} effective GFLOP/s, {figures.percent(rate / peak)} of the core's "
        f"peak: fewer multiplications than a direct convolution, at least {rate / peak:.1f} times "
        f"fewer{how})"
    )


def _apart(group: GroupCost, first: int, other: int) -> float:
    return (group.ms[other] or 0.0) - (group.ms[first] or 0.0)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
