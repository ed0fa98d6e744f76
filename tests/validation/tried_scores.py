"""Figures of scores on trial: simulated speakers, some of whom are harder than others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from rtfbench.embed.intervals import LEAST_SPEAKERS, intervals, losses, shifts
from rtfbench.embed.scoring import Detection, OperatingPoint
from rtfbench.embed.trials import Trials
from rtfbench.measure.trial_check import POINTS
from rtfbench.report.precision_findings import keeping_accuracy
from rtfbench.results.rows import TrialsOfRun
from tests.unit.report.results import row, summary
from tests.validation.slots import Floats
from tests.validation.trial import Tried

Numbers = npt.NDArray[np.int64]

UTTERANCES, NONTARGETS = 4, 4
RESAMPLES = 200
#: How much a system adds to every score by chance, and a worse one more.
ERROR, MORE = 0.08, 0.20
#: What another system adds to every score, on average over speakers.
SHIFT = 0.03
SIZES = (10, 20, 40, 80)
P_TARGET = 0.05


@dataclass(frozen=True)
class Drawn:
    """Trials of some speakers, whose they are [2, N], and the scores of a system and of another."""

    trials: Trials
    sides_2N: Numbers
    labels_N: npt.NDArray[np.bool_]
    first_N: Floats
    second_N: Floats


def draw(rng: np.random.Generator, speakers: int, second_error: float = ERROR) -> Drawn:
    """Return every target trial of these speakers, and some nontarget trials for each."""
    pairs = [
        (speaker, a, b)
        for speaker in range(speakers)
        for a in range(UTTERANCES)
        for b in range(a + 1, UTTERANCES)
    ]
    speaker_P, a_P, b_P = np.array(pairs).T
    own_N, a_N = (np.repeat(each, NONTARGETS) for each in (speaker_P, a_P))
    other_N = (own_N + rng.integers(1, speakers, len(own_N))) % speakers
    labels_N = np.repeat([True, False], [len(speaker_P), len(own_N)])
    sides_2N = np.array([[*speaker_P, *own_N], [*speaker_P, *other_N]])
    utterances_2N = np.array([[*a_P, *a_N], [*b_P, *rng.integers(UTTERANCES, size=len(own_N))]])
    # Target trials come first and have every name, in this order.
    names = [f"s{speaker}-{each}" for speaker in range(speakers) for each in range(UTTERANCES)]
    places_2N = (UTTERANCES * sides_2N + utterances_2N).astype(np.int32)
    trials = Trials(names, places_2N[0], places_2N[1], labels_N.astype(np.int8))
    own = rng.normal(0, 0.12, speakers)
    wide_N = 0.6 * labels_N + own[sides_2N].mean(axis=0)
    wide_N = wide_N + rng.normal(0, 0.18, len(trials))
    first_N = wide_N + rng.normal(0, ERROR, len(trials))
    second_N = wide_N + rng.normal(0, second_error, len(trials))
    return Drawn(trials, sides_2N, labels_N, np.asarray(first_N), np.asarray(second_N))


@cache
def truth(speakers: int, error: float = ERROR) -> tuple[float, float]:
    """Return EER and minDCF of a system on ever more sets of so many speakers, their mean."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(max(20, 4000 // speakers)):
        made = draw(rng, speakers, error)
        figures = Detection(made.second_N, made.labels_N).figures(p_target=P_TARGET)
        assert figures is not None
        found.append(figures)
    eer, cost = np.mean(found, axis=0)
    return float(eer), float(cost)


def _held(ends: Sequence[tuple[float, float]], value: float) -> int:
    return sum(low <= value <= high for low, high in ends)


def _line(
    figure: str,
    speakers: int,
    ends: Sequence[tuple[float, float]],
    value: float,
    aim: tuple[float, float],
) -> Tried:
    return Tried(
        figure,
        f"{speakers} speakers",
        "95 % hold the truth",
        len(ends),
        _held(ends, value),
        aim,
        half_width=float(np.median([(high - low) / 2 for low, high in ends])),
    )


