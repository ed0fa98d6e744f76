"""IREE: a model that is compiled ahead for this CPU."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import iree_convert
from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    check_features,
)

#: Computes on the thread that calls, and on so many of its own.
ON_ONE, ON_MORE = "local-sync", "local-task"
WORKERS = "--task_topology_group_count"
#: So many characters of an error are told.
MOST_SAID = 300


class IreeEngine(EngineBase):
    """IREE's `llvm-cpu` for this host's instruction sets, in float32; it has no settings."""

    name = "iree"
    format: Format = "vmfb"
    default_form: Form = "static"
    distribution = "iree-base-runtime"
    converters = ("iree-base-compiler", "onnx")
    for_this_cpu = True
    run_in_python = "(values,) = inputs.values()\nfound = function(values).to_host()"

    def probe(self) -> Availability:
        """Import the runtime; the compiler is needed only where a file has to be made."""
        try:
            import iree.runtime  # noqa: F401
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[iree]'"
            )
        return Availability(True, version=version(self.distribution), build="llvm-cpu")

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made."""
        return f"""import iree.runtime

iree.runtime.flags.parse_flags("{WORKERS}={options.threads}")
config = iree.runtime.Config({_driver(options.threads)!r})
module = iree.runtime.VmModule.mmap(config.vm_instance, {str(artifact.path)!r})
context = iree.runtime.SystemContext(config=config)
context.add_vm_module(module)
(name,) = (each for each in module.function_names if "$" not in each and each[0] != "_")
function = context.modules[module.name][name]
"""

    def convert_in_python(self, onnx: str, path: str, *, static: bool) -> str:
        """Use the compiler's two programs."""
        return iree_convert.in_python(onnx, path)

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Import and compile; an open size stays open."""
        iree_convert.to_iree(onnx_path, path)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "IreeSession":
        """Load the compiled model."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return IreeSession(artifact, options.threads)


class IreeSession(SessionBase):
    """One loaded module."""

    def __init__(self, artifact: ModelArtifact, threads: int) -> None:
        import iree.runtime

        self._artifact = artifact
        driver = _driver(threads)
        try:
            config = iree.runtime.Config(device=_device(driver, threads))
            module = iree.runtime.VmModule.copy_buffer(
                config.vm_instance, artifact.path.read_bytes()
            )
            context = iree.runtime.SystemContext(config=config)
            context.add_vm_module(module)
            # The other functions initialise, or take what is to be waited for as well.
            (name,) = (each for each in module.function_names if "$" not in each and each[0] != "_")
            self._function: Any = context.modules[module.name][name]
        except Exception as error:  # the binding raises what it likes
            raise EngineError(
                f"{artifact.path}: iree cannot load this model ({_reason(error)})"
            ) from error
        # The driver does not tell its workers; they are counted at work.
        self._effective: dict[str, str | int | float] = {"threads": threads, "driver": driver}

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """The driver, and the threads that it was given."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        if self._function is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        try:
            found = self._function(features_BTM)
        except Exception as error:  # as above
            raise EngineError(f"iree failed: {_reason(error)}") from error
        return np.array(found.to_host(), np.float32)

    def close(self) -> None:
        """Drop the model."""
        self._function = None


def _driver(threads: int) -> str:
    return ON_ONE if threads == 1 else ON_MORE


def _device(driver: str, threads: int) -> Any:
    """Return a device with workers of its own; the one that IREE keeps has those of its first."""
    from iree.runtime import _binding, flags

    flags.parse_flags(f"{WORKERS}={threads}")
    return _binding.create_hal_driver(driver).create_default_device()


def _reason(error: Exception) -> str:
    """Return the beginning of what an error says, in one line; IREE's own calls follow."""
    return " ".join(str(error).split())[:MOST_SAID]
