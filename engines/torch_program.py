"""From a torch module to a format whose converter takes the program that `torch.export` writes.

A converter is an engine's module that is run in a process of its own, as
`python -m MODULE PROGRAM.pt2 MADE`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import ConversionError
from rtfbench.engines.torch import TorchEngine

#: ResNet-34 takes a minute on a busy core, the largest models of the catalog many.
LIMIT_S = 1800.0


def converted(
    model: Any,
    path: Path,
    *,
    engine: str,
    package: str,
    cure: str,
    feat_dim: int,
    num_frames: int | None,
    limit_s: float = LIMIT_S,
) -> None:
    """Write a torch module in eval mode, [1, num_frames, feat_dim] -> [1, D].

    Args:
        model: the module.
        path: what to write.
        engine: whose module does it.
        package: what the converter imports.
        cure: what installs that.
        feat_dim: M.
        num_frames: T.
        limit_s: how long the converter may take.

    Raises:
        ConversionError: there is no such package, or it does not know an operator.
    """
    if num_frames is None:
        raise ConversionError(f"{engine} files are for one length; choose --form static")
    if find_spec(package) is None:
        raise ConversionError(f"{package} is not installed; install it with: {cure}")
    with TemporaryDirectory(prefix=f"rtfbench-{engine}-") as name:
        folder = Path(name)
        program, made = folder / "model.pt2", folder / path.name
        TorchEngine().export(model, program, feat_dim=feat_dim, num_frames=num_frames)
        run_tool(
            [sys.executable, "-m", f"rtfbench.engines.{engine}", str(program), str(made)],
            folder=folder,
            made=[made],
            failed=f"{engine} cannot convert the model",
            limit_s=limit_s,
        )
        path.write_bytes(made.read_bytes())
