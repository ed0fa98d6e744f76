"""Model files in the cache: made once, found again by what made them."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.base.cache import cache_folder, intact, replacing, seal, sha256_of
from bench.base.values import Value
from engines.protocol import FLOAT32, Form, Format, ModelArtifact, Precision

_ARTIFACT = TypeAdapter(ModelArtifact)


class ArtifactRequest(Value):
    """A model file that a cell needs.

    `chunk_frames` is the length that a static model is fixed to and that multiply-accumulates are
    counted at; None for whole utterances, which only a dynamic model can take. `maker` changes
    with what makes files of a format from ONNX. A file in another precision than float32 is made by
    the engine that runs it.
    """

    model: str
    format: Format
    form: Form
    chunk_frames: int | None
    maker: str = ""
    precision: Precision = FLOAT32
    quantizer: str = ""
    #: Settings of how it is made that are not the default, as `name=value`.
    recipe: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str]:
        """The recipe by name."""
        return dict(each.split("=", 1) for each in self.recipe)

    @property
    def file_name(self) -> str:
        """The model file's name; dynamic models of all chunk sizes share one in float32.

        In other precisions they do not: ranges of values are found with chunks of the size.
        """
        shape = [] if self.form == "static" else ["dynamic"]
        if self.form == "static" or self.precision != FLOAT32:
            shape.append(f"{self.chunk_frames or 'whole'}")
        return f"{'-'.join(filter(None, [*shape, *self.made]))}.{self.format}"

    @property
    def made(self) -> tuple[str, ...]:
        """What tells the file from others of its shape."""
        precision = "" if self.precision == FLOAT32 else self.precision
        return (self.quantizer, precision, *self.recipe, self.maker)


def folder_of(name: str, key: str) -> Path:
    """Return where files are kept that a model's key was made for."""
    return cache_folder() / "models" / f"{name}-{key}"


def _card_path(request: ArtifactRequest, folder: Path) -> Path:
    frames = request.chunk_frames or "whole"
    parts = (request.format, request.form, str(frames), *request.made)
    return folder / f"{'-'.join(filter(None, parts))}.json"


def find(request: ArtifactRequest, folder: Path) -> ModelArtifact | None:
    """Return a file that was made before, None when there is none or it or its card is damaged.

    A damaged file is deleted, so that it is made again.

    Args:
        request: which file.
        folder: where files of the model are kept.
    """
    card = _card_path(request, folder)
    # A flipped digit of it would be another count, and JSON still.
    if not intact(card):
        return None
    try:
        artifact = _ARTIFACT.validate_json(card.read_bytes())
    except (OSError, ValidationError):
        return None
    # Kept as a name only, so that a cache folder can be moved; a user's own file has a full path.
    artifact = replace(artifact, path=folder / artifact.path)
    if not artifact.path.is_file():
        return None
    # A user's own file is looked at whenever it is named.
    if artifact.path.parent == folder and sha256_of(artifact.path) != artifact.sha256:
        artifact.path.unlink()
        return None
    return artifact


def remember(request: ArtifactRequest, artifact: ModelArtifact, folder: Path) -> None:
    """Write down what is known of a file, so that `find` returns it."""
    path = Path(artifact.path.name) if artifact.path.parent == folder else artifact.path
    card = _card_path(request, folder)
    with replacing(card) as part:
        part.write_bytes(_ARTIFACT.dump_json(replace(artifact, path=path), indent=2))
    seal(card)
