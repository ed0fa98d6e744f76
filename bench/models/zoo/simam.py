"""SimAM-ResNet: residual branches gated by how much each value stands out, without parameters.

Qin et al., "Simple Attention Module based Speaker Verification with Iterative Noisy Label
Detection", ICASSP 2022; the module itself is from Yang et al., "SimAM", ICML 2021.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import (
    ASP,
    AsImage,
    Residual,
    Stride,
    chain,
    conv2d,
    projection,
    stages,
)
from rtfbench.models.zoo.resnet import STAGE_STRIDES

WIDTHS = (64, 64, 128, 256, 512)  # stem, then the four stages
ENERGY_FLOOR = 1e-4


def simam(x: Tensor) -> Tensor:
    """Gate each value of [B, C, F, T] by its squared distance from the channel's mean."""
    num_others = x.shape[2] * x.shape[3] - 1
    squared = (x - x.mean(dim=[2, 3], keepdim=True)).square()
    variance = squared.sum(dim=[2, 3], keepdim=True) / num_others
    return x * torch.sigmoid(squared / (4 * (variance + ENERGY_FLOOR)) + 0.5)


class SimAMBlock(Residual):
    """Residual block of two 3x3 convolutions, gated before the shortcut is added."""

    branch_end = "bn2"

    def __init__(self, in_channels: int, out_channels: int, stride: Stride) -> None:
        super().__init__()
        self.conv1 = conv2d(in_channels, out_channels, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv2d(out_channels, out_channels, 3)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, F, T] to [B, C', F', T']."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = simam(self.bn2(self.conv2(out)))
        return F.relu(out + self.downsample(x))


def simam_resnet(
    *, depths: tuple[int, int, int, int], feat_dim: int, embed_dim: int
) -> nn.Sequential:
    """Build a SimAM-ResNet with attentive pooling: `features_BTM` float32 [B, T, M] -> [B, D]."""
    num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in STAGE_STRIDES))
    num_channels = WIDTHS[-1] * num_rows
    return chain(
        image=AsImage(),
        front=chain(
            conv1=conv2d(1, WIDTHS[0], 3),
            bn1=nn.BatchNorm2d(WIDTHS[0]),
            relu=nn.ReLU(),
            **stages(SimAMBlock, WIDTHS, depths, STAGE_STRIDES, "layer"),
        ),
        rows_to_channels=nn.Flatten(1, 2),
        pooling=ASP(num_channels),
        bottleneck=nn.Linear(2 * num_channels, embed_dim),
    )
