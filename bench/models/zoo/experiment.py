"""A WeSpeaker experiment: which model its configuration trained, and the weights of its checkpoint.

Weights are loaded without running any code, and complete or refused. Source of the names:
WeSpeaker's recipes and the constructors that they call.
"""

import difflib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from rtfbench.base.errors import InputError
from rtfbench.base.files import read_text
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import ModelCard

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
    except Exception as error:  # damaged archives end in errors of many kinds
        runs_code = "Unsupported" in str(error) or "GLOBAL" in str(error)
        if isinstance(error, pickle.UnpicklingError) and runs_code:
            raise InputError(
                f"{path}: holds more than weights, and loading it would run code; "
                "save its state_dict() alone"
            ) from error
        raise InputError(f"{path}: not a complete checkpoint; save or copy it again") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: holds no weights; save the model's state_dict()")
    others = [str(name) for name, values in content.items() if not isinstance(values, Tensor)]
    if others:
        raise InputError(
            f"{path}: not weights but {_listed(others)}; save the model's state_dict() alone, or "
            f"under one of the names {', '.join(_WRAPPERS)}"
        )
    return {str(name).removeprefix(_PARALLEL): values for name, values in content.items()}


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


_NO_SECOND_LAYER: Mapping[str, Any] = {"pooling_func": "TSTP", "two_emb_layer": False}
#: Family -> arguments that a recipe may name, with the only value that the zoo's models have.
_FIXED_ARGS: Mapping[str, Mapping[str, Any]] = {
    "resnet:resnet": _NO_SECOND_LAYER,
    "resnet:res2net": _NO_SECOND_LAYER,
    "resnet:GeminiDFResNet": _NO_SECOND_LAYER,
    "resnet:ERes2Net": _NO_SECOND_LAYER,
    "resnet:simam_resnet": {"in_planes": 64, "acoustic_dim": 80, "dropout": 0},
    "redimnet:ReDimNet": {"pooling_func": "ASTP", "two_emb_layer": False},
    "tdnn:EcapaTdnn": {"pooling_func": "ASTP", "emb_bn": False},
    "repvgg:repvgg": {"pooling_func": "TSTP", "deploy": False, "use_se": False},
    "tdnn:xvec": {"pooling_func": "TSTP", "hid_dim": 512, "stats_dim": 1500},
    "campplus:campplus": {
        "pooling_func": "TSTP",
        "growth_rate": 32,
        "bn_size": 4,
        "init_channels": 128,
        "config_str": "batchnorm-relu",
    },
}
_DIMS = ("feat_dim", "embed_dim")


@dataclass(frozen=True)
class Experiment:
    """The model of an experiment, by its card, and its dimensions."""

    card: ModelCard
    feat_dim: int
    embed_dim: int


def read_experiment(path: Path) -> Experiment:
    """Read `config.yaml`.

    Raises:
        InputError: no plain YAML, or a model or argument that the zoo does not have.
    """
    content = _read_yaml(path)
    name = content.get("model")
    if not isinstance(name, str):
        raise InputError(f"{path}: no `model`; name the config.yaml of a WeSpeaker experiment")
    cards = {card.wespeaker_name: card for card in map(catalog.get, catalog.names())}
    if name not in cards:
        near = difflib.get_close_matches(name, cards, n=2, cutoff=0.6) or list(cards)
        raise InputError(f"{path}: model {name} is not in the zoo; near it: {', '.join(near)}")
    frontend = _section(path, content, "dataset_args").get("frontend", "fbank")
    if frontend != "fbank":
        raise InputError(f"{path}: frontend {frontend!r} is not supported, only fbank is")
    card = cards[name]
    arguments = _section(path, content, "model_args")
    _check_arguments(path, card, arguments)
    return Experiment(
        card=card,
        feat_dim=_dimension(path, arguments, "feat_dim", card.feat_dim),
        embed_dim=_dimension(path, arguments, "embed_dim", card.embed_dim),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not YAML (it is no text)") from error
    except yaml.constructor.ConstructorError as error:
        raise InputError(
            f"{path}: not plain YAML ({error.problem}); nothing of it was run, remove that tag"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    return content if isinstance(content, dict) else {}


def _section(path: Path, content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: {name} must be names with values, not {found!r}")
    return found


def _check_arguments(path: Path, card: ModelCard, arguments: Mapping[str, Any]) -> None:
    fixed = _FIXED_ARGS[card.family]
    for name, value in arguments.items():
        if name in _DIMS:
            continue
        if name not in fixed:
            known = ", ".join([*_DIMS, *fixed])
            raise InputError(f"{path}: model_args.{name} is not known for {card.title}: {known}")
        if value != fixed[name]:
            raise InputError(
                f"{path}: model_args.{name}: {value!r} is not supported for {card.title}, "
                f"only {fixed[name]!r} is"
            )


def _dimension(path: Path, arguments: Mapping[str, Any], name: str, default: int) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65536:
        raise InputError(f"{path}: model_args.{name} must be a positive number, not {value!r}")
    return value
