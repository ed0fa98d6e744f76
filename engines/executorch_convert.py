"""Lowers a program of `torch.export` to XNNPACK, with ExecuTorch's own kernels for the rest."""

import sys
from pathlib import Path
from typing import Any


def lower(program: Path, made: Path) -> None:
    """Write a `.pte` file."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported: Any = torch.export.load(program)
    norm = torch.ops.aten.batch_norm.default
    # ExecuTorch 1.5 gives the scales of all that stand behind no convolution one name, and fails
    # where their channels differ, as in XVEC and CAM++.
    alone = [
        each
        for each in exported.graph.nodes
        if each.target is norm and "conv" not in str(each.args[0].target)
    ]
    if len({each.args[0].meta["val"].shape[1] for each in alone}) > 1:
        inner = torch.ops.aten._native_batch_norm_legit_no_training.default
        exported = exported.run_decompositions({inner: scaled})
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    made.write_bytes(edge.to_executorch().buffer)


def scaled(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, _: float, epsilon: float
) -> Any:
    """Return a batch norm in eval mode as a product and a sum, and what it saves: nothing."""
    channels = [1, -1] + [1] * (x.dim() - 2)
    scale = (variance + epsilon).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    nothing = x.new_empty(0)
    return x * scale.view(channels) + shift.view(channels), nothing, nothing


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
