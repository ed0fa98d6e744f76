"""Files in TOML, read into validated values; whatever is wrong with one is one line."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rtfbench.base.errors import InputError
from rtfbench.base.files import read_text

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return a file's content; `what` it is, is for the message.

    Raises:
        InputError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what} ({error.strerror})") from error
    except RecursionError as error:
        raise InputError(f"{path}: not a {what} (tables or lists are nested too deep)") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from error


def validate(model: type[Model], content: dict[str, Any], where: Path | str) -> Model:
    """Return what a file says; `where` its content comes from, is for the message.

    Raises:
        InputError: a key that is not known, or a value out of range; the first of them is named.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        # A quoted key of TOML may hold anything.
        at = ".".join(part if part.isprintable() else repr(part) for part in map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = _unknown(
                str(first["loc"][-1]), list(_table(model, first["loc"]).model_fields)
            )
        raise InputError(f"{where}: {at + ': ' if at else ''}{message}") from None


def _unknown(key: str, known: Sequence[str]) -> str:
    """Say of a key that it is none: which is near, else which there are."""
    near = difflib.get_close_matches(key, known, n=2)
    return "no such key; " + (
        f"did you mean {' or '.join(near)}?" if near else f"known keys: {', '.join(known)}"
    )


def _table(model: type[BaseModel], at: Sequence[int | str]) -> type[BaseModel]:
    """Return what the innermost table around a key is."""
    for name in at[:-1]:
        if isinstance(name, str):
            inner = get_args(model.model_fields[name].annotation)
            tables = (each for each in inner if isinstance(each, type))
            model = next((each for each in tables if issubclass(each, BaseModel)), model)
    return model
