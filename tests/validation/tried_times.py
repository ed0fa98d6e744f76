"""Figures of a run's times on trial: the code that prints them, on simulated machines."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from rtfbench.base.values import Interval
from rtfbench.results.estimate import RatioEstimate, ratio_estimate, session_centres
from rtfbench.results.levels import rtf_level
from rtfbench.results.noise import SEEN
from rtfbench.results.records import Record
from rtfbench.results.rows import Ratio
from rtfbench.results.sequential import LOOKS_THAT_COUNT
from rtfbench.results.stats import quantile_lower_bound, tail_quantile
from rtfbench.tune.racing import ALPHA, P95
from tests.unit.report.results import ratio
from tests.validation.slots import (
    ENGINE,
    GHOST,
    LAYOUTS,
    MACHINES,
    OTHER,
    REFERENCE,
    SLOTS,
    Floats,
    Layout,
    Machine,
    draw,
    level_of,
)
from tests.validation.trial import HOLDS, SURELY, Tried

#: Seconds of the utterances, and of what a computing of whole chunks of two seconds makes of them.
AUDIO_S = (3.1, 4.0, 5.9, 7.7, 10.2, 12.9)
PADDED_S = tuple(2.0 * math.ceil(each / 2) for each in AUDIO_S)
RTF = 0.02
RATIO = 1.03


def half(interval: Interval) -> float:
    """Return half of an interval's width, relative."""
    return math.expm1(math.log(interval[1] / interval[0]) / 2)


def _portion(layout: Layout, turn: int) -> range:
    """Return the utterances of a session's block."""
    return range(turn % layout.portions, len(AUDIO_S), layout.portions)


def true_rtf(layout: Layout) -> float:
    """Return what a machine that is always alike shows; a short run has some utterances."""
    turns = range(layout.sessions * layout.blocks)
    seen = {number for turn in turns for number in _portion(layout, turn)}
    return RTF * sum(PADDED_S[each] for each in seen) / sum(AUDIO_S[each] for each in seen)


def slots_of(logs: Floats, layout: Layout) -> list[list[Record]]:
    """Return a cell's slots as a run has them: [session, block, slot of the block] of log times."""
    slots = []
    for session in range(layout.sessions):
        for block in range(layout.blocks):
            portion = _portion(layout, session * layout.blocks + block)
            for position in range(SLOTS):
                factor = RTF * math.exp(logs[session, block, position])
                slots.append(
                    [
                        Record.model_construct(
                            session=session,
                            block=block,
                            position=position,
                            utterance=str(number),
                            audio_ns=round(AUDIO_S[number] * 1e9),
                            padded_audio_ns=round(PADDED_S[number] * 1e9),
                            processing_ns=round(factor * PADDED_S[number] * 1e9),
                        )
                        for number in portion
                    ]
                )
    return slots


def layouts_of(machine: Machine, seed: int, trials: int) -> Iterator[tuple[Layout, Floats]]:
    """Yield each layout with its runs: log times [trial, session, block, cell, slot]."""
    for place, layout in enumerate(LAYOUTS):
        rng = np.random.default_rng((seed, place))
        yield (
            layout,
            draw(rng, machine, trials=trials, sessions=layout.sessions, blocks=layout.blocks),
        )


def pooled(
    figure: str,
    simulated: str,
    found: Sequence[tuple[bool, float]],
    each: int,
    *,
    nominal: str = "95 % hold the truth",
    aim: tuple[float, float] = HOLDS,
) -> Tried:
    """Return one line of several layouts, with `each` trials of each."""
    right = [one for one, _ in found]
    shares = [float(np.mean(right[i : i + each])) for i in range(0, len(right), each)]
    widths = [width for _, width in found if math.isfinite(width)]
    return Tried(
        figure,
        simulated,
        nominal,
        len(right),
        sum(right),
        aim,
        min(shares),
        max(shares),
        float(np.median(widths)) if widths else None,
    )


def try_rtf(trials: int, seed: int) -> list[Tried]:
    """An absolute RTF, one line for each machine and number of sessions; one session has none."""
    rows = []
    for machine in MACHINES:
        by_layout = layouts_of(machine, seed, trials)
        for sessions, layouts in groupby(by_layout, key=lambda each: each[0].sessions):
            found = []
            for layout, logs in layouts:
                truth = math.log(true_rtf(layout)) + level_of(machine, layout.blocks)
                for one in logs[:, :, :, REFERENCE]:
                    level = rtf_level(slots_of(one, layout), "steady")
                    assert level is not None
                    if level.ci95 is None:
                        continue
                    low, high = map(math.log, level.ci95)
                    found.append((low <= truth <= high, half(level.ci95)))
            if found:
                name = f"{machine.name}, {sessions} sessions"
                # While a neighbour stays as it is, a few sessions are all alike: no interval of
                # theirs tells of the others. The noise line says that the machine was disturbed.
                aim, nominal = HOLDS, "95 % hold the truth"
                if machine.neighbour:
                    aim, nominal = (0.0, 1.0), "not promised"
                rows.append(pooled("RTF", name, found, trials, aim=aim, nominal=nominal))
            elif sessions > 1:
                raise AssertionError("several sessions have an interval")
    return rows


