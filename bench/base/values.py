"""What every stored or transmitted value is made of, and values that are told by a name.

Installed packages may bring others of the latter.
"""

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Key = TypeVar("Key")
Member = TypeVar("Member")
#: The lower and the upper end of a confidence interval.
Interval = tuple[float, float]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def grouped(pairs: Iterable[tuple[Key, Member]]) -> dict[Key, list[Member]]:
    """Return each key's members, all in the order in which they came."""
    found: dict[Key, list[Member]] = {}
    for key, member in pairs:
        found.setdefault(key, []).append(member)
    return found


Named = TypeVar("Named")


class UnknownNameError(ValueError):
    """No value of this name is installed, or it cannot be loaded; one line."""


class NamedValues(Generic[Named]):
    """The values of one kind, each loaded when it is first asked for.

    Args:
        kind: their type, which has a `name`; its own name, in small letters, is for messages.
        group: the entry points by which installed packages bring others.
        built_in: name -> `module:attribute`, in the order in which texts list them.
    """

    def __init__(self, kind: type[Named], *, group: str, built_in: Mapping[str, str]) -> None:
        self._kind, self._group, self._built_in = kind, group, built_in
        self._loaded: dict[str, Named] = {}

    def named(self, name: str) -> Named:
        """Return the value of this name.

        Raises:
            UnknownNameError: there is none, or a plug-in's cannot be loaded.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Named:
        what = self._kind.__name__.lower()
        # Plug-ins are looked for only where one is asked for: that reads what is installed.
        where = self._built_in.get(name) or self._plug_ins.get(name)
        if where is None:
            known = dict.fromkeys([*self._built_in, *sorted(self._plug_ins)])
            raise UnknownNameError(f"no {what} {name!r}; known: {', '.join(known)}")
        try:
            found = pkgutil.resolve_name(where)
        except Exception as error:  # a plug-in may fail in any way
            raise UnknownNameError(
                f"{what} {name!r} ({where}) cannot be loaded: {' '.join(str(error).split())}"
            ) from error
        if not isinstance(found, self._kind) or getattr(found, "name", None) != name:
            raise UnknownNameError(f"{where} is no {what} of the name {name!r}")
        return found

    @cached_property
    def _plug_ins(self) -> Mapping[str, str]:
        """Name -> `module:attribute` of what installed packages bring."""
        from importlib.metadata import entry_points  # which starting a command need not wait for

        return {entry.name: entry.value for entry in entry_points(group=self._group)}
