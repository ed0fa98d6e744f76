"""Detection error trade-off: miss rate over false alarm rate on normal-deviate axes.

Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from rtfbench.report.palette import MUTED
from rtfbench.report.plots.style import DASHED, Picture, Sheet, numbered

#: Labels of the axes, in percent.
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99)
#: What is shown: from there, if rates are so low, up to past the largest equal error rate.
LOWEST, LEAST_HIGHEST, PAST_EER = 0.0001, 0.4, 1.6
#: Labels stand so far apart, as a share of the axis.
APART = 0.06
#: The side of the square, and room in its margins on the sheet.
SIDE_IN, LEFT_IN, SHEET_IN = 5.0, 0.9, 8.0


@dataclass(frozen=True)
class Curve:
    """One system: miss and false alarm rates from threshold to threshold, as shares."""

    label: str
    miss: Sequence[float]
    false_alarm: Sequence[float]
    eer: float


def draw(curves: Sequence[Curve], remarks: Sequence[str]) -> Picture:
    """Return a picture of every system's curve, its equal error rate marked."""
    deviate = NormalDist().inv_cdf
    best = min(curves, key=lambda curve: curve.eer)
    others = ", ".join(f"{100 * each.eer:.2f} %" for each in curves if each is not best)
    title = f"{best.label}: EER {100 * best.eer:.2f} %" + (f", against {others}" if others else "")
    keys = numbered(curve.label for curve in curves)
    text = " · ".join([*remarks, "marks: equal error rates", "down and left is better"])
    low, high = (deviate(rate) for rate in _range(curves))
    with Sheet(title=title, caption=text, height_in=SIDE_IN, keys=keys) as sheet:
        (axes,) = sheet.axes(left_in=LEFT_IN, right_in=SHEET_IN - LEFT_IN - SIDE_IN)
        axes.plot((low, high), (low, high), color=MUTED, linewidth=0.8, linestyle=DASHED)
        for curve, look in zip(curves, keys, strict=True):
            points = [(deviate(alarm), deviate(miss)) for alarm, miss in _inner(curve)]
            axes.plot(*zip(*points, strict=True) if points else ([], []), color=look.color)
            if 0 < curve.eer < 1:
                at = deviate(curve.eer)
                axes.plot([at], [at], **look.style, markersize=8)
        ticks: list[float] = []
        for tick in TICKS:
            place = deviate(tick / 100)
            far = not ticks or place - deviate(ticks[-1] / 100) >= APART * (high - low)
            if low <= place <= high and far:
                ticks.append(tick)
        places = [deviate(tick / 100) for tick in ticks]
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.set_xticks(places, [f"{tick:g}" for tick in ticks])
        axes.set_yticks(places, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel("false alarm rate, %")
        axes.set_ylabel("miss rate, %")
        return sheet.finish("det")


def _inner(curve: Curve) -> list[tuple[float, float]]:
    """Return (false alarm, miss) where both are above 0 and below 1: the axes show nothing else."""
    pairs = zip(curve.false_alarm, curve.miss, strict=True)
    return [(alarm, miss) for alarm, miss in pairs if 0 < alarm < 1 and 0 < miss < 1]


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the lowest and the highest rate that are shown."""
    highest = max(LEAST_HIGHEST, *(min(PAST_EER * curve.eer, 0.95) for curve in curves))
    pairs = (pair for curve in curves for pair in _inner(curve) if max(pair) <= highest)
    rates = [rate for pair in pairs for rate in pair]
    return max(min(rates, default=LOWEST), LOWEST) * 0.8, highest
