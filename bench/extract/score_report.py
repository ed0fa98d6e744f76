"""What `rtfbench score` tells of the scores: rates with intervals, thresholds, the DET picture."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtfbench.base.errors import InputError
from rtfbench.base.files import held_in_memory
from rtfbench.base.values import Interval
from rtfbench.embed import embeddings
from rtfbench.embed.intervals import (
    LEAST_SPEAKERS,
    LEAST_SPEAKERS_FOR_COST,
    Intervals,
    intervals,
    losses,
    shifts,
)
from rtfbench.embed.scoring import P_TARGET, Detection, OperatingPoint, crossing
from rtfbench.embed.trials import Rates, Scores, Trials, known, rates
from rtfbench.engines.protocol import FloatArray
from rtfbench.extract.cards import read_card
from rtfbench.extract.options import SEEDED
from rtfbench.extract.report import while_reading
from rtfbench.report import figures

if TYPE_CHECKING:
    from rtfbench.report.plots.style import Picture

PERCENT = 100
#: A curve is drawn with so many points at most.
MOST_POINTS = 1000


class System(NamedTuple):
    """What gives embeddings, and its score of each trial, NaN where it has none.

    A card beside `path` may tell how they were made.
    """

    name: str
    scores: Scores
    path: Path | None = None


def load(path: Path, wanted: frozenset[str] | None = None) -> dict[str, FloatArray]:
    """Return the embeddings that are wanted, all by default; those of one file have one length."""
    found: dict[str, FloatArray] = {}
    dim = 0
    with while_reading(path), held_in_memory(path):
        for name, embedding_D in embeddings.read_embeddings(path):
            dim = dim or len(embedding_D)
            if len(embedding_D) != dim:
                raise InputError(
                    f"{path}: {name!r} has {len(embedding_D)} values, those before it {dim}"
                )
            if name in found:
                raise InputError(f"{path}: holds {name!r} twice; delete one of them")
            if wanted is None or name in wanted:
                found[name] = embedding_D
    return found


def verdict(
    trials: Trials,
    systems: Sequence[System],
    *,
    p_target: float,
    target_fpr: float | None,
    resamples: int,
    cosines: bool,
    utt2spk: Mapping[str, str] | None,
    mixed: bool = False,
) -> Iterator[str]:
    """Say EER and minDCF of each file, and how far they are from the first one's.

    Args:
        trials: what was scored.
        systems: their scores.
        p_target: of minDCF.
        target_fpr: the wanted share of false alarms, if a threshold is.
        resamples: draws of speakers, 0 for no intervals.
        cosines: whether scores are cosines, so that `verify` takes their thresholds.
        utt2spk: whose the utterances are, where somebody says it.
        mixed: whether the others are what the first may be mixed with: their shift of scores, and
            the rates at the first's threshold, are told too.

    Raises:
        InputError: the trials are too few for the false alarm rate.
    """
    cards = [read_card(each.path) if each.path else None for each in systems]
    for system, card in zip(systems, cards, strict=True):
        if card is not None and card.seeded_weights:
            yield f"{system.name}: no EER: {SEEDED}"
    if mixed and cards[0] and cards[-1]:
        other = cards[-1].differences(cards[0]) or ["nothing that the cards beside them tell"]
        yield f"{systems[-1].name} against {systems[0].name}: {'; '.join(other)}"
    first: Rates | None = None
    first_point: OperatingPoint | None = None
    for number, (system, card) in enumerate(zip(systems, cards, strict=True)):
        if card is not None and card.seeded_weights:
            continue
        found = rates(trials, system.scores, p_target=p_target)
        if found is None:
            yield f"{system.name}: no EER: it takes scored trials of both labels"
            continue
        scored, values = known(trials, system.scores)
        point = None if target_fpr is None else _point(scored, values, target_fpr)
        spread = None
        if resamples:
            spread = intervals(
                scored,
                values,
                p_target=p_target,
                point=point,
                resamples=resamples,
                utt2spk=utt2spk,
            )
        digits = _digits(min(found.targets, found.nontargets))
        line = (
            f"{system.name}: EER {_percent(found.eer, digits)} %, minDCF {found.min_dcf:.4f} "
            f"(p_target {p_target:g}), {found.targets} target and {found.nontargets} nontarget "
            "trials"
        )
        if first is not None:
            against = f"points against {systems[0].name}"
            line += f"; EER {_percent(found.eer - first.eer, digits, sign='+')} {against}"
            _, reference = known(trials, systems[0].scores)
            if spread is not None and len(values) == len(reference):
                lost = losses(scored, reference, values, resamples=resamples, utt2spk=utt2spk)
                if lost is not None:
                    low, high = (_percent(end, digits, sign="+") for end in lost.eer[1:])
                    line += f" (95 %: {low} to {high})"
        yield line
        yield from _spread(spread, resamples, digits)
        if point is not None:
            yield _threshold(point, spread, cosines, digits)
        if number == 0:
            first, first_point = found, point
        elif mixed:
            yield from _shift(trials, systems[0], system, resamples, utt2spk)
            if first_point is not None:
                there = Detection(values, scored.labels_N == 1).at(first_point.threshold)
                yield (
                    f"  at the threshold of {systems[0].name}: false alarms "
                    f"{_percent(there.false_alarm, digits)} %, misses "
                    f"{_percent(there.miss, digits)} %"
                )
    for name, values_of, _ in systems[1:]:
        gaps = np.abs(systems[0].scores - values_of)
        if not np.isnan(gaps).all():
            yield f"{name}: scores differ by at most {figures.number(float(np.nanmax(gaps)), 2)}"


def _shift(
    trials: Trials,
    first: System,
    other: System,
    resamples: int,
    utt2spk: Mapping[str, str] | None,
) -> Iterator[str]:
    """Say by how much scores are higher than the first's, where speakers are enough for it."""
    both = ~np.isnan(first.scores + other.scores) & (trials.labels_N >= 0)
    if len(set(trials.labels_N[both].tolist())) < 2:
        return
    found = shifts(
        trials.take(both),
        first.scores[both],
        other.scores[both],
        resamples=resamples,
        utt2spk=utt2spk,
    )
    told = []
    for kind, each in zip(("target", "nontarget"), found, strict=True):
        ends = f" (95 %: {each.low:+.4f} to {each.high:+.4f})" if each.low < each.high else ""
        told.append(f"{each.loss:+.4f}{ends} in {kind} trials")
    yield f"  scores against {first.name}: {', '.join(told)}"


