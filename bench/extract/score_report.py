"""What `rtfbench score` tells of the scores: rates with intervals, thresholds, the DET picture."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import held_in_memory
from rtfbench.base.values import Interval
from rtfbench.embed import embeddings
from rtfbench.embed.intervals import (
    LEAST_SPEAKERS,
    LEAST_SPEAKERS_FOR_COST,
    RESAMPLES,
    Intervals,
    intervals,
    losses,
    shifts,
)
from rtfbench.embed.scoring import P_TARGET, Detection, OperatingPoint, crossing
from rtfbench.embed.trials import Rates, Scores, Trials, known, rates
from rtfbench.engines.protocol import FloatArray
from rtfbench.extract.options import SEEDED
from rtfbench.extract.report import while_reading
from rtfbench.extract.result import read_card
from rtfbench.report import figures

if TYPE_CHECKING:
    from rtfbench.report.plots.style import Picture

PERCENT = 100
#: A curve is drawn with so many points at most.
MOST_POINTS = 1000


#: Of a cohort in adaptive normalisation, where nothing else is asked for: WeSpeaker's.
TOP_N = 300
PICTURES = (".png", ".svg")


@dataclass(frozen=True)
class ScoreOptions:
    """How trials become scores, and what is told of them.

    Means and cohorts are files of embeddings, one for each file that is scored. `adaptive` takes of
    a cohort the `top_n` most alike.
    """

    labels: bool = False
    spk2utt: Path | None = None
    utt2spk: Path | None = None
    means: Sequence[Path] = ()
    cohorts: Sequence[Path] = ()
    cohort_spk2utt: Path | None = None
    adaptive: bool = True
    top_n: int | None = None
    p_target: float = P_TARGET
    target_fpr: float | None = None
    resamples: int = RESAMPLES
    det: Path | None = None
    #: Enrolment by the first file and test by the second, beside each of them alone.
    mixed: tuple[Path, Path] | None = None

    @property
    def scores_are_cosines(self) -> bool:
        """Whether `verify` takes their thresholds."""
        return not self.cohorts and not self.means and self.spk2utt is None

    @property
    def inputs(self) -> list[Path | None]:
        """Every file that is read besides trials and embeddings."""
        return [self.spk2utt, self.utt2spk, self.cohort_spk2utt, *self.means, *self.cohorts]

    def check(self, systems: int) -> None:
        """Refuse options that do not go together.

        Raises:
            InputError: which, and what would.
        """
        for name, paths in (("--subtract-mean", self.means), ("--cohort", self.cohorts)):
            if len(paths) not in (0, systems):
                raise InputError(
                    f"{name}: named {len(paths)} times for {systems} files of embeddings; each "
                    "needs its own, computed with the same model"
                )
        if self.mixed and self.cohorts:
            raise InputError(
                "--cohort: normalises each side's scores by its own embeddings, which hides what "
                "mixing them does; leave it out with --enrol-with and --test-with"
            )
        if not self.cohorts and (self.cohort_spk2utt or self.top_n or not self.adaptive):
            raise InputError("--norm, --top-n and --cohort-spk2utt need --cohort")
        if self.top_n and not self.adaptive:
            raise InputError(
                "--top-n: s-norm takes the whole cohort; leave it out, or --norm as-norm"
            )
        if self.det is not None and self.det.suffix.lower() not in PICTURES:
            raise InputError(f"--det {self.det}: name a file that ends in {' or '.join(PICTURES)}")
        if self.det is not None and find_spec("matplotlib") is None:
            raise InputError(
                "--det: matplotlib is not installed; install it with: pip install 'rtfbench[plot]'"
            )

    def of_cohort(self, members: int) -> int | None:
        """Return how many of a cohort count, None for all.

        Raises:
            InputError: it has not so many.
        """
        if members < 2:
            raise InputError("--cohort: needs two speakers or more, better some hundreds")
        if not self.adaptive:
            return None
        if self.top_n is not None and self.top_n > members:
            raise InputError(f"--top-n {self.top_n}: the cohort has {members}")
        return min(self.top_n or TOP_N, members)


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
    options: ScoreOptions,
    utt2spk: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Say EER and minDCF of each file, and how far they are from the first one's.

    A threshold is told where a share of false alarms is wanted; of plain cosines, also what
    `verify` takes. Where the first may be mixed with the others, their shift of scores, and the
    rates at the first's threshold, are told too.

    Raises:
        InputError: the trials are too few for the false alarm rate; all else was said before.
    """
    cards = [read_card(each.path) if each.path else None for each in systems]
    for system, card in zip(systems, cards, strict=True):
        if card is not None and card.seeded_weights:
            yield f"{system.name}: no EER: {SEEDED}"
    p_target, resamples = options.p_target, options.resamples
    if options.mixed and cards[0] and cards[-1]:
        other = cards[-1].differences(cards[0]) or ["nothing that the cards beside them tell"]
        yield f"{systems[-1].name} against {systems[0].name}: {'; '.join(other)}"
    first: Rates | None = None
    first_point: OperatingPoint | None = None
    refused: InputError | None = None
    for number, (system, card) in enumerate(zip(systems, cards, strict=True)):
        if card is not None and card.seeded_weights:
            continue
        found = rates(trials, system.scores, p_target=p_target)
        if found is None:
            yield f"{system.name}: no EER: it takes scored trials of both labels"
            continue
        scored, values = known(trials, system.scores)
        point = None
        if options.target_fpr is not None:
            try:
                point = _point(scored, values, options.target_fpr)
            except InputError as error:
                refused = error
        spread = None
        if resamples:
            spread = intervals(
                scored, values, p_target=p_target, point=point, resamples=resamples, utt2spk=utt2spk
            )
        digits = _digits(min(found.targets, found.nontargets))
        line = (
            f"{system.name}: EER {_percent(found.eer, digits)} %, minDCF {found.min_dcf:.4f} "
            f"(p_target {p_target:g}), {found.targets} target and {found.nontargets} nontarget "
            "trials"
        )
        if first is not None:
            line += _against(trials, systems[0], system, options, utt2spk)
        yield line
        yield from _spread(spread, resamples, digits)
        if point is not None:
            same = ""
            if options.scores_are_cosines:
                same = f" (verify --threshold {(point.threshold + 1) / 2:.7f})"
            told = _rates_told(point, spread, digits)
            yield f"  threshold {point.threshold:.6f}{same}: {told}"
        if number == 0:
            first, first_point = found, point
        elif options.mixed:
            yield from _shift(trials, systems[0], system, resamples, utt2spk)
            if first_point is not None:
                there = Detection(values, scored.labels_N == 1).at(first_point.threshold)
                told = _rates_told(there, None, digits)
                yield f"  at the threshold of {systems[0].name}: {told}"
    for name, values_of, _ in systems[1:]:
        gaps = np.abs(systems[0].scores - values_of)
        if not np.isnan(gaps).all():
            yield f"{name}: scores differ by at most {figures.number(float(np.nanmax(gaps)), 2)}"
    if refused is not None:
        raise refused


