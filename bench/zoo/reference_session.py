"""The model itself, in torch and float32, behind the interface of an engine's session."""

from collections.abc import Mapping

import torch
from torch import nn

from engines.base import SessionBase
from engines.protocol import FloatArray


class TorchSession(SessionBase):
    """Runs a torch module; the reference that every engine is compared with."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval().float()

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Threads of torch."""
        return {"threads": torch.get_num_threads()}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        with torch.inference_mode():
            embedding_BD: FloatArray = self._model(torch.from_numpy(features_BTM)).numpy()
        return embedding_BD

    def close(self) -> None:
        """Nothing to release."""
