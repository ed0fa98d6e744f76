"""onnxruntime's events become runs, each with the operators of its outer graph."""

from rtfbench.engines.ort_profile import read_runs


def event(name: str, ts: int, dur: int, **args: str) -> dict[str, object]:
    """Return a node's event as the runtime writes it."""
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def run(ts: int, dur: int) -> dict[str, object]:
    """Return the event that a run leaves."""
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def test_every_run_has_its_operators() -> None:
    """A run's event comes last and began first."""
    events = [
        {"cat": "Session", "name": "model_loading_uri", "ts": 0, "dur": 5, "args": {}},
        event("a", 10, 2, op_name="Conv"),
        event("b", 12, 3, op_name="Relu"),
        run(9, 7),
        event("a", 20, 4, op_name="Conv"),
        event("b", 24, 1, op_name="Relu"),
        run(19, 7),
    ]
    first, second = read_runs(events, {})
    assert [(each.name, each.kind, each.ns) for each in first] == [
        ("a", "Conv", 2000),
        ("b", "Relu", 3000),
    ]
    assert [each.ns for each in second] == [4000, 1000]


def test_what_a_loop_runs_counts_in_the_loop() -> None:
    """Operators of a graph inside are not counted twice."""
    events = [event("inside", 12, 3), event("loop", 10, 9, op_name="Loop"), run(9, 12)]
    (found,) = read_runs(events, {})
    assert [each.name for each in found] == ["loop"]


def test_names_are_those_of_the_model() -> None:
    """What optimisations add is left out, and tensors and weights are names too."""
    made = {"relu_nchwc": ("relu_out", "conv1.weight_nchwc")}
    (found,) = read_runs([event("relu_nchwc", 1, 1, op_name="Conv"), run(0, 3)], made)
    assert set(found[0].sources) >= {"relu", "relu_out", "conv1.weight"}
