"""Verdicts of explain, replay, compare, bisect, hosts and history on trial."""

import math
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from rtfbench.base.pace import Progress
from rtfbench.engines.protocol import parse_engine
from rtfbench.explain.visits import Visited, derive, schedule
from rtfbench.gate.baseline import GateOptions
from rtfbench.gate.bisection import Bisected, Versions, bisect
from rtfbench.gate.claims import claim as claims
from rtfbench.gate.claims.claim import Claim, Row, RowPair
from rtfbench.gate.held import compare_runs
from rtfbench.gate.measure import Held
from rtfbench.gate.verdict import Answer, Ruling
from rtfbench.report.hosts import Line
from rtfbench.results.change_points import MeasuredRatio, search, step
from rtfbench.results.host import BETWEEN_HOURS, Host
from rtfbench.results.moderated import judge_together
from rtfbench.results.rows import Summary
from rtfbench.results.stats import TWO_SIDED_95
from tests.unit.report.results import ratio, row, summary
from tests.validation.outcome import GOING_ON, PASS, REGRESSION
from tests.validation.rules import sequential
from tests.validation.scenario import Scenario
from tests.validation.slots import ENGINE, MACHINES, Floats, draw
from tests.validation.trial import HOLDS, SURELY, Tried
from tests.validation.tried_times import estimate_of

#: A machine on which processes differ by more than is assumed of it.
WILD = Scenario(luck=3 * Scenario.luck)
#: Kinds of operators and parts of a model, of very different sizes.
GROUPS, SIZE = 12, {f"group {number}": 1.6**number for number in range(12)}
OWN = 0.004


#: The typical spread of the smallest group: 2 % of its size.
TYPICAL = 0.02


def _groups(rng: np.random.Generator, sessions: int, wild: float) -> dict[str, list[float]]:
    """Return differences of sessions that are none, group by group."""
    return {
        name: rng.normal(0, TYPICAL * size * math.exp(rng.normal(0, wild)), sessions).tolist()
        for name, size in SIZE.items()
    }


def try_groups(trials: int, seed: int) -> list[Tried]:
    """Groups of explain: how much more each takes, and whether that is surely none by luck."""
    rows = []
    for sessions in (2, 3, 4, 8):
        for wild in (0.0, 0.5, 0.8):
            rng = np.random.default_rng((seed, sessions, round(10 * wild)))
            held, false, seen = 0, 0, 0
            for _ in range(trials):
                # The groupings of a report: by kind, and by part of the model.
                report = [_groups(rng, sessions, wild) for _ in range(2)]
                found = [judge_together(each, SIZE, family=2 * GROUPS) for each in report]
                every = [each for grouping in found for each in grouping.values()]
                held += sum(each.interval[0] <= 0 <= each.interval[1] for each in every)
                false += any(each.sure for each in every)
                apart = [each + 8 * TYPICAL for each in report[0]["group 0"]]
                far = judge_together({**report[0], "group 0": apart}, SIZE, family=2 * GROUPS)
                seen += far["group 0"].sure
            name = f"{sessions} sessions, spreads of groups differ by {wild:g}"
            rows += [
                Tried("more ms", name, "95 % hold the truth", 2 * GROUPS * trials, held,
                      (0.92, 1.0)),
                Tried("surely apart", f"identical engines, {name}", "at most 1 % of reports",
                      trials, false, (0.0, 0.02) if sessions == 2 else SURELY),
            ]  # fmt: skip
            if sessions >= 4:
                rows.append(
                    Tried("surely apart", f"8 typical spreads apart, {name}",
                          "nearly all reports", trials, seen, (0.75, 1.0))
                )  # fmt: skip
    return rows


def _logs(sessions: int, trials: int, seed: int, machine: int = 1) -> Floats:
    rng = np.random.default_rng((seed, sessions, machine))
    return draw(rng, MACHINES[machine], trials=trials, sessions=sessions, blocks=3)


def _published(label: str, engine: str, rtf: float) -> Row:
    return Row(label=label, model="resnet34", engine=parse_engine(engine), form="dynamic", rtf=rtf)


def try_replay(trials: int, seed: int) -> list[Tried]:
    """Whether a claim of 1.36 is called reproduced where the truth lies beyond its tolerance."""
    rows = []
    made = Claim(
        title="t", source="s", protocol="steady",
        row=(_published("a", "mnn", 1.36), _published("b", "onnxruntime", 1.0)),
        ratio=(RowPair(row="a", against="b"),),
    )  # fmt: skip
    for sessions in (1, 2, 4):
        for true, aim, nominal in (
            (0.968, (0.0, 0.0), "never of another truth"),
            (1.36 * 1.15 * 1.02, (0.0, 0.025), "at most 2.5 % beyond the tolerance"),
        ):
            wrong = 0
            for logs in _logs(sessions, trials, seed):
                found = estimate_of(logs, ENGINE)
                assert found.interval is not None
                low, high = (end * true for end in found.interval)
                measured = ratio(ratio=found.ratio * true, ci95=(low, high), sessions=sessions)
                cells = (row(engine="onnxruntime"), row())
                (judged,) = claims.judge(made, summary(*cells, ratios=(measured,)))
                wrong += judged.verdict == "reproduced"
            rows.append(
                Tried("reproduced", f"truth {true:.3g}, claim 1.36, {sessions} sessions", nominal,
                      trials, wrong, aim)
            )  # fmt: skip
    return rows


