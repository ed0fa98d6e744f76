"""Which step of a front end differs, told from the features that somebody else made (pure).

Every step is changed to what toolkits do, alone and together, until our features are theirs; the
fewest changes that explain theirs are named.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt

from rtfbench.frontends.front_end import Features, FrontEnd

FloatArray = npt.NDArray[np.float32]

#: Features of two right libraries differ by about so much at most.
ROUNDING = 0.01
#: Where three quarters of the features differ by less, and none of the frames much, they are ours.
AGREES = 0.01
#: Of a value, so much may be lost where it is written in float16 or with four digits.
ROUNDED_BY = 2.0**-11
#: What one more change must gain, in the mean of log(1 + z²).
PENALTY = 0.03
#: Of features that are ours, a change that is named must explain so much of what is left, and
#: what lies nearer than this to ours has no more to explain.
EXPLAINED, NOTHING_LEFT = 0.5, 0.002
#: Hypotheses that are followed at once, of one set of steps, and changes followed together.
BEAM, BEAM_OF_STEPS, MOST_CHANGES = 6, 2, 3
#: Of noise, half lies within this many standard deviations, as few draws tell them.
MOST_SPREAD = 1.5
#: So often noise is drawn for dither.
DRAWS = 3
#: Frames that two ways to treat the edges may differ by.
MOST_FRAMES_APART = 3

#: A step -> the fields that are set in it.
Changes = Mapping[str, Mapping[str, Any]]
#: A step -> the values that are tried, each the fields that it sets.
Choices = Mapping[str, tuple[Mapping[str, Any], ...]]
STEPS: Choices = {
    "scale": ({"scale": "int16"}, {"scale": "unit"}),
    "window": tuple(
        {"window": window, "window_periodic": periodic}
        for window, periodic in (
            *(("hamming", False), ("povey", False), ("hann", False), ("rectangular", False)),
            *(("hamming", True), ("hann", True)),
        )
    ),
    "normalisation": tuple({"normalization": kind} for kind in ("none", "mean", "mean-variance")),
    "lowest frequency": tuple(
        {"low_freq_hz": float(hz)}
        for hz in (0, 10, 20, 30, 40, 50, 60, 64, 80, 100, 125, 150, 200, 250, 300)
    ),
    "highest frequency": tuple(
        {"high_freq_hz": hz}
        for hz in (
            *(None, -100.0, -200.0, -300.0, -400.0, -500.0, -700.0, -1000.0, -1500.0, -2000.0),
            *(-2500.0, -3000.0, -3500.0, -4000.0),
        )
    ),
    "mel scale": tuple(
        {"mel_scale": scale, "mel_sides": sides, "mel_norm": norm}
        for scale, sides, norm in (
            *(("htk", "mel", "none"), ("slaney", "hertz", "slaney"), ("slaney", "hertz", "none")),
            *(("htk", "hertz", "none"), ("htk", "hertz", "slaney"), ("htk", "hertz-even", "none")),
        )
    ),
    "edges": tuple(
        {"edges": edges} for edges in ("snip", "mirror", "centre", "centre-within", "centre-mirror")
    ),
    "dither": tuple({"dither": level} for level in (0.0, 0.1, 0.33, 1.0, 3.0)),
    "pre-emphasis": tuple(
        {"preemphasis": weight, "preemphasis_over": over}
        for over in ("frame", "signal")
        for weight in (0.0, 0.9, 0.95, 0.97, 0.98, 1.0)
        if weight or over == "frame"
    ),
    "DC removal": ({"remove_dc": True}, {"remove_dc": False}),
    "log floor": tuple(
        {"log_floor": floor, "log_floor_added": added}
        for floor, added in (
            *((2.0**-23, False), (1e-10, False), (1e-8, False), (1e-5, False), (1e-3, False)),
            *((1.0, False), (2.0**-24, True), (1e-6, True), (1.0, True), (1e-12, False)),
        )
    ),
    "logarithm": tuple(
        {"log": kind, "top_db": top}
        for kind, top in (("natural", None), ("decibel", None), ("decibel", 80.0))
    ),
    "power": ({"spectrum": "power"}, {"spectrum": "magnitude"}),
    "frame length": tuple({"frame_length_ms": float(ms)} for ms in (16, 20, 25, 30, 32, 40, 50)),
    "frame shift": tuple({"frame_shift_ms": float(ms)} for ms in (5, 8, 10, 12, 12.5, 15, 16, 20)),
    "transform": ({"fft_size": None}, {"fft_size": 512}, {"fft_size": 1024}, {"fft_size": 400}),
    "energy": ({"energy_floor": None}, {"energy_floor": 0.0}),
}
#: Steps whose values lie on a line: between those that are tried, the best is looked for. With the
#: digits that are kept, and how far away it may lie, as a share of the value or by itself.
ON_A_LINE: Mapping[str, tuple[str, int, float, float]] = {
    "lowest frequency": ("low_freq_hz", 0, 0.0, 30.0),
    "highest frequency": ("high_freq_hz", 0, 0.0, 300.0),
    "pre-emphasis": ("preemphasis", 3, 0.0, 0.05),
    "dither": ("dither", 2, 0.7, 0.0),
}
#: Steps that hide each other: they move all features alike, so pairs of them are tried at once.
HIDING = ("scale", "normalisation", "logarithm", "power", "log floor")


@dataclass(frozen=True)
class StepDifference:
    """A step in which two front ends differ: its fields here and there."""

    step: str
    ours: Mapping[str, Any]
    theirs: Mapping[str, Any]

    def __str__(self) -> str:
        """Write it as a sentence's part."""
        shown = [name for name in self.theirs if self.theirs[name] != self.ours[name]]
        return ", ".join(
            f"{name} {_text(self.theirs[name])}, not {_text(self.ours[name])}" for name in shown
        )


