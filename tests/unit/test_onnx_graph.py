"""What a graph tells of itself is what the zoo's own counter finds in the same model."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rtfbench.models import onnx_graph, zoo
from rtfbench.models.zoo import counter
from tests.ready import artifact_for

FRAMES = 198


def test_counts_of_a_graph_made_by_hand(
    write_tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """A matrix product counts its products, other arithmetic is listed."""
    model = onnx_graph.load_graph(write_tiny_onnx(tmp_path / "tiny.onnx"))
    counts = onnx_graph.count(model, "feats", FRAMES)
    assert counts.params == 80 * 16
    assert counts.macs == counts.flops == 80 * 16
    assert counts.uncounted == ("Mul x1", "ReduceMean x1")


@pytest.mark.parametrize("name", ["xvec", "ecapa512"])
def test_exported_models_are_the_zoos(name: str, tmp_path: Path) -> None:
    """A graph has the multiply-accumulates that are counted in torch.

    A dynamic export leaves batch and frames open, whatever it was traced with.
    """
    model = zoo.build(name)
    made = artifact_for(name, "onnxruntime", form="dynamic", logs=tmp_path)
    graph = onnx_graph.load_graph(made.path)
    assert onnx_graph.count(graph, "feats", FRAMES).macs == counter.count(model, FRAMES).macs
    (features,) = onnx_graph.inputs(graph)
    assert features.shape == (None, None, 80)


def test_shapes_that_inference_cannot_follow_are_measured(tmp_path: Path) -> None:
    """A graph that computes its split sizes, as older exporters write it, is counted in full."""
    model, path = zoo.build("ecapa512"), tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.randn(1, 200, 80),),
            str(path),
            dynamo=False,
            opset_version=14,
            input_names=["feats"],
            output_names=["embs"],
            dynamic_axes={"feats": {0: "B", 1: "T"}, "embs": {0: "B"}},
        )
    counts = onnx_graph.count(onnx_graph.load_graph(path), "feats", FRAMES)
    assert counts.macs == counter.count(model, FRAMES).macs
    assert not any(name.startswith(("Conv", "Gemm")) for name in counts.uncounted)
