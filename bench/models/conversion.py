"""Model files in other formats than ONNX, or other precisions, made by the engine that reads them.

What ranges of values are found with comes through the front end from the package's own recordings:
on random numbers a quantiser learns ranges that speech does not have.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.base.cache import fingerprint, replacing, sha256_of
from rtfbench.base.files import followed
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline, whole_front_end_text
from rtfbench.engines import cpu, registry
from rtfbench.engines.base import first_line
from rtfbench.engines.protocol import (
    ONNX,
    PUBLISHED_NUM_FRAMES,
    ConversionError,
    FloatArray,
    Format,
    ModelArtifact,
    Quantization,
    completed_settings,
)
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import natural_chunk_samples
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models import artifacts
from rtfbench.models.artifacts import ArtifactRequest
from rtfbench.models.front_ends import NEMO, brought


@contextmanager
def writing(path: Path, what: str) -> Iterator[Path]:
    """Yield a path for an engine to write to; it becomes `path` as a whole or not at all.

    Raises:
        ConversionError: nothing was written; the line begins with `what` where the engine, which
            may be a plug-in and fail in any way, raises something else.
    """
    with replacing(followed(path)) as part:
        try:
            yield part
        except ConversionError:
            raise
        except Exception as error:
            raise ConversionError(f"{what}: {first_line(error)}") from error
        if not part.is_file() or part.stat().st_size == 0:
            raise ConversionError(f"{what}: nothing was written")


def is_from_onnx(format: Format) -> bool:
    """Say whether files of a format are made from ONNX; the others are made from torch.

    Raises:
        EngineError: as `registry.maker_of`.
    """
    return format == ONNX or registry.get(registry.maker_of(format)).from_onnx


def export(
    model: Any, path: Path, format: Format, *, feat_dim: int, num_frames: int | None
) -> None:
    """Write a torch module, as `EngineBase.export`; the file appears as a whole or not at all.

    Raises:
        ConversionError: nothing was written.
    """
    with writing(path, f"the model cannot be exported to {format}") as part:
        engine = registry.get(registry.maker_of(format))
        engine.export(model, part, feat_dim=feat_dim, num_frames=num_frames)


def convert(
    onnx_path: Path,
    path: Path,
    format: Format,
    *,
    static: bool,
    said: Mapping[str, str] | None = None,
) -> None:
    """Write a model in another format, as `EngineBase.convert`; as a whole or not at all.

    An engine that brings its front end reads it from what is `said`, metadata.

    Raises:
        ConversionError: nothing was written.
    """
    with writing(path, f"{onnx_path}: cannot be converted to {format}") as part:
        engine = registry.get(registry.maker_of(format))
        engine.convert(onnx_path.resolve(), part, static=static)
        if engine.front_end and said:
            from onnx import ModelProto, helper

            from rtfbench.models.adapting import as_nemo

            model = ModelProto()
            if said["framework"] == NEMO:
                model = as_nemo(ModelProto.FromString(part.read_bytes()))
                part.write_bytes(b"")
            helper.set_model_props(model, dict(said))
            # Two messages behind one another are one with the fields of both.
            with part.open("ab") as file:
                file.write(model.SerializeToString())


def as_fed(artifact: ModelArtifact, front_end: FrontEnd) -> ModelArtifact:
    """Return a file's artifact, fed samples where its engine brings the front end itself.

    Raises:
        InputError: as `brought`.
    """
    if artifact.format == ONNX:
        return artifact
    own = registry.get(registry.maker_of(artifact.format)).front_end
    if not own:
        return artifact
    samples = whole_front_end_text(brought(own, front_end).as_samples)
    return replace(artifact, feat_dim=1, front_end=samples)


@cache
def maker_key(format: Format) -> str:
    """Return a name that changes with what makes files of a format, empty for ONNX.

    Raises:
        EngineError: as `registry.maker_of`.
    """
    if format == ONNX:
        return ""
    name = registry.maker_of(format)
    engine = registry.get(name)
    packages = [*filter(None, [engine.distribution]), *engine.converters]
    instructions = sorted(cpu.flags()) if engine.for_this_cpu else []
    return fingerprint([], packages, *map(sha256_of, registry.sources(name)), *instructions)[:8]


def speech() -> list[Path]:
    """Return the recordings that ranges of values are found on."""
    return sorted(DEFAULT_SPEECH.glob("*.flac"))


def calibration_features(front_end: FrontEnd, num_frames: int) -> FloatArray:
    """Return chunks of speech as the model gets them, float32 [N, T, M]."""
    pipeline = Pipeline(natural_chunk_samples(num_frames, front_end), front_end)
    rate_hz = front_end.sample_rate_hz
    waveforms = (read_audio(path, sample_rate_hz=rate_hz, resample=True) for path in speech())
    return np.concatenate([pipeline.all_chunks(waveform) for waveform in waveforms])


@cache
def quantizer_key(engine: str) -> str:
    """Return a name that changes with what makes an engine's files of other precisions.

    Raises:
        EngineError: no such engine.
    """
    found = registry.get(engine)
    packages = [*filter(None, [found.distribution]), *found.quantizers]
    files = [*registry.sources(engine), *speech()]
    return fingerprint(artifacts.MODELS, packages, *map(sha256_of, files))[:8]


def quantize(onnx_path: Path, path: Path, request: ArtifactRequest, front_end: FrontEnd) -> str:
    """Write an engine's file in another precision.

    Args:
        onnx_path: the model in float32, with fixed input shapes for a static result.
        path: where the result appears, as a whole or not at all.
        request: which file; ranges are found with chunks of its length.
        front_end: what the model is fed.

    Returns:
        The recipe in words.

    Raises:
        ConversionError: nothing was written.
    """
    engine = registry.get(request.quantizer)
    num_frames = request.chunk_frames or PUBLISHED_NUM_FRAMES
    features_NTM = calibration_features(front_end, num_frames)
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
