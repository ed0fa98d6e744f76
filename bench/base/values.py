"""What every stored or transmitted value is made of."""

from collections.abc import Iterable
from typing import TypeVar

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
