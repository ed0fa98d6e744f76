"""Conversion to MNN."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rtfbench.engines import registry
from rtfbench.engines.mnn_files import to_mnn
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import ConversionError
from rtfbench.models.conversion import convert
from rtfbench.models.file_maker import open_session
from rtfbench.models.model_files import FileRequest
from rtfbench.models.model_reading import read_model_file
from rtfbench.models.zoo import export
from rtfbench.models.zoo.tdnn import xvec

FEATURES_BTM = np.random.default_rng(0).standard_normal((1, 98, 80)).astype(np.float32)


def test_conversions_side_by_side_do_not_spoil_each_other(tmp_path: Path) -> None:
    """Several conversions at a time, in one working folder, give what ONNX gives."""
    source = tmp_path / "model.onnx"
    export.to_onnx(xvec(feat_dim=80, embed_dim=64).eval(), source, feat_dim=80, num_frames=None)
    session = open_session(read_model_file(FileRequest(path=source)), "onnxruntime", {})
    expected_BD = session.run(FEATURES_BTM)
    targets = [tmp_path / f"{index}.mnn" for index in range(4)]
    with ThreadPoolExecutor(len(targets)) as pool:
        for _ in pool.map(lambda path: to_mnn(source, path, static=False), targets):
            pass
    for path in targets:
        found_BD = open_session(read_model_file(FileRequest(path=path)), "mnn", {}).run(
            FEATURES_BTM
        )
        assert np.abs(found_BD - expected_BD).max() <= 1e-4 * np.abs(expected_BD).max()


def test_a_conversion_that_takes_too_long_is_ended(
    write_tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """The converter has a time limit, and leaves nothing behind when it is over."""
    source = write_tiny_onnx(tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match=r"model.onnx: .* no end within 0.01 s"):
        to_mnn(source, tmp_path / "model.mnn", static=False, limit_s=0.01)
    assert list(tmp_path.iterdir()) == [source]


def test_what_the_converter_says_is_told(tmp_path: Path) -> None:
    """A file that is no model is an error of one line that names it."""
    source = tmp_path / "model.onnx"
    source.write_text("no model\n" * 20)
    with pytest.raises(
        ConversionError, match=r"model.onnx: cannot be converted to MNN: .+"
    ) as told:
        to_mnn(source, tmp_path / "model.mnn", static=False)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("last_words", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.abort()", "killed by SIGABRT; it said: Start to convert"),
        ("sys.exit('no such operator')", "no such operator"),
        ("sys.exit(3)", "Start to convert"),
        (
            "sys.exit('a.mlir:3: error: no such operator\\n  %3 = op\\n  ^')",
            "a.mlir:3: error: no such operator",
        ),
    ],
)
def test_a_greeting_is_no_reason(tmp_path: Path, last_words: str, told: str) -> None:
    """A converter that is killed did not say why: what it said before is something else."""
    code = f"import os, signal, sys; print('Start to convert', flush=True); {last_words}"
    command = [sys.executable, "-c", code]
    with pytest.raises(ConversionError) as raised:
        run_tool(command, folder=tmp_path, made=[], failed="a.onnx: failed", limit_s=60)
    assert str(raised.value) == f"a.onnx: failed: {told}"


@pytest.mark.parametrize(
    ("engine", "message"), [("null", "null does not say how"), ("nothing", "no installed engine")]
)
def test_a_format_that_nobody_makes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, message: str
) -> None:
    """An engine that makes no files, or none at all, fails this conversion with a reason."""
    if engine == "null":
        monkeypatch.setattr(registry, "maker_of", lambda format: engine)
    with pytest.raises(ConversionError, match=message):
        convert(tmp_path / "model.onnx", tmp_path / "model.own", "own", static=False)
    assert not list(tmp_path.iterdir())


def test_conversion_leaves_nothing_behind(
    write_tiny_onnx: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file but the model is left in the folder, whose paths may be relative."""
    write_tiny_onnx(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    to_mnn(Path("model.onnx"), Path("model.mnn"), static=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.mnn", "model.onnx"]
