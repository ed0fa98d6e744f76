"""Trials of unseen speakers: short recordings as small files, a list of trials, who said what."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile

from examples.train.corpus import speak
from examples.train.rooms import recorded
from examples.train.synthesizer import SAMPLE_RATE_HZ
from rtfbench.base.cache import replacing

SPEAKERS, PER_SPEAKER = 100, 6
#: One chunk of the published size, so that an utterance is one run of a model.
NUM_SAMPLES = 32_000
#: Nontarget trials for a target trial.
NONTARGETS = 10
#: Noisier than what is trained on: trials without errors tell nothing of what is lost.
SNR_DB = (0.0, 12.0)
_SEED = 7


def write_trials(folder: Path, *, phase: Callable[[str], None]) -> None:
    """Write `*.ogg`, `trials` and `utt2spk`: the same voices and words each time.

    The lists are in Kaldi's forms: `ENROLL TEST target|nontarget` and `UTTERANCE SPEAKER`.

    Raises:
        InputError: there is no synthesizer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(_SEED)
    spoken: dict[int, list[str]] = {}
    for utterance in speak("heldout", SPEAKERS, PER_SPEAKER, phase=phase):
        names = spoken.setdefault(utterance.speaker, [])
        names.append(f"s{utterance.speaker:03}-{len(names)}")
        start = max(len(utterance.samples) - NUM_SAMPLES, 0) // 2
        speech = utterance.samples[start : start + NUM_SAMPLES].astype(np.float32)
        heard = recorded(np.pad(speech, (0, NUM_SAMPLES - len(speech)), mode="wrap"), rng, SNR_DB)
        with replacing(folder / f"{names[-1]}.ogg") as part:
            soundfile.write(
                part, np.clip(heard / 32768, -1, 1), SAMPLE_RATE_HZ, format="OGG", subtype="OPUS"
            )
    own = [pair for names in spoken.values() for pair in combinations(names, 2)]
    others = [
        (first, second)
        for one, two in combinations(sorted(spoken), 2)
        for first in spoken[one]
        for second in spoken[two]
    ]
    chosen = rng.choice(len(others), size=NONTARGETS * len(own), replace=False)
    lines = [f"{first} {second} target" for first, second in own]
    lines += [f"{others[index][0]} {others[index][1]} nontarget" for index in sorted(chosen)]
    _write(folder / "trials", lines)
    _write(
        folder / "utt2spk",
        [f"{name} {name.partition('-')[0]}" for names in spoken.values() for name in names],
    )


def _write(path: Path, lines: list[str]) -> None:
    with replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
