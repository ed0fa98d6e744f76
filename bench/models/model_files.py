"""A model file that the user brings: what it is, found out without torch.

A file is read in a process of its own, because a runtime given a damaged file may end the process.
"""

import os
from contextlib import suppress
from pathlib import Path

from rtfbench.base.asking import ask
from rtfbench.base.cache import cache_room, intact, sha256_of
from rtfbench.base.child import ChildError
from rtfbench.base.errors import InputError
from rtfbench.base.files import reading_from
from rtfbench.base.values import Value
from rtfbench.engines.protocol import ONNX, Form, Format
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.models import artifacts, front_ends
from rtfbench.models.front_ends import Stated
from rtfbench.models.zoo import catalog

#: Endings of the files that can be named; those of other formats are made from ONNX.
FORMATS: dict[str, Format] = {".onnx": ONNX, ".mnn": "mnn"}
#: Reading a file of a GB takes seconds.
TIMEOUT_S = 600.0


class FileRequest(Value):
    """A model file, and what its shapes do not tell.

    `front_end` is what the user says of it, `beside` what files in its folder say.
    """

    path: Path
    input_name: str | None = None
    output_name: str | None = None
    front_end: Stated | None = None
    beside: tuple[Stated, ...] = ()

    @property
    def key(self) -> str:
        """A name that changes with the file's content and path, and with what is asked of it."""
        path = self.path.resolve()
        # A name that is no text has escapes here; whoever is asked about it refuses it.
        asked = self.model_dump_json(exclude={"path"})
        return artifacts.of_file(ascii(str(path)), sha256_of(path), asked)


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
    #: What it is fed.
    front_end: FrontEnd = WESPEAKER
    #: What a user is told of how it is run, and of those what nobody said of it.
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    #: The file that engines run, where the model's own shape is another than [B, T, M] to [B, D].
    adapted: Path | None = None

    @property
    def runs(self) -> Path:
        """The file that engines run, or that theirs is made from."""
        return self.adapted or self.path

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
    request = request.model_copy(update={"beside": tuple(front_ends.beside(path))})
    with reading_from(path):
        kept = cache_room("descriptions") / f"{slug_of(path)}-{request.key}.json"
    if (known := _said_before(kept, path)) is not None:
        return known
    module = "rtfbench.models.model_reading"
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
        artifacts.keep(kept, answer.file.model_dump_json().encode())
    return answer.file


def _said_before(kept: Path, path: Path) -> ModelFile | None:
    """Return a kept description, None where there is none or a data file of the model changed."""
    if not intact(kept):
        return None
    with suppress(OSError, ValueError):
        found = ModelFile.model_validate_json(kept.read_bytes())
        whole = found.adapted is None or intact(found.adapted)
        if whole and sha256_of(path, *found.data_files) == found.sha256:
            return found
    return None
