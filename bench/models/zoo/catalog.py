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
from typing import Any, Literal, NamedTuple

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


def _card(
    name: str,
    title: str,
    wespeaker_name: str,
    family: str,
    embed_dim: int,
    *,
    params: str | None = None,
    flops: str | None = None,
    rtf: tuple[PublishedRtf, ...] = (),
    feat_dim: int = 80,
    **kwargs: Any,
) -> ModelCard:
    arguments = MappingProxyType(kwargs)
    return ModelCard(
        name, title, wespeaker_name, family, embed_dim, arguments, feat_dim, params, flops, rtf
    )


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
    names = f"resnet{num_layers}", f"ResNet-{num_layers}", f"ResNet{num_layers}"
    return _card(
        *names, "resnet:resnet", 256,
        params=params, flops=flops, rtf=rtf, block=block, depths=depths,
    )  # fmt: skip


def _ecapa(channels: int, params: str, flops: str, rtf: float) -> ModelCard:
    names = f"ecapa{channels}", f"ECAPA-TDNN (C={channels})", f"ECAPA_TDNN_GLOB_c{channels}"
    return _card(
        *names, "tdnn:EcapaTdnn", 192,
        params=params, flops=flops, rtf=_five_seconds(rtf), channels=channels,
    )  # fmt: skip


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
    _card(
        "repvgg", "RepVGG-TINY-A0", "REPVGG_TINY_A0", "repvgg:repvgg", 256, params="6.26 M",
        flops="4.65 G", rtf=_five_seconds(0.055117), depths=(3, 4, 23, 3),
    ),
    _card(
        "campplus", "CAM++", "CAMPPlus", "campplus:campplus", 512, params="7.18 M",
        flops="1.15 G", rtf=_five_seconds(0.022978),
    ),
    _card("xvec", "XVEC", "XVEC", "tdnn:xvec", 512, params="4.61 M", flops="0.53 G"),
    _card(
        "res2net", "Res2Net34_Base", "Res2Net34_Base", "resnet:res2net", 256, params="4.68 M",
        flops="1.77 G", depths=(3, 4, 6, 3),
    ),
    _card(
        "gemini", "Gemini_DFResNet114", "Gemini_DF_ResNet114", "resnet:GeminiDFResNet", 256,
        params="6.53 M", flops="5.42 G", depths=(3, 3, 27, 3),
    ),
    _card(
        "eres2net", "ERes2Net34_Base", "ERes2Net34_Base", "resnet:ERes2Net", 512,
        depths=(3, 4, 6, 3),
    ),
    _card(
        "simam_resnet34", "SimAM-ResNet-34", "SimAM_ResNet34_ASP", "resnet:simam_resnet", 256,
        depths=(3, 4, 6, 3),
    ),
    _card(
        "redimnet_b2", "ReDimNet-B2", "ReDimNetB2", "redimnet:ReDimNet", 192, feat_dim=72,
        # Of each stage its stride, its depth and by what it reduces channels over time.
        channels=16, stages=((1, 2, 12), (2, 2, 12), (1, 3, 12), (2, 4, 8), (1, 4, 8), (2, 4, 4)),
    ),
)  # fmt: skip
_BY_NAME = {card.name: card for card in _CARDS}

#: Frames of the published table's chunk, at which MACs are counted here.
NUM_FRAMES = 198


class CatalogCounts(NamedTuple):
    """What `counter` counts: parameters, published operations, and MACs at `NUM_FRAMES`."""

    params: int
    published_flops: int
    macs: int


# Counts never change, and counting takes torch: `tests/unit/test_counter.py` holds each of them.
COUNTS: Mapping[str, CatalogCounts] = {
    "resnet18": CatalogCounts(4_105_440, 2_187_806_720, 2_157_419_520),
    "resnet34": CatalogCounts(6_634_336, 4_559_902_720, 4_507_868_160),
    "resnet50": CatalogCounts(11_131_360, 5_179_770_880, 5_049_523_200),
    "resnet101": CatalogCounts(15_892_448, 9_966_970_880, 9_784_499_200),
    "resnet152": CatalogCounts(19_814_880, 14_766_458_880, 14_508_334_080),
    "resnet221": CatalogCounts(23_792_224, 21_295_482_880, 20_883_840_000),
    "resnet293": CatalogCounts(28_626_016, 28_103_034_880, 27_546_229_760),
    "ecapa512": CatalogCounts(6_190_720, 1_041_225_728, 1_026_908_160),
    "ecapa1024": CatalogCounts(14_657_088, 2_656_927_744, 2_622_554_112),
    "repvgg": CatalogCounts(6_264_352, 4_650_782_720, 4_641_152_000),
    "campplus": CatalogCounts(7_176_224, 1_152_397_312, 1_114_950_656),
    "xvec": CatalogCounts(4_610_524, 532_154_288, 525_201_408),
    "res2net": CatalogCounts(4_689_024, 1_770_173_440, 1_703_623_680),
    "gemini": CatalogCounts(6_531_552, 5_419_663_360, 5_182_996_480),
    "eres2net": CatalogCounts(9_887_808, 3_436_378_880, 3_349_888_000),
    "simam_resnet34": CatalogCounts(25_213_760, 18_196_554_240, 18_052_495_360),
    "redimnet_b2": CatalogCounts(4_888_241, 1_378_234_368, 1_344_384_000),
}


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
