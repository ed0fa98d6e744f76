"""Why one engine is slower than another, as a document.

It begins with five sentences at most, each with its figure.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rtfbench.report import document as doc
from rtfbench.report import figures
from rtfbench.results import protocols
from rtfbench.results.explanation import SUMS_AGREE, EngineCost, Explanation, GroupCost

#: A group that takes less than this share of every engine's time is one of the others.
SMALL = 0.005
#: So many operators of each engine are listed.
LISTED = 10


def of_explanation(found: Explanation) -> doc.Document:
    """Return the whole report."""
    engines = " against ".join(engine.engine for engine in found.engines)
    return doc.document(
        doc.Heading(f"{found.model}: {engines}, operator by operator", 1),
        _conditions(found),
        doc.bullets(sentences(found)),
        doc.Heading("Engines"),
        _engines(found),
        "`ms` is a run without a profiler, and `ratio` pairs such runs. `profiler`: a profiled "
        "run's time over that. `told`: what the operators' own times add up to, over the time "
        "without a profiler. `mapped`: the share of them that belongs to nodes of the model.",
        doc.bullets(_remarks(found)),
        _operators(found) if found.profiled else (),
    )


def _conditions(found: Explanation) -> str:
    """Say what was measured."""
    explained = protocols.named(found.protocol).explained
    what = explained[0] if explained else f"a chunk of the {found.protocol} protocol"
    setting = figures.setting(found.chunk_samples, found.threads)
    peak = "no compiler, so its peak is unknown"
    if found.peak_gflops is not None:
        peak = f"a peak of {figures.number(found.peak_gflops)} GFLOP/s"
    return (
        f"{what[0].upper()}{what[1:]}: {found.num_frames} frames ({setting}), "
        f"{2 * found.macs / 1e9:.2f} GFLOP; {found.cpu}, {peak}; rtfbench {found.rtfbench}, "
        f"seed {found.seed}."
    )


def _engines(found: Explanation) -> doc.Table:
    heading = ["engine", "version", "form", "load ms", "ms", "ratio", "profiler", "told", "mapped"]
    lines = [
        [
            engine.engine,
            engine.version or figures.MISSING,
            engine.form,
            figures.number(engine.load_ms),
            figures.number(engine.ms),
            figures.ratio(engine.ratio, engine.ratio_ci95),
            figures.times(engine.overhead),
            figures.percent(engine.told),
            figures.percent(engine.mapped),
        ]
        for engine in found.engines
    ]
    return doc.table(heading, lines, "lllrrrrrr")


def _remarks(found: Explanation) -> Iterator[str]:
    """Yield what a reader has to know of engines."""
    for engine in found.engines:
        if engine.failed:
            yield f"{engine.engine} failed: {engine.failed}"
        elif not engine.operators:
            yield f"{engine.engine} tells of no operators: its total is all there is"
        if engine.wrong:
            yield f"{engine.engine} computes another embedding: {engine.wrong}"
        if engine.told is not None and abs(engine.told - 1) > SUMS_AGREE:
            yield (
                f"{engine.engine}: the operators' own times add up to "
                f"{figures.percent(engine.told)} of the time without a profiler, which is further "
                f"off than {figures.percent(SUMS_AGREE)}; `between operators` has the rest"
            )


def _groups(found: Explanation, what: str, groups: Sequence[GroupCost]) -> doc.Table:
    """Return a table: times of every engine, differences to the first, and rates."""
    others = found.profiled[1:]
    names = [found.engines[index].engine for index in found.profiled]
    heading = [what, *(f"{name} ms" for name in names)]
    for index in others:
        heading += [f"{found.engines[index].engine} more ms", *_share_of(found, index, "share")]
    heading += [f"{name} GFLOP/s" for name in names]
    lines = []
    for group in shown(found, groups):
        line = [group.name, *(_ms(group.ms[index]) for index in found.profiled)]
        for index in others:
            line += _difference(found, group, index)
        line += [_rate(found, group.gflops[index], index) for index in found.profiled]
        lines.append(line)
    totals = [found.engines[index].ms or 0.0 for index in found.profiled]
    last = ["all", *map(_ms, totals)]
    for index, total in zip(others, totals[1:], strict=True):
        last += [_signed(total - totals[0]), *_share_of(found, index, "100 %")]
    pairs = zip(totals, found.profiled, strict=True)
    last += [_rate(found, 2 * found.macs / total / 1e6, index) for total, index in pairs]
    return doc.table(heading, [*lines, last], "l" + "r" * (len(heading) - 1))


def shown(found: Explanation, groups: Sequence[GroupCost]) -> list[GroupCost]:
    """Return groups with the small ones put together, which come last."""
    totals = [engine.ms or 0.0 for engine in found.engines]

    def small(group: GroupCost) -> bool:
        pairs = zip(group.ms, totals, strict=True)
        return all(ms is None or abs(ms) < SMALL * total for ms, total in pairs)

    little = [group for group in groups if small(group)]
    if len(little) < 2:
        return list(groups)
    together = GroupCost(
        name=f"{len(little)} smaller ones",
        macs=None,
        ms=_sums([group.ms for group in little]),
        more_ms=_sums([group.more_ms for group in little]),
        more_ci95=(None,) * len(totals),
        surely=(False,) * len(totals),
        gflops=(None,) * len(totals),
    )
    return [*(group for group in groups if group not in little), together]


def _sums(rows: Sequence[tuple[float | None, ...]]) -> tuple[float | None, ...]:
    """Return the sum of each engine's values, None of one that has none."""
    columns = zip(*rows, strict=True)
    return tuple(
        None if None in column else sum(value or 0.0 for value in column) for column in columns
    )


