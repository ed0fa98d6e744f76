"""The search for the first wrong tensor, on graphs whose wrong operator is known."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from rtfbench.explain.divergence import NOTHING_RIGHT, Search, Seen, compare, smallest

RIGHT, WRONG, LOST = Seen(1e-6), Seen(0.5), Seen(None, "cannot be converted")


class Planted:
    """A graph in which one tensor is wrong, and with it all that is computed from it."""

    def __init__(self, takes: Mapping[str, Sequence[str]], culprit: str) -> None:
        self.takes, self.order = takes, list(takes)
        self.wrong = {culprit}
        for name in self.order:
            if self.wrong & set(takes[name]):
                self.wrong.add(name)
        self.lost: set[str] = set()
        self.looked: list[str] = []

    def sources(self, name: str, lost: frozenset[str]) -> list[str]:
        """Return what a tensor takes, lost ones passed over."""
        found: list[str] = []
        for each in self.takes[name]:
            found += self.sources(each, lost) if each in lost else [each]
        return found

    def look(self, name: str) -> Seen:
        """Tell whether it is wrong."""
        assert name not in self.looked
        self.looked.append(name)
        return LOST if name in self.lost else WRONG if name in self.wrong else RIGHT

    def search(self) -> Search:
        """Return a search that knows that the last one is wrong."""
        return Search(self.order, self.sources, self.look)


def chain(count: int) -> dict[str, list[str]]:
    """Return a graph without branches."""
    return {f"t{i}": [f"t{i - 1}"] if i else ["input"] for i in range(count)}


@pytest.mark.parametrize("place", [0, 1, 500, 998, 999])
def test_a_chain_of_a_thousand_takes_few_looks(place: int) -> None:
    """Ten looks halve a thousand tensors to one; the rest make sure of it."""
    graph = Planted(chain(1000), f"t{place}")
    hit = graph.search().run()
    assert hit.tensor == f"t{place}"
    assert hit.given == ((f"t{place - 1}",) if place else ("input",))
    assert len(graph.looked) <= 16


@pytest.mark.parametrize("seed", range(200))
def test_in_any_graph_what_is_found_is_wrong_and_all_it_takes_is_right(seed: int) -> None:
    """With branches, and with tensors that recover, no innocent operator is named."""
    draw = random.Random(seed)
    names = [f"t{i}" for i in range(60)]
    takes = {
        name: [draw.choice(["input", *names[max(0, i - 8) : i]]) for _ in range(2)]
        for i, name in enumerate(names)
    }
    graph = Planted(takes, draw.choice(names))
    # Some recover: a wrong value is drowned in what it is added to.
    graph.wrong -= {name for name in names if draw.random() < 0.1}
    graph.wrong.add(names[-1])
    hit = graph.search().run()
    assert hit.tensor in graph.wrong
    assert not graph.wrong & set(hit.given)


def test_a_tensor_that_cannot_be_had_is_passed_over() -> None:
    """Then several operators together are the place."""
    graph = Planted(chain(100), "t40")
    graph.lost = {"t39", "t40"}
    hit = graph.search().run()
    assert (hit.tensor, hit.given) == ("t41", ("t38",))


def test_nothing_but_the_embedding_can_be_had() -> None:
    """The whole graph is the place, and the search ends."""
    graph = Planted(chain(50), "t40")
    graph.lost = set(graph.order[:-1])
    assert graph.search().run().given == ("input",)


@pytest.mark.parametrize("answer", [0, 1, 2, 7, 19, None])
def test_the_smallest_wrong_model(answer: int | None) -> None:
    """The first wrong one of growing models is found, or it is said that none is."""
    assert smallest(20, lambda index: answer is not None and index >= answer) == answer


def test_errors_are_relative_to_the_largest_value() -> None:
    """As those of an embedding are."""
    want = np.array([[2.0, -4.0]], np.float32)
    assert compare(want + np.float32(0.4), want).error == pytest.approx(0.1)
    assert not compare(want * np.float32(1.0001), want).wrong
    assert compare(np.array(5, np.float32), np.array([5], np.float32)).error == 0


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([1.0, np.nan], "not finite"),
        ([1.0, np.inf], "not finite"),
        ([1.0], "its shape is [1] in place of [2]"),
    ],
)
def test_what_has_no_error_is_wrong(found: list[float], said: str) -> None:
    """NaN, infinity and another number of values."""
    seen = compare(np.array(found, np.float32), np.array([1.0, 2.0], np.float32))
    assert seen.wrong
    assert seen.error == NOTHING_RIGHT
    assert said in seen.reason


def test_infinity_that_is_meant_is_right() -> None:
    """A mask has it."""
    mask = np.array([0.0, -np.inf], np.float32)
    assert compare(mask, mask).error == 0
