"""A small model in every format and form, and what it computes, by numpy alone.

A convolution over the spectrogram, a rectifier, the mean over time, one linear layer: the parts
that the large models are made of.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.base.cache import sha256_of
from rtfbench.embed.pipeline import behind
from rtfbench.engines.protocol import ONNX, FloatArray, Form, Format, ModelArtifact
from rtfbench.frontends.front_end import WESPEAKER
from rtfbench.models.conversion import as_fed, convert, export, is_from_onnx
from rtfbench.models.front_ends import brought, metadata_of

FEAT_DIM, CHANNELS, EMBED_DIM, KERNEL, STRIDE, STATIC_FRAMES = 80, 4, 16, 3, 2, 50
ONNX_OPSET, ONNX_IR = 18, 9  # what onnxruntime 1.20 reads
FLATTENED = CHANNELS * FEAT_DIM // STRIDE

_rng = np.random.default_rng(0)
KERNELS = (_rng.standard_normal((CHANNELS, 1, KERNEL, KERNEL)) / KERNEL).astype(np.float32)
SHIFTS = _rng.standard_normal(CHANNELS).astype(np.float32)
WEIGHT = (_rng.standard_normal((EMBED_DIM, FLATTENED)) / FLATTENED**0.5).astype(np.float32)
BIAS = _rng.standard_normal(EMBED_DIM).astype(np.float32)


def reference(features_BTM: FloatArray) -> FloatArray:
    """Return the model's embeddings of features [B, T, M], float32 [B, D], from float64."""
    image_BMT = np.pad(features_BTM.transpose(0, 2, 1).astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(image_BMT, (KERNEL, KERNEL), axis=(1, 2))
    windows = windows[:, ::STRIDE, ::STRIDE]
    image_BCMT = np.einsum("bmtij,cij->bcmt", windows, KERNELS[:, 0].astype(np.float64))
    image_BCMT = np.maximum(image_BCMT + SHIFTS[:, None, None], 0)
    pooled = image_BCMT.mean(-1).reshape(len(features_BTM), -1)
    return np.asarray(pooled @ WEIGHT.T.astype(np.float64) + BIAS, np.float32)


def write_onnx(path: Path, num_frames: int | None) -> None:
    """Write the model as ONNX: `feats` to `embs`, static where a number of frames is given."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape: list[int | str] = [1, num_frames] if num_frames else ["B", "T"]
    nodes = [
        helper.make_node("Transpose", ["feats"], ["transposed"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["transposed", "one"], ["image"]),
        helper.make_node(
            "Conv",
            ["image", "kernels", "shifts"],
            ["convolved"],
            strides=[STRIDE] * 2,
            pads=[1] * 4,
        ),
        helper.make_node("Relu", ["convolved"], ["rectified"]),
        helper.make_node("ReduceMean", ["rectified", "last"], ["pooled"], keepdims=0),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["embs"], transB=1),
    ]
    constants = {
        "one": np.array([1]),
        "last": np.array([-1]),
        "kernels": KERNELS,
        "shifts": SHIFTS,
        "weight": WEIGHT,
        "bias": BIAS,
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, [*shape, FEAT_DIM])],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, [shape[0], EMBED_DIM])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset = helper.make_opsetid("", ONNX_OPSET)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=ONNX_IR), str(path))


def as_torch() -> Any:
    """Return the model as a torch module in eval mode."""
    import torch
    from torch import nn

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, CHANNELS, KERNEL, stride=STRIDE, padding=1)
            self.linear = nn.Linear(FLATTENED, EMBED_DIM)

        def forward(self, features_BTM: torch.Tensor) -> torch.Tensor:
            image_BCMT = torch.relu(self.conv(features_BTM.transpose(1, 2).unsqueeze(1)))
            embedding_BD: torch.Tensor = self.linear(image_BCMT.mean(-1).flatten(1))
            return embedding_BD

    weights = {
        "conv.weight": KERNELS,
        "conv.bias": SHIFTS,
        "linear.weight": WEIGHT,
        "linear.bias": BIAS,
    }
    model = Tiny().eval()
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return model


def write(folder: Path, format: Format, form: Form) -> ModelArtifact:
    """Write the model for the engines of a format.

    Raises:
        ConversionError: the format does not take the form, or the runtime is not installed.
    """
    num_frames = STATIC_FRAMES if form == "static" else None
    path = folder / f"{form}.{format}"
    if is_from_onnx(format):
        onnx_path = folder / f"{form}.{ONNX}"
        write_onnx(onnx_path, num_frames)
        if format != ONNX:
            said = metadata_of(WESPEAKER, EMBED_DIM)
            convert(onnx_path, path, format, static=form == "static", said=said)
    else:
        export(as_torch(), path, format, feat_dim=FEAT_DIM, num_frames=num_frames)
    artifact = ModelArtifact(
        name="tiny",
        path=path,
        format=format,
        form=form,
        num_frames=num_frames,
        feat_dim=FEAT_DIM,
        embedding_dim=EMBED_DIM,
        sha256=sha256_of(path),
    )
    return as_fed(artifact, WESPEAKER)


def reference_behind(front_end: str, samples_BN1: FloatArray) -> FloatArray:
    """Return the embeddings of samples by an engine that brings a front end, float32 [B, D]."""
    return behind(brought(front_end, WESPEAKER), reference)(samples_BN1)