def _point(scored: Trials, values: Scores, target_fpr: float) -> OperatingPoint:
    try:
        return Detection(values, scored.labels_N == 1).at_false_alarm(target_fpr)
    except ValueError as error:
        raise InputError(f"--target-fpr {error}") from error


def _spread(spread: Intervals | None, resamples: int, digits: int) -> Iterator[str]:
    if spread is not None:
        yield (
            f"  95 % over {spread.speakers} speakers: EER {_ends(spread.eer, digits)} %, minDCF "
            + (
                f"takes {LEAST_SPEAKERS_FOR_COST} speakers or more"
                if spread.min_dcf is None
                else f"{spread.min_dcf[0]:.4f} to {spread.min_dcf[1]:.4f}"
            )
        )
        if spread.alone:
            yield (
                f"  {spread.alone} of these speakers are utterances in no target trial, each taken "
                "for a speaker of its own; --utt2spk says whose they are"
            )
    elif resamples:
        yield f"  no intervals: they take {LEAST_SPEAKERS} speakers or more"


def _threshold(point: OperatingPoint, spread: Intervals | None, cosines: bool, digits: int) -> str:
    """Say a threshold and its rates; of plain cosines, also what `verify` takes."""
    same = f" (verify --threshold {(point.threshold + 1) / 2:.7f})" if cosines else ""
    return f"  threshold {point.threshold:.6f}{same}: {_rates_told(point, spread, digits)}"


def _rates_told(point: OperatingPoint, spread: Intervals | None, digits: int) -> str:
    words = []
    for name, rate, ends in (
        ("false alarms", point.false_alarm, spread and spread.false_alarm),
        ("misses", point.miss, spread and spread.miss),
    ):
        more = f" ({_ends(ends, digits)})" if ends else ""
        words.append(f"{name} {_percent(rate, digits)}{more} %")
    return ", ".join(words)


def threshold(trials: Trials, scores: Scores, target_fpr: float) -> tuple[float, str]:
    """Return the lowest threshold with at most this share of false alarms, and its rates in words.

    Raises:
        InputError: the trials are too few for it, or of one kind.
    """
    scored, values = known(trials, scores)
    fewest = min(int((scored.labels_N == label).sum()) for label in (0, 1))
    if not fewest:
        raise InputError("--trials: a threshold takes target and nontarget trials")
    point = _point(scored, values, target_fpr)
    spread = intervals(scored, values, p_target=P_TARGET, point=point)
    return point.threshold, _rates_told(point, spread, _digits(fewest))


def _digits(fewest: int) -> int:
    """Return with how many decimals of a percent so many trials are told."""
    return max(1, math.ceil(math.log10(fewest / PERCENT)))


def _ends(ends: Interval, digits: int) -> str:
    return " to ".join(_percent(end, digits) for end in ends)


def _percent(share: float, digits: int, *, sign: str = "") -> str:
    return f"{PERCENT * share:{sign}.{digits}f}"


def det_picture(trials: Trials, systems: Sequence[System]) -> "Picture":
    """Return the picture of every system's curve.

    Raises:
        InputError: no file has scored trials of both labels.
    """
    from rtfbench.report.plots import det

    curves, remarks = [], []
    for system in systems:
        found = rates(trials, system.scores)
        if found is None:
            continue
        scored, values = known(trials, system.scores)
        miss, false_alarm = Detection(values, scored.labels_N == 1).rates()
        places = np.unique(np.linspace(0, len(miss) - 1, MOST_POINTS).astype(int))
        # Evenly by threshold, but where few trials decide every one counts.
        few = min(len(miss), MOST_POINTS // 2)
        places = np.unique(np.concatenate([places, np.arange(few), len(miss) - 1 - np.arange(few)]))
        short = {each.path.name for each in systems if each.path}
        name = system.path.name if system.path and len(short) > 1 else system.name
        curves.append(
            det.Curve(
                name,
                miss[places].tolist(),
                false_alarm[places].tolist(),
                crossing(miss, false_alarm),
            )
        )
        remarks = [f"{found.targets} target and {found.nontargets} nontarget trials"]
    if not curves:
        raise InputError("--det: needs scored trials of both labels")
    return det.draw(curves, remarks)
