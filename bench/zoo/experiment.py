"""A WeSpeaker experiment's configuration: which model it trained, and with which arguments.

Source of the names: WeSpeaker's recipes and the constructors that they call.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from bench.base.errors import InputError
from bench.base.inputs import read_text
from bench.zoo import catalog
from bench.zoo.catalog import ModelCard

_NO_SECOND_LAYER = MappingProxyType({"pooling_func": "TSTP", "two_emb_layer": False})
#: Family -> arguments that a recipe may name, with the only value that the zoo's models have.
_FIXED_ARGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "bench.zoo.resnet:resnet": _NO_SECOND_LAYER,
        "bench.zoo.res2net:res2net": _NO_SECOND_LAYER,
        "bench.zoo.gemini:GeminiDFResNet": _NO_SECOND_LAYER,
        "bench.zoo.eres2net:ERes2Net": _NO_SECOND_LAYER,
        "bench.zoo.simam:simam_resnet": {"in_planes": 64, "acoustic_dim": 80, "dropout": 0},
        "bench.zoo.redimnet:ReDimNet": {"pooling_func": "ASTP", "two_emb_layer": False},
        "bench.zoo.ecapa:EcapaTdnn": {"pooling_func": "ASTP", "emb_bn": False},
        "bench.zoo.repvgg:repvgg": {"pooling_func": "TSTP", "deploy": False, "use_se": False},
        "bench.zoo.xvec:xvec": {"pooling_func": "TSTP", "hid_dim": 512, "stats_dim": 1500},
        "bench.zoo.campplus:campplus": {
            "pooling_func": "TSTP",
            "growth_rate": 32,
            "bn_size": 4,
            "init_channels": 128,
            "config_str": "batchnorm-relu",
        },
    }
)
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
    if not isinstance(content, dict):
        raise InputError(f"{path}: no `model`; name the config.yaml of a WeSpeaker experiment")
    return content


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
