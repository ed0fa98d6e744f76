"""ReDimNet: blocks on two-dimensional maps and over time in turns, on reshaped dimensions.

A map [B, C, F, T] and a sequence [B, C * F, T] hold the same values, so every stage sees the
weighted sum of all stages before it. Yakovlev et al., "Reshape Dimensions Network for Speaker
Recognition", Interspeech 2024.
"""

import math

import torch
from torch import Tensor, nn

from rtfbench.models.zoo.layers import ASTP, AsImage, Residual, chain

GROUP_CHANNELS = 4
CONTEXT_KERNELS = (7, 19, 31, 59)
NUM_HEADS = 4
NORM_EPS = 1e-6


#: Of each stage the stride of its first convolution over frequency, by which rows are divided and
#: channels multiplied, its blocks on the two-dimensional map, and by what channels are reduced
#: while the context over time is computed.
Stages = tuple[tuple[int, int, int], ...]


class ChannelNorm(nn.Module):
    """Normalise over the channels of [B, C, ...], then scale and shift each of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        shape = (-1, *(1 for _ in range(x.ndim - 2)))
        normal = centred / torch.sqrt(variance + NORM_EPS)
        return self.weight.view(shape) * normal + self.bias.view(shape)


class ConvNeXtBlock(Residual):
    """A grouped convolution, BatchNorm, GELU and a pointwise convolution, added to the input.

    The grouped convolution's list of one keeps the state-dict names of the general block.
    """

    branch_end = "pwconv1"

    def __init__(self, grouped: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        channels = grouped.out_channels
        flat = isinstance(grouped, nn.Conv1d)
        self.dwconvs = nn.ModuleList([grouped])
        self.norm = nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
        self.gelu = nn.GELU()
        self.pwconv1 = (nn.Conv1d if flat else nn.Conv2d)(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        out: Tensor = x + self.pwconv1(self.gelu(self.norm(self.dwconvs[0](x))))
        return out


def map_block(channels: int) -> nn.Sequential:
    """Make a block on two-dimensional maps [B, C, F, T]."""
    groups = channels // GROUP_CHANNELS
    grouped = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
    return chain(conv_block=ConvNeXtBlock(grouped))


class SelfAttention(Residual):
    """Multi-head attention between frames, added to the input; [B, T, C]."""

    branch_end = "out_proj"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)
        self.scale = (channels // NUM_HEADS) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, T, C]."""
        query, key, value = (
            projected.unflatten(2, (NUM_HEADS, -1)).transpose(1, 2)  # [B, heads, T, C / heads]
            for projected in (self.q_proj(x) * self.scale, self.k_proj(x), self.v_proj(x))
        )
        weights = torch.softmax(query @ key.transpose(2, 3), dim=-1)
        mixed: Tensor = self.out_proj((weights @ value).transpose(1, 2).flatten(2))
        return x + mixed


class FeedForward(Residual):
    """Two layers, frame by frame, added to the input; [B, T, C]."""

    branch_end = "output_dense"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(channels, channels)
        self.output_dense = nn.Linear(channels, channels)
        self.gelu = nn.GELU(approximate="tanh")

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, C] to [B, T, C]."""
        out: Tensor = x + self.output_dense(self.gelu(self.intermediate_dense(x)))
        return out


class TransformerLayer(nn.Module):
    """An encoder layer, normalised behind each part; [B, C, T]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = SelfAttention(channels)
        self.layer_norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.feed_forward = FeedForward(channels)
        self.final_layer_norm = nn.LayerNorm(channels, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        out = self.layer_norm(self.attention(x.transpose(1, 2)))
        out = self.final_layer_norm(self.feed_forward(out))
        back: Tensor = out.transpose(1, 2)
        return back


class TimeContext(nn.Module):
    """Fewer channels, convolutions over ever more time, attention, all channels; [B, C, T].

    It ends in a normalisation and is no `Residual`: its strength does not add up over the stages.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        reduced = channels // reduction
        self.red_dim_conv = nn.Sequential(nn.Conv1d(channels, reduced, 1), ChannelNorm(reduced))
        alone = (  # each channel for itself
            nn.Conv1d(reduced, reduced, size, padding=size // 2, groups=reduced)
            for size in CONTEXT_KERNELS
        )
        self.tcm = nn.Sequential(*map(ConvNeXtBlock, alone), TransformerLayer(reduced))
        self.exp_dim_conv = nn.Conv1d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C, T]."""
        out: Tensor = x + self.exp_dim_conv(self.tcm(self.red_dim_conv(x)))
        return out


class AsSequence(nn.Module):
    """Show a map [B, C, F, T] as a sequence [B, F * C, T]."""

    def forward(self, x: Tensor) -> Tensor:
        """Swap channels and rows, and join them."""
        return x.transpose(1, 2).flatten(1, 2)


class ReDimBackbone(nn.Module):
    """From a map [B, 1, M, T] to a sequence [B, C * M, T]."""

    def __init__(self, channels: int, feat_dim: int, stages: Stages) -> None:
        super().__init__()
        size = channels * feat_dim
        # One set of weights for the input of each stage, and one for what all of them give.
        self.inputs_weights = nn.ParameterList(
            [nn.Parameter(torch.ones(1, 1, 1, 1))]
            + [nn.Parameter(torch.zeros(1, count, size, 1)) for count in range(2, len(stages) + 2)]
        )
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), ChannelNorm(channels))
        self.as_sequence = AsSequence()
        self.map_shapes: list[tuple[int, int]] = []
        num_rows = feat_dim
        for index, (stride, depth, reduction) in enumerate(stages):
            self.map_shapes.append((num_rows, channels))
            down = nn.Conv2d(channels, channels * stride, (stride, 1), stride=(stride, 1))
            num_rows, channels = num_rows // stride, channels * stride
            blocks = (map_block(channels) for _ in range(depth))
            context = TimeContext(size, reduction)
            self.add_module(f"stage{index}", nn.Sequential(down, *blocks, AsSequence(), context))

    def weighted_sum(self, index: int, outputs: list[Tensor]) -> Tensor:
        """Sum sequences [B, C, T] with weights that each channel has for itself."""
        if len(outputs) == 1:
            return outputs[0]
        weights = torch.softmax(self.inputs_weights[index], dim=1)
        return (weights * torch.stack(outputs, dim=1)).sum(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the stages, each on a weighted sum of everything before it."""
        outputs = [self.as_sequence(self.stem(x))]
        for index, map_shape in enumerate(self.map_shapes):
            sequence = self.weighted_sum(index, outputs)
            as_map = torch.unflatten(sequence, 1, map_shape).transpose(1, 2)
            outputs.append(self.get_submodule(f"stage{index}")(as_map))
        return self.weighted_sum(len(self.map_shapes), outputs)


class ReDimNet(nn.Module):
    """`features_BTM` float32 [B, T, M] -> [B, D].

    Raises:
        ValueError: the strides do not divide M.
    """

    def __init__(self, *, channels: int, stages: Stages, feat_dim: int, embed_dim: int) -> None:
        super().__init__()
        total_stride = math.prod(stride for stride, _, _ in stages)
        if feat_dim % total_stride:
            raise ValueError(f"{feat_dim} mel bins: this model takes a multiple of {total_stride}")
        self.image = AsImage()
        self.backbone = ReDimBackbone(channels, feat_dim, stages)
        self.pool = ASTP(channels * feat_dim)
        self.seg_1 = nn.Linear(2 * channels * feat_dim, embed_dim)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed a batch of chunks."""
        embedding: Tensor = self.seg_1(self.pool(self.backbone(self.image(features_BTM))))
        return embedding
