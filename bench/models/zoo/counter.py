"""Parameters and operations of a model, exact and in the convention of the published tables.

The tables follow thop: multiply-accumulates of convolutions and linear layers, and for a
BatchNorm in eval mode two operations an element, or four if it has weights. They take
`PUBLISHED_NUM_FRAMES` and count RepVGG in its inference form.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rtfbench.engines.protocol import PUBLISHED_NUM_FRAMES
from rtfbench.models.zoo import build, catalog
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


class _OperatorNames(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the names of all operators that run inside of it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def _macs(module: nn.Module, output: Tensor) -> int:
    """Return the multiply-accumulates that gave `output`, 0 if the module is of another kind."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        inputs_per_output = module.in_channels // module.groups * math.prod(module.kernel_size)
        return output.numel() * inputs_per_output
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0


def _batchnorm_flops(module: nn.Module, output: Tensor) -> int:
    """Return thop's operations of a BatchNorm in eval mode, 0 if the module is of another kind."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return output.numel() * (4 if module.affine else 2)
    return 0


def _run(model: nn.Module, num_frames: int, feat_dim: int) -> tuple[int, int, set[str]]:
    """Return multiply-accumulates, BatchNorm operations and operator names of one chunk."""
    macs = batchnorm_flops = 0

    def count_output(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal macs, batchnorm_flops
        macs += _macs(module, output)
        batchnorm_flops += _batchnorm_flops(module, output)

    features_BTM = torch.empty(1, num_frames, feat_dim, device="meta")
    handles = [module.register_forward_hook(count_output) for module in model.modules()]
    try:
        with torch.no_grad(), _OperatorNames() as operators:
            model(features_BTM)
    finally:
        for handle in handles:
            handle.remove()
    return macs, batchnorm_flops, operators.names


def count(model: nn.Module, num_frames: int, feat_dim: int = 80) -> Counts:
    """Count one chunk of `num_frames` through the model's inference form.

    Works on a copy without values, so nothing is computed and `model` stays as it is.
    """
    # A meta tensor has a shape and no values: hooks see the sizes, no arithmetic is done.
    shapes_only = reparameterize(model).to("meta")
    found = {
        frames: _run(shapes_only, frames, feat_dim) for frames in {num_frames, PUBLISHED_NUM_FRAMES}
    }
    macs, _, operators = found[num_frames]
    published_macs, batchnorm_flops, _ = found[PUBLISHED_NUM_FRAMES]
    return Counts(
        params=sum(parameter.numel() for parameter in shapes_only.parameters()),
        macs=macs,
        published_flops=published_macs + batchnorm_flops,
        uncounted=tuple(sorted(operators - _COUNTED - MOVING)),
    )


def count_named(name: str, num_frames: int) -> Counts:
    """Count one chunk through a model of the catalog, which is made without values.

    Raises:
        UnknownModelError: the catalog has no such model.
    """
    with torch.device("meta"):
        shapes_only = build(name)
    return count(shapes_only, num_frames, catalog.get(name).feat_dim)
