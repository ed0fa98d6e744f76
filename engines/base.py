"""What an engine and a session are: derive from `EngineBase` and `SessionBase`.

An engine has to have `name`, `probe` and `open`, a session `effective`, `run` and `close`. All else
has defaults, which are those of a runtime that reads ONNX, has no settings and tells nothing.
`RuntimeEngine` and `RuntimeSession` have these too, of what every runtime needs: to them, an engine
adds `load`, and a session `compute` or `compute_one`.
Import the runtime inside the methods, never at the top of the module: naming an engine must not
load it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.profiling import Profiler
from rtfbench.engines.protocol import (
    CPU,
    FLOAT32,
    MEGA_MACS,
    ONNX,
    Availability,
    ConversionError,
    EngineError,
    FloatArray,
    Form,
    Format,
    Library,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    SettingMismatchError,
    Support,
    check_features,
    completed_settings,
    kind_of,
    not_computed,
)


class EngineBase(ABC):
    """A runtime that opens model files."""

    name: str
    #: Of the files that it reads, and also their ending.
    format: Format = ONNX
    default_form: Form = "dynamic"
    #: Setting name -> allowed values, the first the default; none are listed where any text is
    #: allowed, and then the default is an empty one.
    choices: Mapping[str, tuple[str, ...]] = {}
    #: Whether files of the format are made from ONNX, by `convert`; else from torch, by `export`.
    from_onnx: bool = True
    #: What sessions compute in, each with the precision of the file that it is computed from.
    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32}
    #: Where it computes, by the names of devices, which are without numbers.
    devices: tuple[str, ...] = (CPU,)
    #: Name of the front end that it brings itself; empty where it is fed features. Such an engine
    #: gets samples from -1 to 1, [B, N, 1], and its artifact's `front_end` has the sample rate.
    front_end: str = ""
    #: Whether it computes anything: one that does not answers the same whatever it hears.
    computes: bool = True
    #: The package whose versions `NAME@VERSION` pins, None where no single one is the runtime.
    distribution: str | None = None
    #: Further packages whose versions matter to the files that `convert` writes.
    converters: tuple[str, ...] = ()
    #: Whether these files hold instructions of the CPU that they were made on.
    for_this_cpu: bool = False
    #: Settings of how files in fewer bits are made: name -> values, the default first.
    recipes: Mapping[str, tuple[str, ...]] = {}
    #: Further packages whose versions matter to the files that `quantize` writes.
    quantizers: tuple[str, ...] = ()
    #: How a user asks for a library of their own; such an engine has the setting `HOME`, and `on`.
    library: Library | None = None
    #: Whether it is another engine's library until the user names one of its own.
    stands_in: bool = False
    #: What a dynamic model's first run prepares, for a sentence; empty where that is not known.
    first_run: str = ""
    #: Lines of Python after those of `in_python`: they feed `inputs`, name -> float32 array, and
    #: leave the only output in `found`, with numpy as `np`. Empty where the engine does not say.
    run_in_python: str = ""
    #: By what it computes the same with fewer operations, for a sentence; empty where it does not.
    fewer_operations: str = ""
    #: What hosts can lack: precisions, and values of settings as in `mode=compiled`. `lacks` is
    #: asked where options name one of them, and nowhere else.
    may_lack: Collection[str] = ()

    @abstractmethod
    def probe(self) -> Availability:
        """Say which version is installed, or why the runtime cannot be used; never raises."""

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Say whether `open` would take this model with these options; loads no model.

        By default models of the engine's format in either form, and what this host can compute.
        """
        refused = _refused(self, artifact, options) or lacking(self, options, self.lacks)
        return Support(not refused, refused)

    def lacks(self) -> Mapping[str, str]:
        """Return which of `may_lack` this host lacks, each with the reason and the cure.

        It may load the runtime.
        """
        return {}

    def precisions_on(self, device: str) -> Mapping[Precision, Precision]:
        """Return what sessions compute in on a device, as `precisions` says of the CPU."""
        return self.precisions

    def away(self, device: str) -> str:
        """Say why a device of `devices`, with its number, is not here; empty where it is.

        Asked of others than the CPU alone. It may load the runtime.
        """
        return ""

    def caveat(self, options: SessionOptions) -> str:
        """Say what this CPU does to a precision that it can compute; empty where nothing.

        It is the row's footnote, and stands behind the reason where an embedding is wrong.
        """
        return ""

    @abstractmethod
    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "SessionBase":
        """Load a model.

        Raises:
            EngineError: the file is not a model of this engine, or a setting was refused.
        """

    def on(self, settings: Mapping[str, str]) -> "EngineBase":
        """Return the engine on the library that these settings name; nothing is loaded yet."""
        return self

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return lines of Python that open a model as `open` does, with the runtime's own API.

        They are for people who deploy what was measured here; empty where the engine does not say.
        """
        return ""

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler | None:
        """Load a model with the runtime's own profiler on; None where it tells of no operators.

        Raises:
            EngineError: as `open`.
        """
        return None

    def convert_in_python(self, onnx: str, path: str, *, static: bool) -> str:
        """Return lines of Python that do what `convert` does, with the runtime's own API."""
        return ""

    def inner_tensors(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        features_BTM: FloatArray,
        names: Collection[str],
    ) -> Mapping[str, FloatArray] | None:
        """Run a model once and return what it computes on the way.

        Args:
            artifact: the model.
            options: as for `open`.
            features_BTM: as for `SessionBase.run`.
            names: of tensors in the graph that the model came as.

        Returns:
            Those that the runtime still computes, which may be few; what it has fused may bear the
            name of the first tensor and be the last one. None where it shows none.

        Raises:
            EngineError: as `open` and `SessionBase.run`.
        """
        return None

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Write a file of the engine's format.

        Args:
            onnx_path: the model as ONNX, in one file; for `static`, with fixed input shapes.
            path: what to write; the caller moves it to its place when it is whole.
            static: whether the result is for a static model.

        Raises:
            ConversionError: it could not be written.
        """
        raise ConversionError(
            f"{self.name} does not say how a .{self.format} file is made (EngineBase.convert)"
        )

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Write a file of a format that is not made from ONNX.

        Args:
            model: a torch module in eval mode, [B, T, feat_dim] -> [B, D].
            path: what to write; the caller moves it to its place when it is whole.
            feat_dim: M.
            num_frames: fixes T, and B to 1; None leaves both open.

        Raises:
            ConversionError: it could not be written.
        """
        raise ConversionError(
            f"{self.name} does not say how a .{self.format} file is made (EngineBase.export)"
        )

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Write a file of another precision than float32.

        Args:
            onnx_path: the model as ONNX in float32; for a static result, with fixed input shapes.
            path: what to write; the caller moves it to its place when it is whole.
            wanted: its precision is one that `precisions` names for a file.

        Returns:
            The recipe, for a reader of the results.

        Raises:
            ConversionError: it could not be written.
        """
        raise ConversionError(f"{self.name} does not say how a file in {wanted.precision} is made")


def chosen(engine: EngineBase, options: SessionOptions) -> dict[str, str]:
    """Return every setting of an engine: what the options ask for, its default elsewhere.

    Raises:
        EngineError: a setting or a value that the engine does not have.
    """
    choices = {**engine.recipes, **engine.choices}
    for name, value in options.settings.items():
        if name not in choices:
            known = ", ".join(choices) or "none"
            raise EngineError(f"{engine.name} has no setting {name!r}; it has: {known}")
        if choices[name] and value not in choices[name]:
            allowed = ", ".join(choices[name])
            raise EngineError(f"{engine.name}: {name}={value} is not one of: {allowed}")
        if name in engine.recipes and options.precision == FLOAT32:
            cure = f"name a precision, as in {engine.name}:int8[{name}={value}]"
            raise EngineError(f"{engine.name}: {name} is of files in fewer bits; {cure}")
    return completed_settings(engine.choices, options.settings)


def _refused(engine: EngineBase, artifact: ModelArtifact, options: SessionOptions) -> str:
    """Say why precision, device, format or settings do not fit; nothing where they do."""
    if refused := refuse_options(engine, options):
        return refused
    needed = engine.precisions_on(options.device)[options.precision]
    if artifact.precision != needed:
        return (
            f"{engine.name} computes {options.precision} from a file in {needed}, not in "
            f"{artifact.precision}"
        )
    if artifact.format != engine.format:
        cure = f"name the model's .{ONNX} file, and its .{engine.format} file is made from it"
        return f"{engine.name} reads {engine.format} models, not {artifact.format}; {cure}"
    try:
        chosen(engine, options)
    except EngineError as error:
        return str(error)
    return ""


def refuse_options(engine: EngineBase, options: SessionOptions) -> str:
    """Say that an engine does not compute on a device, or not in a precision there."""
    device = options.device
    if kind_of(device) not in engine.devices:
        return f"{engine.name} computes on {' or '.join(engine.devices)}, not on {device}"
    known = engine.precisions_on(device)
    if options.precision in known:
        return ""
    where = "" if device == CPU else f" on {device}"
    return f"{not_computed(engine.name, options.precision)}{where}; it has: {', '.join(known)}"


def lacking(
    engine: EngineBase, options: SessionOptions, ask: Callable[[], Mapping[str, str]]
) -> str:
    """Return why this host cannot do what options ask for, nothing where it can.

    The engine's `lacks` is asked for where the options name what a host can lack.
    """
    # What a CPU lacks for a precision, another device may have.
    precisions = (options.precision,) * (options.device == CPU)
    named = (*precisions, *(f"{name}={each}" for name, each in options.settings.items()))
    doubtful = [each for each in named if each in engine.may_lack]
    found = ask() if doubtful else {}
    return next((found[each] for each in doubtful if each in found), "")


class SessionBase(ABC):
    """A loaded model, ready to run. Not thread-safe."""

    #: Nanoseconds that all runs so far spent on shapes and copies, None where that is not counted.
    copy_ns: int | None = None

    @property
    def mega_macs(self) -> float | None:
        """Millions of multiply-accumulates of the last shape, as the runtime itself counts."""
        return None

    def operators(self) -> Mapping[str, int]:
        """Count what computes, after the runtime's own optimisations, by what it computes in.

        Asked for once, outside of the clock. Nothing where the runtime does not tell.
        """
        return {}

    @property
    @abstractmethod
    def effective(self) -> Mapping[str, str | int | float]:
        """What the runtime really took, read back from it where it tells."""

    @property
    def reported(self) -> dict[str, str | int | float]:
        """What is stored: what is effective, and what the runtime counts."""
        counted = {} if self.mega_macs is None else {MEGA_MACS: round(self.mega_macs, 3)}
        return {**self.effective, **counted}

    @abstractmethod
    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings.

        Args:
            features_BTM: float32 [B, T, M], C-contiguous, mean-normalised fbank frames.

        Returns:
            float32 [B, D], owned by the caller.

        Raises:
            EngineError: the shape is not the model's, or the runtime failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the model; a second call does nothing."""


