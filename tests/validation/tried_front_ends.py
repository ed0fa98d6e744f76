"""The doctor of front ends on trial: what is planted it must name, and of right features nothing.

Planted are steps of a front end, alone and two at once, in recordings with a pause and a constant
offset; voices, front ends, steps and values are drawn. Right features come of kaldi-native-fbank,
and of torch where another toolkit's are meant, in the roundings that people save them with.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.feature_differences import Doctor
from rtfbench.engines.protocol import FloatArray
from rtfbench.frontends.audio import on_disk, read_audio
from rtfbench.frontends.front_end import PRESETS, WESPEAKER, Features, FrontEnd
from rtfbench.inputs.find import find_audio
from rtfbench.measure.trial_check import HELDOUT
from tests.unit.test_front_end import by_kaldi, nemo_by_torch, speechbrain_by_torch
from tests.validation.trial import Tried

#: Where `reports/validation.md` has it.
SECTION = "The doctor of front ends"
RATE_HZ = 16000
#: So much of a recording is taken, and at most so much of it is a pause.
SECONDS, PAUSE_S = 3, 0.3
#: At most so much is added to every sample.
MOST_OFFSET = 60
DITHER = "dither"
#: What moves features by less, as a root mean square, is lost in the rounding of who saves them.
SEEN = 0.01
#: Of 40 as many are to be named right; of right features so many are looked at.
AIM, LOOKED_AT = (38 / 40, 1.0), 200

#: What a model is to be fed.
OURS = ("wespeaker", "3d-speaker", "sherpa-onnx")

Rng = np.random.Generator
Values = Mapping[str, Any]


def _one_of(**choices: tuple[Any, ...]) -> Callable[[Rng], Values]:
    """Return what draws one value of each field, those of one place together."""
    rows = [dict(zip(choices, row, strict=True)) for row in zip(*choices.values(), strict=True)]
    return lambda rng: rows[rng.integers(len(rows))]


#: A step's name in a diagnosis -> what draws values for it, on and off those that are tried.
STEPS: Mapping[str, Callable[[Rng], Values]] = {
    "scale": _one_of(scale=("int16", "unit")),
    "window": _one_of(window=("hamming", "povey", "hann", "rectangular")),
    "normalisation": _one_of(normalization=("none", "mean", "mean-variance")),
    "lowest frequency": lambda rng: {"low_freq_hz": float(rng.integers(0, 250))},
    "highest frequency": lambda rng: {"high_freq_hz": float(rng.integers(3600, 7950))},
    "mel scale": _one_of(
        mel_scale=("htk", "slaney", "slaney", "htk"),
        mel_sides=("mel", "hertz", "hertz", "hertz"),
        mel_norm=("none", "slaney", "none", "slaney"),
    ),
    "edges": _one_of(edges=("snip", "mirror", "centre", "centre-within", "centre-mirror")),
    DITHER: lambda rng: {DITHER: round(float(rng.uniform(0.3, 2.5)), 2)},
    "pre-emphasis": lambda rng: {"preemphasis": round(float(rng.uniform(0.85, 1)), 3)},
    "log floor": _one_of(
        log_floor=(1.0, 1e-3, 1e-6, 1e-8, 1e-10),
        log_floor_added=(False, False, True, False, False),
    ),
    "bins": lambda rng: {"num_mel_bins": int(rng.integers(24, 96))},
    "frame shift": _one_of(frame_shift_ms=(8.0, 12.5, 16.0, 20.0)),
    "frame length": _one_of(frame_length_ms=(20.0, 30.0, 32.0)),
    "DC removal": _one_of(remove_dc=(True, False)),
    "power": _one_of(spectrum=("power", "magnitude")),
    "logarithm": _one_of(log=("natural", "decibel")),
    "transform": _one_of(fft_size=(1024, None)),
}


@dataclass(frozen=True)
class Planted:
    """What was planted in which front end, and what the doctor named."""

    front_end: str
    steps: frozenset[str]
    values: Values
    named: frozenset[str]

    @property
    def right(self) -> bool:
        """Whether it named what was planted, and nothing else."""
        return self.steps == self.named

    def __str__(self) -> str:
        """Write it as a line of a report does."""
        told = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return f"{self.front_end}, {told}: named {', '.join(sorted(self.named)) or 'nothing'}"


@cache
def _recordings() -> tuple[FloatArray, ...]:
    """Return the package's recordings, of people and of synthetic voices, as long as is needed."""
    paths = [on_disk(each.path) for each in find_audio([DEFAULT_SPEECH, HELDOUT])]
    read = [read_audio(path, sample_rate_hz=RATE_HZ, resample=True).samples for path in paths]
    return tuple(samples for samples in read if len(samples) >= SECONDS * RATE_HZ)


