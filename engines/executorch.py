"""ExecuTorch on the CPU: what `torch.export` writes, lowered to XNNPACK, for one length.

What XNNPACK does not compute, ExecuTorch's own kernels do.

python -m rtfbench.engines.executorch PROGRAM.pt2 MADE.pte
"""

import sys
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.base import RuntimeSession, check_taken, first_line
from rtfbench.engines.protocol import (
    Availability,
    FloatArray,
    Format,
    ModelArtifact,
    SessionOptions,
)
from rtfbench.engines.torch import ProgramEngine

METHOD = "forward"


class ExecuTorchEngine(ProgramEngine):
    """ExecuTorch."""

    name = module = distribution = converter = "executorch"
    converter_cure = "pip install 'rtfbench[executorch]'"
    format: Format = "pte"
    converters = ("torch",)
    run_in_python = (
        "(values,) = inputs.values()\nfound = method.execute([torch.from_numpy(values)])[0].numpy()"
    )

    def probe(self) -> Availability:
        """Look for the package; its binding loads torch, which takes seconds."""
        if find_spec("executorch") is None or find_spec("torch") is None:
            return self.missing("No module named 'executorch'")
        return Availability(True, version=version(self.distribution), build=self.build)

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made, by the package's own door to the binding that ours uses."""
        return (
            "import torch\n"
            "from executorch.extension.pybindings import portable_lib\n"
            "from executorch.runtime import Runtime\n"
            f"portable_lib._unsafe_reset_threadpool({options.threads})\n"
            f"program = Runtime.get().load_program({str(artifact.path)!r})\n"
            'method = program.load_method("forward")'
        )

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "ExecuTorchSession":
        """Load the program. Threads are the process's: one session a process."""
        import torch

        # The binding itself: the package around it loads the exporter first, which takes longer.
        from executorch.extension.pybindings import _C as binding

        torch.set_num_threads(options.threads)
        binding._unsafe_reset_threadpool(options.threads)
        effective = {"threads": binding._threadpool_get_thread_count()}
        check_taken(self.name, effective, {"threads": options.threads})
        with ExecuTorchSession.loading(artifact):
            content = artifact.path.read_bytes()
            program = binding._load_program_from_buffer(
                content, program_verification=binding.Verification.InternalConsistency
            )
            method: Any = program.load_method(METHOD)
        # The program refers to the bytes, and the method to the program, where they are.
        loaded = (content, program, method, torch.from_numpy)
        return ExecuTorchSession(artifact, loaded, effective)


class ExecuTorchSession(RuntimeSession):
    """One program, with what makes tensors for it."""

    engine = "executorch"
    told = staticmethod(first_line)

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Run one utterance."""
        *_, method, from_numpy = self._loaded
        (output,) = method.call([from_numpy(features_TM[None])])
        return np.array(output.numpy(), np.float32).reshape(-1)


def lower(program: Path, made: Path) -> None:
    """Write a program of `torch.export` as a `.pte` file."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported: Any = torch.export.load(program)
    norm = torch.ops.aten.batch_norm.default
    # ExecuTorch 1.5 gives the scales of all that stand behind no convolution one name, and fails
    # where their channels differ, as in XVEC and CAM++.
    alone = [
        each
        for each in exported.graph.nodes
        if each.target is norm and "conv" not in str(each.args[0].target)
    ]
    if len({each.args[0].meta["val"].shape[1] for each in alone}) > 1:
        inner = torch.ops.aten._native_batch_norm_legit_no_training.default
        exported = exported.run_decompositions({inner: scaled})
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    made.write_bytes(edge.to_executorch().buffer)


def scaled(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, _: float, epsilon: float
) -> Any:
    """Return a batch norm in eval mode as a product and a sum, and what it saves: nothing."""
    channels = [1, -1] + [1] * (x.dim() - 2)
    scale = (variance + epsilon).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    nothing = x.new_empty(0)
    return x * scale.view(channels) + shift.view(channels), nothing, nothing


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
