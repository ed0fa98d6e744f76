"""Baselines and specifications, and how bad ones are refused."""

from pathlib import Path

import pytest

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.gate.baseline import GateOptions, load_baseline, parse_side
from rtfbench.gate.held import Comparison


def test_a_baseline_names_cells_and_what_they_are_held_against(tmp_path: Path) -> None:
    """Axes are those of a plan; limits have defaults."""
    path = tmp_path / "b.toml"
    path.write_text('packages = ["MNN==3.6.0"]\nengines = ["mnn"]\nmodels = ["xvec"]\n')
    baseline = load_baseline(path)
    assert baseline.side.label == "MNN==3.6.0"
    assert (baseline.margin, baseline.max_regression) == (0.02, 0.05)
    assert baseline.protocols == ("steady",)


def test_live_streams_are_gated_as_they_are_run(tmp_path: Path) -> None:
    """Without a chunk size theirs is the window's, and recordings are cut into windows."""
    path = tmp_path / "b.toml"
    path.write_text(
        'packages = ["MNN==3.6.0"]\nengines = ["mnn"]\nmodels = ["xvec"]\n'
        'protocols = ["streams"]\nstreams = [2]\nwindow_s = 1.5\nhop_s = 0.75\n'
    )
    held = Comparison.with_baseline(load_baseline(path), GateOptions())
    assert [cell.chunk_samples for cell in held.cells] == [24000]
    assert held.windows == (1.5, 0.75)


def test_a_model_file_is_held_by_its_hash(tmp_path: Path) -> None:
    """The file lies beside the baseline; another content is refused."""
    (tmp_path / "m.onnx").write_bytes(b"model")
    path = tmp_path / "b.toml"
    path.write_text(f'model_file = "m.onnx"\nsha256 = "{sha256_of(tmp_path / "m.onnx")}"\n')
    assert load_baseline(path).side.model == tmp_path / "m.onnx"
    (tmp_path / "m.onnx").write_bytes(b"another")
    with pytest.raises(InputError, match="another file"):
        load_baseline(path)


def test_model_files_are_named_from_the_baselines_folder(tmp_path: Path) -> None:
    """Wherever the command is run; names of the catalog stay names."""
    path = tmp_path / "b.toml"
    path.write_text(
        'packages = ["MNN==3.6.0"]\nmodels = ["../m/a.onnx", "a.mnn", "xvec", "/a.onnx"]'
    )
    assert load_baseline(path).models == (
        f"{tmp_path}/../m/a.onnx", f"{tmp_path}/a.mnn", "xvec", "/a.onnx"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names nothing to hold against"),
        ("packages = 3", "packages"),
        ('packages = ["a==1"]\nspeed = 1', "speed"),
        ('packages = ["a==1"]\nmargin = 2', "margin"),
        ('model_file = "none.onnx"', "does not exist"),
        ("packages = [", "not TOML"),
    ],
)
def test_bad_baselines_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    """The line names the file and what is wrong."""
    path = tmp_path / "b.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_baseline(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_criterion_that_there_is_none_of_is_refused() -> None:
    """A misspelt one would guard nothing."""
    with pytest.raises(InputError, match=r"'speed' is none of front-end, "):
        GateOptions(also=("speed",))  # type: ignore[arg-type]


def test_a_missing_baseline_is_one_line(tmp_path: Path) -> None:
    """As for any other file."""
    with pytest.raises(InputError, match="cannot read"):
        load_baseline(tmp_path / "none.toml")


def test_sides_are_written_as_on_the_command_line() -> None:
    """Engine, version, settings, model."""
    assert parse_side("mnn@3.6.0").packages == ("MNN==3.6.0",)
    assert parse_side("mnn-mini@3.6.0").packages == ("MNN==3.6.0",)
    assert parse_side("onnxruntime@1.31.1").packages == ("onnxruntime==1.31.1",)
    side = parse_side("mnn[precision=low]:some/model.mnn")
    assert (str(side.engine), side.model) == ("mnn[precision=low]", Path("some/model.mnn"))
    assert parse_side("null").label == "null"
    side = parse_side("openvino:int8")
    assert (str(side.engine), side.model) == ("openvino:int8", None)
    side = parse_side("mnn:int8-weights[precision=low]@3.6.0:int8.onnx")
    assert (str(side.engine), side.model) == ("mnn:int8-weights[precision=low]", Path("int8.onnx"))
    assert side.packages == ("MNN==3.6.0",)
    assert parse_side("mnn:int8.mnn").model == Path("int8.mnn")


@pytest.mark.parametrize("text", ["", "mnn@", "null@1.0", "mnn[precision]", "mnm"])
def test_bad_sides_are_refused(text: str) -> None:
    """With an example, or the way to pin a package that is not known."""
    with pytest.raises(InputError):
        parse_side(text)
