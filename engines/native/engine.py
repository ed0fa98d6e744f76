"""An engine of the registry on the library of a user's folder."""

from collections.abc import Mapping
from ctypes import byref, c_float, c_int32, c_void_p, create_string_buffer
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from rtfbench.engines import mnn_files
from rtfbench.engines.base import EngineBase, RuntimeEngine, RuntimeSession
from rtfbench.engines.native import library
from rtfbench.engines.native.library import ERROR_SIZE, LoadedLibrary, told
from rtfbench.engines.protocol import (
    LIBRARY_BYTES,
    MEGA_MACS,
    MEGA_MACS_FROM,
    Availability,
    EngineError,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
    Support,
)

Kind = Literal["full", "minimal"]

#: `BackendConfig::PrecisionMode`.
_PRECISIONS = {"normal": 0, "high": 1, "low": 2}
_INPUT, _OUTPUT = 0, 1
_Memory = c_float * 0
_MAX_AXES = 8
_ENGINES: dict[Kind, str] = {"full": "mnn", "minimal": "mnn-mini"}
_CURES: dict[Kind, str] = {
    "full": "name it with --mnn-home for the engine mnn, or build it with -DMNN_BUILD_MINI=ON",
    "minimal": "name it with --mnn-mini-home for the engine mnn-mini, which runs static models",
}


class _Info(NamedTuple):
    """What a session says of itself; a minimal library counts no operations."""

    memory_mb: float
    mega_macs: float
    threads: int
    backend: int


def _memory(array: Any) -> Any:
    """Return where an array's values lie, for a `void*`; `array.ctypes` takes longer."""
    return _Memory.from_buffer(array) if array.flags.writeable else array.ctypes.data


