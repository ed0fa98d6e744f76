"""Why one engine is slower than another, as a markdown report."""

from collections.abc import Iterator, Sequence

from bench.report import figures
from bench.report.explained_sentences import sentences
from bench.report.grid import escape, grid
from bench.results.explanation import SUMS_AGREE, EngineCost, Explanation, GroupCost

#: A group that takes less than this share of every engine's time is one of the others.
SMALL = 0.005
#: So many operators of each engine are listed.
LISTED = 10


def render(found: Explanation) -> str:
    """Return the whole report."""
    parts = [f"# {_title(found)}", _conditions(found)]
    parts += ["\n".join(f"- {escape(each)}" for each in sentences(found))]
    parts += ["## Engines", _engines(found), *_remarks(found)]
    if found.profiled:
        parts += ["## By kind of operator", _groups(found, "kind", found.kinds)]
        parts += ["## By part of the model", _groups(found, "part", found.blocks)]
        parts += ["## Costliest operators", *_operators(found)]
        parts += [
            "An operator that a runtime has fused counts whole with what multiplies in it. ± is "
            "half of a 95 % interval, from sessions of fresh processes. GFLOP/s are the operations "
            "that the model asks for, two for each multiply-accumulate, over the time: a runtime "
            "that needs fewer multiplications may exceed the core's peak."
        ]
    return "\n\n".join(parts) + "\n"


def _title(found: Explanation) -> str:
    labels = [engine.engine for engine in found.engines]
    return f"{found.model}: {' against '.join(labels)}, operator by operator"


def _conditions(found: Explanation) -> str:
    """Say what was measured."""
    what = {
        "steady": "a chunk of a warmed session",
        "published": "the first chunk of a fresh session; loading is not in it",
    }[found.protocol]
    setting = figures.setting(found.chunk_samples, found.threads)
    peak = (
        "no compiler, so its peak is unknown"
        if found.peak_gflops is None
        else f"a peak of {figures.number(found.peak_gflops)} GFLOP/s"
    )
    return (
        f"{what[0].upper()}{what[1:]}: {found.num_frames} frames ({setting}), "
        f"{2 * found.macs / 1e9:.2f} GFLOP; {found.cpu}, {peak}; rtfbench {found.rtfbench}, "
        f"seed {found.seed}."
    )


def _engines(found: Explanation) -> str:
    heading = ["engine", "version", "form", "load ms", "ms", "ratio", "profiler", "told", "mapped"]
    lines = [
        [
            engine.engine,
            engine.version or figures.MISSING,
            engine.form,
            figures.number(engine.load_ms),
            figures.number(engine.ms),
            _ratio(engine),
            figures.MISSING if engine.overhead is None else figures.times(engine.overhead),
            figures.MISSING if engine.told is None else figures.percent(engine.told),
            figures.MISSING if engine.mapped is None else figures.percent(engine.mapped),
        ]
        for engine in found.engines
    ]
    return grid([heading, *lines], [False, False, False, *[True] * 6])


def _ratio(engine: EngineCost) -> str:
    return (
        figures.MISSING if engine.ratio is None else figures.ratio(engine.ratio, engine.ratio_ci95)
    )


def _remarks(found: Explanation) -> Iterator[str]:
    """Yield what the columns mean, and what a reader has to know of engines."""
    yield (
        "`ms` is a run without a profiler, and `ratio` pairs such runs. `profiler`: a profiled "
        "run's time over that. `told`: what the operators' own times add up to, over the time "
        "without a profiler. `mapped`: the share of them that belongs to nodes of the model."
    )
    lines: list[str] = []
    for engine in found.engines:
        if engine.failed:
            lines.append(f"{engine.engine} failed: {engine.failed}")
        elif not engine.operators:
            lines.append(f"{engine.engine} tells of no operators: its total is all there is")
        if engine.wrong:
            lines.append(f"{engine.engine} computes another embedding: {engine.wrong}")
        if engine.told is not None and abs(engine.told - 1) > SUMS_AGREE:
            lines.append(
                f"{engine.engine}: the operators' own times add up to "
                f"{figures.percent(engine.told)} of the time without a profiler, which is further "
                f"off than {figures.percent(SUMS_AGREE)}; `between operators` has the rest"
            )
    if lines:
        yield "\n".join(f"- {escape(line)}" for line in lines)


def _groups(found: Explanation, what: str, groups: Sequence[GroupCost]) -> str:
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
    return grid([heading, *lines, last], [False, *[True] * (len(heading) - 1)])


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


def _operators(found: Explanation) -> Iterator[str]:
    for index in found.profiled:
        engine = found.engines[index]
        listed = sorted(engine.operators, key=lambda each: -each.ms)[:LISTED]
        heading = [f"{engine.engine}", "type", "ms", "share", "GFLOP/s", "part", "kind"]
        lines = [
            [
                each.name,
                " ".join(filter(None, [each.operator, each.implementation])),
                _ms(each.ms),
                figures.percent(each.ms / (engine.ms or 1.0)),
                _rate(found, 2 * each.macs / each.ms / 1e6 if each.macs else None, index),
                each.block,
                each.kind,
            ]
            for each in listed
        ]
        yield grid([heading, *lines], [False, False, True, True, True, False, False])


def _rate(found: Explanation, gflops: float | None, place: int) -> str:
    """Write an engine's rate with its share of the peak."""
    if gflops is None:
        return figures.MISSING
    text, share = figures.number(gflops), found.share_of_peak(gflops, place)
    return text if share is None else f"{text} ({figures.percent(share)})"


def _ms(value: float | None) -> str:
    """Write milliseconds to a hundredth, or with three digits where that is more."""
    if value is None:
        return figures.MISSING
    return f"{value:.2f}" if abs(value) < 100 else figures.number(value)


def _signed(ms: float) -> str:
    return f"{ms:+.2f}" if abs(ms) < 100 else f"{ms:+.0f}"