class RuntimeEngine(EngineBase):
    """An engine that refuses what it does not take before it loads a model."""

    #: What `probe` imports, and the build that it tells; `distribution` has the version.
    module: str
    build: str = "wheel"
    #: What installs it; empty for the extra of this package that bears the engine's name.
    cure: str = ""

    def probe(self) -> Availability:
        """Import the runtime."""
        assert self.distribution is not None
        try:
            import_module(self.module)
        except ImportError as error:
            return self.missing(error)
        return Availability(True, version=version(self.distribution), build=self.build)

    def missing(self, why: object) -> Availability:
        """Say that the runtime is not installed, and what installs it."""
        cure = self.cure or f"pip install 'rtfbench[{self.name}]'"
        return Availability(False, reason=f"{why}; install it with: {cure}")

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Load a model; see `EngineBase.open`."""
        settings = chosen(self, options)
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return self.load(artifact, options, settings)

    @abstractmethod
    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> SessionBase:
        """Load a model that the engine takes.

        Args:
            artifact: the model.
            options: as for `open`.
            settings: every one of the engine's `choices`.

        Raises:
            EngineError: the file is not a model of this engine.
            SettingMismatchError: the session is not what was asked for.
        """


def one_line(error: Exception) -> str:
    """Return all that an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def last_line(error: Exception) -> str:
    """Return the last line of what an error says: where the first ones name source files."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


class RuntimeSession(SessionBase):
    """A session of one runtime, which refuses other features than the model's, and what is closed.

    Whatever the runtime's binding raises becomes an `EngineError` of one line.
    """

    #: Whose it is, for what is told of errors.
    engine: str
    #: What is told of an error of the binding.
    told: Callable[[Exception], str] = staticmethod(one_line)

    def __init__(self, artifact: ModelArtifact, loaded: Any, effective: Mapping[str, Any]) -> None:
        """Take what is loaded.

        Args:
            artifact: the model.
            loaded: what `compute` needs; `close` lets go of it.
            effective: what the runtime really took.
        """
        self._artifact, self._loaded = artifact, loaded
        self._effective: dict[str, str | int | float] = dict(effective)

    @classmethod
    @contextmanager
    def loading(cls, artifact: ModelArtifact) -> Iterator[None]:
        """Tell whatever the binding raises within the block as an error of the file."""
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # bindings raise what they like
            raise EngineError(
                f"{artifact.path}: {cls.engine} cannot load this model: {cls.told(error)}"
            ) from error

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What the runtime really took."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings; see `SessionBase.run`."""
        if self._loaded is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        try:
            return self.compute(features_BTM)
        except EngineError:
            raise
        except Exception as error:  # as above
            raise EngineError(f"{self.engine} failed: {self.told(error)}") from error

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D] of what the model takes, one utterance after the other."""
        return np.stack([self.compute_one(features_TM) for features_TM in features_BTM])

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Compute one embedding [D]; for runtimes that know no batch."""
        raise NotImplementedError(f"{type(self).__name__} has neither compute nor compute_one")

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        self._loaded = None


def check_taken(engine: str, got: Mapping[str, object], asked: Mapping[str, object]) -> None:
    """Compare what a runtime took with what it was asked for.

    Raises:
        SettingMismatchError: something is another.
    """
    for name, value in asked.items():
        if got[name] != value:
            raise SettingMismatchError(f"{engine}: asked for {name}={value}, got {got[name]}")
