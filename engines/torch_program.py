"""From a torch module to a format whose converter takes the program that `torch.export` writes.

A converter is an engine's module that is run in a process of its own, as
`python -m MODULE PROGRAM.pt2 MADE`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.engines.base import RuntimeEngine
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import ConversionError, Form
from rtfbench.engines.torch import TorchEngine

#: ResNet-34 takes a minute on a busy core, the largest models of the catalog many.
LIMIT_S = 1800.0


class ProgramEngine(RuntimeEngine):
    """An engine with XNNPACK in float32 for models of the catalog, whose files are for one length.

    It has no settings. Its converter is needed only where a file has to be made.
    """

    build = "XNNPACK"
    from_onnx = False
    default_form: Form = "static"
    #: What the converter imports, and what installs that.
    converter: str
    converter_cure: str

    def export(
        self,
        model: Any,
        path: Path,
        *,
        feat_dim: int,
        num_frames: int | None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Export and convert a torch module in eval mode, [1, num_frames, feat_dim] -> [1, D].

        Raises:
            ConversionError: there is no converter, or it does not know an operator.
        """
        if num_frames is None:
            raise ConversionError(f"{self.name} files are for one length; choose --form static")
        if find_spec(self.converter) is None:
            cure = f"install it with: {self.converter_cure}"
            raise ConversionError(f"{self.converter} is not installed; {cure}")
        with TemporaryDirectory(prefix=f"rtfbench-{self.name}-") as name:
            folder = Path(name)
            program, made = folder / "model.pt2", folder / path.name
            TorchEngine().export(model, program, feat_dim=feat_dim, num_frames=num_frames)
            run_tool(
                [sys.executable, "-m", f"rtfbench.engines.{self.name}", str(program), str(made)],
                folder=folder,
                made=[made],
                failed=f"{self.name} cannot convert the model",
                limit_s=limit_s,
            )
            path.write_bytes(made.read_bytes())
