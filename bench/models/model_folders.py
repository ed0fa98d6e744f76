"""A folder as a model: the one model file in it, or a WeSpeaker experiment, exported once."""

from collections.abc import Callable
from pathlib import Path

from bench.base.asking import ask
from bench.base.cache import cache_folder, check_cache, intact, seal, sha256_of
from bench.base.child import ChildError
from bench.base.errors import InputError
from bench.base.links import followed
from bench.models import keys
from bench.models.make_export import ExportAnswer, ExportRequest
from bench.models.model_files import FORMATS
from engines.protocol import ONNX

CONFIG = "config.yaml"
#: Where an experiment or a published package has its weights, the averaged ones first.
CHECKPOINTS = tuple(
    f"{folder}{name}.pt"
    for name in ("avg_model", "final_model", "model")
    for folder in ("", "models/")
)
#: The largest models take minutes.
TIMEOUT_S = 3600.0


def file_in(folder: Path, *, phase: Callable[[str], None]) -> Path:
    """Return the model file that a folder stands for.

    Args:
        folder: holds one model file, or `config.yaml` and a checkpoint.
        phase: is told what takes a while.

    Raises:
        InputError: it holds neither, or several model files, or cannot be exported.
    """
    config = folder / CONFIG
    checkpoint = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    if config.is_file() and checkpoint is not None:
        return _exported(folder, config, checkpoint, phase)
    found = sorted(each for each in folder.iterdir() if each.suffix in FORMATS)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise InputError(f"{folder}: holds {len(found)} model files, name one of: {names}")
    raise InputError(
        f"{folder}: holds no model; it takes one .onnx or .mnn file, or {CONFIG} with a "
        f"checkpoint ({CHECKPOINTS[0]} or {CHECKPOINTS[1]})"
    )


def _exported(folder: Path, config: Path, checkpoint: Path, phase: Callable[[str], None]) -> Path:
    """Return the experiment as ONNX; one of the same content was exported before."""
    name = followed(folder).name
    key = keys.experiment(sha256_of(config), sha256_of(checkpoint))
    path = cache_folder() / "models" / f"{name}-{key}" / f"{name}.{ONNX}"
    if intact(path):
        return path
    check_cache()
    phase(f"exporting {folder} (once, then cached)")
    request = ExportRequest(output=path, format=ONNX, config=config, checkpoint=checkpoint)
    try:
        answer = ask("bench.models.make_export", request, ExportAnswer, timeout_s=TIMEOUT_S)
    except ChildError as error:
        raise InputError(f"{folder}: exporting it failed: {error}") from error
    if answer.error:
        raise InputError(answer.error)
    seal(path)
    return path
