"""Trained weights from a file: loaded without running any code, and complete or refused."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.base.errors import InputError

#: Training adds a classifier under this name; an embedding does not need it.
CLASSIFIER = "projection."
_WRAPPERS = ("state_dict", "model")
_PARALLEL = "module."
_MAX_LISTED = 6


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's weights, the wrappers around them and around their names taken off.

    Raises:
        InputError: no checkpoint, a damaged one, or one that only code could load.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot read the checkpoint ({error.strerror})") from error
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise InputError(
                f"{path}: holds more than weights, and loading it would run code; "
                "save its state_dict() alone"
            ) from error
        raise InputError(f"{path}: not a complete checkpoint; save or copy it again") from error
    except Exception as error:  # damaged archives end in errors of many kinds
        raise InputError(f"{path}: not a complete checkpoint; save or copy it again") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    return {_plain_name(name): values for name, values in _weights(path, content).items()}


def _weights(path: Path, content: Any) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no weights; save the model's state_dict()")
    others = [str(name) for name, values in content.items() if not isinstance(values, Tensor)]
    if others:
        raise InputError(
            f"{path}: not weights but {_listed(others)}; save the model's state_dict() alone, or "
            f"under one of the names {', '.join(_WRAPPERS)}"
        )
    return {str(name): values for name, values in content.items()}


def _plain_name(name: str) -> str:
    return name.removeprefix(_PARALLEL)


def load_weights(model: nn.Module, path: Path) -> list[str]:
    """Fill a model from a checkpoint.

    Returns:
        The names of the training classifier's weights, which were left out.

    Raises:
        InputError: weights are missing, left over, or of another shape; it lists them.
    """
    state = read_state(path)
    ignored = sorted(name for name in state if name.startswith(CLASSIFIER))
    state = {name: values for name, values in state.items() if name not in ignored}
    wanted = model.state_dict()
    problems = {
        "missing": sorted(wanted.keys() - state.keys()),
        "left over": sorted(state.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {list(state[name].shape)} instead of {list(values.shape)}"
            for name, values in wanted.items()
            if name in state and state[name].shape != values.shape
        ],
    }
    if any(problems.values()):
        said = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
        raise InputError(f"{path}: does not fit the configuration's model; {said}")
    model.load_state_dict(state, strict=True)
    return ignored


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MAX_LISTED])
    more = len(names) - _MAX_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


class MeanSubtracted(nn.Module):
    """A model whose embeddings are centred on those of a training set; [B, T, M] -> [B, D]."""

    mean_vec: Tensor

    def __init__(self, model: nn.Module, mean_D: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean_vec", mean_D)

    def forward(self, features_BTM: Tensor) -> Tensor:
        """Embed and subtract the mean."""
        embeddings_BD: Tensor = self.model(features_BTM) - self.mean_vec
        return embeddings_BD


def subtract_mean(model: nn.Module, path: Path, embed_dim: int) -> MeanSubtracted:
    """Return a model from whose embeddings the vector of a `.npy` file is subtracted.

    Raises:
        InputError: no such vector.
    """
    try:
        mean_D = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot read the mean ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: not a complete .npy file; save it with numpy.save") from error
    if not isinstance(mean_D, np.ndarray) or mean_D.shape != (embed_dim,):
        found = list(mean_D.shape) if isinstance(mean_D, np.ndarray) else "several arrays"
        raise InputError(f"{path}: a mean of shape [{embed_dim}] is needed, not {found}")
    if mean_D.dtype.kind not in "fiu" or not np.isfinite(mean_D).all():
        raise InputError(f"{path}: the mean must be of finite numbers")
    return MeanSubtracted(model, torch.from_numpy(mean_D.astype(np.float32))).eval()
