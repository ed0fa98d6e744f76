"""The models, with the figures that WeSpeaker has published for them.

Params and FLOPs are from WeSpeaker's VoxCeleb recipe and runtime tables, RTFs from the tables
of its runtimes. Importing this module needs no torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES

#: Weights that were trained on synthetic voices, of the models that have them; else seeded ones.
Weights = Literal["trained", "seeded"]
#: Of every command that is asked for no others.
DEFAULT_WEIGHTS: Weights = "trained"
WEIGHTS_FOLDER = Path(__file__).parent / "weights"

XEON_PLATINUM_8160 = "Intel(R) Xeon(R) Platinum 8160 CPU @ 2.10GHz"
XEON_E5_2630_V4 = "Intel(R) Xeon(R) CPU E5-2630 v4 @ 2.20GHz"


class UnknownModelError(ValueError):
    """The catalog has no model of this name."""


@dataclass(frozen=True)
class PublishedRtf:
    """One published real-time factor; all were measured with one thread."""

    engine: str
    chunk_samples: int
    rtf: float
    cpu: str


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model without building it.

    Attributes:
        name: the short name, as in plans and on the command line.
        title: the display name, as published.
        wespeaker_name: the model's name in a WeSpeaker configuration.
        family: what builds it, "module:callable".
        embed_dim: values of an embedding.
        kwargs: arguments of the callable, next to `feat_dim` and `embed_dim`.
        feat_dim: mel bins a frame.
        published_params: parameters as printed, such as "6.63 M".
        published_flops: operations for 200 frames as printed, such as "4.55 G".
        published_rtf: every RTF published for it.
    """

    name: str
    title: str
    wespeaker_name: str
    family: str
    embed_dim: int
    # Hashing a card goes by its other fields: a mapping has no hash.
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    feat_dim: int = 80
    published_params: str | None = None
    published_flops: str | None = None
    published_rtf: tuple[PublishedRtf, ...] = ()


def _five_seconds(rtf: float) -> tuple[PublishedRtf, ...]:
    return (PublishedRtf("onnxruntime", 80000, rtf, XEON_PLATINUM_8160),)


def _two_seconds(engine: str, rtf: float) -> PublishedRtf:
    return PublishedRtf(engine, PUBLISHED_CHUNK_SAMPLES, rtf, XEON_E5_2630_V4)


def _resnet(
    num_layers: int,
    block: str,
    depths: tuple[int, int, int, int],
    params: str | None = None,
    flops: str | None = None,
    rtf: tuple[PublishedRtf, ...] = (),
) -> ModelCard:
    return ModelCard(
        name=f"resnet{num_layers}",
        title=f"ResNet-{num_layers}",
        wespeaker_name=f"ResNet{num_layers}",
        family="resnet:resnet",
        embed_dim=256,
        kwargs=MappingProxyType({"block": block, "depths": depths}),
        published_params=params,
        published_flops=flops,
        published_rtf=rtf,
    )


def _ecapa(channels: int, params: str, flops: str, rtf: float) -> ModelCard:
    return ModelCard(
        name=f"ecapa{channels}",
        title=f"ECAPA-TDNN (C={channels})",
        wespeaker_name=f"ECAPA_TDNN_GLOB_c{channels}",
        family="ecapa:EcapaTdnn",
        embed_dim=192,
        kwargs=MappingProxyType({"channels": channels}),
        published_params=params,
        published_flops=flops,
        published_rtf=_five_seconds(rtf),
    )


_RESNET34_RTF = (
    *_five_seconds(0.060735),
    _two_seconds("onnxruntime", 0.1377),
    _two_seconds("mnn", 0.1333),
    _two_seconds("mnn-mini", 0.05262),
)

