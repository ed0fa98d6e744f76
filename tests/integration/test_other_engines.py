"""What single engines do beyond the contract of all engines."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rtfbench.engines import ncnn, registry
from rtfbench.engines.ncnn import PARAM
from rtfbench.engines.protocol import ConversionError, EngineError, ModelArtifact, SessionOptions
from rtfbench.engines.torch import TorchEngine
from rtfbench.models.zoo.resnet import simam_resnet

FRAMES, BINS = 40, 80
Command = Callable[..., "subprocess.CompletedProcess[str]"]


class Pooled(nn.Module):
    """A convolution, deviations over time, and what `more` makes of them: [B, T, M] -> [B, M]."""

    def __init__(self, more: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(BINS, BINS, 3)
        self._more = more

    def forward(self, features_BTM: torch.Tensor) -> torch.Tensor:
        """Pool over time."""
        found_BMT = self.conv(features_BTM.transpose(1, 2))
        return self._more((found_BMT.var(dim=-1) + 1e-7).sqrt())


def as_artifact(path: Path) -> ModelArtifact:
    """Describe an ncnn file."""
    return ModelArtifact(
        name="pooled",
        path=path,
        format="ncnn",
        form="static",
        num_frames=FRAMES,
        feat_dim=BINS,
        embedding_dim=BINS,
        sha256="",
    )


def to_ncnn(model: Any, path: Path) -> ModelArtifact:
    """Convert a module of a test."""
    ncnn.NcnnEngine().export(model.eval(), path, feat_dim=BINS, num_frames=FRAMES)
    return as_artifact(path)


def test_openvino_reports_to_nobody() -> None:
    """Its telemetry is installed with it, and neither probing nor loading a model imports it."""
    code = """
import sys
from rtfbench.engines import registry
assert registry.get("openvino").probe().ok
assert sys.modules["openvino_telemetry"] is None
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_onnxruntime_reports_to_nobody(tmp_path: Path) -> None:
    """Loaded through its engine, it leaves no name for its sender to know the machine by."""
    code = """
from rtfbench.engines import registry
assert registry.get("onnxruntime").probe().ok
"""
    # Where CI is set, it keeps quiet by itself.
    silencers = ("CI", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in silencers}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ncnn_pools_as_torch_does(tmp_path: Path) -> None:
    """The variance, which ncnn does not have, is written in operators that it has."""
    model = Pooled(lambda pooled: pooled * 2)
    session = registry.get("ncnn").open(to_ncnn(model, tmp_path / "a.ncnn"), SessionOptions())
    features_BTM = np.random.default_rng(0).standard_normal((2, FRAMES, BINS)).astype(np.float32)
    with torch.no_grad():
        want_BD = model(torch.from_numpy(features_BTM)).numpy()
    np.testing.assert_allclose(session.run(features_BTM), want_BD, rtol=1e-5)


def test_an_operator_that_ncnn_lacks_is_named(tmp_path: Path) -> None:
    """The converter passes it through without a word; the conversion is refused all the same."""
    model = Pooled(lambda pooled: torch.cumsum(torch.fft.rfft(pooled).abs(), dim=1))
    with pytest.raises(ConversionError, match=r"unsupported: .*fft"):
        to_ncnn(model, tmp_path / "a.ncnn")
    assert not list(tmp_path.iterdir())


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    """Loading weights tells nothing of their end, so that the archive's checksums have to."""
    path = tmp_path / "a.ncnn"
    artifact = to_ncnn(Pooled(nn.Linear(BINS, BINS)), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(EngineError, match="not a complete"):
        registry.get("ncnn").open(artifact, SessionOptions())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(PARAM, "hello")
    with pytest.raises(EngineError, match="not a complete"):
        registry.get("ncnn").open(artifact, SessionOptions())


def test_ncnn_is_not_made_for_any_length(tmp_path: Path) -> None:
    """Its files are for one number of frames; the refusal names the option."""
    with pytest.raises(ConversionError, match="--form static"):
        ncnn.NcnnEngine().export(
            Pooled(torch.abs), tmp_path / "a.ncnn", feat_dim=BINS, num_frames=None
        )


def test_a_users_file_is_refused_where_it_cannot_be_converted(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Torch and ncnn run models of the catalog: a row with the reason, beside one with a time."""
    engines = ("--engine", "openvino", "--engine", "torch", "--engine", "ncnn")
    done = rtfbench(
        *("run", "--model", model, *engines, "--budget", 0.1, "--sessions", 1),
        *("--protocol", "steady", "--audio", short_speech, "--out", tmp_path / "run"),
        "--bare",
    )
    assert done.returncode == 1, done.stderr
    table = (tmp_path / "run" / "table.md").read_text()
    for engine, format_ in (("torch", "pt2"), ("ncnn", "ncnn")):
        assert f"{engine} runs .{format_} files" in table
    assert "| openvino " in table


def test_lengths_that_torch_cannot_prove_are_checked_when_it_runs(tmp_path: Path) -> None:
    """SimAM-ResNet is exported for any number of frames, and computes the module's embeddings."""
    model = simam_resnet(depths=(1, 1, 1, 1), feat_dim=16, embed_dim=8).eval()
    path = tmp_path / "simam.pt2"
    TorchEngine().export(model, path, feat_dim=16, num_frames=None)
    program = torch.export.load(path).module()
    features_BTM = torch.randn(1, 61, 16)
    with torch.no_grad():
        torch.testing.assert_close(program(features_BTM), model(features_BTM))
