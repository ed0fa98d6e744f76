"""Model files that a user names, each with a card of its facts beside it (`FILE.json`)."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.cache import sha256_of
from bench.errors import InputError
from engines.protocol import ModelArtifact

SUFFIXES = (".onnx", ".mnn")

_ARTIFACT = TypeAdapter(ModelArtifact)


def read(path: Path) -> ModelArtifact:
    """Return what is known of a model file.

    Raises:
        InputError: there is no such file, or no card beside it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such model file; check the path")
    card = path.with_name(f"{path.name}.json")
    try:
        artifact = _ARTIFACT.validate_json(card.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{card}: cannot be read as the card of {path.name}") from error
    return replace(artifact, path=path.resolve(), sha256=sha256_of(path))
