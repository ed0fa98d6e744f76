"""Pooling over time: a frame-level map becomes one vector an utterance."""

import torch
from torch import Tensor, nn

# Keeps the square root away from zero, where a channel does not change over time.
VARIANCE_FLOOR = 1e-7


class TSTP(nn.Module):
    """Temporal statistics pooling: [B, ..., T] -> [B, 2 * C], all means and then all deviations.

    C counts everything between batch and time. Snyder et al., "X-Vectors", ICASSP 2018.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the last axis."""
        deviation = torch.sqrt(x.var(dim=-1) + VARIANCE_FLOOR)
        return torch.cat([x.mean(dim=-1).flatten(1), deviation.flatten(1)], dim=1)


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

        weighted_mean = (weights * x).sum(dim=2)
        variance = (weights * x.square()).sum(dim=2) - weighted_mean.square()
        return torch.cat([weighted_mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)
