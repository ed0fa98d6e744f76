"""Res2Net with two groups: half of the channels skip the 3x3 convolution.

Gao et al., "Res2Net: A New Multi-scale Backbone Architecture", TPAMI 2021.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.zoo.layers import Residual, Stride, conv2d, projection
from bench.zoo.resnet import residual_network

EXPANSION = 2
RELU_CEILING = 20.0


def clipped_relu(x: Tensor) -> Tensor:
    """Clamp to 0 and 20, as the blocks of this family do instead of a plain ReLU."""
    return F.hardtanh(x, 0.0, RELU_CEILING)


class Res2Block(Residual):
    """Residual block 1x1, split into two groups, 3x3 on the first of them, 1x1.

    Lists of one convolution and one BatchNorm keep the state-dict names of the general block.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Stride) -> None:
        super().__init__()
        width = out_channels // EXPANSION
        group = width // 2
        self.conv1 = conv2d(in_channels, width, 1, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.convs = nn.ModuleList([conv2d(group, group, 3)])
        self.bns = nn.ModuleList([nn.BatchNorm2d(group)])
        self.conv3 = conv2d(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = projection(in_channels, out_channels, stride)

    def branch_weights(self) -> list[Tensor]:
        """Return those behind the last convolution."""
        return [self.bn3.weight]

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, F, T] to [B, C', F', T']."""
        convolved, passed_on = clipped_relu(self.bn1(self.conv1(x))).chunk(2, dim=1)
        convolved = clipped_relu(self.bns[0](self.convs[0](convolved)))
        merged = self.bn3(self.conv3(torch.cat([convolved, passed_on], dim=1)))
        return clipped_relu(merged + self.shortcut(x))


def res2net(*, depths: tuple[int, ...], feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build a Res2Net: `features_BTM` float32 [B, T, M] -> [B, D]."""
    return residual_network(
        Res2Block, expansion=EXPANSION, depths=depths, feat_dim=feat_dim, embed_dim=embed_dim
    )
