"""Model files of the catalog in the cache: made once, found again by what made them."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.cache import cache_folder, fingerprint, replacing
from bench.records import Value
from engines.protocol import Form, Format, ModelArtifact

WEIGHT_SEED = 0
#: Packages whose version changes what is written.
MAKERS = ("torch", "onnx", "onnxscript", "MNN")

_ARTIFACT = TypeAdapter(ModelArtifact)


class ArtifactRequest(Value):
    """A model file that a cell needs.

    `chunk_frames` is the length that a static model is fixed to and that multiply-accumulates are
    counted at; None for whole utterances, which only a dynamic model can take.
    """

    model: str
    format: Format
    form: Form
    chunk_frames: int | None

    @property
    def file_name(self) -> str:
        """The model file's name; dynamic models of all chunk sizes share one."""
        shape = f"{self.chunk_frames}" if self.form == "static" else "dynamic"
        return f"{shape}.{self.format}"


def zoo_key() -> str:
    """Return the name of the models that the present sources and exporters make."""
    return fingerprint([Path(__file__).parent], MAKERS, str(WEIGHT_SEED))


def model_folder(model: str) -> Path:
    """Return where a model's files are kept."""
    return cache_folder() / "models" / f"{model}-{zoo_key()}"


def _card_path(request: ArtifactRequest) -> Path:
    frames = request.chunk_frames or "whole"
    name = f"{request.format}-{request.form}-{frames}.json"
    return model_folder(request.model) / name


def find(request: ArtifactRequest) -> ModelArtifact | None:
    """Return a file that was made before, None when there is none or it is damaged."""
    try:
        artifact = _ARTIFACT.validate_json(_card_path(request).read_bytes())
    except (OSError, ValidationError):
        return None
    # Kept as a name only, so that a cache folder can be moved.
    artifact = replace(artifact, path=model_folder(request.model) / artifact.path)
    return artifact if artifact.path.is_file() else None


def remember(request: ArtifactRequest, artifact: ModelArtifact) -> None:
    """Write down what is known of a file, so that `find` returns it."""
    named = replace(artifact, path=Path(artifact.path.name))
    with replacing(_card_path(request)) as part:
        part.write_bytes(_ARTIFACT.dump_json(named, indent=2))
