"""A corpus of synthetic speakers: the same for the same counts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.train.synthesizer import synthesizer
from examples.train.voices import Voice, draw_voice

#: Training and held-out speakers come from streams of their own, and so does what they say.
_STREAMS = {"train": 1, "heldout": 2}
_SPEECH = 100


@dataclass(frozen=True)
class Utterance:
    """What one speaker said, clean: int16 [N] at 16 kHz."""

    speaker: int
    samples: npt.NDArray[np.int16]


def draw_voices(part: str, count: int) -> list[Voice]:
    """Draw the speakers of "train" or "heldout", the same ones each time."""
    return [
        draw_voice(f"{part}-{index:03}", np.random.default_rng([_STREAMS[part], index]))
        for index in range(count)
    ]


def speak(
    part: str, speakers: int, per_speaker: int, *, phase: Callable[[str], None]
) -> Iterator[Utterance]:
    """Have speakers of "train" or "heldout" speak so many sentences each, the same each time.

    Raises:
        InputError: there is no synthesizer.
    """
    voices = draw_voices(part, speakers)
    with synthesizer() as synth:
        for speaker, voice in enumerate(voices):
            if speaker % 20 == 0:
                phase(f"speaking: {speaker} of {len(voices)} speakers")
            # More speakers leave the others' sentences as they are.
            rng = np.random.default_rng([_SPEECH + _STREAMS[part], speaker])
            for _ in range(per_speaker):
                samples = synth.speak(voice, rng)
                peak = max(float(np.abs(samples).max()), 1.0)
                yield Utterance(speaker, np.rint(samples * (30000 / peak)).astype(np.int16))
