"""A model file of another format than ONNX, made by the engine that reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from bench.base.cache import fingerprint, replacing, sha256_of
from bench.base.links import followed
from engines import registry
from engines.protocol import ONNX, ConversionError, Format


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
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConversionError(f"{what}: {said}") from error
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
    """Write a torch module in a format that is not made from ONNX.

    Args:
        model: in eval mode, [B, T, feat_dim] -> [B, D].
        path: where the result appears, as a whole or not at all.
        format: which format.
        feat_dim: M.
        num_frames: fixes T, and B to 1; None leaves both open.

    Raises:
        ConversionError: nothing was written.
    """
    with writing(path, f"the model cannot be exported to {format}") as part:
        engine = registry.get(registry.maker_of(format))
        engine.export(model, part, feat_dim=feat_dim, num_frames=num_frames)


def convert(onnx_path: Path, path: Path, format: Format, *, static: bool) -> None:
    """Write a model in another format.

    Args:
        onnx_path: the model, in one file; for `static`, with fixed input shapes.
        path: where the result appears, as a whole or not at all.
        format: which format.
        static: whether the result is for a static model.

    Raises:
        ConversionError: nothing was written.
    """
    with writing(path, f"{onnx_path}: cannot be converted to {format}") as part:
        engine = registry.get(registry.maker_of(format))
        engine.convert(onnx_path.resolve(), part, static=static)


@cache
def maker_key(format: Format) -> str:
    """Return a name that changes with what makes files of a format, empty for ONNX.

    Raises:
        EngineError: as `registry.maker_of`.
    """
    if format == ONNX:
        return ""
    name = registry.maker_of(format)
    distribution = registry.get(name).distribution
    packages = [distribution] if distribution else []
    return fingerprint([], packages, *map(sha256_of, registry.sources(name)))[:8]