#: A search among so many versions.
VERSIONS = 13


def _searched(
    rng: np.random.Generator, first_slow: int | None, slower: float, machine: Scenario
) -> Bisected:
    """Return what bisect finds where each comparison is a gate of its budget on a machine."""
    told: dict[int, Answer] = {GOING_ON: "inconclusive", PASS: "pass", REGRESSION: "regression"}

    def compare(base: str, candidate: str, options: GateOptions, _: Progress) -> Held:
        older, newer = (int(each.partition("@")[2]) for each in (base, candidate))
        ratio = 1 + slower if first_slow is not None and older < first_slow <= newer else 1.0
        gate = replace(machine, ratio=ratio, budget_s=options.budget_s)
        answer = told[int(sequential(gate, 1, rng).answers[0, 0])]
        return Held([Ruling(candidate, "RTF", answer, ratio)], "", [])

    versions = Versions(
        parse_engine("onnxruntime"),
        [str(number) for number in range(VERSIONS)],
        GateOptions(),
        lambda: nullcontext(Progress()),
        compare,
    )
    return bisect(versions.chosen, versions.hold)


def try_bisect(trials: int, seed: int) -> list[Tried]:
    """The first slower version of 13, and versions of which none is slower."""
    rows = []
    for name, machine in (("", Scenario()), (", processes differ thrice as much", WILD)):
        rng = np.random.default_rng((seed, len(name)))
        alike = [_searched(rng, None, 0.0, machine) for _ in range(trials)]
        named = sum(each.outcome == "found" for each in alike)
        rows.append(
            Tried("first slower version", f"identical versions{name}", "at most 1 in 20 searches",
                  trials, named, (0.0, 0.05))
        )  # fmt: skip
        for slower in (0.10, 0.20, 0.50):
            right = 0
            for _ in range(trials):
                planted = int(rng.integers(1, VERSIONS))
                found = _searched(rng, planted, slower, machine)
                right += found.first_bad == str(planted) and found.outcome == "found"
            rows.append(
                Tried("first slower version", f"one is slower by {slower:.0%}{name}",
                      "9 of 10 searches name it", trials, right, (0.9, 1.0))
            )  # fmt: skip
    return rows


def try_hosts(trials: int, seed: int) -> list[Tried]:
    """Whether two hosts of one truth are said to have factors that surely differ."""
    question = ratio().question
    rows = []
    for sessions in (2, 6):
        wrong = 0
        for first, second in zip(
            _logs(sessions, trials, seed), _logs(sessions, trials, seed + 1), strict=True
        ):
            ratios = []
            for logs in (first, second):
                found = estimate_of(logs, ENGINE)
                assert found.interval is not None
                ends = (1.5 * found.interval[0], 1.5 * found.interval[1])
                ratios.append(ratio(ratio=1.5 * found.ratio, ci95=ends, sessions=sessions))
            wrong += Line("t", *question, tuple(ratios)).verdict == "another factor"
        rows.append(
            Tried("another factor", f"two hosts of one truth, {sessions} sessions",
                  "at most 5 % of ratios", trials, wrong, (0.0, 0.05))
        )  # fmt: skip
    return rows


def _run(rng: np.random.Generator, truths: Sequence[float]) -> Summary:
    """Return a run whose ratios have their own errors and those of its hour."""
    half = TWO_SIDED_95 * OWN
    ratios = []
    for place, true in enumerate(truths):
        log = math.log(true) + rng.normal(0, OWN) + rng.normal(0, BETWEEN_HOURS)
        ends = (math.exp(log - half), math.exp(log + half))
        size = 16000 * (place + 1)
        ratios.append(ratio(ratio=math.exp(log), ci95=ends, chunk_samples=size))
    made = summary(row(), ratios=tuple(ratios))
    host = Host(microarchitecture="Zen 4", family=25, model=17)
    return made.model_copy(
        update={"environment": made.environment.model_copy(update={"host": host})}
    )


