"""Convolutions over time: the x-vector, and ECAPA-TDNN with global-context attention.

Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018.
Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in
TDNN Based Speaker Verification", Interspeech 2020.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtfbench.models.zoo.layers import ASTP, TSTP, AsChannels, chain

NUM_GROUPS = 8
DILATIONS = (2, 3, 4)
SQUEEZE_DIM = 128
AGGREGATE_CHANNELS = 1536


def tdnn(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Make a convolution over time that keeps T; BatchNorm comes behind the ReLU."""
    return chain(
        conv=nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
        relu=nn.ReLU(),
        bn=nn.BatchNorm1d(out_channels),
    )


class Res2Conv1d(nn.Module):
    """Convolve groups of channels in turn, each with the result before it added; [B, C, T].

    The last group is passed on as it is.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // NUM_GROUPS
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
            for _ in range(NUM_GROUPS - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(NUM_GROUPS - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        *groups, passed_on = x.chunk(NUM_GROUPS, dim=1)
        results: list[Tensor] = []
        for group, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            mixed = group + results[-1] if results else group
            results.append(bn(F.relu(conv(mixed))))
        return torch.cat([*results, passed_on], dim=1)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channels' means over time; [B, C, T]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, SQUEEZE_DIM)
        self.linear2 = nn.Linear(SQUEEZE_DIM, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        squeezed = F.relu(self.linear1(x.mean(dim=2)))
        return x * torch.sigmoid(self.linear2(squeezed)).unsqueeze(2)


class SERes2Block(nn.Module):
    """The residual block of ECAPA-TDNN; [B, C, T]."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.se_res2block = nn.Sequential(
            tdnn(channels, channels, 1),
            Res2Conv1d(channels, dilation),
            tdnn(channels, channels, 1),
            SqueezeExcitation(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        out: Tensor = x + self.se_res2block(x)
        return out


class EcapaTdnn(nn.Module):
    """`features_BTM` float32 [B, T, M] -> [B, D]; pooling sees the outputs of all three blocks."""

    def __init__(self, *, channels: int, feat_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.channels = AsChannels()
        self.layer1 = tdnn(feat_dim, channels, 5)
        self.layer2, self.layer3, self.layer4 = (SERes2Block(channels, d) for d in DILATIONS)
        self.conv = nn.Conv1d(len(DILATIONS) * channels, AGGREGATE_CHANNELS, 1)
        self.pool = ASTP(AGGREGATE_CHANNELS)
        self.bn = nn.BatchNorm1d(2 * AGGREGATE_CHANNELS)
        self.linear = nn.Linear(2 * AGGREGATE_CHANNELS, embed_dim)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed a batch of chunks."""
        out2 = self.layer2(self.layer1(self.channels(features_BTM)))
        out3 = self.layer3(out2)
        out4 = self.layer4(out3)
        aggregate = F.relu(self.conv(torch.cat([out2, out3, out4], dim=1)))
        embedding: Tensor = self.linear(self.bn(self.pool(aggregate)))
        return embedding


# (output channels, kernel size in frames, dilation)
FRAME_LAYERS = ((512, 5, 1), (512, 3, 2), (512, 3, 3), (512, 1, 1), (1500, 1, 1))


def xvec(*, feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build the network: `features_BTM` float32 [B, T, M] -> [B, D].

    Nothing is padded, so it sees 14 frames fewer at its end and T must be 16 or more: the
    deviation over time needs two frames. BatchNorm comes behind the ReLU and has no weights.
    """
    frames: dict[str, nn.Module] = {}
    channels = feat_dim
    for index, (width, kernel_size, dilation) in enumerate(FRAME_LAYERS, start=1):
        frames[f"frame_{index}"] = chain(
            conv_1d=nn.Conv1d(channels, width, kernel_size, dilation=dilation),
            relu=nn.ReLU(),
            bn=nn.BatchNorm1d(width, affine=False),
        )
        channels = width
    return chain(
        channels=AsChannels(),
        **frames,
        pool=TSTP(),
        seg_1=nn.Linear(2 * channels, embed_dim),
        relu=nn.ReLU(),
        seg_bn_1=nn.BatchNorm1d(embed_dim, affine=False),
        seg_2=nn.Linear(embed_dim, embed_dim),
    )
