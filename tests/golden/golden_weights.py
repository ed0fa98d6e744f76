"""The weights and inputs under which the golden embeddings were computed.

A tensor's values follow from its state-dict name and its shape alone, so that two independent
implementations of a model can be given the same weights.
"""

import math
import zlib

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

FloatArray = npt.NDArray[np.float32]


def golden_values(name: str, shape: tuple[int, ...]) -> FloatArray:
    """Return the values of one floating-point entry of a state dict."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        values = 1 + 0.2 * rng.random(shape)
    elif name.endswith("running_mean"):
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) > 1:
        values = rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    elif name.endswith("weight"):
        values = 1 + 0.1 * rng.standard_normal(shape)
    else:
        values = 0.05 * rng.standard_normal(shape)
    return np.asarray(values, dtype=np.float32)


def load_golden_weights(model: nn.Module, shapes: dict[str, list[int]]) -> None:
    """Load golden values under exactly the given names and shapes; counters are zero."""
    state = {
        name: torch.tensor(0)
        if name.endswith("num_batches_tracked")
        else torch.from_numpy(golden_values(name, tuple(shape)))
        for name, shape in shapes.items()
    }
    model.load_state_dict(state, strict=True)


def golden_features(num_frames: int, feat_dim: int = 80) -> FloatArray:
    """Return the input of the golden embeddings: float32 [1, T, M], standard normal."""
    noise = np.random.default_rng(1).standard_normal((1, num_frames, feat_dim))
    return noise.astype(np.float32)
