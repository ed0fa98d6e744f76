"""Lines of a part file: an embedding as text and, behind a tab, where it is from."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import InputError
from bench.embed import embeddings
from bench.embed.embeddings import Named
from bench.embed.origins import Origin


class PartLine(NamedTuple):
    """A line, where it begins in bytes, and what it says."""

    offset: int
    named: Named
    origin: Origin


def part_line(named: Named, digits: int, origin: Origin | None) -> str:
    """Return a line and its end; without an origin it is as in a text of embeddings."""
    text = embeddings.text_line(named, digits)
    return text if origin is None else f"{text[:-1]}\t{origin.text()}\n"


def read_part_lines(part: Path) -> Iterator[PartLine]:
    """Yield the lines of a part file.

    Raises:
        InputError: one is damaged, or of another length than the first.
    """
    offset, dim = 0, 0
    with part.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text, _, told = line.decode().partition("\t")
                named = embeddings.parse_line(text)
                origin = Origin.parse(told) if told else Origin()
            except ValueError as error:
                raise InputError(
                    f"{part}: line {number} is damaged ({error}); delete it"
                ) from error
            dim = dim or len(named.embedding_D)
            if len(named.embedding_D) != dim:
                raise InputError(f"{part}: line {number} has another length than the first")
            yield PartLine(offset, named, origin)
            offset += len(line)
