"""What an engine is: the types that a runtime adapter receives, returns and raises.

An adapter is a class with the members of `Engine`, and a session has those of `Session`. What an
engine may tell besides has defaults in `engines.base`: derive from its classes to have them.
Import the runtime inside the methods, never at the top of the module: naming an engine must not
load it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

#: A file format is also the ending of its files; every model can be had as `onnx`, and an engine
#: that reads another format makes its files from that.
Format = str
ONNX: Format = "onnx"
Form = Literal["dynamic", "static"]
#: What weights and activations are computed in; the forms with `-weights` store weights in fewer
#: bits and compute in float32.
Precision = Literal["float32", "bf16", "fp16", "fp16-weights", "int8", "int8-weights"]
FLOAT32: Precision = "float32"
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
#: What a dynamic model's first run prepares; `Engine.first_run` of those that say.
FIRST_RUN = "first_run"
#: How it computes the same with fewer operations; `Engine.fewer_operations` of those that say.
FEWER_OPERATIONS = "fewer_operations"
#: What this CPU does to a precision; `Engine.caveat` of those that say.
CAVEAT = "caveat"


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
    is given. `note` is for whoever reads a measurement of the model, `about` goes with its counts.
    `denormal_share` is the share of denormal values among all that the model computes on speech,
    None where nobody has looked. `precision` is the file's own, and `recipe` says how one of fewer
    bits was made.
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

    def __post_init__(self) -> None:
        if (self.form == "static") != (self.num_frames is not None):
            raise ValueError(f"{self.path}: a static model, and no other, has num_frames")


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened: intra-op threads, the engine's own settings by name, precision."""

    threads: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    precision: Precision = FLOAT32

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")


@dataclass(frozen=True)
class Quantization:
    """What a file in another precision than float32 is to be.

    `precision` is the file's; a `static` one is for a single length. Ranges of values are found on
    `calibration_NTM`, features of speech, float32 [N, T, M]; who uses them adds `calibrated`, which
    tells what they are, to the recipe. `settings` has every one of the engine's `recipes`.
    """

    precision: Precision
    static: bool
    calibration_NTM: FloatArray
    calibrated: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Availability:
    """Whether a runtime can be used here, and which one it is; `note` becomes a footnote.

    `lacks` has what the engine's `lacks` says, where somebody asked it.
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


@runtime_checkable
class Session(Protocol):
    """A loaded model, ready to run. Not thread-safe."""

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What the runtime really took, read back from it where it tells."""
        ...

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings.

        Args:
            features_BTM: float32 [B, T, M], C-contiguous, mean-normalised fbank frames.

        Returns:
            float32 [B, D], owned by the caller.

        Raises:
            EngineError: the shape is not the model's, or the runtime failed.
        """
        ...

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A runtime that opens model files."""

    name: str
    format: Format
    default_form: Form
    #: Setting name -> allowed values, the first the default; none are listed where any text is
    #: allowed, and then the default is an empty one.
    choices: Mapping[str, tuple[str, ...]]

    def probe(self) -> Availability:
        """Say which version is installed, or why the runtime cannot be used; never raises."""
        ...

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Say whether `open` would take this model with these options; loads nothing."""
        ...

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> Session:
        """Load a model.

        Raises:
            EngineError: the file is not a model of this engine, or a setting was refused.
        """
        ...


def chosen(engine: Engine, options: SessionOptions) -> dict[str, str]:
    """Return every setting of an engine: what the options ask for, its default elsewhere.

    Raises:
        EngineError: a setting or a value that the engine does not have.
    """
    recipes: Mapping[str, tuple[str, ...]] = getattr(engine, "recipes", {})
    choices = {**recipes, **engine.choices}
    for name, value in options.settings.items():
        if name not in choices:
            known = ", ".join(choices) or "none"
            raise EngineError(f"{engine.name} has no setting {name!r}; it has: {known}")
        if choices[name] and value not in choices[name]:
            allowed = ", ".join(choices[name])
            raise EngineError(f"{engine.name}: {name}={value} is not one of: {allowed}")
        if name in recipes and options.precision == FLOAT32:
            cure = f"name a precision, as in {engine.name}:int8[{name}={value}]"
            raise EngineError(f"{engine.name}: {name} is of files in fewer bits; {cure}")
    return completed_settings(engine.choices, options.settings)


def completed_settings(
    choices: Mapping[str, tuple[str, ...]], settings: Mapping[str, str]
) -> dict[str, str]:
    """Return every choice: what the settings ask for, its default elsewhere."""
    return {
        name: settings.get(name, values[0] if values else "") for name, values in choices.items()
    }


def check_model(engine: Engine, artifact: ModelArtifact, options: SessionOptions) -> Support:
    """Return the answer that `supports` gives in every engine: format and settings fit."""
    if artifact.format != engine.format:
        cure = f"name the model's .{ONNX} file, and its .{engine.format} file is made from it"
        return Support(
            False, f"{engine.name} reads {engine.format} models, not {artifact.format}; {cure}"
        )
    try:
        chosen(engine, options)
    except EngineError as error:
        return Support(False, str(error))
    return Support(True)


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
