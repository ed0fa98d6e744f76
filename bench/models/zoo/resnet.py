"""ResNets over the spectrogram, and what was made of them.

- ResNet, narrow, with a 3x3 stem and no max pooling: He et al., "Deep Residual Learning for Image
  Recognition", CVPR 2016; as speaker embedding Zeinali et al., "BUT System Description to VoxCeleb
  Speaker Recognition Challenge 2019".
- Res2Net, here of two groups: half of the channels skip the 3x3 convolution. Gao et al., "Res2Net:
  A New Multi-scale Backbone Architecture", TPAMI 2021.
- ERes2Net: a Res2Net whose groups, and whose stages, are fused by attention. Chen et al., "An
  Enhanced Res2Net with Local and Global Feature Fusion for Speaker Verification", Interspeech 2023.
- SimAM-ResNet: residual branches gated by how much each value stands out, without parameters. Qin
  et al., "Simple Attention Module based Speaker Verification with Iterative Noisy Label Detection",
  ICASSP 2022; the module itself is from Yang et al., "SimAM", ICML 2021.
- DF-ResNet with the Golden Gemini strides: Liu et al., "Golden Gemini is All You Need",
  arXiv:2312.03620; the depth-first blocks are from Liu et al., "DF-ResNet: Boosting Speaker
  Verification Performance with Depth-First Design", Interspeech 2022.
"""

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import (
    ASP,
    TSTP,
    AsImage,
    MakeBlock,
    Residual,
    ResidualBlock,
    Stride,
    basic_block,
    chain,
    conv2d,
    conv_bn,
    projection,
    stage,
    stages,
)

STEM_CHANNELS = 32
STAGE_CHANNELS = (32, 64, 128, 256)
STAGE_STRIDES: tuple[Stride, ...] = ((1, 1), (2, 2), (2, 2), (2, 2))
BOTTLENECK_EXPANSION = 4


def bottleneck(in_channels: int, out_channels: int, stride: Stride) -> ResidualBlock:
    """Make a residual block whose 3x3 convolution, with the stride, works on fewer channels."""
    width = out_channels // BOTTLENECK_EXPANSION
    return ResidualBlock(
        conv2d(in_channels, width, 1),
        conv2d(width, width, 3, stride=stride),
        conv2d(width, out_channels, 1),
        shortcut=projection(in_channels, out_channels, stride),
    )


def residual_network(
    make_block: MakeBlock, *, expansion: int, depths: tuple[int, ...], feat_dim: int, embed_dim: int
) -> nn.Sequential:
    """Build stem, four residual stages, TSTP and the embedding: [B, T, M] -> [B, D].

    A block's output has `expansion` times the channels of its stage's nominal width.
    """
    widths = (STEM_CHANNELS, *(channels * expansion for channels in STAGE_CHANNELS))
    num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in STAGE_STRIDES))
    return chain(
        image=AsImage(),
        conv1=conv2d(1, STEM_CHANNELS, 3),
        bn1=nn.BatchNorm2d(STEM_CHANNELS),
        relu=nn.ReLU(),
        **stages(make_block, widths, depths, STAGE_STRIDES, "layer"),
        pool=TSTP(),
        seg_1=nn.Linear(2 * widths[-1] * num_rows, embed_dim),
    )


def resnet(
    *, block: Literal["basic", "bottleneck"], depths: tuple[int, ...], feat_dim: int, embed_dim: int
) -> nn.Sequential:
    """Build a ResNet: `features_BTM` float32 [B, T, M] -> [B, D]."""
    make_block: MakeBlock = basic_block if block == "basic" else bottleneck
    expansion = 1 if block == "basic" else BOTTLENECK_EXPANSION
    return residual_network(
        make_block, expansion=expansion, depths=depths, feat_dim=feat_dim, embed_dim=embed_dim
    )


EXPANSION = 2
RELU_CEILING = 20.0


def clipped_relu(x: Tensor) -> Tensor:
    """Clamp to 0 and 20, as the blocks of this family do instead of a plain ReLU."""
    return F.hardtanh(x, 0.0, RELU_CEILING)


