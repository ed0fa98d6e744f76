"""espeak-ng with voices of our own, in a process for each sentence."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from examples.train.sentences import draw_sentence
from examples.train.voices import Voice
from rtfbench.base.errors import InputError
from rtfbench.frontends.audio import read_audio

COMMAND = "espeak-ng"
SAMPLE_RATE_HZ = 16000
_TIMEOUT_S = 60.0
_DATA = "espeak-ng-data"
_VARIANTS, _MINE = "!v", "drawn"


@dataclass(frozen=True)
class Synthesizer:
    """Speaks with any voice; `folder` holds espeak-ng's data, and the variant in use."""

    folder: Path

    def speak(self, voice: Voice, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Speak a sentence at a pace and pitch near the speaker's own: float32 [N], int16 scale.

        Raises:
            RuntimeError: espeak-ng failed.
        """
        # One at a time: espeak-ng knows 350 voices and variants at most.
        variant = self.folder / _DATA / "voices" / _VARIANTS / _MINE
        variant.write_text(voice.variant, encoding="utf-8")
        path = self.folder / "spoken.wav"
        command = [COMMAND, f"--path={self.folder}", "-z", "-v", f"{voice.accent}+{_MINE}"]
        command += ["-s", f"{voice.words_per_minute * rng.uniform(0.9, 1.12):.0f}"]
        command += ["-p", str(rng.integers(40, 61)), "-w", str(path), draw_sentence(rng)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode or not path.is_file():
            raise RuntimeError(f"espeak-ng failed with {voice.name}: {done.stderr.strip()}")
        samples = read_audio(path, sample_rate_hz=SAMPLE_RATE_HZ, resample=True).samples
        path.unlink()
        return _without_silence(samples)


def _without_silence(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut the silence before and after speech off."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


@contextmanager
def synthesizer() -> Iterator[Synthesizer]:
    """Yield a synthesizer; its files vanish afterwards.

    Raises:
        InputError: espeak-ng is not installed.
    """
    data = _installed_data()
    with tempfile.TemporaryDirectory(prefix="rtfbench-voices-") as folder:
        mine = Path(folder) / _DATA
        (mine / "voices" / _VARIANTS).mkdir(parents=True)
        for each in (*data.iterdir(), *(data / "voices").iterdir()):
            link = mine / each.relative_to(data)
            if not link.exists() and each.name != _VARIANTS:
                link.symlink_to(each)
        yield Synthesizer(Path(folder))


def _installed_data() -> Path:
    """Return the folder of phonemes and voices that espeak-ng says it uses."""
    if shutil.which(COMMAND) is None:
        raise InputError(f"{COMMAND} is not installed; apt-get install espeak-ng, or your system's")
    said = subprocess.run(
        [COMMAND, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
    ).stdout
    folder = Path(said.partition("Data at:")[2].strip())
    if not folder.is_dir():
        raise InputError(f"{COMMAND} names no folder of data but {said.strip()!r}")
    return Path(os.path.realpath(folder))
