"""Models from the user's own files, from the command line."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from rtfbench.base.asking import ask
from rtfbench.base.errors import InputError
from rtfbench.engines.mnn_files import to_mnn
from rtfbench.frontends.chunking import natural_chunk_samples
from rtfbench.frontends.fbank import FbankConfig
from rtfbench.models import model_files
from rtfbench.models.model_files import FileRequest, describe_model_file
from tests.ready import artifact_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(write_tiny_onnx: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write models, good and bad."""
    path = tmp_path_factory.mktemp("models")
    good = write_tiny_onnx(path / "good.onnx")
    write_tiny_onnx(path / "fixed.onnx", num_frames=98)
    write_tiny_onnx(path / "two_inputs.onnx", inputs=("feats", "more"))
    write_tiny_onnx(path / "two_outputs.onnx", outputs=("embs", "twice"))
    write_tiny_onnx(path / "forty.onnx", feat_dim=40)
    write_tiny_onnx(path / "external.onnx", external=True)
    write_tiny_onnx(path / "lost_data.onnx", external=True)
    (path / "lost_data.onnx.data").unlink()
    to_mnn(good, path / "good.mnn", static=False)
    to_mnn(path / "fixed.onnx", path / "fixed.mnn", static=True)
    for name in ("good.onnx", "good.mnn"):
        content = (path / name).read_bytes()
        (path / f"truncated_{name}").write_bytes(content[: len(content) // 2])
        (path / f"text_{name}").write_text("this is no model\n" * 20)
        (path / f"empty_{name}").touch()
    (path / "model.pt").write_bytes(b"")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the files that a process was asked for, in their order."""
    found: list[str] = []

    def counted(module: str, request: FileRequest, *others: Any, **options: Any) -> Any:
        found.append(request.path.name)
        return ask(module, request, *others, **options)

    monkeypatch.setattr(model_files, "ask", counted)
    return found


def test_what_a_file_says_is_kept(
    write_tiny_onnx: Callable[..., Path], cache: Path, asked: list[str], tmp_path: Path
) -> None:
    """A file is read once, and anew after damage in the cache and for another question."""
    path = write_tiny_onnx(tmp_path / "kept.onnx", external=True)
    request = FileRequest(path=path)
    first = describe_model_file(request)
    assert describe_model_file(request) == first
    assert asked == ["kept.onnx"]

    (kept,) = (cache / "descriptions").glob("kept_onnx-*.json")
    kept.write_text(kept.read_text().replace(first.sha256, "0" * 64))
    assert describe_model_file(request) == first
    assert len(asked) == 2

    describe_model_file(request.model_copy(update={"input_name": first.input_name}))
    assert len(asked) == 3

    data = first.data_files[0]
    content = bytearray(data.read_bytes())
    content[:4] = b"\0\0\0\0"
    data.write_bytes(content)
    changed = describe_model_file(request)
    assert len(asked) == 4
    assert changed.sha256 != first.sha256


def test_denormal_weights_are_counted(write_tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    """They slow cores down, and what a file says of itself tells how many there are."""
    path = write_tiny_onnx(tmp_path / "denormal.onnx")
    assert "denormal" not in describe_model_file(FileRequest(path=path)).about
    model = onnx.load(path)
    tensor = next(each for each in model.graph.initializer if each.name == "weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[:3] = 1e-40, -1e-40, 0.0
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, "weight"))
    onnx.save(model, path)
    assert "; 2 of " in describe_model_file(FileRequest(path=path)).about


def cells_of(out: Path) -> dict[str, Any]:
    """Return engine -> row of a finished run."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {cell["engine"]: cell for cell in summary["cells"]}


def run(
    rtfbench: Command, out: Path, speech: Path, *arguments: object
) -> "subprocess.CompletedProcess[str]":
    """Run a short sweep."""
    return rtfbench(
        *("run", "--protocol", "steady", "--audio", speech, "--budget", 0.1, "--sessions", 1),
        *("--out", out, "--bare"),
        *arguments,
    )


def test_an_onnx_file_runs_on_all_engines(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A dynamic ONNX file is converted for the engines that read MNN, in the form they need."""
    done = run(rtfbench, tmp_path / "out", short_speech, "--model", folder / "good.onnx")
    cells = cells_of(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert {name: (c["status"], c["form"]) for name, c in cells.items()} == {
        "onnxruntime": ("ok", "dynamic"),
        "mnn": ("ok", "dynamic"),
        "mnn-mini": ("ok", "static"),
    }
    assert {c["params"] for c in cells.values()} == {80 * 16}
    table = (tmp_path / "out" / "table.md").read_text()
    assert "operators not counted: Mul x1, ReduceMean x1" in table


def test_files_of_one_name_are_told_apart(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Two models that are both called good.onnx have the names that the user gave."""
    other = tmp_path / "other" / "good.onnx"
    other.parent.mkdir()
    other.write_bytes((folder / "good.onnx").read_bytes())
    models = ("--model", folder / "good.onnx", "--model", other, "--engine", "onnxruntime")
    done = run(rtfbench, tmp_path / "out", short_speech, *models)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "out" / "summary.json").read_text())["cells"]
    assert {cell["title"] for cell in cells} == {str(folder / "good.onnx"), str(other)}


def test_a_static_file_dictates_the_chunk(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Without --chunk-samples a static file gets its own size; another one is refused."""
    model = folder / "fixed.onnx"
    engines = ("--engine", "onnxruntime", "--engine", "mnn-mini")
    done = run(rtfbench, tmp_path / "out", short_speech, "--model", model, *engines)
    cells = cells_of(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert {(c["form"], c["chunk_samples"]) for c in cells.values()} == {("static", 16000)}
    refused = run(
        rtfbench, tmp_path / "no", short_speech, "--model", model, "--chunk-samples", 32000
    )
    assert refused.returncode == 2
    assert "--chunk-samples 16000 fits" in refused.stderr
    assert not (tmp_path / "no").exists()


def test_a_lone_mnn_file_says_what_it_was_compared_with(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """An MNN file has no independent reference, and says so, until an ONNX file is named."""
    model = folder / "fixed.mnn"
    done = run(rtfbench, tmp_path / "out", short_speech, "--model", model)
    cells = cells_of(tmp_path / "out")
    assert done.returncode == 1
    assert {name: c["status"] for name, c in cells.items()} == {
        "onnxruntime": "unsupported",
        "mnn": "ok",
        "mnn-mini": "ok",
    }
    assert "name the .onnx file" in cells["onnxruntime"]["reason"]
    assert "no independent reference" in cells["mnn"]["note"]
    both = ("--model", model, "--reference", folder / "good.onnx", "--engine", "mnn")
    done = run(rtfbench, tmp_path / "with", short_speech, *both)
    assert done.returncode == 0, done.stderr
    cell = cells_of(tmp_path / "with")["mnn"]
    assert "no independent reference" not in cell["note"]
    assert cell["parity"]["max_rel_err"] > 0


def test_a_model_brings_its_own_mel_bins(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """The front end makes as many as the file takes, for MNN's file and the reference alike."""
    model = ("--model", folder / "forty.onnx", "--engine", "mnn")
    done = run(rtfbench, tmp_path / "out", short_speech, *model)
    assert done.returncode == 0, done.stderr


def test_a_reference_has_the_models_mel_bins(
    rtfbench: Command, folder: Path, tmp_path: Path
) -> None:
    """Two files that take different features do not belong together."""
    models = ("--model", folder / "good.mnn", "--reference", folder / "forty.onnx")
    done = rtfbench("run", *models, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "takes 40 mel bins a frame" in done.stderr


def test_external_data_belongs_to_the_model(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A model with its tensors in a second file runs and is converted; its hash covers both."""
    path = folder / "external.onnx"
    done = run(rtfbench, tmp_path / "out", short_speech, "--model", path, "--engine", "mnn")
    assert done.returncode == 0, done.stderr
    before = describe_model_file(FileRequest(path=path))
    assert [each.name for each in before.data_files] == ["external.onnx.data"]
    copy = tmp_path / "external.onnx"
    copy.write_bytes(path.read_bytes())
    data = bytearray((folder / "external.onnx.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "external.onnx.data").write_bytes(data)
    assert describe_model_file(FileRequest(path=copy)).sha256 != before.sha256


def test_the_embedding_can_be_named(
    rtfbench: Command, folder: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Of two outputs that could embed, --model-output chooses; the engines take that one."""
    model = ("--model", folder / "two_outputs.onnx", "--engine", "mnn")  # and its reference
    refused = run(rtfbench, tmp_path / "no", short_speech, *model)
    assert refused.returncode == 2
    assert "name the embedding with --model-output" in refused.stderr
    done = run(rtfbench, tmp_path / "out", short_speech, *model, "--model-output", "twice")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("truncated_good.onnx", [], "not a complete ONNX model"),
        ("text_good.onnx", [], "not a complete ONNX model"),
        ("empty_good.onnx", [], "an empty file"),
        ("truncated_good.mnn", [], "complete"),
        ("text_good.mnn", [], "complete"),
        ("empty_good.mnn", [], "an empty file"),
        ("two_inputs.onnx", [], "2 inputs (feats [any, any, 80], more [any, any, 80])"),
        ("lost_data.onnx", [], "lost_data.onnx.data"),
        ("missing.onnx", [], "no such model file"),
        ("model.pt", [], "not a model file"),
        ("good.onnx", ["--model-input", "nothing"], "no input 'nothing'; it has feats"),
        ("good.onnx", ["--model-output", "nothing"], "no output 'nothing'; it has embs"),
        ("good.mnn", ["--reference", "x.pt"], "name the model's .onnx file"),
    ],
)
def test_bad_files_are_one_line(
    rtfbench: Command, folder: Path, tmp_path: Path, name: str, arguments: list[str], message: str
) -> None:
    """A file that cannot be run is bad input: one line that names it, status 2, nothing made."""
    done = rtfbench("run", "--model", folder / name, *arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    (line,) = done.stderr.splitlines()
    assert "Traceback" not in line
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_does_not_pass_for_the_sound_one(folder: Path, tmp_path: Path) -> None:
    """A file whose content changed is made into other conversions, at the same path too."""
    path = tmp_path / "model.onnx"
    found = []
    for feat_scale in (1.0, 2.0):
        model = onnx.load(str(folder / "good.onnx"))
        weight = onnx.numpy_helper.to_array(model.graph.initializer[0]) * feat_scale
        model.graph.initializer[0].CopyFrom(
            onnx.numpy_helper.from_array(weight.astype("float32"), "weight")
        )
        onnx.save(model, str(path))
        found.append(artifact_for(str(path), "mnn", form=None, chunk_samples=-1, logs=tmp_path))
    assert found[0].sha256 != found[1].sha256
    assert found[0].path != found[1].path


def test_artifact_for_takes_files(folder: Path, tmp_path: Path) -> None:
    """Commands other than `run` get the user's own file, or the refusal with its cure."""
    path = folder / "fixed.onnx"
    made = artifact_for(str(path), "onnxruntime", form=None, chunk_samples=16000, logs=tmp_path)
    assert (made.path, made.form, made.num_frames) == (path.resolve(), "static", 98)
    with pytest.raises(InputError, match="--chunk-samples 16000 fits"):
        artifact_for(str(path), "onnxruntime", form=None, chunk_samples=32000, logs=tmp_path)
    with pytest.raises(InputError, match=r"name the \.onnx file"):
        artifact_for(
            str(folder / "good.mnn"),
            "onnxruntime",
            form=None,
            chunk_samples=-1,
            logs=tmp_path,
        )


@pytest.mark.parametrize(("frames", "samples"), [(198, 32000), (498, 80000), (98, 16000)])
def test_natural_chunk_sizes(frames: int, samples: int) -> None:
    """Published frame counts lead back to the published chunk sizes."""
    assert natural_chunk_samples(frames) == samples


def test_every_frame_count_has_a_chunk_size() -> None:
    """The size that is suggested gives exactly the frames that the model takes."""
    fbank = FbankConfig()
    assert all(
        fbank.num_frames(natural_chunk_samples(frames)) == frames for frames in range(1, 1000)
    )
