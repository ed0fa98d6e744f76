"""Additive angular margin softmax over the training speakers.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

SCALE = 32.0


class MarginSoftmax(nn.Module):
    """Maps embeddings [B, D] and speakers [B] to a loss; keeps one direction for each speaker."""

    def __init__(self, embed_dim: int, num_speakers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_speakers, embed_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embedding_BD: Tensor, speaker_B: Tensor, margin: float) -> tuple[Tensor, int]:
        """Return the mean loss, and how many speakers are recognised without the margin."""
        cosine_BS = fn.linear(fn.normalize(embedding_BD), fn.normalize(self.weight))
        own_B = cosine_BS.gather(1, speaker_B[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        # Past pi - margin the cosine would rise again; there the loss goes on in a straight line.
        harder_B = torch.where(
            own_B > -math.cos(margin),
            torch.cos(torch.acos(own_B) + margin),
            own_B - margin * math.sin(margin),
        )
        logits_BS = SCALE * cosine_BS.scatter(1, speaker_B[:, None], harder_B)
        hits = int((cosine_BS.argmax(dim=1) == speaker_B).sum())
        return fn.cross_entropy(logits_BS, speaker_B), hits
