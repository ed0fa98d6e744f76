"""ONNX to MNN, in a process of its own because the converter prints to standard output.

The converter is the wheel's extension module. Its console scripts are not used: they install a
telemetry package when they run and report to a server.

python -m rtfbench.engines.mnn_convert ONNX MNN [OPTION...]
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.engines.processes import run_tool

#: The largest models of the catalog take some seconds.
LIMIT_S = 600.0


def to_mnn(
    onnx_path: Path,
    mnn_path: Path,
    *,
    static: bool,
    more: Sequence[str] = (),
    limit_s: float = LIMIT_S,
) -> None:
    """Convert a model.

    Args:
        onnx_path: the model; for `static`, one with fixed input shapes.
        mnn_path: where the result appears, as a whole or not at all.
        static: store all shapes, as the minimal library needs.
        more: further options of the converter.
        limit_s: how long the converter may take.

    Raises:
        ConversionError: nothing was written.
    """
    mnn_path = mnn_path.resolve()
    mnn_path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".mnn-", dir=mnn_path.parent) as folder:
        part = Path(folder) / mnn_path.name
        files = [str(onnx_path.resolve()), str(part)]
        # The converter keeps large tensors in a file of a fixed name in its working folder: two
        # converters in one folder would write zeros into each other's models.
        run_tool(
            [sys.executable, "-m", "rtfbench.engines.mnn_convert", *files]
            + ["--saveStaticModel"] * static
            + list(more),
            folder=Path(folder),
            made=[part],
            failed=f"{onnx_path}: cannot be converted to MNN",
            limit_s=limit_s,
        )
        part.replace(mnn_path)


def main() -> None:
    """Run the converter on `ONNX MNN [OPTION...]`, in an empty working folder."""
    import _tools

    source, target, *options = sys.argv[1:]
    files = ["--modelFile", source, "--MNNModel", target]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "MNN", *options])


if __name__ == "__main__":
    main()