def _difference(found: Explanation, group: GroupCost, index: int) -> list[str]:
    """Return how much longer an engine takes than the first, and its share of the whole."""
    more, interval = group.more_ms[index] or 0.0, group.more_ci95[index]
    half = "" if interval is None else f" ± {(interval[1] - interval[0]) / 2:.2f}"
    whole = (found.engines[index].ms or 0.0) - (found.engines[found.profiled[0]].ms or 0.0)
    share = figures.percent(more / whole) if whole else figures.MISSING
    return [f"{_signed(more)}{half}", *_share_of(found, index, share)]


def _share_of(found: Explanation, index: int, text: str) -> list[str]:
    """Return a share of an engine's difference, nothing where that cannot be told from 0."""
    return [text] if found.engines[index].sure else []


def _operators(found: Explanation) -> Iterator[doc.Block]:
    """Yield the tables of operators, and what their columns mean."""
    yield doc.Heading("By kind of operator")
    yield _groups(found, "kind", found.kinds)
    yield doc.Heading("By part of the model")
    yield _groups(found, "part", found.blocks)
    yield doc.Heading("Costliest operators")
    for index in found.profiled:
        engine = found.engines[index]
        heading = [engine.engine, "type", "ms", "share", "GFLOP/s", "part", "kind"]
        lines = (
            [
                each.name,
                " ".join(filter(None, [each.operator, each.implementation])),
                _ms(each.ms),
                figures.percent(each.ms / (engine.ms or 1.0)),
                _rate(found, _gflops(each.macs, each.ms), index),
                each.block,
                each.kind,
            ]
            for each in sorted(engine.operators, key=lambda each: -each.ms)[:LISTED]
        )
        yield doc.table(heading, lines, "llrrrll")
    yield doc.Paragraph(
        "An operator that a runtime has fused counts whole with what multiplies in it. ± is "
        "half of a 95 % interval, from sessions of fresh processes; sentences speak of differences "
        "that are sure among all groups together. GFLOP/s are the operations "
        "that the model asks for, two for each multiply-accumulate, over the time: a runtime "
        "that needs fewer multiplications may exceed the core's peak."
    )


def _gflops(macs: int | None, ms: float) -> float | None:
    """Return operations a second; of none, or of no time that was seen, there is no rate."""
    return 2 * macs / ms / 1e6 if macs and ms else None


def _rate(found: Explanation, gflops: float | None, place: int) -> str:
    """Write an engine's rate with its share of the peak."""
    if gflops is None:
        return figures.MISSING
    text, share = figures.number(gflops), found.share_of_peak(gflops, place)
    return text if share is None else f"{text} ({figures.percent(share)})"


def _ms(value: float | None) -> str:
    """Write milliseconds to a hundredth, or with three digits where that is more."""
    return figures.number(value) if value is None or abs(value) >= 100 else f"{value:.2f}"


def _signed(ms: float) -> str:
    return f"{ms:+.2f}" if abs(ms) < 100 else f"{ms:+.0f}"


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
    silent = list(_silent(found))
    if not found.profiled:
        return silent[:MOST]
    first, *others = found.profiled
    if not others:
        total, *parts = _alone(found, first)
        return [total, *silent, *parts][:MOST]
    told = [_pair(found, first, other) for other in others]
    return [*(each for column in zip_longest(*told) for each in column if each), *silent][:MOST]


def _silent(found: Explanation) -> Iterator[str]:
    """Compare the totals of engines without a profile with the reference."""
    timed = [engine for engine in found.engines if engine.ms is not None]
    reference = next((engine for engine in timed if engine.ratio is None), None)
    for engine in timed:
        if reference is not None and engine is not reference and not engine.operators:
            yield f"{_totals(found, reference, engine)}; its runtime tells of no operators."


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
            f"{group.name[0].upper()}{group.name[1:]}: {figures.number(ms)} ms, "
            f"{figures.percent(ms / total)} of its time{_speed(found, group, index)}."
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
        yield (
            f"By part of the model, {b.engine} surely differs in {_parts(parts, other)}"
            f"{_unsure(found, parts, other)}."
        )
    if rest:
        same = _more(rest[0], other) * _more(main, other) > 0
        yield (
            f"{'Second' if same else 'The other way'}: {rest[0].name}, "
            f"{_both(found, rest[0], first, other)}."
        )


def _surely_apart(groups: Sequence[GroupCost], other: int) -> list[GroupCost]:
    """Return groups whose time surely differs, the one that differs most first."""
    sure = [group for group in groups if group.surely[other]]
    return sorted(sure, key=lambda group: -abs(_more(group, other)))


def _unsure(found: Explanation, parts: Sequence[GroupCost], other: int) -> str:
    """Name the parts that seem to differ more than some of these, and not surely."""
    least = min(abs(_more(each, other)) for each in parts)
    larger = [
        each for each in found.blocks if not each.surely[other] and abs(_more(each, other)) > least
    ]
    larger.sort(key=lambda each: -abs(_more(each, other)))
    return f"; not surely in {_parts(larger[:NAMED], other)}" if larger else ""


def _parts(parts: Sequence[GroupCost], other: int) -> str:
    return ", ".join(f"{each.name} ({_more(each, other):+.2f} ms)" for each in parts)


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
    explained = protocols.named(found.protocol).explained
    return explained[1] if explained else "a chunk"


def _cores(found: Explanation) -> str:
    return "the core's" if found.threads == 1 else "the cores'"


def _more(group: GroupCost, other: int) -> float:
    return group.more_ms[other] or 0.0
