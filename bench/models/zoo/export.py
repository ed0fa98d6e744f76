"""torch to ONNX, under the names of WeSpeaker's exporter.

Input `feats` float32 [B, T, M], output `embs` float32 [B, D].
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir
import torch
from torch import nn

from rtfbench.base.cache import replacing
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import FloatArray

INPUT_NAME = "feats"
OUTPUT_NAME = "embs"
# A length to trace with; the exported graph must not depend on it.
EXAMPLE_FRAMES = 200


def to_onnx(model: nn.Module, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
    """Write a model in eval mode, [B, T, M] -> [B, D], as one ONNX file; whole or not at all.

    A number of frames fixes T, and B to 1; None leaves both open.
    """
    # Traced with a batch of one, some models would be exported for a batch of one only.
    batch = 2 if num_frames is None else 1
    features_BTM = torch.randn(batch, num_frames or EXAMPLE_FRAMES, feat_dim)
    dynamic = {0: torch.export.Dim("B"), 1: torch.export.Dim("T", min=2)}
    with warnings.catch_warnings():
        # The exporter uses parts of torch that torch itself calls deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning)
        program = torch.onnx.export(
            model,
            (features_BTM,),
            dynamo=True,
            external_data=False,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes=(dynamic,) if num_frames is None else None,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    _forget_the_source(program.model)
    with replacing(path) as part:
        program.save(str(part))


def _forget_the_source(model: ir.Model) -> None:
    """Drop the notes that the exporter leaves in a graph.

    They hold stack traces with the paths of this machine, and would give the same model another
    hash in every folder that it is exported from.
    """
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for output in node.outputs:
            output.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


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
