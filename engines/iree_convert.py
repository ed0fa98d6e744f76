"""ONNX to IREE's bytecode for this CPU: imported and compiled, each in a process of its own."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import ConversionError

#: Compiling the largest models of the catalog takes minutes.
LIMIT_S = 900.0
FOR_THIS_CPU = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    # A convolution as a product of matrices in tiles: half the time of one as it is written.
    "--iree-opt-level=O3",
    "--iree-opt-data-tiling",
    "--iree-global-opt-use-im2col-for-convs",
    # CAM++'s products take 48 KB at a time, over what the compiler allows by itself.
    "--iree-llvmcpu-stack-allocation-limit=65536",
)


def in_python(onnx: str, path: str) -> str:
    """Return lines that import and compile a file with the compiler's own programs."""
    return f"""\
import subprocess
import sys

import iree.compiler.tools

command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", {onnx!r}, "-o", "model.mlir"]
subprocess.run(command, check=True)
iree.compiler.tools.compile_file("model.mlir", output_file={path!r}, extra_args={[*FOR_THIS_CPU]!r})
"""


def to_iree(onnx_path: Path, path: Path, *, limit_s: float = LIMIT_S) -> None:
    """Write a model that runs on a CPU with the instruction sets of this one.

    Args:
        onnx_path: the model; sizes that it leaves open stay open.
        path: what to write.
        limit_s: how long each of both steps may take.

    Raises:
        ConversionError: there is no compiler, or it refused.
    """
    try:
        found = find_spec("iree.compiler")
    except ModuleNotFoundError:
        found = None
    if found is None or not found.submodule_search_locations:
        raise ConversionError(
            "iree-base-compiler is not installed; install it with: pip install 'rtfbench[iree]'"
        )
    compiler = Path(next(iter(found.submodule_search_locations)), "_mlir_libs", "iree-compile")
    with TemporaryDirectory(prefix="rtfbench-iree-") as name:
        folder = Path(name)
        graph, made = folder / "model.mlir", folder / path.name
        steps: tuple[tuple[str, list[str], Sequence[str], Path], ...] = (
            ("imported", [sys.executable, "-m", "iree.compiler.tools.import_onnx"], [], graph),
            ("compiled", [str(compiler)], FOR_THIS_CPU, made),
        )
        source = onnx_path.resolve()
        for what, command, options, target in steps:
            run_tool(
                [*command, str(source), *options, "-o", str(target)],
                folder=folder,
                made=[target],
                failed=f"{onnx_path}: cannot be {what} by IREE",
                limit_s=limit_s,
            )
            source = target
        path.write_bytes(made.read_bytes())
