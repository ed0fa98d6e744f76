"""torch on a device with memory of its own: copies are told apart, and the device is waited for."""

import time
from typing import Any

from rtfbench.engines.protocol import FLOAT32, TF32, FloatArray, Precision
from rtfbench.engines.torch import TorchEngineSession


class TorchDeviceSession(TorchEngineSession):
    """One loaded program; what copies take is in `copy_ns`, and inside the time of a run."""

    copy_ns: int = 0

    def _placed(self, program: Any) -> Any:
        """Move a program there. TF32 is off unless it is asked for: convolutions would take it."""
        from torch.export.passes import move_to_device_pass

        backends = self._torch.backends
        asked = self._precision == TF32
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = asked
        return move_to_device_pass(program, str(self._device))

    @property
    def _float32_is(self) -> Precision:
        """TF32 where matrices and convolutions may take it, as torch says."""
        backends = self._torch.backends
        allowed = backends.cuda.matmul.allow_tf32 and backends.cudnn.allow_tf32
        return TF32 if allowed else FLOAT32

    def _compute(self, features_BTM: FloatArray) -> FloatArray:
        """Copy in, compute, copy out; each is waited for."""
        torch, wait = self._torch, getattr(self._torch, self._device.type).synchronize
        before = time.perf_counter_ns()
        with torch.inference_mode():
            values_BTM = torch.from_numpy(features_BTM).to(self._device, self._dtype, copy=True)
            wait()
            fed = time.perf_counter_ns()
            found_BD = self._module(values_BTM)
            wait()
            computed = time.perf_counter_ns()
            embedding_BD: FloatArray = found_BD.float().cpu().numpy()
        self.copy_ns += time.perf_counter_ns() - computed + fed - before
        return embedding_BD