def estimate_of(logs: Floats, cell: int) -> RatioEstimate:
    """Return a cell's ratio to the reference, of log times [session, block, cell, slot]."""
    found = ratio_estimate(_contrasts(logs, cell), ghost=session_centres(_contrasts(logs, GHOST)))
    assert found is not None
    assert found.interval is not None
    return found


def _slower(logs: Floats, ratio: float) -> Floats:
    """Return log times in which the engine takes so many times as long."""
    slower = logs.copy()
    slower[..., ENGINE, :] += math.log(ratio)
    return slower


def try_ratio(trials: int, seed: int) -> list[Tried]:
    """A ratio of two engines that took turns."""
    rows = []
    for machine in MACHINES:
        by_layout = (each for each in layouts_of(machine, seed, trials) if each[0].portions == 1)
        for sessions, layouts in groupby(by_layout, key=lambda each: each[0].sessions):
            found = []
            for _, logs in layouts:
                for one in _slower(logs, RATIO):
                    low, high = estimate_of(one, ENGINE).interval or (0.0, math.inf)
                    found.append((low <= RATIO <= high, half((low, high))))
            name = f"{machine.name}, {sessions} session{'s' * (sessions > 1)}"
            # The ghost and what is assumed make few sessions wide rather than wrong.
            aim = (HOLDS[0], 1.0) if sessions < 6 else HOLDS
            rows.append(pooled("ratio", name, found, trials, aim=aim))
    return rows


def _some(machine: Machine, sessions: int, trials: int, seed: int) -> Floats:
    rng = np.random.default_rng((seed, sessions))
    return draw(rng, machine, trials=trials, sessions=sessions, blocks=3)


def _paired(logs: Floats, *, ratios: int = 1) -> Ratio:
    """Return the engine's ratio, one of so many of its run."""
    found = estimate_of(logs, ENGINE)
    together = found.together(ratios)
    return ratio(ratio=found.ratio, ci95=found.interval, sessions=found.sessions, together=together)


def _contrasts(logs: Floats, cell: int) -> list[list[float]]:
    """Return log(cell / reference) of every block, a list a session."""
    blocks = logs.mean(axis=-1)
    found: list[list[float]] = (blocks[:, :, cell] - blocks[:, :, REFERENCE]).tolist()
    return found


def try_derived(trials: int, seed: int) -> list[Tried]:
    """What is made of two intervals from end to end: ratios by a third, and speed-ups."""
    rows = []
    for machine in MACHINES[1:3]:
        for sessions in (2, 4, 6):
            ratios, speedups = [], []
            for one in _slower(_some(machine, sessions, trials, seed), RATIO):
                first, second = (estimate_of(one, cell) for cell in (ENGINE, OTHER))
                assert first.interval is not None
                assert second.interval is not None
                ends = (
                    first.interval[0] / second.interval[1],
                    first.interval[1] / second.interval[0],
                )
                ratios.append((ends[0] <= RATIO <= ends[1], half(ends)))
                layout = Layout(sessions, 3)
                levels = [
                    rtf_level(slots_of(one[:, :, cell], layout), "steady")
                    for cell in (ENGINE, REFERENCE)
                ]
                slow, fast = (level.ci95 for level in levels if level and level.ci95)
                ends = (slow[0] / fast[1], slow[1] / fast[0])
                speedups.append((ends[0] <= RATIO <= ends[1], half(ends)))
            name = f"{machine.name}, {sessions} sessions"
            aim = (HOLDS[0], 1.0)
            nominal = "at least 95 % hold the truth"
            rows += [
                pooled("ratio by a third", name, ratios, trials, nominal=nominal, aim=aim),
                pooled("speed-up", name, speedups, trials, nominal=nominal, aim=aim),
            ]
    return rows


