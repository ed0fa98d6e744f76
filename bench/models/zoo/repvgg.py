"""RepVGG: three parallel branches for training, one convolution for inference.

Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021; for speakers
"Rep Works in Speaker Verification", arXiv:2110.09720.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import TSTP, AsImage, Residual, Stride, chain, conv2d, stages

WIDTHS = (32, 32, 64, 128, 256)  # stem, then the four stages
STRIDES: tuple[Stride, ...] = ((1, 1), (2, 2), (2, 2), (2, 2))


class RepVGGBlock(Residual):
    """ReLU of the sum of a 3x3, a 1x1 and, where the shape stays, an identity branch."""

    def __init__(self, in_channels: int, out_channels: int, stride: Stride) -> None:
        super().__init__()
        keeps_shape = in_channels == out_channels and stride == (1, 1)
        self.rbr_identity = nn.BatchNorm2d(in_channels) if keeps_shape else None
        self.rbr_dense, self.rbr_1x1 = (
            chain(
                conv=conv2d(in_channels, out_channels, kernel_size, stride=stride),
                bn=nn.BatchNorm2d(out_channels),
            )
            for kernel_size in (3, 1)
        )

    def branch_weights(self) -> list[Tensor]:
        """Return those behind the convolutions; none where there is no identity."""
        branches = [] if self.rbr_identity is None else [self.rbr_dense, self.rbr_1x1]
        return [branch.get_parameter("bn.weight") for branch in branches]

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, F, T] to [B, C', F', T']."""
        out = self.rbr_dense(x) + self.rbr_1x1(x)
        if self.rbr_identity is not None:
            out = out + self.rbr_identity(x)
        return F.relu(out)


def repvgg(*, depths: tuple[int, ...], feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build the training form: `features_BTM` float32 [B, T, M] -> [B, D]."""
    num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in STRIDES))
    return chain(
        image=AsImage(),
        stage0=RepVGGBlock(1, WIDTHS[0], (1, 1)),
        **stages(RepVGGBlock, WIDTHS, depths, STRIDES, "stage"),
        pool=TSTP(),
        seg=nn.Linear(2 * WIDTHS[-1] * num_rows, embed_dim),
    )


def _fold(kernel: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the 3x3 kernel and the bias that do the work of `kernel` and then `bn`.

    In float64, because a sum of three folded branches is rounded only once then.
    """
    mean, variance = bn.running_mean, bn.running_var
    assert mean is not None
    assert variance is not None
    scale = bn.weight.double() / torch.sqrt(variance.double() + bn.eps)
    margin = (3 - kernel.shape[-1]) // 2
    padded = F.pad(kernel.double(), [margin] * 4)
    return padded * scale[:, None, None, None], bn.bias.double() - mean.double() * scale


def _merge(block: RepVGGBlock) -> nn.Sequential:
    """Return one convolution with bias, and its ReLU, equal to the block in eval mode."""
    dense = block.rbr_dense.get_submodule("conv")
    assert isinstance(dense, nn.Conv2d)
    branches = [
        (branch.get_parameter("conv.weight"), branch.get_submodule("bn"))
        for branch in (block.rbr_dense, block.rbr_1x1)
    ]
    if block.rbr_identity is not None:
        eye = torch.eye(dense.in_channels, device=dense.weight.device)
        branches.append((nn.Parameter(eye[:, :, None, None]), block.rbr_identity))

    folded = [_fold(kernel, bn) for kernel, bn in branches if isinstance(bn, nn.BatchNorm2d)]
    kernels, biases = zip(*folded, strict=True)
    stride = (dense.stride[0], dense.stride[1])
    merged = nn.Conv2d(dense.in_channels, dense.out_channels, 3, stride=stride, padding=1)
    merged.weight = nn.Parameter(sum(kernels, torch.zeros_like(kernels[0])).float())
    merged.bias = nn.Parameter(sum(biases, torch.zeros_like(biases[0])).float())
    return chain(rbr_reparam=merged, relu=nn.ReLU())


@torch.no_grad()
def reparameterize(model: nn.Module) -> nn.Module:
    """Return a copy in inference form: every RepVGG block is one convolution.

    Exact up to rounding for a model in eval mode; a model without such blocks is only copied.
    """
    deployed = copy.deepcopy(model)
    blocks = [(n, m) for n, m in deployed.named_modules() if isinstance(m, RepVGGBlock)]
    for name, block in blocks:
        deployed.set_submodule(name, _merge(block))
    return deployed.eval()
