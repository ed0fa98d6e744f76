"""Blocks that more than one architecture family is built from.

Two-dimensional maps are [B, C, F, T]: channels, frequency rows, frames.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Stride = tuple[int, int]  # (frequency, time)
MakeBlock = Callable[[int, int, Stride], nn.Module]  # (in_channels, out_channels, stride)


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
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
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

    def branch_weights(self) -> list[Tensor]:
        """Return the weights of the branch's last layer, or views of them: its strength."""
        raise NotImplementedError


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

    def branch_weights(self) -> list[Tensor]:
        """Return those behind the last convolution."""
        return [self.get_parameter(f"bn{self.num_convs}.weight")]

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