def try_sure(trials: int, seed: int) -> list[Tried]:
    """Whether identical engines are called different, and whether large differences are seen."""
    rows = []
    for machine in MACHINES:
        for sessions in (2, 4, 6):
            twelve = _some(machine, sessions, 12 * trials, seed).reshape(
                trials, 12, sessions, 3, -1, SLOTS
            )
            pairs = [[_paired(one, ratios=12) for one in run] for run in twelve]
            wrong = sum(any(each.surely_differs for each in run) for run in pairs)
            ghosts = sum(
                not (low <= 1 <= high)
                for run in twelve[:, 0]
                for low, high in [estimate_of(run, GHOST).interval or (0, 2)]
            )
            name = f"{machine.name}, {sessions} sessions"
            rows += [
                Tried(
                    "surely faster",
                    f"12 identical pairs, {name}",
                    "at most 1 % of reports",
                    trials,
                    wrong,
                    SURELY,
                ),
                Tried("contaminated", name, "at most 5 % of runs", trials, ghosts, (0.0, 0.06)),
            ]
    for machine in MACHINES[:3]:
        plain = _some(machine, 6, trials, seed)
        half = float(np.median([estimate_of(one, ENGINE).half_width for one in plain]))
        ratio = 1 + SEEN * half
        seen = sum(_paired(one).differs for one in _slower(plain, ratio))
        rows.append(
            Tried(
                "differences above X are seen",
                f"{machine.name}, a difference of {ratio - 1:.1%}, 6 sessions",
                "four times in five",
                trials,
                seen,
                (0.75, 1.0),
            )
        )
    return rows


def try_tails(trials: int, seed: int) -> list[Tried]:
    """Quantiles of chunks and recordings, and what a latency surely exceeds."""
    rng = np.random.default_rng(seed)
    rows = []
    for share, count in ((0.9, 30), (0.9, 300), (0.95, 60), (0.99, 300), (0.99, 3000)):
        drawn = rng.lognormal(0, 0.1, (trials, count))
        drawn *= np.where(rng.random(drawn.shape) < 0.02, 2.0, 1.0)
        population = np.sort(rng.lognormal(0, 0.1, 200_000))
        spiked = population * np.where(rng.random(len(population)) < 0.02, 2.0, 1.0)
        true = float(np.quantile(spiked, share))
        shown = [tail_quantile(each.tolist(), share) for each in drawn]
        above = [float(np.mean(spiked > each)) for each in shown if each is not None]
        rows.append(
            Tried(
                f"p{100 * share:.0f}",
                f"{count} chunks, 2 % of them disturbed",
                f"{1 - share:.0%} lie above, within a factor of 2.5",
                len(above),
                sum((1 - share) / 2.5 <= each <= 2.5 * (1 - share) for each in above),
                (0.80, 1.0),
                half_width=float(
                    np.mean([abs(each / true - 1) for each in shown if each is not None])
                ),
            )
        )
    for sessions, luck in ((2, 0.02), (6, 0.02), (6, 0.05)):
        out, seen = 0, 0
        for _ in range(trials):
            times = _recordings(rng, sessions, luck)
            truth = _P95_OF_RECORDINGS
            out += _dropped(times, 1.05 * truth)
            seen += _dropped(times, truth / 1.5)
        name = f"{sessions} sessions, luck {luck:.0%}"
        rows += [
            Tried(
                "tune's latency limit", f"kept by 5 %, {name}", "at most 5 % of races drop it",
                trials, out, (0.0, 0.05),
            ),
            Tried(
                "tune's latency limit", f"missed by 50 %, {name}", "nearly all races drop it",
                trials, seen, (0.90, 1.0),
            ),
        ]  # fmt: skip
    return rows


RECORDINGS = 20
_LENGTHS = np.random.default_rng(1).lognormal(0, 0.4, RECORDINGS)


def _recordings(rng: np.random.Generator, sessions: int, luck: float) -> Floats:
    """Return times of all recordings of each session, twice: [session, time]."""
    lucky = rng.normal(0, luck, (sessions, 1))
    logs = lucky + np.log(np.tile(_LENGTHS, 2)) + rng.normal(0, 0.04, (sessions, 2 * RECORDINGS))
    return np.asarray(np.exp(logs), np.float64)


_P95_OF_RECORDINGS = float(np.quantile(_recordings(np.random.default_rng(2), 5000, 0.02), 0.95))


def _dropped(times: Floats, limit: float) -> bool:
    """Say whether a race that looks after each session drops the configuration."""
    for session in range(len(times)):
        known = times[: session + 1].ravel().tolist()
        bound = quantile_lower_bound(known, P95, alpha=ALPHA / LOOKS_THAT_COUNT)
        if bound is not None and bound > limit:
            return True
    return False
