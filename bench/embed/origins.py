"""Where embeddings are from: how long the audio was that they are of, and in what file."""

import json
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError


class Origin(NamedTuple):
    """The seconds of audio, and the path or address of its file; None where they are not known."""

    seconds: float | None = None
    source: str | None = None

    def text(self) -> str:
        """Return it in one line, without tabs."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Return what `text` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            seconds, source = json.loads(text)
            return cls(None if seconds is None else float(seconds), source and str(source))
        except (TypeError, RecursionError) as error:
            raise ValueError(f"no origin: {error}") from error


def origins_path(path: Path) -> Path:
    """Return the file beside embeddings that tells where they are from."""
    return path.with_name(f"{path.name}.origins")


def write_origins(path: Path, origins: Iterable[Origin]) -> None:
    """Write one a line, atomically."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(f"{origin.text()}\n" for origin in origins)


def read_origins(path: Path) -> Iterator[Origin]:
    """Yield what a file tells; without a file, that they are not known, again and again.

    Raises:
        InputError: it is damaged.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            yield from map(Origin.parse, lines)
    except FileNotFoundError:
        yield from repeat(Origin())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); delete it") from error