class NativeMnnSession(RuntimeSession):
    """One MNN session behind the shim; a dynamic model gets its shape at the first run."""

    engine = "MNN"
    _loaded: c_void_p | None = None

    def __init__(
        self, used: LoadedLibrary, kind: Kind, artifact: ModelArtifact, threads: int, precision: str
    ) -> None:
        """Open a model.

        Raises:
            EngineError: no complete model, or not of the form that was declared.
            SettingMismatchError: the session is not what was asked for.
        """
        stores_shapes = mnn_files.stores_shapes(artifact.path)
        if artifact.form == "static" and not stores_shapes and kind == "minimal":
            raise EngineError(
                f"{artifact.path}: declared static, but its shapes are not stored in it, and a "
                "minimal library runs no such model; convert it again with: "
                "rtfbench export --num-frames"
            )
        self._library, self._kind = used, kind
        settings = {
            "threads": threads,
            "precision": precision,
            "backend": "CPU",
            "library": str(used.path),
            "library_kind": kind,
            LIBRARY_BYTES: used.size_bytes,
            "library_sha256": used.sha256,
        }
        self._run, self._error = used.shim.rtfbench_mnn_run, create_string_buffer(ERROR_SIZE)
        handle = c_void_p()
        names = [name or "" for name in (artifact.input_name, artifact.output_name)]
        texts = [text.encode() for text in (str(artifact.path), *names)]
        try:
            used.call("open", *texts, threads, _PRECISIONS[precision], byref(handle))
        except EngineError as error:
            cure = (
                f"; if a converter newer than {used.version} made it, choose --form static, or "
                "convert it with that version's own"
            )
            whole = str(error).startswith("MNN cannot")
            raise EngineError(f"{artifact.path}: {error}{cure * whole}") from None
        super().__init__(artifact, handle, settings)
        try:
            self._check(threads)
        except EngineError:
            self.close()
            raise

    def _check(self, threads: int) -> None:
        """Compare the session with what was asked for."""
        self._input_shape, info = self._shape(_INPUT), self._info()
        mnn_files.check_opened(self._artifact, self._input_shape, info.backend)
        if info.threads != threads:
            raise SettingMismatchError(f"MNN: asked for {threads} threads, got {info.threads}")
        if self._artifact.form == "static":
            self._check_kind(info)
            self._output_shape = self._shape(_OUTPUT)

    def _check_kind(self, info: "_Info") -> None:
        """Refuse the other build: a minimal one leaves out what counts a session's operations."""
        found: Kind = "full" if info.mega_macs > 0 else "minimal"
        if found != self._kind:
            raise SettingMismatchError(
                f"{self._library.path}: a {found} library, and {_ENGINES[self._kind]} needs a "
                f"{self._kind} one; {_CURES[found]}"
            )

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Settings, and what the session reports of itself once it has a shape.

        Of a minimal library, which counts nothing, what the model's layers were counted to need.
        """
        if self._loaded is None:
            return self._effective
        info, macs = self._info(), self._artifact.macs
        found = {**self._effective, "session_memory_mb": round(info.memory_mb, 3)}
        if info.mega_macs <= 0 and macs is not None:
            found |= {MEGA_MACS: round(macs / 1e6, 3), MEGA_MACS_FROM: "the model"}
        return found

    @property
    def mega_macs(self) -> float | None:
        """What the library counts; a minimal one, or one without a session, counts nothing."""
        return (self._info().mega_macs or None) if self._loaded is not None else None

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]; a new shape of a dynamic model is resized to first."""
        if features_BTM.shape != self._input_shape:
            self._resize(features_BTM.shape)
        # Contiguous already in the pipeline: MNN's own copy is the only one.
        features_BTM = np.ascontiguousarray(features_BTM)
        embedding_BD = np.empty(self._output_shape, np.float32)
        input_, output = _memory(features_BTM), _memory(embedding_BD)
        sizes = features_BTM.size, embedding_BD.size
        error = self._error
        if self._run(self._loaded, input_, sizes[0], output, sizes[1], error, ERROR_SIZE) != 0:
            raise told(error)
        return embedding_BD

    def _resize(self, shape: tuple[int, ...]) -> None:
        if self._artifact.form == "static":
            raise EngineError(f"{self._artifact.name} takes {self._input_shape}, not {shape}")
        self._library.call("resize", self._loaded, (c_int32 * len(shape))(*shape), len(shape))
        # A minimal library resizes to nothing and would leave the output as it is.
        self._check_kind(self._info())
        self._input_shape, self._output_shape = self._shape(_INPUT), self._shape(_OUTPUT)

    def _shape(self, which: int) -> tuple[int, ...]:
        sizes, rank = (c_int32 * _MAX_AXES)(), c_int32()
        self._library.call("shape", self._loaded, which, sizes, _MAX_AXES, byref(rank))
        return tuple(sizes[: rank.value])

    def _info(self) -> _Info:
        memory_mb, mega_macs, threads, backend = c_float(), c_float(), c_int32(), c_int32()
        pointers = (byref(memory_mb), byref(mega_macs), byref(threads), byref(backend))
        self._library.call("info", self._loaded, *pointers)
        return _Info(memory_mb.value, mega_macs.value, threads.value, backend.value)

    def close(self) -> None:
        """Release session and model."""
        if self._loaded is not None:
            self._library.shim.rtfbench_mnn_close(self._loaded)
            self._loaded = None

    def __del__(self) -> None:
        self.close()


class NativeMnnEngine(RuntimeEngine):
    """What an engine does when its setting `home` names a folder; its name and settings stay."""

    def __init__(self, engine: EngineBase, kind: Kind, home: str) -> None:
        """Take the place of an engine, on the library in the folder `home`."""
        self._engine, self._kind, self._folder = engine, kind, Path(home)
        for each in ("name", "format", "default_form", "choices", "first_run", "fewer_operations"):
            setattr(self, each, getattr(engine, each))

    def probe(self) -> Availability:
        """Load the library, its shim compiled if it is not yet."""
        try:
            found = library.load(self._folder)
        except EngineError as error:
            return Availability(False, reason=str(error))
        return Availability(
            True, version=found.version, build=f"{self._kind} library, {found.build}"
        )

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take what the engine takes."""
        return self._engine.supports(artifact, options)

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> NativeMnnSession:
        """Create a session; a dynamic model gets its shape at the first run."""
        used, precision = library.load(self._folder), settings["precision"]
        return NativeMnnSession(used, self._kind, artifact, options.threads, precision)
