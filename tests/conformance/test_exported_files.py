"""What the exporter leaves in a file."""

from pathlib import Path

import pytest

from rtfbench.engines.protocol import ONNX, Format
from rtfbench.models import conversion
from rtfbench.models.zoo import export
from rtfbench.testing import tiny_model


@pytest.mark.parametrize("num_frames", [None, tiny_model.STATIC_FRAMES])
@pytest.mark.parametrize("format_", [ONNX, "mnn", "pt2", "ncnn"])
def test_an_exported_model_names_no_path(
    tmp_path: Path, format_: Format, num_frames: int | None
) -> None:
    """A model file tells nothing of the machine it was exported on: no stack trace, no folder."""
    if format_ == "ncnn" and num_frames is None:
        pytest.skip("ncnn takes static models only")
    path, onnx_path = tmp_path / f"exported.{format_}", tmp_path / "exported.onnx"
    if conversion.is_from_onnx(format_):
        export.to_onnx(
            tiny_model.as_torch(), onnx_path, feat_dim=tiny_model.FEAT_DIM, num_frames=num_frames
        )
        if format_ != ONNX:
            conversion.convert(onnx_path, path, format_, static=num_frames is not None)
    else:
        conversion.export(
            tiny_model.as_torch(),
            path,
            format_,
            feat_dim=tiny_model.FEAT_DIM,
            num_frames=num_frames,
        )
    content = path.read_bytes()
    assert b"stack_trace" not in content
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[2]).encode() not in content
