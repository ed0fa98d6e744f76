"""Files in another precision than float32: made by the engine that runs them, from speech.

What ranges of values are found with comes through the front end from the package's own recordings:
on random numbers a quantiser learns ranges that speech does not have.
"""

from functools import cache
from pathlib import Path

import numpy as np

from bench.base.cache import fingerprint, sha256_of
from bench.embed.audio_input import DEFAULT_SPEECH
from bench.embed.pipeline import Pipeline
from bench.models import keys
from bench.models.artifacts import ArtifactRequest
from bench.models.conversion import writing
from engines import registry
from engines.protocol import (
    PUBLISHED_NUM_FRAMES,
    FloatArray,
    Quantization,
    completed_settings,
)
from frontends.audio import read_audio
from frontends.chunking import natural_chunk_samples


def speech() -> list[Path]:
    """Return the recordings that ranges of values are found on."""
    return sorted(DEFAULT_SPEECH.glob("*.flac"))


def calibration_features(feat_dim: int, num_frames: int) -> FloatArray:
    """Return chunks of speech as the model gets them, float32 [N, T, M]."""
    pipeline = Pipeline.for_mel_bins(feat_dim, natural_chunk_samples(num_frames))
    return np.concatenate([pipeline.all_chunks(read_audio(path)) for path in speech()])


@cache
def quantizer_key(engine: str) -> str:
    """Return a name that changes with what makes an engine's files of other precisions.

    Raises:
        EngineError: no such engine.
    """
    found = registry.get(engine)
    packages = [*filter(None, [found.distribution]), *found.quantizers]
    sources = [sha256_of(path) for path in registry.sources(engine)]
    return fingerprint(keys.CALIBRATION, packages, *sources, *map(sha256_of, speech()))[:8]


def quantize(onnx_path: Path, path: Path, request: ArtifactRequest, feat_dim: int) -> str:
    """Write an engine's file in another precision.

    Args:
        onnx_path: the model in float32, with fixed input shapes for a static result.
        path: where the result appears, as a whole or not at all.
        request: which file; ranges are found with chunks of its length.
        feat_dim: M.

    Returns:
        The recipe in words.

    Raises:
        ConversionError: nothing was written.
    """
    engine = registry.get(request.quantizer)
    num_frames = request.chunk_frames or PUBLISHED_NUM_FRAMES
    features_NTM = calibration_features(feat_dim, num_frames)
    digest = fingerprint((), (), *map(sha256_of, speech()))
    wanted = Quantization(
        precision=request.precision,
        static=request.form == "static",
        calibration_NTM=features_NTM,
        calibrated=f"calibrated on {len(features_NTM)} chunks of speech ({digest})",
        settings=completed_settings(engine.recipes, request.settings),
    )
    what = f"{onnx_path.name}: {engine.name} cannot write it in {request.precision}"
    with writing(path, what) as part:
        return engine.quantize(onnx_path.resolve(), part, wanted)
