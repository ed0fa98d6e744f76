"""Model files in the cache: made once, found again by what made them.

The names of cached files change with what they depend on. A key holds the rooms whose code can
change a byte of the file, and the packages that make it.
"""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rtfbench.base.cache import cache_room, fingerprint, intact, seal, sha256_of, write_whole
from rtfbench.base.values import Value
from rtfbench.engines.protocol import FLOAT32, Form, Format, ModelArtifact, Precision
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights

#: From a recording to the features of its chunks.
FEATURES = ("embed", "frontends")
#: From a name or a file to a model file of any form, to what it says of itself, and to its
#: embeddings. Definitions and weights are in `models` too.
MODELS = ("models", *FEATURES)
FILE_PACKAGES = ("numpy", "onnx", "onnxruntime", "MNN")
EXPORT_PACKAGES = ("numpy", "torch", "onnx", "onnxscript")


def catalog_files(model: str, weights: Weights = "seeded") -> str:
    """Return the key of the files that a model is exported to, and of what it embeds."""
    card = catalog.get(model)
    shape = f"{card.family} {dict(card.kwargs)} {card.feat_dim} {card.embed_dim}"
    path = catalog.trained_weights(model) if weights == "trained" else None
    return fingerprint(MODELS, EXPORT_PACKAGES, shape, *((sha256_of(path),) if path else ()))


def of_file(*names: str) -> str:
    """Return the key of what is read or made of a user's file, by names that change with it."""
    return fingerprint(MODELS, FILE_PACKAGES, *names)


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
    return cache_room("models", f"{name}-{key}")


def keep(path: Path, content: bytes) -> None:
    """Write a file as a whole, so that `intact` can tell damage."""
    write_whole(path, content)
    seal(path)


class CatalogModel(Value):
    """A model of the catalog, with these weights if it has them."""

    slug: str
    weights: Weights = DEFAULT_WEIGHTS

    @property
    def title(self) -> str:
        """The name in tables."""
        return catalog.get(self.slug).title

    @property
    def key(self) -> str:
        """A name that changes with all that its embeddings depend on, the recordings apart."""
        return catalog_files(self.slug, self.weights)

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return folder_of(self.slug, self.key)

    @property
    def front_end(self) -> FrontEnd:
        """What it is fed."""
        return WESPEAKER.with_bins(catalog.get(self.slug).feat_dim)

    @property
    def size_bytes(self) -> int:
        """What its weights take about, 0 where that is not published."""
        millions = catalog.get(self.slug).published_params
        return round(float(millions.split()[0]) * 4e6) if millions else 0

    def refusal(self, engine: str, form: Form) -> str:
        """Nothing: files can be made for every engine."""
        return ""


def _card_path(request: ArtifactRequest, folder: Path) -> Path:
    frames = request.chunk_frames or "whole"
    parts = (request.format, request.form, str(frames), *request.made)
    return folder / f"{'-'.join(filter(None, parts))}.json"


def find(request: ArtifactRequest, folder: Path) -> ModelArtifact | None:
    """Return a file that was made before, None when there is none or it or its card is damaged.

    A damaged file is deleted, so that it is made again.
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
    keep(_card_path(request, folder), _ARTIFACT.dump_json(replace(artifact, path=path), indent=2))
