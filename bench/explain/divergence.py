"""Where a computation leaves its reference: a search over the tensors of a graph (pure).

A tensor that is wrong stays wrong as a rule in what is computed from it, so that bisecting over the
order of computing finds a place quickly. As a rule only: branches do not depend on each other, and
a wrong value may be drowned in what it is added to. So the place is believed when all that it is
computed from is right, and so are the tensors that come before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtfbench.engines.protocol import FloatArray
from rtfbench.results.cells import MAX_REL_ERR

#: So many tensors before the one that was found are looked at, whether they belong to it or not.
LOOKED_AT_BEFORE = 3
NOT_FINITE = "it has values that are not finite"
#: The error of what has another shape, is not finite, or does not come at all.
NOTHING_RIGHT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Seen:
    """How far a tensor is from its reference.

    `error` is the largest difference over the reference's largest value, None where the tensor
    cannot be had, which `reason` explains. What cannot be measured so, a crash for one, is
    `NOTHING_RIGHT` with its reason.
    """

    error: float | None
    reason: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it is further away than rounding explains."""
        return self.error is not None and self.error > MAX_REL_ERR


@dataclass(frozen=True)
class Hit:
    """The tensor that is wrong though all it is computed from, `given`, is right."""

    tensor: str
    seen: Seen
    given: tuple[str, ...]


def other_shape(found: Sequence[int], expected: Sequence[int]) -> str:
    """Say that a tensor has another shape."""
    return f"its shape is {list(found)} in place of {list(expected)}"


def compare(found: FloatArray, expected: FloatArray) -> Seen:
    """Return how far a tensor is from what it should be.

    A runtime may write a scalar as one value, and drop axes of length 1: sizes have to agree.
    Values that are not finite have to be the same ones.
    """
    if found.size != expected.size:
        return Seen(NOTHING_RIGHT, other_shape(found.shape, expected.shape))
    got, want = (each.astype(np.float64).ravel() for each in (found, expected))
    finite = np.isfinite(want)
    same = np.array_equal(got[~finite], want[~finite], equal_nan=True)
    if not (same and np.isfinite(got[finite]).all()):
        return Seen(NOTHING_RIGHT, NOT_FINITE)
    scale = max(np.abs(want[finite]).max(initial=0.0), float(np.finfo(np.float32).tiny))
    error = np.abs(got[finite] - want[finite]).max(initial=0.0) / scale
    return Seen(float(min(error, NOTHING_RIGHT)))


class Search:
    """Looks at tensors, each once, until the first wrong one is found."""

    def __init__(
        self,
        order: Sequence[str],
        sources: Callable[[str, frozenset[str]], Sequence[str]],
        look: Callable[[str], Seen],
    ) -> None:
        """Prepare a search; nothing is looked at yet.

        Args:
            order: tensors in the order of computing; the last one is known to be wrong.
            sources: a tensor, and tensors that cannot be had -> those that it is computed from
                without the latter; tensors that are not in `order` are right.
            look: compares a tensor with its reference, which costs time.
        """
        self._order, self._sources, self._look = order, sources, look
        self._place = {name: index for index, name in enumerate(order)}
        self.seen: dict[str, Seen] = {}

    def run(self) -> Hit:
        """Return the first tensor that is wrong though all before it is right."""
        wrong = len(self._order) - 1
        while True:
            wrong = self._bisect(wrong)
            earlier = self._earlier(wrong)
            if earlier is None:
                name = self._order[wrong]
                return Hit(name, self._at(wrong), tuple(self._given(name)))
            wrong = earlier

    def _bisect(self, wrong: int) -> int:
        """Return the wrong one of two neighbours of which the first is right."""
        right = -1
        while True:
            between = [i for i in range(right + 1, wrong) if self._can_be_had(i)]
            if not between:
                return wrong
            middle = between[len(between) // 2]
            seen = self._at(middle)
            if seen.wrong:
                wrong = middle
            elif seen.error is not None:
                right = middle

    def _earlier(self, wrong: int) -> int | None:
        """Return the first wrong one of what a tensor is computed from, and of those before it."""
        before = [i for i in range(wrong) if self._can_be_had(i)][-LOOKED_AT_BEFORE:]
        while True:
            given = self._given(self._order[wrong])
            places = sorted({*before, *(self._place[n] for n in given if n in self._place)})
            found = next((i for i in places if self._at(i).wrong), None)
            if found is not None or all(self._can_be_had(i) for i in places):
                return found
            before = [i for i in before if self._can_be_had(i)]

    def _given(self, name: str) -> Sequence[str]:
        lost = frozenset(name for name, seen in self.seen.items() if seen.error is None)
        return self._sources(name, lost)

    def _can_be_had(self, index: int) -> bool:
        seen = self.seen.get(self._order[index])
        return seen is None or seen.error is not None

    def _at(self, index: int) -> Seen:
        name = self._order[index]
        if name not in self.seen:
            self.seen[name] = self._look(name)
        return self.seen[name]


def smallest(count: int, is_wrong: Callable[[int], bool]) -> int | None:
    """Return the first of `count` growing models that is wrong, None where the largest is not.

    One that contains a wrong one is taken for wrong. Most often one of the first is the answer:
    steps double before they are halved.
    """
    right, wrong = -1, 0
    while not is_wrong(wrong):
        if wrong == count - 1:
            return None
        right, wrong = wrong, min(2 * wrong + 1, count - 1)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        right, wrong = (right, middle) if is_wrong(middle) else (middle, wrong)
    return wrong
