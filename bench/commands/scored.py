"""What `rtfbench score` tells of the scores: rates with intervals, thresholds, the DET picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.base.errors import InputError
from bench.embed import embeddings
from bench.embed.intervals import LEAST_SPEAKERS, Interval, Intervals, intervals
from bench.embed.losses import losses
from bench.embed.scoring import Detection, OperatingPoint, crossing
from bench.embed.trials import Rates, Trial, rates
from bench.extract.cards import read_card
from bench.extract.options import SEEDED
from bench.report import figures
from engines.protocol import FloatArray

if TYPE_CHECKING:
    from bench.report.plots.style import Picture

PERCENT = 100
#: A curve is drawn with so many points at most.
MOST_POINTS = 1000


class System(NamedTuple):
    """A file of embeddings and its score of each trial, None where it has none."""

    path: Path
    scores: Sequence[float | None]


def load(path: Path, wanted: frozenset[str] | None = None) -> dict[str, FloatArray]:
    """Return the embeddings that are wanted, all by default; those of one file have one length."""
    found: dict[str, FloatArray] = {}
    dim = 0
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
    trials: Sequence[Trial],
    systems: Sequence[System],
    *,
    p_target: float,
    target_fpr: float | None,
    resamples: int,
    cosines: bool,
) -> Iterator[str]:
    """Say EER and minDCF of each file, and how far they are from the first one's.

    Raises:
        InputError: the trials are too few for the false alarm rate.
    """
    for path, _ in systems:
        card = read_card(path)
        if card is not None and card.seeded_weights:
            yield f"{path}: {SEEDED}"
    first: Rates | None = None
    for number, system in enumerate(systems):
        found = rates(trials, system.scores, p_target=p_target)
        if found is None:
            yield f"{system.path}: no EER: it takes scored trials of both labels"
            continue
        known, values = _known(trials, system)
        point = None if target_fpr is None else _point(known, values, target_fpr)
        spread = (
            intervals(known, values, p_target=p_target, point=point, resamples=resamples)
            if resamples
            else None
        )
        line = (
            f"{system.path}: EER {PERCENT * found.eer:.4f} %, minDCF {found.min_dcf:.4f} "
            f"(p_target {p_target:g}), {found.targets} target and {found.nontargets} nontarget "
            "trials"
        )
        if first is not None:
            against = f"points against {systems[0].path}"
            line += f"; EER {PERCENT * (found.eer - first.eer):+.4f} {against}"
            if spread is not None and len(known) == len(_known(trials, systems[0])[0]):
                reference = _known(trials, systems[0])[1]
                loss = losses(known, reference, values, resamples=resamples).eer
                line += f" (95 %: {PERCENT * loss.low:+.4f} to {PERCENT * loss.high:+.4f})"
        yield line
        yield from _spread(spread, resamples)
        if point is not None:
            yield _threshold(point, spread, cosines)
        if number == 0:
            first = found
    for path, values_of in systems[1:]:
        pairs = zip(systems[0].scores, values_of, strict=True)
        gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        if gaps:
            yield f"{path}: scores differ by at most {figures.number(max(gaps), 2)}"


def _known(trials: Sequence[Trial], system: System) -> tuple[list[Trial], list[float]]:
    """Return the trials that have a label and a score, and the scores."""
    known = [
        (trial, value)
        for trial, value in zip(trials, system.scores, strict=True)
        if trial.label is not None and value is not None
    ]
    return [trial for trial, _ in known], [value for _, value in known]


def _detection(known: Sequence[Trial], values: Sequence[float]) -> Detection:
    return Detection(values, [bool(trial.label) for trial in known])


def _point(known: Sequence[Trial], values: Sequence[float], target_fpr: float) -> OperatingPoint:
    try:
        return _detection(known, values).at_false_alarm(target_fpr)
    except ValueError as error:
        raise InputError(f"--target-fpr {error}") from error


def _spread(spread: Intervals | None, resamples: int) -> Iterator[str]:
    if spread is not None:
        yield (
            f"  95 % over {spread.speakers} speakers: EER {_ends(spread.eer)} %, minDCF "
            f"{spread.min_dcf[0]:.4f} to {spread.min_dcf[1]:.4f}"
        )
    elif resamples:
        yield f"  no intervals: they take {LEAST_SPEAKERS} speakers or more"


def _threshold(point: OperatingPoint, spread: Intervals | None, cosines: bool) -> str:
    """Say a threshold and its rates; of plain cosines, also what `verify` takes."""
    same = f" (verify --threshold {(point.threshold + 1) / 2:.7f})" if cosines else ""
    words = []
    for name, rate, ends in (
        ("false alarms", point.false_alarm, spread and spread.false_alarm),
        ("misses", point.miss, spread and spread.miss),
    ):
        more = f" ({_ends(ends)})" if ends else ""
        words.append(f"{name} {PERCENT * rate:.4f}{more} %")
    return f"  threshold {point.threshold:.6f}{same}: {', '.join(words)}"


def _ends(ends: Interval) -> str:
    return f"{PERCENT * ends[0]:.4f} to {PERCENT * ends[1]:.4f}"


def det_picture(trials: Sequence[Trial], systems: Sequence[System]) -> "Picture":
    """Return the picture of every file's curve.

    Raises:
        InputError: no file has scored trials of both labels.
    """
    from bench.report.plots import det

    curves, remarks = [], []
    for system in systems:
        found = rates(trials, system.scores)
        if found is None:
            continue
        miss, false_alarm = _detection(*_known(trials, system)).rates()
        places = np.unique(np.linspace(0, len(miss) - 1, MOST_POINTS).astype(int))
        # Evenly by threshold, but where few trials decide every one counts.
        few = min(len(miss), MOST_POINTS // 2)
        places = np.unique(np.concatenate([places, np.arange(few), len(miss) - 1 - np.arange(few)]))
        name = system.path.name if len({each.path.name for each in systems}) > 1 else system.path
        curves.append(
            det.Curve(
                str(name),
                miss[places].tolist(),
                false_alarm[places].tolist(),
                crossing(miss, false_alarm),
            )
        )
        remarks = [f"{found.targets} target and {found.nontargets} nontarget trials"]
    if not curves:
        raise InputError("--det: needs scored trials of both labels")
    return det.draw(curves, remarks)
