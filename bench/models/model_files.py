"""A model file that the user brings: what it is, found out without torch.

A file is read in a process of its own, because a runtime given a damaged file may end the process.
"""

import os
from contextlib import suppress
from pathlib import Path

from bench.base.asking import ask
from bench.base.cache import cache_folder, intact, replacing, seal, sha256_of
from bench.base.child import ChildError
from bench.base.errors import InputError
from bench.base.values import Value
from bench.models import keys
from bench.zoo import catalog
from engines.protocol import ONNX, Form, Format

#: Endings of the files that can be named; those of other formats are made from ONNX.
FORMATS: dict[str, Format] = {".onnx": ONNX, ".mnn": "mnn"}
#: Reading a file of a GB takes seconds.
TIMEOUT_S = 600.0


class FileRequest(Value):
    """A model file, and what to call its input and output where shapes do not tell."""

    path: Path
    input_name: str | None = None
    output_name: str | None = None


class ModelFile(Value):
    """What a file says of itself; `num_frames` is None where any number of frames will do.

    `sha256` covers the model's data files too. Operations are counted at `num_frames`, or at
    `PUBLISHED_NUM_FRAMES` if that is None.
    """

    path: Path
    format: Format
    sha256: str
    num_frames: int | None
    feat_dim: int
    embedding_dim: int
    input_name: str
    output_name: str
    data_files: tuple[Path, ...] = ()
    params: int | None = None
    flops: int | None = None
    flops_basis: str = ""
    about: str = ""

    @property
    def form(self) -> Form:
        """Whether the number of frames is fixed."""
        return "dynamic" if self.num_frames is None else "static"

    @property
    def slug(self) -> str:
        """A name for files that belong to this one."""
        return slug_of(self.path)


def slug_of(path: Path) -> str:
    """Return a name for files that belong to a model file."""
    return "".join(c if c.isalnum() else "_" for c in path.name)[:64]


class ModelFileAnswer(Value):
    """What the reading process says: the file, or why it cannot be used."""

    file: ModelFile | None = None
    error: str = ""


def is_path(model: str) -> bool:
    """Say whether a model is named by a file or folder, and not by the catalog."""
    path = Path(model)
    if path.suffix in FORMATS or os.sep in model or path.is_file():
        return True
    return bool(model) and path.is_dir() and model not in catalog.names()


def describe_model_file(request: FileRequest) -> ModelFile:
    """Return what a model file says of itself; what it said before is kept in the cache.

    Raises:
        InputError: no complete model, or one that cannot map features to an embedding.
    """
    path = request.path
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: not a model file; name one that ends in .onnx or .mnn")
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        kept = _kept_at(request)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    known = _said_before(kept, path)
    if known is not None:
        return known
    module = "bench.models.model_reading"
    try:
        answer = ask(module, request, ModelFileAnswer, timeout_s=TIMEOUT_S, single_threaded=True)
    except ChildError as error:
        raise InputError(
            f"{path}: reading it failed ({error}); is it a complete {FORMATS[path.suffix]} model?"
        ) from None
    if answer.file is None:
        raise InputError(answer.error)
    # A cache that cannot be written to costs time only.
    with suppress(OSError):
        with replacing(kept) as part:
            part.write_text(answer.file.model_dump_json(), encoding="utf-8")
        seal(kept)
    return answer.file


def _kept_at(request: FileRequest) -> Path:
    """Return where a description is kept, a place for each content, path and question."""
    path = request.path.resolve()
    # A name that is no text has escapes here; whoever is asked about it refuses it.
    asked = (ascii(str(path)), sha256_of(path), str(request.input_name), str(request.output_name))
    return cache_folder() / "descriptions" / f"{slug_of(path)}-{keys.file_description(*asked)}.json"


def _said_before(kept: Path, path: Path) -> ModelFile | None:
    """Return a kept description, None where there is none or a data file of the model changed."""
    if not intact(kept):
        return None
    with suppress(OSError, ValueError):
        found = ModelFile.model_validate_json(kept.read_bytes())
        if sha256_of(path, *found.data_files) == found.sha256:
            return found
    return None
