"""Which frames of a recording are speech: Kaldi's energy rule, or another by entry point.

A package that declares

    [project.entry-points."rtfbench.vads"]
    mine = "my_package.vad:MyVad"

is found as soon as it is installed; `MyVad(**settings)` is called with the texts of
`mine[key=value]` and has the members of `Vad`.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from rtfbench.frontends.fbank import FbankConfig
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.frontends.spectra import Float32Array

GROUP = "rtfbench.vads"
SPEC = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<settings>[^\]]*)\])?")

Blocks = Iterable[Float32Array]
Voiced = npt.NDArray[np.bool_]


class VadError(ValueError):
    """A detector that does not exist, or settings that it does not take; one line."""


@runtime_checkable
class Vad(Protocol):
    """A detector of voice activity."""

    def voiced(self, blocks: Blocks, config: FbankConfig) -> Voiced:
        """Say of every frame whether it is speech.

        Args:
            blocks: the samples, float32 [N] each in int16 scale, of any lengths.
            config: what a frame is.

        Returns:
            bool [T], as many as the features have frames.
        """
        ...


class EnergyVad:
    """Speech is what is louder than a level that follows the recording's own.

    A frame counts as loud if its log energy is over `threshold` + `mean_scale` times the mean of
    all; it is speech if of the frames up to `context` away at least the share `proportion` is loud.

    Source of the definition and defaults: Kaldi's ivector/voice-activity-detection and
    feat/feature-window (raw energy, after the frame's mean is removed).
    """

    def __init__(
        self,
        threshold: str | float = 5.0,
        mean_scale: str | float = 0.5,
        context: str | int = 0,
        proportion: str | float = 0.6,
    ) -> None:
        """Read the settings.

        Raises:
            ValueError: one is no number, or out of range.
        """
        self._threshold, self._mean_scale = float(threshold), float(mean_scale)
        self._context, self._proportion = int(context), float(proportion)
        if self._mean_scale < 0 or self._context < 0 or not 0 < self._proportion < 1:
            raise ValueError("need mean_scale >= 0, context >= 0 and 0 < proportion < 1")

    def voiced(self, blocks: Blocks, config: FbankConfig) -> Voiced:
        """As in the protocol."""
        found = [_log_energies(samples, config) for samples in _whole_frames(blocks, config)]
        energies_T = np.concatenate(found) if found else np.empty(0)
        if not len(energies_T):
            return np.zeros(0, bool)
        level = self._threshold + self._mean_scale * energies_T.mean()
        loud_T = (energies_T > level).astype(np.int64)
        window = np.ones(2 * self._context + 1, np.int64)
        near_T = np.convolve(loud_T, window)[self._context :][: len(loud_T)]
        counted_T = np.convolve(np.ones_like(loud_T), window)[self._context :][: len(loud_T)]
        return np.asarray(near_T >= counted_T * self._proportion)


def voiced(detector: Vad, blocks: Blocks, front_end: FrontEnd) -> Voiced:
    """Say of every frame of a front end whether it is speech.

    Raises:
        VadError: the front end makes no frames.
    """
    if front_end.waveform:
        raise VadError("--vad leaves out frames, and this model takes samples; leave --vad out")
    config = replace(front_end.fbank, preemphasis_over="frame")
    # A detector knows frames that lie inside the samples: it gets those that the others lie in.
    return detector.voiced(config.prepared(blocks), replace(config, edges="snip"))


def select(blocks_TM: Blocks, voiced_T: Voiced) -> Iterator[Float32Array]:
    """Yield the features of the frames that are speech, block by block."""
    first = 0
    for block_TM in blocks_TM:
        yield block_TM[voiced_T[first : first + len(block_TM)]]
        first += len(block_TM)


def get(text: str) -> Vad:
    """Return the detector that `name` or `name[key=value,...]` names.

    Raises:
        VadError: none has this name, or it does not take the settings.
    """
    match = SPEC.fullmatch(text.strip())
    # A plug-in takes the place of no other detector.
    entries = sorted(
        entry_points(group=GROUP), key=lambda each: not each.module.startswith("rtfbench.")
    )
    known = {entry.name: entry for entry in reversed(entries)}
    if match is None or match["name"] not in known:
        near = difflib.get_close_matches(text, known, n=1) or sorted(known)
        raise VadError(f"no voice activity detector {text!r}; there is: {', '.join(near)}")
    settings = {}
    for part in filter(None, (match["settings"] or "").split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in settings:
            raise VadError(f"{text!r}: write name[key=value,...], for example energy[threshold=6]")
        settings[key] = value
    try:
        found = known[match["name"]].load()(**settings)
    except Exception as error:  # a plug-in may fail in any way
        raise VadError(f"{text!r}: {' '.join(str(error).split())}") from error
    if not isinstance(found, Vad):
        raise VadError(f"{known[match['name']].value} is no detector: see frontends/vad.py")
    return found


def _whole_frames(blocks: Blocks, config: FbankConfig) -> Iterator[Float32Array]:
    """Yield samples cut where a frame begins, each stretch with all of its last frame."""
    overlap = config.frame_length - config.frame_shift
    samples = np.empty(0, np.float32)
    for block in blocks:
        samples = np.concatenate([samples, block])
        frames = config.num_frames(len(samples))
        if frames:
            yield samples[: frames * config.frame_shift + overlap]
            samples = samples[frames * config.frame_shift :]


def _log_energies(samples: Float32Array, config: FbankConfig) -> npt.NDArray[np.float64]:
    """Return the log energy of every frame, float64 [T]; its mean is removed first."""
    every = sliding_window_view(samples, config.frame_length)[:: config.frame_shift]
    frames_TL = every.astype(np.float64)
    frames_TL -= frames_TL.mean(axis=1, keepdims=True)
    energies_T = np.einsum("tl,tl->t", frames_TL, frames_TL)
    return np.asarray(np.log(np.maximum(energies_T, np.finfo(np.float32).eps)))
