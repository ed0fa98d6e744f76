"""What an engine and a session may tell besides, with what holds where they do not.

Engines and sessions derive from these classes; one that has the protocol's members alone gets the
same defaults from `completed`, `counted_ns` and `reported`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engines.profiling import Profiler
from engines.protocol import (
    FLOAT32,
    MEGA_MACS,
    ONNX,
    Availability,
    ConversionError,
    Engine,
    FloatArray,
    Form,
    Format,
    Library,
    ModelArtifact,
    Precision,
    Quantization,
    Session,
    SessionOptions,
    Support,
    check_model,
)


class EngineBase(ABC):
    """An engine that reads ONNX and has no settings; see `engines.protocol.Engine`."""

    name: str
    format: Format = ONNX
    default_form: Form = "dynamic"
    choices: Mapping[str, tuple[str, ...]] = {}
    #: Whether files of the format are made from ONNX, by `convert`; else from torch, by `export`.
    from_onnx: bool = True
    #: What sessions compute in, each with the precision of the file that it is computed from.
    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32}
    #: Whether it computes anything: one that does not answers the same whatever it hears.
    computes: bool = True
    #: The package whose versions `NAME@VERSION` pins, None where no single one is the runtime.
    distribution: str | None = None
    #: Settings of how files in fewer bits are made: name -> values, the default first.
    recipes: Mapping[str, tuple[str, ...]] = {}
    #: Further packages whose versions matter to the files that `quantize` writes.
    quantizers: tuple[str, ...] = ()
    #: How a user asks for a library of their own; such an engine has the setting `HOME`, and `on`.
    library: Library | None = None
    #: Whether it is another engine's library until the user names one of its own.
    stands_in: bool = False
    #: What a dynamic model's first run prepares, for a sentence; empty where nobody says.
    first_run: str = ""
    #: Lines of Python after those of `in_python`: they feed `inputs`, name -> float32 array, and
    #: leave the only output in `found`, with numpy as `np`. Empty where the engine does not say.
    run_in_python: str = ""
    #: By what it computes the same with fewer operations, for a sentence; empty where it does not.
    fewer_operations: str = ""

    @abstractmethod
    def probe(self) -> Availability:
        """As in the protocol."""

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take models of the engine's format in either form, and what this host can compute."""
        computes = check_precision(self, artifact, options)
        if computes.ok:
            computes = check_model(self, artifact, options)
        if not computes.ok or not may_lack(options):
            return computes
        refused = lacking(self.lacks(), options)
        return Support(not refused, refused)

    def lacks(self) -> Mapping[str, str]:
        """Return what of the engine this host cannot do, each with the reason and the cure.

        Keys are precisions, and values of settings as in `mode=compiled`. It may load the runtime.
        """
        return {}

    def caveat(self, options: SessionOptions) -> str:
        """Say what this CPU does to a precision that it can compute; empty where nothing.

        It is the row's footnote, and stands behind the reason where an embedding is wrong.
        """
        return ""

    @abstractmethod
    def open(self, artifact: ModelArtifact, options: SessionOptions) -> Session:
        """As in the protocol."""

    def on(self, settings: Mapping[str, str]) -> Engine:
        """Return the engine on the library that these settings name; nothing is loaded yet."""
        return self

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return lines of Python that open a model as `open` does, with the runtime's own API.

        They are for who deploys what was measured here; empty where the engine does not say.
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
            features_BTM: as for `Session.run`.
            names: of tensors in the graph that the model came as.

        Returns:
            Those that the runtime still computes, which may be few; what it has fused may bear the
            name of the first tensor and be the last one. None where it shows none.

        Raises:
            EngineError: as `open` and `Session.run`.
        """
        return None

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Write a file of the engine's format.

        Args:
            onnx_path: the model as ONNX, in one file; for `static`, with fixed input shapes.
            path: what to write; whoever calls moves it to its place when it is whole.
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
            path: what to write; whoever calls moves it to its place when it is whole.
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
            path: what to write; whoever calls moves it to its place when it is whole.
            wanted: its precision is one that `precisions` names for a file.

        Returns:
            The recipe, for a reader of the results.

        Raises:
            ConversionError: it could not be written.
        """
        raise ConversionError(f"{self.name} does not say how a file in {wanted.precision} is made")


def check_precision(
    engine: EngineBase, artifact: ModelArtifact, options: SessionOptions
) -> Support:
    """Say whether an engine computes in a precision, from such a file."""
    refused = refuse_precision(engine, options.precision)
    if refused:
        return Support(False, refused)
    needed = engine.precisions[options.precision]
    if artifact.precision != needed:
        return Support(
            False,
            f"{engine.name} computes {options.precision} from a file in {needed}, not in "
            f"{artifact.precision}",
        )
    return Support(True)


def refuse_precision(engine: EngineBase, precision: Precision) -> str:
    """Say that an engine does not compute in a precision, nothing where it does."""
    if precision in engine.precisions:
        return ""
    return f"{engine.name} does not compute in {precision}; it has: {', '.join(engine.precisions)}"


def may_lack(options: SessionOptions) -> bool:
    """Say whether a host can lack what options ask for: float32 by default runs everywhere."""
    return options.precision != FLOAT32 or bool(options.settings)


def lacking(lacks: Mapping[str, str], options: SessionOptions) -> str:
    """Return why a host cannot do what options ask for, nothing where it can.

    Args:
        lacks: as an engine's `lacks` tells it.
        options: precision and settings.
    """
    asked = (options.precision, *(f"{name}={each}" for name, each in options.settings.items()))
    return next((lacks[each] for each in asked if each in lacks), "")


class SessionBase(ABC):
    """A session that counts nothing; see `engines.protocol.Session`."""

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
        """As in the protocol."""

    @abstractmethod
    def run(self, features_BTM: FloatArray) -> FloatArray:
        """As in the protocol."""

    @abstractmethod
    def close(self) -> None:
        """As in the protocol."""


#: What `completed` takes from an engine where it is there.
MEMBERS = (
    *("name", "format", "default_form", "choices", "supports"),
    *("distribution", "library", "first_run", "fewer_operations", "on"),
    *("from_onnx", "convert", "export", "precisions", "quantize", "quantizers", "recipes"),
    *("computes", "in_python", "stands_in", "profiler", "inner_tensors", "lacks", "caveat"),
    *("run_in_python", "convert_in_python"),
)


class _Completed(EngineBase):
    """An engine of another class; what it lacks is the base class's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        for member in MEMBERS:
            if hasattr(engine, member):
                setattr(self, member, getattr(engine, member))

    def probe(self) -> Availability:
        """Say what the engine says."""
        return self._engine.probe()

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> Session:
        """Open what the engine opens."""
        return self._engine.open(artifact, options)


def completed(engine: Engine) -> EngineBase:
    """Return an engine with every member of `EngineBase`."""
    return engine if isinstance(engine, EngineBase) else _Completed(engine)


def counted_ns(session: Session) -> int | None:
    """Return a session's `copy_ns`."""
    found: int | None = getattr(session, "copy_ns", SessionBase.copy_ns)
    return found


def reported(session: Session) -> dict[str, str | int | float]:
    """Return what is stored of a session: its `effective`, and what its runtime counts."""
    mega_macs: float | None = getattr(session, "mega_macs", None)
    counted = {} if mega_macs is None else {MEGA_MACS: round(mega_macs, 3)}
    return {**session.effective, **counted}


def computed_in(session: Session) -> dict[str, int]:
    """Return a session's `operators`, nothing where it has none."""
    tell = getattr(session, "operators", None)
    return {} if tell is None else dict(tell())
