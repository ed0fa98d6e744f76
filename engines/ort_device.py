"""onnxruntime on a device with memory of its own: input and output are bound there.

Without a binding, `run` copies in and out inside of the runtime, and nobody can tell the copies
from the computing.
"""

import time
from collections.abc import Sequence

import numpy as np

from rtfbench.engines.ort import OnnxRuntimeSession, first_line
from rtfbench.engines.protocol import EngineError, FloatArray, check_features


class OnnxRuntimeDeviceSession(OnnxRuntimeSession):
    """One InferenceSession; what copies take is in `copy_ns`, and inside the time of a run."""

    copy_ns: int = 0

    def run_for(self, outputs: Sequence[str], features_BTM: FloatArray) -> list[FloatArray]:
        """Copy in, compute, copy out; each is waited for."""
        from onnxruntime import OrtValue

        check_features(self._artifact, features_BTM)
        try:
            before = time.perf_counter_ns()
            binding = self._session.io_binding()
            given = OrtValue.ortvalue_from_numpy(features_BTM, *self._memory)
            binding.bind_ortvalue_input(self._input, given)
            for name in outputs:
                binding.bind_output(name, *self._memory)
            binding.synchronize_inputs()
            fed = time.perf_counter_ns()
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            computed = time.perf_counter_ns()
            found = [np.array(each, np.float32) for each in binding.copy_outputs_to_cpu()]
            self.copy_ns += time.perf_counter_ns() - computed + fed - before
        except Exception as error:  # the binding's exceptions share no public base class
            raise EngineError(f"onnxruntime failed: {first_line(error)}") from error
        return found
