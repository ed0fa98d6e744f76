"""ExecuTorch on the CPU: what `torch.export` writes, lowered to XNNPACK, for one length."""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import torch_program
from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
    check_features,
)

METHOD = "forward"


CURE = "pip install 'rtfbench[executorch]'"


class ExecuTorchEngine(EngineBase):
    """ExecuTorch in float32: static models of the catalog; it has no settings."""

    name = "executorch"
    format: Format = "pte"
    from_onnx = False
    default_form: Form = "static"
    distribution = "executorch"
    converters = ("torch",)
    run_in_python = (
        "(values,) = inputs.values()\nfound = method.execute([torch.from_numpy(values)])[0].numpy()"
    )

    def probe(self) -> Availability:
        """Look for the package; its binding loads torch, which takes seconds."""
        if find_spec("executorch") is None or find_spec("torch") is None:
            reason = f"No module named 'executorch'; install it with: {CURE}"
            return Availability(False, reason=reason)
        return Availability(True, version=version(self.distribution), build="XNNPACK")

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made."""
        return (
            "import torch\n"
            "from executorch.extension.pybindings import portable_lib\n"
            "from executorch.runtime import Runtime\n"
            f"portable_lib._unsafe_reset_threadpool({options.threads})\n"
            f"program = Runtime.get().load_program({str(artifact.path)!r})\n"
            'method = program.load_method("forward")'
        )

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Export and lower a torch module in eval mode."""
        torch_program.converted(
            model,
            path,
            engine=self.name,
            package="executorch",
            cure=CURE,
            feat_dim=feat_dim,
            num_frames=num_frames,
        )

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "ExecuTorchSession":
        """Load the program."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return ExecuTorchSession(artifact, options.threads, chosen(self, options))


class ExecuTorchSession(SessionBase):
    """One program. Threads are the process's: one session a process."""

    def __init__(self, artifact: ModelArtifact, threads: int, settings: Mapping[str, str]) -> None:
        import torch

        # The binding itself: the package around it loads the exporter first, which takes longer.
        from executorch.extension.pybindings import _C as binding

        torch.set_num_threads(threads)
        self._torch = torch
        self._artifact = artifact
        binding._unsafe_reset_threadpool(threads)
        got = binding._threadpool_get_thread_count()
        if got != threads:
            raise SettingMismatchError(f"executorch: asked for threads={threads}, got {got}")
        try:
            # The program refers to the bytes, and the method to the program, where they are.
            self._content = artifact.path.read_bytes()
            self._program: Any = binding._load_program_from_buffer(
                self._content, program_verification=binding.Verification.InternalConsistency
            )
            self._method: Any = self._program.load_method(METHOD)
        except Exception as error:  # the binding raises what it likes
            raise EngineError(
                f"{artifact.path}: executorch cannot load this model ({error})"
            ) from error
        self._effective: dict[str, str | int | float] = {"threads": got, **settings}

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """The threads of the pool, as it tells them."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D], one utterance after the other."""
        if self._method is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        return np.stack([self._run_one(features_TM) for features_TM in features_BTM])

    def _run_one(self, features_TM: FloatArray) -> FloatArray:
        try:
            (output,) = self._method.call([self._torch.from_numpy(features_TM[None])])
        except Exception as error:  # as above
            said = str(error).partition("\n")[0]
            raise EngineError(f"executorch failed: {said}") from error
        return np.array(output.numpy(), np.float32).reshape(-1)

    def close(self) -> None:
        """Drop the program."""
        self._method = self._program = None
        self._content = b""
