"""Parts of a graph compute what the whole computes there."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from rtfbench.base.errors import InputError
from rtfbench.explain.parts import SourceGraph, compute
from tests.conv_onnx import write_conv

FEATURES = np.random.default_rng(1).standard_normal((1, 30, 80)).astype(np.float32)


@pytest.fixture
def graph(tmp_path: Path) -> SourceGraph:
    """Return a small graph with two branches."""
    path = write_conv(tmp_path / "conv.onnx", pool=True)
    return SourceGraph(onnx.load(str(path)), "feats", "embs")


def test_every_tensor_in_float32_is_there_and_the_embedding_is_last(graph: SourceGraph) -> None:
    """In the order of computing."""
    between = ["pooled", "second", "gate", "third", "gated", "mean", "embs"]
    assert list(graph.tensors) == ["turned", "first", "rectified", *between]


def test_a_part_has_only_what_it_needs(graph: SourceGraph) -> None:
    """Weights of what comes later are left out."""
    part = graph.part(["rectified"])
    assert [node.op_type for node in part.graph.node] == ["Transpose", "Conv", "Relu"]
    assert [tensor.name for tensor in part.graph.initializer] == ["w1"]


def test_parts_compute_what_the_whole_computes(graph: SourceGraph) -> None:
    """From the input, and from the tensors that one is computed from."""
    whole = compute(graph.part(graph.tensors), {"feats": FEATURES}) | {"feats": FEATURES}
    for name in graph.tensors:
        cut = compute(graph.part([name]), {"feats": FEATURES})
        np.testing.assert_array_equal(cut[name], whole[name])
        given = graph.sources(name)
        shapes = {each: whole[each].shape for each in given if each != "feats"}
        alone = graph.part([name], shapes)
        assert len(alone.graph.node) == 1
        onnx.checker.check_model(alone)
        np.testing.assert_array_equal(compute(alone, whole)[name], whole[name])


def test_lost_tensors_are_passed_over(graph: SourceGraph) -> None:
    """What they are computed from takes their place."""
    assert graph.sources("gated") == ("gate", "third")
    assert graph.sources("gated", {"gate", "third", "second"}) == ("pooled",)
    kinds = [node.op_type for node in graph.operators("gated", ("pooled",))]
    assert kinds == ["Conv", "Sigmoid", "Conv", "Mul"]


def test_what_may_be_fused_has_one_user(graph: SourceGraph) -> None:
    """A tensor that two operators take is not fused with either."""
    assert graph.followers("first") == ("first", "rectified", "pooled")
    assert graph.followers("pooled") == ("pooled",)


def test_what_the_reference_cannot_run_is_one_line(graph: SourceGraph) -> None:
    """Features of another number of mel bins, for one."""
    with pytest.raises(InputError, match="the reference, cannot run it") as refused:
        compute(graph.part(["first"]), {"feats": FEATURES[:, :, :40]})
    assert "\n" not in str(refused.value)
