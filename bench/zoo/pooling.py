"""Pooling over time: a frame-level map becomes one vector an utterance."""

import torch
from torch import Tensor, nn

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
