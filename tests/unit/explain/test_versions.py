"""Where the newer of two versions is slower."""

from rtfbench.explain.versions import slowest
from rtfbench.results.explanation import EngineCost, Explanation, OperatorCost


def engine(name: str, *operators: tuple[float, tuple[str, ...]]) -> EngineCost:
    """Return an engine with the times and the nodes of its operators."""
    made = (
        OperatorCost(
            name="o", operator="o", implementation="", ms=ms, nodes=nodes, kind="", block="",
            macs=None,
        )
        for ms, nodes in operators
    )  # fmt: skip
    return EngineCost(engine=name, form="dynamic", operators=tuple(made))


def explained(older: EngineCost, newer: EngineCost) -> Explanation:
    """Return an explanation of two versions."""
    return Explanation(
        model="m", threads=1, chunk_samples=1, num_frames=1, protocol="steady", cpu="", rtfbench="",
        seed=0, macs=1, peak_gflops=None, engines=(older, newer), kinds=(), blocks=(),
    )  # fmt: skip


def test_nodes_that_either_version_fuses_stay_together() -> None:
    """The part that takes the most longer is named, with its time in both."""
    older = engine("a@1", (1.0, ("conv", "relu")), (2.0, ("pool",)), (3.0, ("linear",)))
    newer = engine("a@2", (1.5, ("conv",)), (1.0, ("relu",)), (2.5, ("pool",)), (3.0, ("linear",)))
    found = slowest(explained(older, newer))
    assert found == (frozenset({"conv", "relu"}), 1.0, 2.5)


def test_where_nothing_is_slower_nothing_is_named() -> None:
    """Neither where operators are not told."""
    older = engine("a@1", (1.0, ("conv",)))
    assert slowest(explained(older, engine("a@2", (0.9, ("conv",))))) is None
    assert slowest(explained(engine("a@1"), engine("a@2"))) is None
