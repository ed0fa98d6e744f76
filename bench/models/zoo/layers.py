"""Blocks that more than one architecture family is built from.

Two-dimensional maps are [B, C, F, T]: channels, frequency rows, frames.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Stride = tuple[int, int]  # (frequency, time)
MakeBlock = Callable[[int, int, Stride], nn.Module]  # (in_channels, out_channels, stride)
Ints = Sequence[int]


def chain(**parts: nn.Module) -> nn.Sequential:
    """Run modules one after the other; the keywords are their names in the state dict."""
    return nn.Sequential(OrderedDict(parts))


class AsImage(nn.Module):
    """Show features [B, T, M] to two-dimensional convolutions as [B, 1, M, T]."""

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Swap the axes of time and frequency and add one of a single channel."""
        return features_BTM.transpose(1, 2).unsqueeze(1)


class AsChannels(nn.Module):
    """Show features [B, T, M] to one-dimensional convolutions as [B, M, T]."""

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Swap the axes of time and frequency."""
        return features_BTM.transpose(1, 2)


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: Stride = (1, 1),
    groups: int = 1,
) -> nn.Conv2d:
    """Make a convolution without bias whose padding keeps the size (before the stride)."""
    padding = kernel_size // 2
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False
    )


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: Stride) -> nn.Sequential:
    """Make a convolution and its BatchNorm."""
    conv = conv2d(in_channels, out_channels, kernel_size, stride=stride)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def projection(in_channels: int, out_channels: int, stride: Stride) -> nn.Module:
    """Make the shortcut of a residual block: a 1x1 convolution where the shape changes."""
    if in_channels == out_channels and stride == (1, 1):
        return nn.Identity()
    return conv_bn(in_channels, out_channels, 1, stride)


class Residual(nn.Module):
    """A module in which what a branch computed meets what was there before it."""

    #: The name of the branch's last layer.
    branch_end: str

    def branch_weights(self) -> list[Tensor]:
        """Return the weights of the branch's last layer, or views of them: its strength."""
        end = self.get_submodule(self.branch_end)
        return [end.weight] if isinstance(end, nn.BatchNorm2d) else list(end.parameters())


class ResidualBlock(Residual):
    """Convolutions with BatchNorm, ReLU between them and, after adding the shortcut, behind.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, *convs: nn.Conv2d, shortcut: nn.Module) -> None:
        super().__init__()
        for index, conv in enumerate(convs, start=1):
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", nn.BatchNorm2d(conv.out_channels))
        self.shortcut = shortcut
        self.num_convs = len(convs)
        self.branch_end = f"bn{self.num_convs}"

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, F, T] to [B, C', F', T']."""
        out = x
        for index in range(1, self.num_convs + 1):
            out = self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(out))
            if index < self.num_convs:
                out = F.relu(out)
        return F.relu(out + self.shortcut(x))


def basic_block(in_channels: int, out_channels: int, stride: Stride) -> ResidualBlock:
    """Make a residual block of two 3x3 convolutions, the first of them with the stride."""
    return ResidualBlock(
        conv2d(in_channels, out_channels, 3, stride=stride),
        conv2d(out_channels, out_channels, 3),
        shortcut=projection(in_channels, out_channels, stride),
    )


def stage(
    make_block: MakeBlock, in_channels: int, out_channels: int, depth: int, stride: Stride
) -> nn.Sequential:
    """Make `depth` blocks of one width; the first changes channels and resolution."""
    first = make_block(in_channels, out_channels, stride)
    rest = (make_block(out_channels, out_channels, (1, 1)) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


def stages(
    make_block: MakeBlock, widths: Ints, depths: Ints, strides: Sequence[Stride], name: str
) -> dict[str, nn.Module]:
    """Make stages one after the other, numbered from 1; the first width is what they are fed."""
    plan = zip(pairwise(widths), depths, strides, strict=True)
    return {
        f"{name}{index}": stage(make_block, *channels, depth, stride)
        for index, (channels, depth, stride) in enumerate(plan, start=1)
    }


# Keeps the square root away from zero, where a channel does not change over time.
VARIANCE_FLOOR = 1e-7
ASP_VARIANCE_FLOOR = 1e-5


class TSTP(nn.Module):
    """Temporal statistics pooling: [B, ..., T] -> [B, 2 * C], all means and then all deviations.

    C counts everything between batch and time. Snyder et al., "X-Vectors", ICASSP 2018.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the last axis."""
        deviation = torch.sqrt(x.var(dim=-1) + VARIANCE_FLOOR)
        return torch.cat([x.mean(dim=-1).flatten(1), deviation.flatten(1)], dim=1)


def weighted_statistics(x: Tensor, weights: Tensor, variance_floor: float) -> Tensor:
    """Pool [B, C, T] with weights that sum to 1 over time: means, then deviations; [B, 2 * C]."""
    mean = (weights * x).sum(dim=2)
    variance = (weights * x.square()).sum(dim=2) - mean.square()
    return torch.cat([mean, variance.clamp(min=variance_floor).sqrt()], dim=1)


class ASTP(nn.Module):
    """Attentive statistics pooling with global context: [B, C, T] -> [B, 2 * C].

    Every channel weighs the frames for itself, knowing its mean and deviation over the whole
    utterance. Desplanques et al., "ECAPA-TDNN", Interspeech 2020.
    """

    def __init__(self, num_channels: int, bottleneck_dim: int = 128) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(3 * num_channels, bottleneck_dim, 1)
        self.linear2 = nn.Conv1d(bottleneck_dim, num_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the last axis."""
        mean = x.mean(dim=2, keepdim=True)
        deviation = torch.sqrt(x.var(dim=2, keepdim=True) + VARIANCE_FLOOR)
        context = torch.cat([x, mean.expand_as(x), deviation.expand_as(x)], dim=1)
        weights = torch.softmax(self.linear2(torch.tanh(self.linear1(context))), dim=2)

        return weighted_statistics(x, weights, VARIANCE_FLOOR)


class ASP(nn.Module):
    """Attentive statistics pooling: [B, C, T] -> [B, 2 * C].

    Every channel weighs the frames for itself, from the frame alone. Okabe et al., "Attentive
    Statistics Pooling for Deep Speaker Embedding", Interspeech 2018.
    """

    def __init__(self, num_channels: int, bottleneck_dim: int = 128) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv1d(num_channels, bottleneck_dim, 1),
            nn.ReLU(),
            nn.BatchNorm1d(bottleneck_dim),
            nn.Conv1d(bottleneck_dim, num_channels, 1),
            nn.Softmax(dim=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the last axis."""
        return weighted_statistics(x, self.attention(x), ASP_VARIANCE_FLOOR)
