"""A model file that is no complete MNN model is found out before a library reads it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.engines import mnn_files
from rtfbench.engines.protocol import EngineError, Form

WriteModel = Callable[..., Path]


@pytest.mark.parametrize("stored", [True, False])
def test_usage_says_whether_shapes_are_stored(write_model: WriteModel, stored: bool) -> None:
    """A static model is one whose usage says so, whatever its input looks like."""
    assert mnn_files.stores_shapes(write_model(stores_shapes=stored)) is stored


def test_every_cut_is_found(write_model: WriteModel) -> None:
    """A file that lacks any number of bytes at its end is refused by name."""
    size = write_model().stat().st_size
    for cut_off in range(1, size + 1):
        path = write_model(cut_off=cut_off)
        with pytest.raises(EngineError, match=str(path)):
            mnn_files.stores_shapes(path)


@pytest.mark.parametrize("content", [b"hello\n" * 99, bytes(200), b"\xff" * 200, b"\4\0\0\0"])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    """Text, zeros and noise are no models."""
    path = tmp_path / "other.mnn"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="not a complete MNN model"):
        mnn_files.stores_shapes(path)


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_what_the_converter_writes(
    write_tiny_onnx: Callable[..., Path], tmp_path: Path, form: Form
) -> None:
    """The wheel's converter stores the shapes of a static model; a cut in its file is found."""
    pytest.importorskip("MNN")
    from rtfbench.engines.mnn_files import to_mnn

    static = form == "static"
    source = write_tiny_onnx(tmp_path / "tiny.onnx", num_frames=50 if static else None)
    path = tmp_path / "tiny.mnn"
    to_mnn(source, path, static=static)
    assert mnn_files.stores_shapes(path) is static
    content = path.read_bytes()
    for cut_off in (1, 2, 100, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:-cut_off])
        with pytest.raises(EngineError, match="not a complete MNN model"):
            mnn_files.stores_shapes(path)