def _against(
    trials: Trials,
    first: System,
    other: System,
    options: ScoreOptions,
    utt2spk: Mapping[str, str] | None,
) -> str:
    """Say by how much the EER differs from the first's, on the trials that both have."""
    both = _in_both(trials, first, other)
    some, scores = trials.take(both), [each.scores[both] for each in (first, other)]
    theirs, ours = (rates(some, each, p_target=options.p_target) for each in scores)
    if ours is None or theirs is None:
        return ""
    digits = _digits(min(ours.targets, ours.nontargets))
    text = f"; EER {_percent(ours.eer - theirs.eer, digits, sign='+')} points against {first.name}"
    if both.sum() < max(len(known(trials, each.scores)[1]) for each in (first, other)):
        text += f" on the {both.sum()} trials that both have"
    lost = None
    if options.resamples:
        lost = losses(some, scores[0], scores[1], resamples=options.resamples, utt2spk=utt2spk)
    if lost is None:
        return text
    low, high = (_percent(end, digits, sign="+") for end in lost.eer[1:])
    return f"{text} (95 %: {low} to {high})"


def _in_both(trials: Trials, first: System, other: System) -> npt.NDArray[np.bool_]:
    """Return which trials have a label and both scores, bool [N]: only those can be compared."""
    return ~np.isnan(first.scores + other.scores) & (trials.labels_N >= 0)


def _shift(
    trials: Trials, first: System, other: System, resamples: int, utt2spk: Mapping[str, str] | None
) -> Iterator[str]:
    """Say by how much scores are higher than the first's, where speakers are enough for it."""
    both = _in_both(trials, first, other)
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
    with as_input(ValueError, before="--target-fpr "):
        return Detection(values, scored.labels_N == 1).at_false_alarm(target_fpr)


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
