"""IREE: a model that is compiled ahead for this CPU, from ONNX, by the compiler's own programs."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rtfbench.engines.base import RuntimeEngine, RuntimeSession, one_line
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import (
    ConversionError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
)

#: Computes on the thread that calls, and on so many of its own.
ON_ONE, ON_MORE = "local-sync", "local-task"
WORKERS = "--task_topology_group_count"
#: So many characters of an error are told; IREE's own calls follow.
MOST_SAID = 300
#: Compiling the largest models of the catalog takes minutes.
LIMIT_S = 900.0
FOR_THIS_CPU = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    # A convolution as a product of matrices in tiles: half the time of one as it is written. Not
    # with `--iree-opt-level=O2` or higher, which takes as long, and where there is AVX-512 cannot
    # compile the softmax of a pooling by attention (ECAPA-TDNN).
    "--iree-opt-data-tiling",
    "--iree-global-opt-use-im2col-for-convs",
    # CAM++'s products take 48 KB at a time, over what the compiler allows by itself.
    "--iree-llvmcpu-stack-allocation-limit=65536",
)


class IreeEngine(RuntimeEngine):
    """IREE's `llvm-cpu` for this host's instruction sets, in float32; it has no settings.

    The compiler is needed only where a file has to be made.
    """

    name = "iree"
    module = "iree.runtime"
    build = "llvm-cpu"
    format: Format = "vmfb"
    default_form: Form = "static"
    distribution = "iree-base-runtime"
    converters = ("iree-base-compiler", "onnx")
    for_this_cpu = True
    run_in_python = "(values,) = inputs.values()\nfound = function(values).to_host()"

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
        return f"""\
import subprocess
import sys

import iree.compiler.tools

command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", {onnx!r}, "-o", "model.mlir"]
subprocess.run(command, check=True)
iree.compiler.tools.compile_file("model.mlir", output_file={path!r}, extra_args={[*FOR_THIS_CPU]!r})
"""

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Import and compile, for the instruction sets of this CPU; an open size stays open."""
        found = None
        with suppress(ModuleNotFoundError):
            found = find_spec("iree.compiler")
        if found is None or not found.submodule_search_locations:
            raise ConversionError(
                "iree-base-compiler is not installed; install it with: pip install 'rtfbench[iree]'"
            )
        compiler = Path(next(iter(found.submodule_search_locations)), "_mlir_libs", "iree-compile")
        with TemporaryDirectory(prefix="rtfbench-iree-") as name:
            folder = Path(name)
            graph, made = folder / "model.mlir", folder / path.name
            run = partial(run_tool, folder=folder, limit_s=LIMIT_S)
            words = [sys.executable, "-m", "iree.compiler.tools.import_onnx"]
            words += [str(onnx_path.resolve()), "-o", str(graph)]
            run(words, made=[graph], failed=f"{onnx_path}: cannot be imported by IREE")
            words = [str(compiler), str(graph), *FOR_THIS_CPU, "-o", str(made)]
            run(words, made=[made], failed=f"{onnx_path}: cannot be compiled by IREE")
            path.write_bytes(made.read_bytes())

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "IreeSession":
        """Load the compiled model."""
        driver = _driver(options.threads)
        with IreeSession.loading(artifact):
            import iree.runtime

            # A device with workers of its own: the one that IREE keeps has those of its first.
            iree.runtime.flags.parse_flags(f"{WORKERS}={options.threads}")
            made = iree.runtime._binding.create_hal_driver(driver)
            config = iree.runtime.Config(device=made.create_default_device())
            module = iree.runtime.VmModule.copy_buffer(
                config.vm_instance, artifact.path.read_bytes()
            )
            context = iree.runtime.SystemContext(config=config)
            context.add_vm_module(module)
            # The other functions initialise, or take what is to be waited for as well.
            (name,) = (each for each in module.function_names if "$" not in each and each[0] != "_")
            function = context.modules[module.name][name]
        # The driver does not tell its workers; they are counted at work.
        return IreeSession(artifact, function, {"threads": options.threads, "driver": driver})


class IreeSession(RuntimeSession):
    """The function of one loaded module."""

    engine = "iree"

    @staticmethod
    def told(error: Exception) -> str:
        """Return the beginning of what an error says."""
        return one_line(error)[:MOST_SAID]

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        return np.array(self._loaded(features_BTM).to_host(), np.float32)


def _driver(threads: int) -> str:
    return ON_ONE if threads == 1 else ON_MORE