_CARDS = (
    _resnet(18, "basic", (2, 2, 2, 2)),
    _resnet(34, "basic", (3, 4, 6, 3), "6.63 M", "4.55 G", _RESNET34_RTF),
    _resnet(50, "bottleneck", (3, 4, 6, 3), "11.13 M", "5.17 G", _five_seconds(0.073231)),
    _resnet(101, "bottleneck", (3, 4, 23, 3), "15.89 M", "9.96 G", _five_seconds(0.124613)),
    _resnet(152, "bottleneck", (3, 8, 36, 3), "19.81 M", "14.76 G", _five_seconds(0.179379)),
    _resnet(221, "bottleneck", (6, 16, 48, 3), "23.79 M", "21.29 G", _five_seconds(0.267511)),
    _resnet(293, "bottleneck", (10, 20, 64, 3), "28.62 M", "28.10 G", _five_seconds(0.364011)),
    _ecapa(512, "6.19 M", "1.04 G", 0.018351),
    _ecapa(1024, "14.65 M", "2.65 G", 0.041724),
    ModelCard(
        name="repvgg",
        title="RepVGG-TINY-A0",
        wespeaker_name="REPVGG_TINY_A0",
        family="repvgg:repvgg",
        embed_dim=256,
        kwargs=MappingProxyType({"depths": (3, 4, 23, 3)}),
        published_params="6.26 M",
        published_flops="4.65 G",
        published_rtf=_five_seconds(0.055117),
    ),
    ModelCard(
        name="campplus",
        title="CAM++",
        wespeaker_name="CAMPPlus",
        family="campplus:campplus",
        embed_dim=512,
        published_params="7.18 M",
        published_flops="1.15 G",
        published_rtf=_five_seconds(0.022978),
    ),
    ModelCard(
        name="xvec",
        title="XVEC",
        wespeaker_name="XVEC",
        family="xvec:xvec",
        embed_dim=512,
        published_params="4.61 M",
        published_flops="0.53 G",
    ),
    ModelCard(
        name="res2net",
        title="Res2Net34_Base",
        wespeaker_name="Res2Net34_Base",
        family="resnet:res2net",
        embed_dim=256,
        kwargs=MappingProxyType({"depths": (3, 4, 6, 3)}),
        published_params="4.68 M",
        published_flops="1.77 G",
    ),
    ModelCard(
        name="gemini",
        title="Gemini_DFResNet114",
        wespeaker_name="Gemini_DF_ResNet114",
        family="gemini:GeminiDFResNet",
        embed_dim=256,
        kwargs=MappingProxyType({"depths": (3, 3, 27, 3)}),
        published_params="6.53 M",
        published_flops="5.42 G",
    ),
    ModelCard(
        name="eres2net",
        title="ERes2Net34_Base",
        wespeaker_name="ERes2Net34_Base",
        family="eres2net:ERes2Net",
        embed_dim=512,
        kwargs=MappingProxyType({"depths": (3, 4, 6, 3)}),
    ),
    ModelCard(
        name="simam_resnet34",
        title="SimAM-ResNet-34",
        wespeaker_name="SimAM_ResNet34_ASP",
        family="simam:simam_resnet",
        embed_dim=256,
        kwargs=MappingProxyType({"depths": (3, 4, 6, 3)}),
    ),
    ModelCard(
        name="redimnet_b2",
        title="ReDimNet-B2",
        wespeaker_name="ReDimNetB2",
        family="redimnet:ReDimNet",
        embed_dim=192,
        kwargs=MappingProxyType(
            {
                "channels": 16,
                # Of each stage its stride, its depth and by what it reduces channels over time.
                "stages": ((1, 2, 12), (2, 2, 12), (1, 3, 12), (2, 4, 8), (1, 4, 8), (2, 4, 4)),
            }
        ),
        feat_dim=72,
    ),
)
_BY_NAME = {card.name: card for card in _CARDS}


def names() -> tuple[str, ...]:
    """Return every name, in the catalog's order."""
    return tuple(_BY_NAME)


def trained_weights(name: str) -> Path | None:
    """Return the file of a model's trained weights, None where it has none."""
    path = WEIGHTS_FOLDER / f"{name}.npz"
    return path if path.is_file() else None


def weights_of(name: str, asked: Weights) -> Weights:
    """Return which weights a model has of those that were asked for."""
    return "trained" if asked == "trained" and trained_weights(name) else "seeded"


def get(name: str) -> ModelCard:
    """Return the card of a model.

    Raises:
        UnknownModelError: no model has this name; the message has the nearest ones.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = difflib.get_close_matches(name.lower(), _BY_NAME, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(_BY_NAME)}"
    if "." in name or "/" in name:  # a file was meant
        nearest = f"; {hint}" if near else ""
        raise UnknownModelError(f"{name}: no such file, and no model of the catalog{nearest}")
    raise UnknownModelError(f"no model is called {name!r}: {hint}")
