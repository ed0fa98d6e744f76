"""Times of groups add up to runs without a profiler, and differences know how sure they are."""

from pathlib import Path

import pytest

from rtfbench.engines.profiling import OperatorTime
from rtfbench.explain import read_graph
from rtfbench.explain.derive import Costs, costs, groups
from rtfbench.explain.measure import Profiled
from rtfbench.explain.process import Profile, ProfileOpened
from rtfbench.explain.read_graph import Graph, Node
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell

MS = 1e6
CONV = read_graph.convolutions((3, 3), (1, 1), (1, 1), 1)
GRAPH = Graph(
    nodes=(
        Node(name="c", kind=CONV, block="layer1", inputs=("x",), outputs=("a",), macs=10**6),
        Node(name="r", kind=read_graph.ACTIVATION, block="layer1", inputs=("a",), outputs=("b",)),
        Node(name="l", kind=read_graph.LINEAR, block="embedding", inputs=("b",), outputs=("e",)),
    )
)


def engine(
    name: str, level_ms: float, *profiles_ms: dict[str, float], overhead: float = 1.0
) -> Profiled:
    """Return an engine of that many sessions, each of two blocks; operators are named by tensors.

    A profile's whole run takes a hundredth longer than its operators.
    """
    cell = Cell(
        model="m",
        engine=name,
        form="dynamic",
        threads=1,
        chunk_samples=32000,
        protocol="steady",
    )
    found = Profiled(Prepared(cell, "M", reference=Path("none")))
    found.opened = ProfileOpened(version="1", wrong="", fewer_operations="", load_ns=1, round_ns=1)
    for each in profiles_ms:
        found.plain_ns.append([level_ms * MS] * 2)
        found.profiled_ns.append([level_ms * MS * overhead] * 2)
        operators = tuple(
            OperatorTime(key, "Conv" if key == "a" else "", round(ms * MS), (key,))
            for key, ms in each.items()
        )
        wall_ns = round(1.01 * sum(each.values()) * MS)
        found.profiles.append(Profile(wall_ns=wall_ns, runs=4, operators=operators))
    return found


def by_kind(found: list[Costs]) -> dict[str, tuple[float | None, ...]]:
    """Return the times of kinds."""
    return {each.name: each.ms for each in groups(found, lambda operator: operator.kind)}


def test_groups_add_up_to_the_time_without_a_profiler() -> None:
    """However much the profiler slows a run, groups are of a run without it."""
    slow = engine("a", 10.0, *[{"a": 16.0, "b": 3.0, "e": 1.0}] * 2, overhead=2.02)
    (found,) = costs([slow], {"dynamic": GRAPH})
    assert sum(ms or 0.0 for (ms,) in by_kind([found]).values()) == pytest.approx(10.0)
    assert found.engine.ms == pytest.approx(10.0)
    assert found.engine.overhead == pytest.approx(2.02)
    assert found.engine.told == pytest.approx(2.0)
    assert by_kind([found])[read_graph.FRAMEWORK] == pytest.approx((10 - 10 / 1.01,))


def test_rates_are_of_what_the_model_asks_for() -> None:
    """Two operations for each multiply-accumulate, over the time of what was fused."""
    (found,) = costs([engine("a", 1.01, {"a": 1.0})], {"dynamic": GRAPH})
    (conv, _) = groups([found], lambda operator: operator.kind)
    assert (conv.name, conv.macs) == (CONV, 10**6)
    assert conv.gflops == pytest.approx((2.0,))


def test_differences_are_sure_where_sessions_agree() -> None:
    """What sessions disagree about is in the interval, and what they agree about outside."""
    first = engine("a", 10.1, {"a": 8.0, "e": 2.0}, {"a": 7.9, "e": 2.1}, {"a": 8.0, "e": 2.0})
    second = engine("b", 6.06, {"a": 3.9, "e": 2.1}, {"a": 4.1, "e": 1.9}, {"a": 4.0, "e": 2.0})
    found = costs([first, second], {"dynamic": GRAPH})
    conv, linear, *_ = groups(found, lambda operator: operator.kind)
    assert conv.more_ms[1] == pytest.approx(-3.967, abs=0.01)
    assert (conv.surely[1], linear.surely[1], conv.surely[0]) == (True, False, False)
    assert found[1].engine.ratio == pytest.approx(0.6)
    assert found[1].engine.sure


def test_a_failed_engine_is_no_reference() -> None:
    """The first that has times is what the others are held against."""
    broken = engine("a", 1.0)
    broken.failed = "it broke"
    found = costs([broken, engine("b", 2.02, {"a": 2.0})], {"dynamic": GRAPH})
    assert (found[0].engine.failed, found[0].engine.ms) == ("it broke", None)
    assert found[1].engine.ratio is None
    assert by_kind(found)[CONV] == pytest.approx((None, 2.0))


def test_an_engine_without_a_profile_has_its_total() -> None:
    """Nothing is told of operators that the runtime does not tell of."""
    plain = engine("b", 3.0, {"a": 1.0}, {"a": 1.0})
    plain.profiles, plain.profiled_ns = [], [[], []]
    found = costs([plain, engine("a", 1.01, *[{"a": 1.0}] * 2)], {"dynamic": GRAPH})
    assert found[0].engine.ms == pytest.approx(3.0)
    assert (found[0].engine.operators, found[0].engine.overhead) == ((), None)
    assert by_kind(found)[CONV] == pytest.approx((None, 1.0))
    # Differences are to the first with a profile, and so are ratios.
    assert found[0].engine.ratio == pytest.approx(3.0 / 1.01)
    assert found[1].engine.ratio is None