def try_scores(trials: int, seed: int) -> list[Tried]:
    """EER, minDCF and the rates of a threshold, and what one system loses against another.

    Half widths are shares. Resampling few speakers is a little too sure of itself.
    """
    rows = []
    for speakers in SIZES:
        rng = np.random.default_rng((seed, speakers))
        eers, costs, misses, alarms, lost, cost_lost = ([] for _ in range(6))
        shifted: tuple[list[tuple[float, float]], ...] = ([], [])
        point = _point()
        for _ in range(trials):
            made = draw(rng, speakers, MORE)
            found = intervals(
                made.trials, made.first_N, p_target=P_TARGET, point=point,
                resamples=RESAMPLES,
            )  # fmt: skip
            loss = losses(made.trials, made.first_N, made.second_N, resamples=RESAMPLES)
            assert found is not None
            assert loss is not None
            eers.append(found.eer)
            misses.append(found.miss or (0.0, 1.0))
            alarms.append(found.false_alarm or (0.0, 1.0))
            lost.append(loss.eer[1:])
            own = np.random.default_rng((seed, speakers, len(lost))).normal(SHIFT, ERROR, speakers)
            moved = made.first_N + own[made.sides_2N].mean(axis=0)
            for kept, each in zip(
                shifted, shifts(made.trials, made.first_N, moved, resamples=RESAMPLES), strict=True
            ):
                kept.append((each.low, each.high))
            costs += [found.min_dcf] if found.min_dcf else []
            cost_lost += [loss.min_dcf[1:]] if loss.min_dcf else []
        aim = (0.90, 1.0)
        eer, cost = truth(speakers)
        worse, worse_cost = truth(speakers, MORE)
        rows += [
            _line("EER", speakers, eers, eer, aim),
            _line("misses at a threshold", speakers, misses, point.miss, aim),
            _line("false alarms at a threshold", speakers, alarms, point.false_alarm, aim),
            _line("loss of EER", speakers, lost, worse - eer, aim),
            _line("shift of target scores", speakers, shifted[0], SHIFT, aim),
            _line("shift of nontarget scores", speakers, shifted[1], SHIFT, aim),
        ]
        if costs:
            rows.append(_line("minDCF", speakers, costs, cost, aim))
        if cost_lost:
            rows.append(_line("loss of minDCF", speakers, cost_lost, worse_cost - cost, aim))
    return rows


@cache
def _point() -> OperatingPoint:
    """Return a threshold and its rates, of many speakers."""
    rng = np.random.default_rng(6)
    found = [Detection(made.first_N, made.labels_N).at(0.35) for made in
             (draw(rng, 100) for _ in range(200))]  # fmt: skip
    miss, false_alarm = np.mean([each[1:] for each in found], axis=0)
    return OperatingPoint(0.35, float(miss), float(false_alarm))


def try_kept_accuracy(trials: int, seed: int) -> list[Tried]:
    """Whether a row that loses more than is allowed is said to keep its accuracy."""
    rows = []
    for speakers in SIZES:
        rng = np.random.default_rng((seed, speakers, 1))
        allowed = POINTS * (truth(speakers, MORE)[0] - truth(speakers)[0]) / 1.5
        of_run = TrialsOfRun(trials=1, speakers=speakers, max_eer_loss=allowed)
        asked = summary(row()).model_copy(update={"trials": of_run})
        kept = 0
        for _ in range(trials):
            made = draw(rng, speakers, MORE)
            loss = losses(made.trials, made.first_N, made.second_N, resamples=RESAMPLES)
            assert loss is not None
            kept += bool(keeping_accuracy(asked, [row(precision="int8", eer_loss=loss.eer)]))
        rows.append(
            Tried(
                "keeps its accuracy",
                f"{speakers} speakers, 1.5 times the loss that is allowed",
                "at most 2.5 % of such rows",
                trials,
                kept,
                (0.0, 0.05),
            )
        )
    return rows


def few_speakers_tell_nothing() -> bool:
    """Say whether fewer speakers than are needed have no loss at all."""
    made = draw(np.random.default_rng(0), LEAST_SPEAKERS - 1)
    return losses(made.trials, made.first_N, made.second_N, resamples=2) is None