def try_stored(trials: int, seed: int) -> list[Tried]:
    """Two runs of one host, hours apart: the change of a ratio, and a regression that is none."""
    rows, trials = [], 5 * trials
    for count in (1, 6):
        rng = np.random.default_rng((seed, count))
        held, alarms = 0, 0
        for _ in range(trials):
            truths = rng.uniform(0.5, 2, count).tolist()
            found = compare_runs(
                _run(rng, truths), _run(rng, truths), margin=0.02, max_regression=0.05
            )
            inside = [each.interval is not None and each.interval[0] <= 1 <= each.interval[1]
                      for each in found]  # fmt: skip
            held += all(inside)
            alarms += any(each.answer == "regression" for each in found)
        rows += [
            Tried("change of a stored ratio", f"{count} ratios, hours apart",
                  "95 % of runs, all together", trials, held, (0.92, 0.99)),
            Tried("regression of a stored ratio", f"{count} ratios, identical",
                  "at most 5 % of runs", trials, alarms, (0.0, 0.05)),
        ]  # fmt: skip
    return rows


def _history(rng: np.random.Generator, hours: Floats) -> list[MeasuredRatio]:
    half = TWO_SIDED_95 * OWN
    logs = hours + rng.normal(0, OWN, len(hours))
    return [MeasuredRatio(math.exp(x), (math.exp(x - half), math.exp(x + half))) for x in logs]


def _hours(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Return what hours make of a ratio; each resembles the one before as much as `memory`."""
    now, found = rng.standard_normal(), []
    for _ in range(count):
        found.append(BETWEEN_HOURS * now)
        now = memory * now + math.sqrt(1 - memory**2) * rng.standard_normal()
    return np.array(found)


def try_history(trials: int, seed: int) -> list[Tried]:
    """Changes that are none, in hours that are independent and in hours that are not."""
    rows = []
    for count in (6, 14, 40):
        for memory, aim in ((0.0, (0.0, 0.05)), (0.7, (0.0, 1.0))):
            rng = np.random.default_rng((seed, count, round(10 * memory)))
            found = [search(_history(rng, _hours(rng, count, memory))) for _ in range(trials)]
            moved = sum(len(each.levels) > 1 or each.trend is not None for each in found)
            told = "at most 5 % of histories" if not memory else "not promised"
            kind = "independent hours" if not memory else "hours that resemble each other (0.7)"
            rows.append(
                Tried("change in a history", f"{count} runs, {kind}", told, trials, moved, aim)
            )
    rng = np.random.default_rng((seed, 99))
    steps, trends, lines = [], [], 0
    for _ in range(trials):
        hours = _hours(rng, 14, 0.0)
        stepped = search(_history(rng, hours + 0.06 * (np.arange(14) >= 7)))
        if len(stepped.levels) == 2:
            low, high = step(*stepped.levels)[1]
            steps.append(low <= math.exp(0.06) <= high)
        drifting = search(_history(rng, _hours(rng, 14, 0.0) + 0.02 * np.arange(14)))
        if drifting.trend is not None:
            lines += 1
            low, high = drifting.trend[1]
            trends.append(low <= math.exp(0.02 * 13) <= high)
    rows += [
        Tried("step of a history", "6 % at the eighth of 14 runs", "95 % hold the truth",
              len(steps), sum(steps), (0.90, 1.0)),
        Tried("trend of a history", "2 % a run, 14 runs", "95 % hold the truth",
              len(trends), sum(trends), (0.90, 1.0)),
        Tried("trend of a history", "2 % a run, 14 runs", "told as a trend", trials, lines,
              (0.85, 1.0)),
    ]  # fmt: skip
    return rows


def _visited(noise: random.Random, frames: int) -> Visited:
    """Return two runs of a length, of which the first takes a tenth more."""
    times = [1e5 * frames * more * math.exp(noise.gauss(0, 0.03)) for more in (1.1, 1.0)]
    sizes = tuple(round(2e8 + noise.gauss(0, 1e6)) for _ in times)
    return Visited(num_frames=frames, ns=tuple(map(round, times)), rss_bytes=sizes, moved=0.0)


def try_lengths(trials: int, seed: int) -> list[Tried]:
    """Memory that does not grow, and what a change of length costs."""
    leaks, held = 0, 0
    for number in range(trials):
        noise = random.Random(f"{seed}/{number}")
        rounds = [[_visited(noise, frames) for frames in each] for each in schedule(number)]
        found = derive("engine", "1.0", 100_000_000, rounds)
        leaks += found.leaks
        assert found.back_ci95 is not None
        held += found.back_ci95[0] <= 1.1 <= found.back_ci95[1]
    return [
        Tried("leak", "memory that scatters by 1 MB", "at most 2.5 %", trials, leaks, (0.0, 0.025)),
        Tried("cost of a change of length", "10 %", "95 % hold the truth", trials, held,
              (HOLDS[0], 1.0)),
    ]  # fmt: skip
