"""CAM++: a small residual front end and a densely connected TDNN with context masks.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking", Interspeech 2023.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import (
    TSTP,
    AsImage,
    Residual,
    Stride,
    basic_block,
    chain,
    conv2d,
    stage,
)

HEAD_CHANNELS = 32
HEAD_STRIDE: Stride = (2, 1)  # three times: an eighth of the rows, every frame
TDNN_CHANNELS = 128
GROWTH = 32
BOTTLENECK_DIM = 128
SEGMENT_FRAMES = 100
BLOCKS = ((12, 1), (24, 2), (16, 2))  # (layers, dilation)


def bn_relu(channels: int) -> nn.Sequential:
    """Make the nonlinearity that stands before or behind every convolution over time."""
    return chain(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU())


class AppendedBnRelu(Residual):
    """The nonlinearity of channels behind which a dense block has appended others; [B, C, T]."""

    def __init__(self, num_before: int, num_appended: int) -> None:
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(num_before + num_appended)
        self.num_before = num_before

    def branch_weights(self) -> list[Tensor]:
        """Return those of the appended channels."""
        return [self.batchnorm.weight[self.num_before :]]

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        return F.relu(self.batchnorm(x))


class ContextMask(nn.Module):
    """Convolution over time, gated by the mean of the utterance and of a segment; [B, C, T]."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(in_channels, in_channels // 2, 1)
        self.linear2 = nn.Conv1d(in_channels // 2, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C', T]."""
        context = x.mean(dim=2, keepdim=True) + segment_means(x)
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(context))))
        masked: Tensor = self.linear_local(x) * mask
        return masked


def segment_means(x: Tensor) -> Tensor:
    """Give each frame of [B, C, T] the mean of its segment; the last one may be shorter."""
    means = F.avg_pool1d(x, SEGMENT_FRAMES, stride=SEGMENT_FRAMES, ceil_mode=True)
    repeated = means.unsqueeze(3).expand(-1, -1, -1, SEGMENT_FRAMES).flatten(2)
    return repeated[:, :, : x.shape[2]]


class DenseBlock(nn.Sequential):
    """Layers that each append their GROWTH channels to everything before: [B, C, T]."""

    def __init__(self, in_channels: int, num_layers: int, dilation: int) -> None:
        super().__init__()
        for index in range(num_layers):
            layer = dense_layer(in_channels, index * GROWTH, dilation)
            self.add_module(f"tdnnd{index + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C + layers * GROWTH, T]."""
        for layer in self:
            x = torch.cat([x, layer(x)], dim=1)
        return x


def dense_layer(num_before: int, num_appended: int, dilation: int) -> nn.Sequential:
    """Make one layer of a dense block: [B, C, T] -> [B, GROWTH, T]."""
    return chain(
        nonlinear1=AppendedBnRelu(num_before, num_appended),
        linear1=nn.Conv1d(num_before + num_appended, BOTTLENECK_DIM, 1, bias=False),
        nonlinear2=bn_relu(BOTTLENECK_DIM),
        cam_layer=ContextMask(BOTTLENECK_DIM, GROWTH, dilation),
    )


def residual_head() -> nn.Sequential:
    """Make the two-dimensional front end: [B, 1, M, T] -> [B, 32 * M / 8, T]."""
    return chain(
        conv1=conv2d(1, HEAD_CHANNELS, 3),
        bn1=nn.BatchNorm2d(HEAD_CHANNELS),
        relu1=nn.ReLU(),
        layer1=stage(basic_block, HEAD_CHANNELS, HEAD_CHANNELS, 2, HEAD_STRIDE),
        layer2=stage(basic_block, HEAD_CHANNELS, HEAD_CHANNELS, 2, HEAD_STRIDE),
        conv2=conv2d(HEAD_CHANNELS, HEAD_CHANNELS, 3, stride=HEAD_STRIDE),
        bn2=nn.BatchNorm2d(HEAD_CHANNELS),
        relu2=nn.ReLU(),
        rows_to_channels=nn.Flatten(1, 2),
    )


def dense_tdnn(in_channels: int, embed_dim: int) -> nn.Sequential:
    """Make the TDNN from its halving of the frame rate to the embedding: [B, C, T] -> [B, D]."""
    parts: dict[str, nn.Module] = {
        "tdnn": chain(
            linear=nn.Conv1d(in_channels, TDNN_CHANNELS, 5, stride=2, padding=2, bias=False),
            nonlinear=bn_relu(TDNN_CHANNELS),
        )
    }
    channels = TDNN_CHANNELS
    for index, (num_layers, dilation) in enumerate(BLOCKS, start=1):
        parts[f"block{index}"] = DenseBlock(channels, num_layers, dilation)
        nonlinear = AppendedBnRelu(channels, num_layers * GROWTH)
        channels += num_layers * GROWTH
        parts[f"transit{index}"] = chain(
            nonlinear=nonlinear, linear=nn.Conv1d(channels, channels // 2, 1, bias=False)
        )
        channels //= 2
    return chain(
        **parts,
        out_nonlinear=bn_relu(channels),
        stats=TSTP(),
        dense=chain(
            one_frame=nn.Unflatten(1, (2 * channels, 1)),
            linear=nn.Conv1d(2 * channels, embed_dim, 1, bias=False),
            no_frames=nn.Flatten(),
            nonlinear=chain(batchnorm=nn.BatchNorm1d(embed_dim, affine=False)),
        ),
    )


def campplus(*, feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build CAM++: `features_BTM` float32 [B, T, M] -> [B, D]."""
    head_dim = HEAD_CHANNELS * math.ceil(feat_dim / 8)
    return chain(image=AsImage(), head=residual_head(), xvector=dense_tdnn(head_dim, embed_dim))
