"""The doctor of front ends on trial: what is planted it must name, and of right features nothing.

Planted are steps of a front end, alone and two at once, in recordings with a pause and a constant
offset. Right features come of kaldi-native-fbank, in the roundings that people save them with.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.feature_differences import Doctor
from rtfbench.engines.protocol import FloatArray
from rtfbench.frontends.audio import on_disk, read_audio
from rtfbench.frontends.front_end import PRESETS, WESPEAKER, Features, FrontEnd
from rtfbench.inputs.find import find_audio
from rtfbench.measure.trial_check import HELDOUT
from rtfbench.report.markdown import grid
from tests.unit.test_front_end import by_kaldi

RATE_HZ = 16000
#: So many recordings, and so much of each.
RECORDINGS, SECONDS = 10, 3
#: Where the pause lies, and what is added to every sample.
PAUSE, OFFSET = slice(12000, 14400), 20
PAIRS = 40
DITHER = "dither"
#: What is planted: a step's name in a diagnosis, and the values. Several are not among those tried.
MUTATIONS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("scale", {"scale": "unit"}),
    *(("window", {"window": each}) for each in ("povey", "hann", "rectangular")),
    *(("normalisation", {"normalization": each}) for each in ("none", "mean-variance")),
    *(("lowest frequency", {"low_freq_hz": each}) for each in (0.0, 40.0, 55.0, 133.0)),
    *(("highest frequency", {"high_freq_hz": each}) for each in (-400.0, 7000.0, 7333.0, 3800.0)),
    ("mel scale", {"mel_sides": "hertz"}),
    ("mel scale", {"mel_scale": "slaney", "mel_sides": "hertz", "mel_norm": "slaney"}),
    ("mel scale", {"mel_scale": "slaney", "mel_sides": "hertz"}),
    *(
        ("edges", {"edges": each})
        for each in ("mirror", "centre", "centre-within", "centre-mirror")
    ),
    (DITHER, {DITHER: 1.0}),
    (DITHER, {DITHER: 2.2}),
    *(("pre-emphasis", {"preemphasis": each}) for each in (0.0, 0.95, 0.9, 0.925)),
    ("pre-emphasis", {"preemphasis_over": "signal"}),
    ("DC removal", {"remove_dc": False}),
    ("log floor", {"log_floor": 1.0}),
    ("log floor", {"log_floor": 1e-10}),
    ("log floor", {"log_floor": 1e-6, "log_floor_added": True}),
    ("logarithm", {"log": "decibel"}),
    ("power", {"spectrum": "magnitude"}),
    *(("frame length", {"frame_length_ms": each}) for each in (20.0, 32.0)),
    *(("frame shift", {"frame_shift_ms": each}) for each in (12.5, 8.0)),
    ("transform", {"fft_size": 1024}),
    *(("bins", {"num_mel_bins": each}) for each in (40, 64)),
)


@dataclass(frozen=True)
class Planted:
    """What was planted in a recording, and what the doctor named."""

    recording: str
    steps: frozenset[str]
    values: Mapping[str, Any]
    named: frozenset[str]

    @property
    def right(self) -> bool:
        """Whether it named what was planted, and nothing else."""
        return self.steps == self.named


def recordings() -> dict[str, FloatArray]:
    """Return stretches of the package's speech, float32 [N] in int16 scale."""
    found: dict[str, FloatArray] = {}
    for each in find_audio([DEFAULT_SPEECH, HELDOUT]):
        path = on_disk(each.path)
        samples = read_audio(path, sample_rate_hz=RATE_HZ, resample=True).samples
        if len(samples) >= SECONDS * RATE_HZ:
            found[each.name] = samples[: SECONDS * RATE_HZ] + np.float32(OFFSET)
            found[each.name][PAUSE] = 0
        if len(found) == RECORDINGS:
            break
    return found


def alone() -> list[tuple[tuple[str, Mapping[str, Any]], ...]]:
    """Return every mutation by itself."""
    return [(each,) for each in MUTATIONS]


def pairs(seed: int, count: int = PAIRS) -> list[tuple[tuple[str, Mapping[str, Any]], ...]]:
    """Return pairs of mutations of different steps, drawn."""
    every = [
        (one, other) for one, other in itertools.combinations(MUTATIONS, 2) if one[0] != other[0]
    ]
    places = np.random.default_rng(seed).choice(len(every), count, replace=False)
    return [every[place] for place in places]


def plant(
    mutations: list[tuple[tuple[str, Mapping[str, Any]], ...]], tell: Callable[[str], None]
) -> Iterator[Planted]:
    """Yield what the doctor names of each, in turn over the recordings."""
    spoken = recordings()
    names = itertools.cycle(spoken)
    for number, (mutation, name) in enumerate(zip(mutations, names, strict=False)):
        values = {key: value for _, fields in mutation for key, value in fields.items()}
        samples, level = spoken[name], values.pop(DITHER, 0.0)
        noise = np.random.default_rng(number).standard_normal(len(samples)).astype(np.float32)
        theirs = WESPEAKER.with_values(values)
        theirs_TM = theirs.normalized(Features(theirs)(samples + np.float32(level) * noise))
        found = Doctor(WESPEAKER, samples, theirs_TM).diagnose()
        steps = frozenset(step for step, _ in mutation)
        named = frozenset(each.step for each in found.differences)
        planted = Planted(name, steps, values | ({DITHER: level} if level else {}), named)
        tell(f"{number + 1} of {len(mutations)}: {'right' if planted.right else planted}")
        yield planted


ROUNDINGS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "float32": lambda features_TM: features_TM,
    "float16": lambda features_TM: features_TM.astype(np.float16).astype(np.float32),
    "two decimals": lambda features_TM: np.round(features_TM, 2),
    "four digits": lambda features_TM: np.array(
        [[float(f"{value:.4g}") for value in row] for row in features_TM.tolist()], np.float32
    ),
}
RIGHT: Mapping[str, FrontEnd] = {
    **{name: PRESETS[name] for name in ("wespeaker", "3d-speaker", "sherpa-onnx", "kaldi")},
    "no normalisation": WESPEAKER.with_values({"normalization": "none"}),
}


def alarms(tell: Callable[[str], None]) -> tuple[int, list[str]]:
    """Return how many right features were looked at, and those that something was said of."""
    tried, found = 0, []
    for name, samples in recordings().items():
        for kind, front_end in RIGHT.items():
            right_TM = front_end.normalized(by_kaldi(samples, front_end))
            for rounding, rounded in ROUNDINGS.items():
                tried += 1
                said = Doctor(front_end, samples, rounded(right_TM)).diagnose()
                if said.differences or not said.explained:
                    found.append(f"{name}, {kind}, {rounding}: {said.differences}")
                    tell(found[-1])
    return tried, found


def table(seed: int, tell: Callable[[str], None]) -> str:
    """Plant everything, and return what was named as markdown."""
    lines = [["planted", "named", "of"]]
    missed = []
    for kind, mutations in (("a step alone", alone()), ("two steps at once", pairs(seed))):
        found = list(plant(mutations, tell))
        lines.append([kind, str(sum(each.right for each in found)), str(len(found))])
        missed += [each for each in found if not each.right]
    tried, said = alarms(tell)
    lines.append(["nothing, other libraries' rounding", str(len(said)), str(tried)])
    told = [
        f"- {', '.join(f'{key} {value}' for key, value in each.values.items())}: named "
        f"{', '.join(sorted(each.named)) or 'nothing'}"
        for each in missed
    ]
    return "\n".join([grid(lines, [False, True, True]), "", *told])
