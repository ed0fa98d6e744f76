"""How an engine is written and asked, what it receives and returns, and the errors that it raises.

What an engine and a session have to be is said in `rtfbench.engines.base`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

#: A file format is also the ending of its files; every model can be had as `onnx`, and an engine
#: that reads another format makes its files from that.
Format = str
ONNX: Format = "onnx"
Form = Literal["dynamic", "static"]
#: What weights and activations are computed in; the forms with `-weights` store weights in fewer
#: bits and compute in float32. `tf32` multiplies float32 with 10 bits of its fraction.
Precision = Literal["float32", "tf32", "bf16", "fp16", "fp16-weights", "int8", "int8-weights"]
FLOAT32: Precision = "float32"
TF32: Precision = "tf32"
#: The device that every engine computes on that does not say otherwise.
CPU = "cpu"
#: The first CUDA device; `cuda:1` is the second.
CUDA = "cuda"
#: The length at which the published tables give FLOPs.
PUBLISHED_NUM_FRAMES = 200
PUBLISHED_FLOPS_BASIS = f"by the published convention ({PUBLISHED_NUM_FRAMES} frames)"
FloatArray = npt.NDArray[np.float32]

#: The setting that names the folder of a library of the user's own, in engines that take one.
HOME = "home"
# Keys of what is stored as `effective` that reports know; the others are an engine's own.
#: Millions of multiply-accumulates of the last shape.
MEGA_MACS = "mega_macs"
#: Who counted them, where the runtime counts nothing.
MEGA_MACS_FROM = "mega_macs_from"
#: Size on disk of the library that ran.
LIBRARY_BYTES = "library_bytes"
#: What a dynamic model's first run prepares; `EngineBase.first_run` of those that say.
FIRST_RUN = "first_run"
#: How it computes the same with fewer operations; `EngineBase.fewer_operations` of those that say.
FEWER_OPERATIONS = "fewer_operations"
#: What this CPU does to a precision; `EngineBase.caveat` of those that say.
CAVEAT = "caveat"
#: Of an engine that brings its own front end: the least cosine of its embeddings to the reference.
OWN_FRONT_END_COSINE = "own_front_end_cosine"


class EngineError(Exception):
    """A runtime could not do what was asked; the message is one line and names the cure."""


class SettingMismatchError(EngineError):
    """The runtime took another setting than the one that was asked for."""


class ConversionError(EngineError):
    """A model could not be written in another format; one line with what the converter said."""


@dataclass(frozen=True)
class Library:
    """How a user names a library of their own for an engine, whose setting `HOME` then has it.

    `variable` is the environment's, `option` the command line's, empty where there is none; the
    word `own` asks for the engine's own library where one of them names another.
    """

    variable: str
    option: str = ""
    own: str = "own"


@dataclass(frozen=True)
class ModelArtifact:
    """A model file and what is known about it.

    `num_frames` is the fixed input length of a static model, None for a dynamic one. `params`
    and `flops` are exact integers, `flops` in the convention of the published tables
    (`PUBLISHED_NUM_FRAMES`) unless `flops_basis` says otherwise; `macs` are the
    multiply-accumulates of convolution and linear layers at the frames of the chunk that is
    measured. Counts that are unknown are None. Input and output are the only ones where no name
    is given. `note` is for readers of a measurement of the model, `about` goes with its counts.
    `denormal_share` is the share of denormal values among all that the model computes on speech,
    None where that is not known. `precision` is the file's own, and `recipe` says how one of fewer
    bits was made. `front_end` says what the model is fed, for its caller; empty is WeSpeaker's.
    """

    name: str
    path: Path
    format: Format
    form: Form
    num_frames: int | None
    feat_dim: int
    embedding_dim: int
    sha256: str
    params: int | None = None
    flops: int | None = None
    macs: int | None = None
    flops_basis: str = PUBLISHED_FLOPS_BASIS
    input_name: str | None = None
    output_name: str | None = None
    note: str = ""
    about: str = ""
    denormal_share: float | None = None
    precision: Precision = FLOAT32
    recipe: str = ""
    front_end: str = ""

    def __post_init__(self) -> None:
        if (self.form == "static") != (self.num_frames is not None):
            raise ValueError(f"{self.path}: a static model, and no other, has num_frames")


def kind_of(device: str) -> str:
    """Return a device without its number: `cuda` of `cuda:1`."""
    return device.partition(":")[0]


def number_of(device: str) -> int:
    """Return the number of a device: 1 of `cuda:1`, 0 of `cuda`."""
    return int(device.partition(":")[2] or 0)


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened: intra-op threads, the engine's own settings, precision, device."""

    threads: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    precision: Precision = FLOAT32
    device: str = CPU

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")


