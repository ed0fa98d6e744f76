"""Weights in half precision that come with the package, one file a model.

A plain `.npz`, read without pickle. What normalises is kept in float32: a BatchNorm's variance may
be too small for half precision.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from rtfbench.base.cache import replacing
from rtfbench.models.zoo import build, catalog
from rtfbench.models.zoo.repvgg import reparameterize

#: Matrices and kernels are halved; vectors take little room.
_HALVED_FROM_AXES = 2


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights, as a whole or not at all."""
    arrays = {}
    for name, values in model.state_dict().items():
        array = values.detach().numpy()
        halved = array.ndim >= _HALVED_FROM_AXES and array.dtype == np.float32
        arrays[name] = array.astype(np.float16) if halved else array
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model in place, in float32.

    Raises:
        RuntimeError: the file's names or shapes are not the model's.
    """
    with np.load(path, allow_pickle=False) as arrays:
        state = {
            name: torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)
            for name, array in arrays.items()
        }
    model.load_state_dict(state, strict=True)


def trained_model(name: str) -> nn.Module:
    """Build a model of the catalog with its trained weights, in the form that is exported.

    Raises:
        FileNotFoundError: it has none.
    """
    path = catalog.trained_weights(name)
    if path is None:
        raise FileNotFoundError(f"{name} has no trained weights")
    model = build(name)
    load_weights(model, path)
    return reparameterize(model).eval()
