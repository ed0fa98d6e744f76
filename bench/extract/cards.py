"""The card beside a result: what its embeddings were computed with."""

from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from rtfbench.base.cache import replacing
from rtfbench.embed.kaldi_vectors import ENDINGS as KALDI_ENDINGS
from rtfbench.extract.messages import ExtractionSetup


class Card(ExtractionSetup):
    """What a result was computed with.

    Of a shard it holds the SHA-256 of the list too; other results may go on with a longer list.
    """

    list_sha256: str = ""


def read_card(path: Path) -> Card | None:
    """Return what a finished result was computed with, None where nothing tells.

    Of Kaldi's two files, either one may have been named for the result.
    """
    names = [path]
    if path.suffix.lower() in KALDI_ENDINGS:
        names += [path.with_suffix(ending) for ending in KALDI_ENDINGS]
    for each in names:
        with suppress(OSError, ValidationError):
            return Card.model_validate_json(card_path(each).read_bytes())
    return None


def write_card(path: Path, setup: ExtractionSetup, list_sha256: str = "") -> None:
    """Write down what a result was computed with, beside it."""
    card = Card(**dict(setup), list_sha256=list_sha256)
    with replacing(card_path(path)) as file:
        file.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def card_path(path: Path) -> Path:
    """Return where a result's card is."""
    return path.with_name(f"{path.name}.json")