@dataclass(frozen=True)
class Diagnosis:
    """What was found: the steps that differ, and how far features lie apart before and after.

    `before` and `after` are root mean squares; `explained` says whether the steps explain it all.
    `front_end` is ours with the steps changed, dither apart.
    """

    differences: tuple[StepDifference, ...]
    before: float
    after: float
    explained: bool
    front_end: FrontEnd


@dataclass(frozen=True)
class _Hypothesis:
    """Changes by step, and how badly they explain what is there.

    `off_TM` is how far our features lie from theirs, None where no front end is like that; `apart`
    are the frames that there are more or fewer, `variance_TM` is what dither leaves.
    """

    changes: Changes
    loss: float = np.inf
    apart: int = 0
    off_TM: FloatArray | None = None
    variance_TM: FloatArray | None = None

    @property
    def cost(self) -> float:
        # Rounded: of two that explain the same, the one that is tried first is taken.
        return round(self.loss + PENALTY * len(self.changes), 3)


class Doctor:
    """Explains features that somebody else made of a recording."""

    def __init__(self, front_end: FrontEnd, samples: FloatArray, theirs_TM: FloatArray) -> None:
        """Take both.

        Args:
            front_end: what the model is to be fed.
            samples: of the recording, float32 [N] in int16 scale, at the front end's rate.
            theirs_TM: float32 [T, M].
        """
        self._front_end, self._samples = front_end, samples
        self._theirs_TM = theirs_TM
        self._known: dict[str, _Hypothesis] = {}
        rng = np.random.default_rng(0)
        self._noise_DN = rng.standard_normal((DRAWS, len(samples))).astype(np.float32)

    def diagnose(self) -> Diagnosis:
        """Name the fewest steps that explain what differs."""
        beam = [self._judged(changes) for changes in self._bins()]
        best = start = min(beam, key=lambda each: each.loss)
        before = self._apart(start)
        for number in range(MOST_CHANGES):
            if self._apart(best) < NOTHING_LEFT:
                break
            further = [*self._further(beam), *(self._hiding(start) if not number else ())]
            beam = [self._refined(each) for each in _varied(further)]
            gained = min(beam, key=lambda each: each.cost, default=best)
            if not self._gains(gained, best):
                break
            best = gained
        best = self._pruned(best)
        ours, (changed, dither) = self._front_end, self._changed(best.changes)
        differences = [
            StepDifference(step, _told(ours, 0.0, fields), _told(changed, dither, fields))
            for step, fields in best.changes.items()
        ]
        explained = self._agrees(best) or self._is_noise(best)
        return Diagnosis(tuple(differences), before, self._apart(best), explained, changed)

    def _bins(self) -> list[Changes]:
        """Return the changes, each by itself, that make as many features as theirs."""
        theirs, energy = self._theirs_TM.shape[1], self._front_end.fbank.energy_floor is not None
        if theirs == self._front_end.feat_dim:
            return [{}]
        found: list[Changes] = [{"bins": {"num_mel_bins": theirs - energy}}]
        if theirs == self._front_end.fbank.num_mel_bins + (not energy):
            found.append({"energy": {"energy_floor": None if energy else 0.0}})
        return found

    def _further(self, beam: list[_Hypothesis]) -> Iterator[_Hypothesis]:
        for hypothesis in beam:
            for step, choices in STEPS.items():
                if step in hypothesis.changes:
                    continue
                for fields in choices:
                    if self._changes(hypothesis, fields):
                        found = self._judged({**hypothesis.changes, step: fields})
                        if found.loss < np.inf:
                            yield found

    def _hiding(self, start: _Hypothesis) -> Iterator[_Hypothesis]:
        """Yield pairs of changes of which one alone makes nothing better."""
        for one, other in combinations(HIDING, 2):
            for first, second in product(STEPS[one], STEPS[other]):
                if self._changes(start, first) and self._changes(start, second):
                    yield self._judged({**start.changes, one: first, other: second})

    def _changes(self, hypothesis: _Hypothesis, fields: Mapping[str, Any]) -> bool:
        """Say whether fields are others than a hypothesis has."""
        now, _ = self._changed(hypothesis.changes)
        return any(_value(now, 0.0, name) != value for name, value in fields.items())

    def _gains(self, found: _Hypothesis, best: _Hypothesis) -> bool:
        """Say whether a hypothesis is to be believed rather than one of fewer changes."""
        if found.cost >= best.cost:
            return False
        # What rounding leaves, no step explains.
        return not self._agrees(best) or self._apart(found) < EXPLAINED * self._apart(best)

    def _refined(self, hypothesis: _Hypothesis) -> _Hypothesis:
        """Move values that lie on a line to where they explain most."""
        for step, (name, digits, share, width) in ON_A_LINE.items():
            value = hypothesis.changes.get(step, {}).get(name)
            if not value or self._apart(hypothesis) < NOTHING_LEFT:
                continue
            low, high = value * (1 - share) - width, value * (1 + share) + width
            for _ in range(12):
                points = [low + (high - low) * part for part in (0.382, 0.618)]
                changes = hypothesis.changes
                tried = [
                    self._judged({**changes, step: {**changes[step], name: round(each, digits)}})
                    for each in points
                ]
                low, high = (low, points[1]) if tried[0].loss < tried[1].loss else (points[0], high)
                hypothesis = min((hypothesis, *tried), key=lambda each: each.loss)
        return hypothesis

    def _pruned(self, hypothesis: _Hypothesis) -> _Hypothesis:
        """Leave out changes that gain nothing beside the others."""
        for step in list(hypothesis.changes):
            rest = {name: each for name, each in hypothesis.changes.items() if name != step}
            without = self._judged(rest)
            if without.cost <= hypothesis.cost:
                hypothesis = without
        return hypothesis

    def _changed(self, changes: Changes) -> tuple[FrontEnd, float]:
        """Return our front end with changes, and the level of dither.

        Raises:
            ValueError: no front end is like that.
        """
        values = {name: value for fields in changes.values() for name, value in fields.items()}
        dither = values.pop("dither", 0.0)
        if self._front_end.normalization == "global" and "normalization" in values:
            values |= {"means": [], "deviations": []}
        return self._front_end.with_values(values), dither

    def _judged(self, changes: Changes) -> _Hypothesis:
        key = str(
            sorted((step, sorted(fields.items(), key=str)) for step, fields in changes.items())
        )
        if key not in self._known:
            self._known[key] = self._compute(changes)
        return replace(self._known[key], changes=changes)

    def _compute(self, changes: Changes) -> _Hypothesis:
        try:
            front_end, dither = self._changed(changes)
            apart = abs(front_end.num_frames(len(self._samples)) - len(self._theirs_TM))
            if apart > MOST_FRAMES_APART or front_end.feat_dim != self._theirs_TM.shape[1]:
                return _Hypothesis(changes)
            compute = _computing(front_end)
        except ValueError:
            return _Hypothesis(changes)
        noise_DN = self._noise_DN if dither else self._noise_DN[:1]
        drawn_DTM = np.stack([compute(self._samples + dither * noise) for noise in noise_DN])
        frames = min(drawn_DTM.shape[1], len(self._theirs_TM))
        off_TM = np.abs(drawn_DTM.mean(axis=0)[:frames] - self._theirs_TM[:frames])
        spread_TM = np.full_like(off_TM, ROUNDING**2)
        variance_TM = drawn_DTM.var(axis=0, ddof=1)[:frames] if dither else None
        if variance_TM is not None:
            spread_TM += variance_TM * (1 + 1 / DRAWS)
        loss = np.log1p(off_TM**2 / spread_TM) + np.log(spread_TM / ROUNDING**2) / 2
        return _Hypothesis(changes, float(loss.mean()) + 0.3 * apart, apart, off_TM, variance_TM)

    def _apart(self, hypothesis: _Hypothesis) -> float:
        off_TM = hypothesis.off_TM
        return np.inf if off_TM is None else float(np.sqrt((off_TM**2).mean()))

    def _agrees(self, hypothesis: _Hypothesis) -> bool:
        if hypothesis.off_TM is None or hypothesis.apart:
            return False
        # Large values, such as decibels, are rounded more.
        beyond_TM = hypothesis.off_TM / (1 + np.abs(self._theirs_TM) * (ROUNDED_BY / AGREES))
        by_frame_T = np.quantile(beyond_TM, 0.75, axis=1)
        return bool(
            np.quantile(by_frame_T, 0.98) < AGREES and np.sqrt((beyond_TM**2).mean()) < 2 * AGREES
        )

    def _is_noise(self, hypothesis: _Hypothesis) -> bool:
        """Say whether what is left is what dither leaves: half of it within its own spread."""
        if hypothesis.off_TM is None or hypothesis.variance_TM is None:
            return False
        spread_TM = np.sqrt(hypothesis.variance_TM + ROUNDING**2)
        return bool(np.median(hypothesis.off_TM / spread_TM) < MOST_SPREAD)