def recording(rng: Rng) -> FloatArray:
    """Return a stretch of speech with a constant and a pause, float32 [N] in int16 scale."""
    every = _recordings()
    whole, length = every[rng.integers(len(every))], SECONDS * RATE_HZ
    begin = rng.integers(len(whole) - length + 1)
    samples = whole[begin : begin + length] + np.float32(rng.integers(MOST_OFFSET))
    pause = rng.integers(RATE_HZ // 10, int(PAUSE_S * RATE_HZ))
    at = rng.integers(length - pause)
    samples[at : at + pause] = 0
    return samples


def _features(front_end: FrontEnd, samples: FloatArray) -> FloatArray:
    return front_end.normalized(Features(front_end)(samples))


def _is_seen(mine_TM: FloatArray, other_TM: FloatArray) -> bool:
    """Say whether features lie further apart than by their rounding."""
    if mine_TM.shape != other_TM.shape:
        return True
    return bool(np.sqrt(np.square(mine_TM - other_TM).mean()) > SEEN)


def plant(rng: Rng, steps: int) -> Planted:
    """Draw a recording, a front end and what differs from it, and let the doctor name that."""
    while True:
        ours, samples = PRESETS[OURS[rng.integers(len(OURS))]], recording(rng)
        names = [str(name) for name in rng.choice(list(STEPS), steps, replace=False)]
        drawn = {name: STEPS[name](rng) for name in names}
        noise = rng.standard_normal(len(samples)).astype(np.float32)
        theirs = partial(_theirs, ours, samples, noise, drawn)
        try:
            # What another step hides is not there to be named.
            hidden = [name for name in names if not _is_seen(theirs(), theirs(name))]
        except ValueError:  # no front end is like that
            continue
        if not hidden:
            found = Doctor(ours, samples, theirs()).diagnose()
            named = frozenset(each.step for each in found.differences)
            return Planted(ours.base, frozenset(names), _values(drawn), named)


def _theirs(
    ours: FrontEnd,
    samples: FloatArray,
    noise: FloatArray,
    drawn: Mapping[str, Values],
    *left_out: str,
) -> FloatArray:
    """Return features with the steps that are drawn, but for some."""
    values = _values(drawn, *left_out)
    level = np.float32(values.pop(DITHER, 0.0))
    return _features(ours.with_values(values), samples + level * noise)


def _values(drawn: Mapping[str, Values], *left_out: str) -> dict[str, Any]:
    """Return all values that are drawn, but for some steps."""
    return {
        key: value
        for name, fields in drawn.items()
        if name not in left_out
        for key, value in fields.items()
    }


ROUNDINGS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "float32": lambda features_TM: features_TM,
    "float16": lambda features_TM: features_TM.astype(np.float16).astype(np.float32),
    "two decimals": lambda features_TM: np.round(features_TM, 2),
    "four digits": lambda features_TM: np.array(
        [[float(f"{value:.4g}") for value in row] for row in features_TM.tolist()], np.float32
    ),
}
NOT_NORMALISED = WESPEAKER.with_values({"normalization": "none"})
#: Right features: the front end, and who else computes them, before or after they are normalised.
RIGHT: tuple[tuple[FrontEnd, Callable[[FloatArray], FloatArray]], ...] = (
    *(
        (each, lambda samples, each=each: each.normalized(by_kaldi(samples, each)))
        for each in (*(PRESETS[name] for name in ("wespeaker", "3d-speaker", "sherpa-onnx")),
                     NOT_NORMALISED)
    ),
    (PRESETS["nemo"], nemo_by_torch),
    (PRESETS["speechbrain"], speechbrain_by_torch),
)  # fmt: skip


def alarms(rng: Rng, times: int, tell: Callable[[str], None]) -> Iterator[bool]:
    """Yield whether right features are called right, of one recording after another."""
    for number in count():
        samples = recording(rng)
        for front_end, compute in RIGHT:
            right_TM = compute(samples)
            for name, rounded in ROUNDINGS.items():
                if times == 0:
                    return
                times -= 1
                said = Doctor(front_end, samples, rounded(right_TM)).diagnose()
                if said.differences or not said.explained:
                    tell(f"{number}, {front_end}, {name}: {said.differences}")
                yield not said.differences and said.explained


def try_doctor(
    trials: int, seed: int, *, looked_at: int = LOOKED_AT, tell: Callable[[str], None] = print
) -> list[Tried]:
    """How often the doctor names what was planted, and how often it is silent where nothing is."""
    rows = []
    for kind, steps in (("a step alone", 1), ("two steps at once", 2)):
        rng = np.random.default_rng((seed, steps))
        right = 0
        for number in range(trials):
            found = plant(rng, steps)
            right += found.right
            if not found.right:
                tell(f"{kind}, {number + 1} of {trials}: {found}")
        rows.append(
            Tried("a front end's step", kind, "38 of 40 named, and no other", trials, right, AIM)
        )
    quiet = list(alarms(np.random.default_rng((seed, 0)), looked_at, tell))
    rows.append(
        Tried("a front end's step", "nothing differs but rounding", "none named", len(quiet),
              sum(quiet), (1.0, 1.0))
    )  # fmt: skip
    return rows