@dataclass(frozen=True)
class Quantization:
    """What a file in another precision than float32 is to be.

    `precision` is the file's; a `static` one is for a single length. Ranges of values are found on
    `calibration_NTM`, features of speech, float32 [N, T, M]; `calibrated` tells what they
    are, and the caller adds it to the recipe. `settings` has every one of the engine's `recipes`.
    """

    precision: Precision
    static: bool
    calibration_NTM: FloatArray
    calibrated: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can be used here, and which one it is; `note` becomes a footnote.

    `lacks` has what the engine's `lacks` says.
    """

    ok: bool
    version: str = ""
    build: str = ""
    note: str = ""
    reason: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Support:
    """Whether an engine takes a model with these options; a refusal names reason and cure."""

    ok: bool
    reason: str = ""


def not_computed(engine: str, precision: Precision) -> str:
    """Return how a reason begins where an engine has no such precision on any host."""
    return f"{engine} does not compute in {precision}"


def completed_settings(
    choices: Mapping[str, tuple[str, ...]], settings: Mapping[str, str]
) -> dict[str, str]:
    """Return every choice: what the settings ask for, its default elsewhere."""
    return {
        name: settings.get(name, values[0] if values else "") for name, values in choices.items()
    }


def check_features(artifact: ModelArtifact, features_BTM: FloatArray) -> None:
    """Refuse features whose shape or type the model cannot take.

    Raises:
        EngineError: naming the shape that was expected.
    """
    frames = artifact.num_frames if artifact.num_frames is not None else "T"
    expected = f"float32 [B, {frames}, {artifact.feat_dim}]"
    fits = (
        features_BTM.ndim == 3
        and features_BTM.dtype == np.float32
        and features_BTM.shape[2] == artifact.feat_dim
        and artifact.num_frames in (None, features_BTM.shape[1])
        and features_BTM.size > 0
    )
    if not fits:
        got = f"{features_BTM.dtype} {list(features_BTM.shape)}"
        raise EngineError(f"{artifact.name} takes features {expected}, not {got}")


ENGINE_SPEC = re.compile(
    r"(?P<name>[\w.-]+)(?::(?P<precision>[\w.-]+))?(?:\[(?P<settings>[^\]]*)\])?"
)


class EngineSpec(NamedTuple):
    """An engine and its settings, written `name:precision[key=value,...]`.

    Without a precision it is float32, or what else was asked for.
    """

    name: str
    settings: dict[str, str]
    precision: Precision | None = None

    def __str__(self) -> str:
        """As it is written, settings by name; float32 goes without saying."""
        inside = ",".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        text = self.name if self.computes == FLOAT32 else f"{self.name}:{self.precision}"
        return f"{text}[{inside}]" if inside else text

    @property
    def computes(self) -> Precision:
        """The precision, float32 where none is named."""
        return self.precision or FLOAT32


def parse_engine(text: str) -> EngineSpec:
    """Read `onnxruntime[graph_optimization=extended,spinning=off]`.

    Raises:
        ValueError: with an example of what is right.
    """
    example = (
        "write name or name[key=value,...], or name:precision, for example mnn[precision=low] or "
        "openvino:int8"
    )
    match = ENGINE_SPEC.fullmatch(text.strip())
    if not match:
        raise ValueError(f"engine {text!r}: {example}")
    settings: dict[str, str] = {}
    for part in filter(None, (match["settings"] or "").split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in settings:
            raise ValueError(f"engine {text!r}: {example}")
        settings[key] = value
    precision: Precision | None = next(
        (each for each in get_args(Precision) if each == match["precision"]), None
    )
    if match["precision"] and precision is None:
        known = ", ".join(get_args(Precision))
        raise ValueError(f"engine {text!r}: precision {match['precision']!r} is none of: {known}")
    return EngineSpec(match["name"], settings, precision)


def parse_engines(*texts: str) -> tuple[EngineSpec, ...]:
    """Read several.

    Raises:
        ValueError: as `parse_engine`.
    """
    return tuple(map(parse_engine, texts))
