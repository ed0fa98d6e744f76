"""ERes2Net: a Res2Net whose groups, and whose stages, are fused by attention.

Chen et al., "An Enhanced Res2Net with Local and Global Feature Fusion for Speaker Verification",
Interspeech 2023.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import TSTP, AsImage, conv2d, stage
from rtfbench.models.zoo.resnet import (
    EXPANSION,
    STAGE_CHANNELS,
    STAGE_STRIDES,
    STEM_CHANNELS,
    Res2Block,
    clipped_relu,
)

ATTENTION_REDUCTION = 4


class Fusion(nn.Module):
    """Weigh two maps of one shape against each other, everywhere anew: the paper's AFF."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = channels // ATTENTION_REDUCTION
        self.local_att = nn.Sequential(
            nn.Conv2d(2 * channels, reduced, 1),
            nn.BatchNorm2d(reduced),
            nn.SiLU(),
            nn.Conv2d(reduced, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map twice [B, C, F, T] to [B, C, F, T]: weights from 0 to 2, together 2."""
        weight = 1.0 + torch.tanh(self.local_att(torch.cat([x, y], dim=1)))
        return x * weight + y * (2.0 - weight)


class ERes2Block(Res2Block):
    """Residual block 1x1, two groups of 3x3 of which the second sees the first's result, 1x1."""

    def add_groups(self, width: int) -> None:
        """Make what works on the two groups of `width` channels."""
        self.convs = nn.ModuleList(conv2d(width, width, 3) for _ in range(2))
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))

    def groups(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the first group, and the second with the result added."""
        first = clipped_relu(self.bns[0](self.convs[0](first)))
        second = clipped_relu(self.bns[1](self.convs[1](first + second)))
        return first, second


class FusedERes2Block(Res2Block):
    """The block of the later stages, in which attention fuses the groups."""

    def add_groups(self, width: int) -> None:
        """Make what works on the two groups of `width` channels."""
        self.conv2_1 = conv2d(width, width, 3)
        self.bn2_1 = nn.BatchNorm2d(width)
        super().add_groups(width)
        self.fuse_models = nn.ModuleList([Fusion(width)])

    def groups(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the first group, and the second with the result fused in."""
        first = clipped_relu(self.bn2_1(self.conv2_1(first)))
        fused = self.fuse_models[0](first, second)
        second = clipped_relu(self.bns[0](self.convs[0](fused)))
        return first, second


class ERes2Net(nn.Module):
    """`features_BTM` float32 [B, T, M] -> [B, D]; pooling sees all four stages, fused bottom-up."""

    def __init__(self, *, depths: tuple[int, int, int, int], feat_dim: int, embed_dim: int) -> None:
        super().__init__()
        widths = (STEM_CHANNELS, *(channels * EXPANSION for channels in STAGE_CHANNELS))
        (in1, out1), (in2, out2), (in3, out3), (in4, out4) = pairwise(widths)
        stride1, stride2, stride3, stride4 = STAGE_STRIDES
        self.image = AsImage()
        self.conv1 = conv2d(1, STEM_CHANNELS, 3)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.layer1 = stage(ERes2Block, in1, out1, depths[0], stride1)
        self.layer2 = stage(ERes2Block, in2, out2, depths[1], stride2)
        self.layer3 = stage(FusedERes2Block, in3, out3, depths[2], stride3)
        self.layer4 = stage(FusedERes2Block, in4, out4, depths[3], stride4)
        self.layer1_downsample = conv2d(out1, out2, 3, stride=stride2)
        self.layer2_downsample = conv2d(out2, out3, 3, stride=stride3)
        self.layer3_downsample = conv2d(out3, out4, 3, stride=stride4)
        self.fuse_mode12 = Fusion(out2)
        self.fuse_mode123 = Fusion(out3)
        self.fuse_mode1234 = Fusion(out4)
        num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in STAGE_STRIDES))
        self.pool = TSTP()
        self.seg_1 = nn.Linear(2 * out4 * num_rows, embed_dim)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed a batch of chunks."""
        out1 = self.layer1(F.relu(self.bn1(self.conv1(self.image(features_BTM)))))
        out2 = self.layer2(out1)
        out3 = self.layer3(out2)
        out4 = self.layer4(out3)
        fused = self.fuse_mode12(out2, self.layer1_downsample(out1))
        fused = self.fuse_mode123(out3, self.layer2_downsample(fused))
        fused = self.fuse_mode1234(out4, self.layer3_downsample(fused))
        embedding: Tensor = self.seg_1(self.pool(fused))
        return embedding
