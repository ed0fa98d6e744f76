"""DF-ResNet with the Golden Gemini strides: frequency shrinks early, time hardly at all.

Liu et al., "Golden Gemini is All You Need", arXiv:2312.03620; the depth-first blocks are from
Liu et al., "DF-ResNet: Boosting Speaker Verification Performance with Depth-First Design",
Interspeech 2022.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from rtfbench.models.zoo.layers import TSTP, AsImage, ResidualBlock, Stride, conv2d, conv_bn

WIDTHS = (32, 32, 64, 128, 256)  # stem, then the four stages
STRIDES: tuple[Stride, ...] = ((2, 1), (2, 2), (2, 1), (2, 1))
EXPANSION = 4


def inverted_bottleneck(channels: int) -> ResidualBlock:
    """Make a residual block whose 3x3 convolution is depthwise, on four times the channels."""
    wide = EXPANSION * channels
    return ResidualBlock(
        conv2d(channels, wide, 1),
        conv2d(wide, wide, 3, groups=wide),
        conv2d(wide, channels, 1),
        shortcut=nn.Identity(),
    )


class GeminiDFResNet(nn.Module):
    """`features_BTM` float32 [B, T, M] -> [B, D]."""

    def __init__(self, *, depths: tuple[int, ...], feat_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.image = AsImage()
        stem = nn.Sequential(*conv_bn(1, WIDTHS[0], 3, (1, 1)), nn.ReLU())
        downsample = (
            conv_bn(in_channels, out_channels, 3, stride)
            for (in_channels, out_channels), stride in zip(pairwise(WIDTHS), STRIDES, strict=True)
        )
        self.downsample_layers = nn.ModuleList([stem, *downsample])
        self.stages = nn.ModuleList(
            nn.Sequential(*(inverted_bottleneck(channels) for _ in range(depth)))
            for channels, depth in zip(WIDTHS[1:], depths, strict=True)
        )
        num_rows = math.ceil(feat_dim / math.prod(stride for stride, _ in STRIDES))
        self.pool = TSTP()
        self.seg_1 = nn.Linear(2 * WIDTHS[-1] * num_rows, embed_dim)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed a batch of chunks."""
        stem, *downsample = self.downsample_layers
        x = stem(self.image(features_BTM))
        for shrink, blocks in zip(downsample, self.stages, strict=True):
            x = blocks(shrink(x))
        embedding: Tensor = self.seg_1(self.pool(x))
        return embedding
