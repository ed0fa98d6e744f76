"""Parameters and operations of a model, exact and in the convention of the published tables.

The tables follow thop: multiply-accumulates of convolutions and linear layers, and for a
BatchNorm in eval mode two operations an element, or four if it has weights. They take
`PUBLISHED_NUM_FRAMES` and count RepVGG in its inference form.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rtfbench.engines.protocol import PUBLISHED_NUM_FRAMES
from rtfbench.models.zoo.repvgg import reparameterize

# Operators that the rules below account for, and those that only move, rename or reserve values.
_COUNTED = {"convolution", "addmm", "native_batch_norm", "cudnn_batch_norm"}
MOVING = {"cat", "clone", "detach", "expand", "permute", "select", "slice", "split", "t"}
MOVING |= {"squeeze", "transpose", "unsqueeze", "view", "_unsafe_view", "alias", "empty"}


@dataclass(frozen=True)
class Counts:
    """What one chunk through a model costs.

    Attributes:
        params: trainable values, in the inference form.
        macs: multiply-accumulates of convolutions and linear layers.
        published_flops: operations by the published convention, always for `PUBLISHED_NUM_FRAMES`.
        uncounted: operators that compute something neither figure includes.
    """

    params: int
    macs: int
    published_flops: int
    uncounted: tuple[str, ...]


class OperatorWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells of every operator that runs inside of it: its name, and what it computed."""

    def __init__(self, see: Callable[[str, Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._see = see

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        self._see(func.overloadpacket.__name__, results)
        return results


def _cost(module: nn.Module) -> tuple[int, int]:
    """Return multiply-accumulates and thop's operations of a BatchNorm, for each output value."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        return module.in_channels // module.groups * math.prod(module.kernel_size), 0
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return 0, 4 if module.affine else 2
    return module.in_features if isinstance(module, nn.Linear) else 0, 0


def _run(model: nn.Module, num_frames: int, feat_dim: int) -> tuple[int, int, set[str]]:
    """Return multiply-accumulates, BatchNorm operations and operator names of one chunk."""
    macs = batchnorm_flops = 0
    operators = set[str]()

    def count_output(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal macs, batchnorm_flops
        each_macs, each_flops = _cost(module)
        if each_macs or each_flops:
            macs += output.numel() * each_macs
            batchnorm_flops += output.numel() * each_flops

    features_BTM = torch.empty(1, num_frames, feat_dim, device="meta")
    handles = [module.register_forward_hook(count_output) for module in model.modules()]
    try:
        with torch.no_grad(), OperatorWatch(lambda name, _: operators.add(name)):
            model(features_BTM)
    finally:
        for handle in handles:
            handle.remove()
    return macs, batchnorm_flops, operators


def count(model: nn.Module, num_frames: int, feat_dim: int = 80) -> Counts:
    """Count one chunk of `num_frames` through the model's inference form.

    Works on a copy without values, so nothing is computed and `model` stays as it is.
    """
    # A meta tensor has a shape and no values: hooks see the sizes, no arithmetic is done.
    shapes_only = reparameterize(model).to("meta")
    macs, _, operators = _run(shapes_only, num_frames, feat_dim)
    published_macs, batchnorm_flops, _ = _run(shapes_only, PUBLISHED_NUM_FRAMES, feat_dim)
    return Counts(
        params=sum(parameter.numel() for parameter in shapes_only.parameters()),
        macs=macs,
        published_flops=published_macs + batchnorm_flops,
        uncounted=tuple(sorted(operators - _COUNTED - MOVING)),
    )
