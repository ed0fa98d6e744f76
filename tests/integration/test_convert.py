"""Conversion to MNN."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bench.models.file_maker import open_session
from bench.models.model_files import FileRequest, read_model_file
from bench.zoo import convert, export
from bench.zoo.xvec import xvec

FEATURES_BTM = np.random.default_rng(0).standard_normal((1, 98, 80)).astype(np.float32)


def test_conversions_side_by_side_do_not_spoil_each_other(tmp_path: Path) -> None:
    """Several conversions at a time, in one working folder, give what ONNX gives."""
    source = tmp_path / "model.onnx"
    export.to_onnx(xvec(feat_dim=80, embed_dim=64).eval(), source, feat_dim=80, num_frames=None)
    session = open_session(read_model_file(FileRequest(path=source)), "onnxruntime", {})
    expected_BD = session.run(FEATURES_BTM)
    targets = [tmp_path / f"{index}.mnn" for index in range(4)]
    with ThreadPoolExecutor(len(targets)) as pool:
        for _ in pool.map(lambda path: convert.to_mnn(source, path, static=False), targets):
            pass
    for path in targets:
        found_BD = open_session(read_model_file(FileRequest(path=path)), "mnn", {}).run(
            FEATURES_BTM
        )
        assert np.abs(found_BD - expected_BD).max() <= 1e-4 * np.abs(expected_BD).max()


def test_conversion_leaves_nothing_behind(
    write_tiny_onnx: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file but the model is left in the folder, whose paths may be relative."""
    write_tiny_onnx(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    convert.to_mnn(Path("model.onnx"), Path("model.mnn"), static=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.mnn", "model.onnx"]
