"""Speakers that do not exist: a vocal tract, a pitch and an accent drawn for each.

A speaker is a voice variant of espeak-ng: its documentation of voice files (voices.md) tells
what the lines mean.
"""

from dataclasses import dataclass

import numpy as np

#: Voices of espeak-ng that speak with a variant: accents, since all read English sentences.
ACCENTS = (
    *("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd"),
    *("de", "fr", "es", "es-419", "it", "nl", "pt", "pt-br", "pl", "sv", "nb", "da", "fi", "hu"),
    *("cs", "ro", "tr", "hr", "ca"),
)
#: Higher formants follow the length of the vocal tract; a variant knows eight.
_FORMANTS = 8
#: A formant of the same speaker lies off its tract's scale by this much.
_FORMANT_STD = 0.035


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        name: such as "train-012".
        accent: espeak-ng's voice that lends its phonemes.
        variant: the lines of the variant's file.
        words_per_minute: how fast this speaker usually speaks.
    """

    name: str
    accent: str
    variant: str
    words_per_minute: float


def draw_voice(name: str, rng: np.random.Generator) -> Voice:
    """Draw a speaker: every second one has the longer vocal tract and the lower pitch."""
    low = bool(rng.integers(2))
    tract = rng.normal(0.98 if low else 1.14, 0.045)
    pitch = rng.normal(88 if low else 165, 14 if low else 22)
    lines = [
        "language variant",
        "name drawn",
        f"pitch {pitch:.0f} {pitch * rng.uniform(1.25, 1.6):.0f}",
        f"flutter {rng.integers(0, 6)}",
        f"roughness {rng.integers(0, 5)}",
        f"voicing {rng.integers(70, 125)}",
        f"consonants {rng.integers(70, 130)} {rng.integers(70, 130)}",
    ]
    tilt = rng.normal(0, 0.06)
    for formant in range(_FORMANTS):
        frequency = 100 * tract * (1 + rng.normal(0, _FORMANT_STD))
        height = 100 * (1 + tilt * (formant - 2) + rng.normal(0, 0.12))
        width = 100 * rng.uniform(0.75, 1.35)
        lines.append(
            f"formant {formant} {frequency:.0f} {np.clip(height, 30, 170):.0f} {width:.0f}"
        )
    if rng.random() < 0.3:
        lines.append("breath " + " ".join(str(rng.integers(0, 4)) for _ in range(_FORMANTS)))
    accent = str(rng.choice(ACCENTS))
    return Voice(name, accent, "\n".join(lines) + "\n", float(rng.uniform(140, 200)))