def _varied(found: Iterable[_Hypothesis]) -> list[_Hypothesis]:
    """Return the best hypotheses, not too many of the same steps."""
    taken: Counter[frozenset[str]] = Counter()
    kept: list[_Hypothesis] = []
    for each in sorted(found, key=lambda each: each.cost):
        steps = frozenset(each.changes)
        if taken[steps] < BEAM_OF_STEPS and each.loss < np.inf:
            kept.append(each)
            taken[steps] += 1
        if len(kept) == BEAM:
            break
    return kept


def _computing(front_end: FrontEnd) -> Callable[[FloatArray], FloatArray]:
    features = Features(front_end)
    return lambda samples: front_end.normalized(features(samples))


def _value(front_end: FrontEnd, dither: float, name: str) -> Any:
    return dither if name == "dither" else front_end.values()[name]


def _told(front_end: FrontEnd, dither: float, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a front end's values of some fields, the highest frequency in hertz."""
    found = {name: _value(front_end, dither, name) for name in fields}
    if "high_freq_hz" in found:
        found["high_freq_hz"] = float(front_end.fbank.upper_freq_hz)
    return found


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def one_changed(front_end: FrontEnd, difference: StepDifference) -> FrontEnd:
    """Return a front end with one step as theirs; dither cannot be, and leaves it as it is."""
    values = {name: value for name, value in difference.theirs.items() if name != "dither"}
    changed = front_end.with_values(values)
    return replace(changed, layout=front_end.layout)


def mean_difference(
    one: FrontEnd, other: FrontEnd, recordings: Iterable[tuple[FloatArray, FloatArray]]
) -> float:
    """Return how far two front ends' features, as many each, lie apart: the mean over all values.

    Of recordings there are the samples as either reads them, float32 [N] in int16 scale; frames are
    taken as they come, of the shorter count.
    """
    computing = _computing(one), _computing(other)
    apart, count = 0.0, 0
    for pair in recordings:
        mine_TM, theirs_TM = (
            compute(samples) for compute, samples in zip(computing, pair, strict=True)
        )
        frames = min(len(mine_TM), len(theirs_TM))
        apart += float(np.abs(mine_TM[:frames] - theirs_TM[:frames]).sum(dtype=np.float64))
        count += frames * mine_TM.shape[1]
    return apart / count