class Res2Block(Residual):
    """Residual block 1x1, split into two groups, 3x3 on the first of them, 1x1.

    Lists of one convolution and one BatchNorm keep the state-dict names of the general block.
    """

    branch_end = "bn3"

    def __init__(self, in_channels: int, out_channels: int, stride: Stride) -> None:
        super().__init__()
        width = out_channels // EXPANSION
        self.conv1 = conv2d(in_channels, width, 1, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.add_groups(width // 2)
        self.conv3 = conv2d(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = projection(in_channels, out_channels, stride)

    def add_groups(self, width: int) -> None:
        """Make what works on the two groups of `width` channels."""
        self.convs = nn.ModuleList([conv2d(width, width, 3)])
        self.bns = nn.ModuleList([nn.BatchNorm2d(width)])

    def groups(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the first group, and pass the second on."""
        return clipped_relu(self.bns[0](self.convs[0](first))), second

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, F, T] to [B, C', F', T']."""
        first, second = clipped_relu(self.bn1(self.conv1(x))).chunk(2, dim=1)
        merged = self.bn3(self.conv3(torch.cat(self.groups(first, second), dim=1)))
        return clipped_relu(merged + self.shortcut(x))


def res2net(*, depths: tuple[int, ...], feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build a Res2Net: `features_BTM` float32 [B, T, M] -> [B, D]."""
    return residual_network(
        Res2Block, expansion=EXPANSION, depths=depths, feat_dim=feat_dim, embed_dim=embed_dim
    )


SIMAM_WIDTHS = (64, 64, 128, 256, 512)  # stem, then the four stages
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
    num_channels = SIMAM_WIDTHS[-1] * num_rows
    return chain(
        image=AsImage(),
        front=chain(
            conv1=conv2d(1, SIMAM_WIDTHS[0], 3),
            bn1=nn.BatchNorm2d(SIMAM_WIDTHS[0]),
            relu=nn.ReLU(),
            **stages(SimAMBlock, SIMAM_WIDTHS, depths, STAGE_STRIDES, "layer"),
        ),
        rows_to_channels=nn.Flatten(1, 2),
        pooling=ASP(num_channels),
        bottleneck=nn.Linear(2 * num_channels, embed_dim),
    )


GEMINI_WIDTHS = (32, 32, 64, 128, 256)  # stem, then the four stages
GEMINI_STRIDES: tuple[Stride, ...] = ((2, 1), (2, 2), (2, 1), (2, 1))
INVERTED_EXPANSION = 4


def inverted_bottleneck(channels: int) -> ResidualBlock:
    """Make a residual block whose 3x3 convolution is depthwise, on four times the channels."""
    wide = INVERTED_EXPANSION * channels
    return ResidualBlock(
        conv2d(channels, wide, 1),
        conv2d(wide, wide, 3, groups=wide),
        conv2d(wide, channels, 1),
        shortcut=nn.Identity(),
    )


class GeminiDFResNet(nn.Module):
    """DF-ResNet with the Golden Gemini strides: `features_BTM` float32 [B, T, M] -> [B, D].

    Frequency shrinks early, time hardly at all.
    """

    def __init__(self, *, depths: tuple[int, ...], feat_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.image = AsImage()
        stem = nn.Sequential(*conv_bn(1, GEMINI_WIDTHS[0], 3, (1, 1)), nn.ReLU())
        downsample = (
            conv_bn(in_channels, out_channels, 3, stride)
            for (in_channels, out_channels), stride in zip(
                pairwise(GEMINI_WIDTHS), GEMINI_STRIDES, strict=True
            )
        )
        self.downsample_layers = nn.ModuleList([stem, *downsample])
        self.stages = nn.ModuleList(
            nn.Sequential(*(inverted_bottleneck(channels) for _ in range(depth)))
            for channels, depth in zip(GEMINI_WIDTHS[1:], depths, strict=True)
        )
        num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in GEMINI_STRIDES))
        self.pool = TSTP()
        self.seg_1 = nn.Linear(2 * GEMINI_WIDTHS[-1] * num_rows, embed_dim)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed a batch of chunks."""
        stem, *downsample = self.downsample_layers
        x = stem(self.image(features_BTM))
        for shrink, blocks in zip(downsample, self.stages, strict=True):
            x = blocks(shrink(x))
        embedding: Tensor = self.seg_1(self.pool(x))
        return embedding


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
