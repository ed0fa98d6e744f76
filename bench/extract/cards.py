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
    for each in _places(path):
        with suppress(OSError, ValidationError):
            return Card.model_validate_json(each.read_bytes())
    return None


def damaged_card(path: Path) -> Path | None:
    """Return the card of a result that tells nothing because it is damaged, None if there is none.

    It may be that of another model: nothing may be added to such a result.
    """
    return next((each for each in _places(path) if each.exists()), None)


def _places(path: Path) -> list[Path]:
    """Return where a result's card may be."""
    names = [path]
    if path.suffix.lower() in KALDI_ENDINGS:
        names += [path.with_suffix(ending) for ending in KALDI_ENDINGS]
    return [card_path(each) for each in names]


def write_card(path: Path, setup: ExtractionSetup, list_sha256: str = "") -> None:
    """Write down what a result was computed with, beside it."""
    card = Card(**dict(setup), list_sha256=list_sha256)
    with replacing(card_path(path)) as file:
        file.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def card_path(path: Path) -> Path:
    """Return where a result's card is."""
    return path.with_name(f"{path.name}.json")
