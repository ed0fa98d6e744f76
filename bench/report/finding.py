"""One sentence about a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.base.published import PUBLISHED_CHUNK_SAMPLES

Kind = Literal[
    "warning",
    "defect",
    "coverage",
    "protocol",
    "precision",
    "engine",
    "best",
    "threads",
    "jobs",
    "batch",
    "ceiling",
    "padding",
]


@dataclass(frozen=True)
class Finding:
    """A sentence with its figure and interval, and what it is about."""

    kind: Kind
    text: str


def stated_first(sizes: Sequence[int]) -> list[int]:
    """Return chunk sizes in the order in which they are told of: that of the published tables."""
    return sorted(sizes, key=lambda size: (size != PUBLISHED_CHUNK_SAMPLES, size))
