"""Features that somebody else made for a model, held against what it is to be fed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import check_readable, held_in_memory, reading_from
from rtfbench.embed.feature_differences import (
    Diagnosis,
    Doctor,
    StepDifference,
    mean_difference,
    one_changed,
)
from rtfbench.embed.pipeline import whole_front_end_text
from rtfbench.embed.scoring import cosine
from rtfbench.engines.protocol import EngineError, FloatArray
from rtfbench.extract.messages import ExtractionSetup
from rtfbench.extract.session import EmbeddingSession
from rtfbench.frontends.audio import AudioError, read_audio
from rtfbench.frontends.front_end import FrontEnd

#: Kaldi's names of plain matrices, and of what they hold.
_KINDS = {b"FM ": "<f4", b"DM ": "<f8"}


def read_features(path: Path, feat_dim: int) -> FloatArray:
    """Return features of a `.npy` file, or the first ones of a Kaldi `.ark`: float32 [T, M].

    Raises:
        InputError: they are none.
    """
    try:
        with reading_from(path), held_in_memory(path):
            check_readable(path)
            ark = path.suffix == ".ark"
            found = _first_matrix(path) if ark else np.load(path, allow_pickle=False)
            features = np.asarray(found, np.float32)
    except (ValueError, TypeError, AttributeError, EOFError) as error:
        raise InputError(f"{path}: holds no features ({error}); save them by numpy.save") from error
    if features.ndim == 3 and len(features) == 1:
        features = features[0]
    if features.ndim != 2 or min(features.shape) < 2 or not np.isfinite(features).all():
        shape = list(features.shape)
        raise InputError(f"{path}: holds {shape}, and features [T, M] of finite values are needed")
    turned = features.shape[0] == feat_dim and features.shape[1] != feat_dim
    return np.ascontiguousarray(features.T if turned else features)


def _first_matrix(path: Path) -> FloatArray:
    content = path.read_bytes()
    begin = content.index(b"\0B") + 2
    kind = content[begin : begin + 3]
    if kind not in _KINDS:
        raise ValueError("no plain matrix; copy-feats --compress=false makes one")
    rows, columns = (int(np.frombuffer(content, "<i4", 1, begin + place)[0]) for place in (4, 9))
    return np.frombuffer(content, _KINDS[kind], rows * columns, begin + 13).reshape(rows, columns)


def diagnose(setup: ExtractionSetup, recording: Path, features: Path) -> Diagnosis:
    """Name the steps in which features differ from what a model is to be fed.

    Raises:
        InputError: the recording or the features cannot be used.
    """
    front_end = setup.front_end
    if front_end.waveform:
        raise InputError(f"{setup.artifact.name}: takes samples, and computes its features itself")
    theirs_TM = read_features(features, front_end.feat_dim)
    return Doctor(front_end, _samples(setup, recording), theirs_TM).diagnose()


def _samples(setup: ExtractionSetup, recording: Path) -> FloatArray:
    """Return a recording as a setup reads it; one that cannot be used is an InputError."""
    front_end = setup.front_end
    with as_input(AudioError):
        samples = read_audio(
            recording,
            sample_rate_hz=front_end.sample_rate_hz,
            channel=setup.channel,
            resample=setup.resample,
        ).samples
    if not front_end.num_frames(len(samples)):
        raise InputError(f"{recording}: too short for one frame; use a longer recording")
    return samples


def feature_difference(
    one: ExtractionSetup, other: ExtractionSetup, recordings: Sequence[Path]
) -> float | None:
    """Return how far two front ends' features lie apart: the mean over all values of recordings.

    Frames are taken as they come, of the shorter count. None where values are of other kinds:
    samples, or another number of bins.
    """
    if one.front_end.waveform or one.front_end.feat_dim != other.front_end.feat_dim:
        return None
    return mean_difference(
        one.front_end,
        other.front_end,
        ((_samples(one, each), _samples(other, each)) for each in recordings),
    )


def effects(
    setup: ExtractionSetup, recording: Path, differences: Sequence[StepDifference]
) -> Iterator[float | None]:
    """Yield how much each step alone turns the recording's embedding: the cosine with and without.

    Raises:
        InputError: the model cannot embed the recording.
    """
    if not differences:
        return
    front_end = setup.front_end
    (ours_D,) = embed(setup, front_end, [recording])
    for difference in differences:
        changed = one_changed(front_end, difference)
        is_told = changed != front_end and changed.feat_dim == front_end.feat_dim
        yield cosine(ours_D, embed(setup, changed, [recording])[0]) if is_told else None


def embed(
    setup: ExtractionSetup, front_end: FrontEnd, recordings: Sequence[Path]
) -> list[FloatArray]:
    """Embed recordings with a model that is fed by a front end.

    Raises:
        InputError: one cannot be embedded.
    """
    artifact = replace(setup.artifact, front_end=whole_front_end_text(front_end))
    with as_input(AudioError, EngineError):
        session = EmbeddingSession(setup.model_copy(update={"artifact": artifact}), 1)
        try:
            return [session.embed_file(path).embedding_D for path in recordings]
        finally:
            session.close()
