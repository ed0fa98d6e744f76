"""The training loop: random crops of speech in random rooms, for a given time."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from examples.train.corpus import Utterance
from examples.train.margin import MarginSoftmax
from examples.train.rooms import recorded
from rtfbench.frontends.fbank import Fbank, FbankConfig
from rtfbench.models.zoo import build, catalog

BATCH = 64
IMAGE_AXES = 4
CROP_SAMPLES = 20_480 + 240  # 128 frames
_MAX_RATE, _LAST_RATE = 2e-3, 1e-5
_WEIGHT_DECAY = 1e-2
_WARM_UP = 0.05  # of the training
#: The margin grows between these shares of the training: before, it would hide the speakers.
_MARGIN, _MARGIN_FROM, _FULL_MARGIN_AT = 0.2, 0.3, 0.7
_SAY_EVERY_S = 30.0


@dataclass(frozen=True)
class Progress:
    """Where a training stands: share of its time, steps, loss and accuracy of late."""

    share: float
    steps: int
    loss: float
    accuracy: float


def train(
    name: str,
    utterances: Sequence[Utterance],
    *,
    minutes: float,
    bfloat16: bool,
    seed: int,
    tell: Callable[[Progress], None],
) -> tuple[nn.Module, Progress]:
    """Train a model of the catalog.

    The learning rate follows the time that has gone by, so that any number of minutes ends
    with a finished training.

    Args:
        name: a name of the catalog.
        utterances: clean speech of speakers 0 to S-1.
        minutes: how long.
        bfloat16: compute convolutions in bfloat16; twice as fast where the CPU has it.
        seed: of the weights and all that is drawn.
        tell: is told where it stands twice a minute.

    Returns:
        The model in eval mode, and where the training ended.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    card = catalog.get(name)
    model = build(name).train()
    # Kernels of images lie in memory as the convolutions read them: a third less time.
    for parameter in model.parameters():
        if parameter.dim() == IMAGE_AXES:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    head = MarginSoftmax(card.embed_dim, 1 + max(each.speaker for each in utterances))
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *head.parameters()], lr=_MAX_RATE, weight_decay=_WEIGHT_DECAY
    )
    crops = _Crops(utterances, Fbank(FbankConfig(num_mel_bins=card.feat_dim)), rng)
    began = said = time.monotonic()
    late: list[tuple[float, float]] = []
    while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(share)
        features_BTM, speaker_B = crops.draw(BATCH)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            embedding_BD = model(features_BTM).float()
        loss, hits = head(embedding_BD, speaker_B, margin_at(share))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        late.append((loss.item(), hits / BATCH))
        if time.monotonic() - said > _SAY_EVERY_S:
            said = time.monotonic()
            tell(_progress(share, late))
    return model.eval(), _progress(1.0, late)


def _progress(share: float, late: list[tuple[float, float]]) -> Progress:
    loss, accuracy = np.mean(late[-50:], axis=0)
    return Progress(share, len(late), float(loss), float(accuracy))


def learning_rate(share: float) -> float:
    """Return the rate after a share of the training: a short rise, then half a cosine."""
    if share < _WARM_UP:
        return _MAX_RATE * max(share / _WARM_UP, 0.02)
    fall = (share - _WARM_UP) / (1 - _WARM_UP)
    return _LAST_RATE + (_MAX_RATE - _LAST_RATE) * (1 + math.cos(math.pi * fall)) / 2


def margin_at(share: float) -> float:
    """Return the margin in radians, which grows until it is whole."""
    grown = (share - _MARGIN_FROM) / (_FULL_MARGIN_AT - _MARGIN_FROM)
    return _MARGIN * min(max(grown, 0.0), 1.0)


class _Crops:
    """Draws batches: a speaker, an utterance, a part of it, a room."""

    def __init__(
        self, utterances: Sequence[Utterance], fbank: Fbank, rng: np.random.Generator
    ) -> None:
        self._utterances, self._fbank, self._rng = utterances, fbank, rng

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return features [B, T, M] with their mean taken off, and speakers [B]."""
        chosen = self._rng.integers(len(self._utterances), size=batch)
        features_BTM = np.stack([self._features(self._utterances[index]) for index in chosen])
        speaker_B = torch.tensor([self._utterances[index].speaker for index in chosen])
        return torch.from_numpy(features_BTM), speaker_B

    def _features(self, utterance: Utterance) -> npt.NDArray[np.float32]:
        samples = utterance.samples
        if len(samples) < CROP_SAMPLES:
            samples = np.tile(samples, -(-CROP_SAMPLES // len(samples)))
        start = self._rng.integers(len(samples) - CROP_SAMPLES + 1)
        crop = samples[start : start + CROP_SAMPLES].astype(np.float32)
        features_TM = self._fbank(recorded(crop, self._rng))
        features_TM -= features_TM.mean(axis=0)
        return features_TM
