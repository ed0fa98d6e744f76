"""`rtfbench export`: what is written computes what its source computes, or is not kept.

Loading torch and its exporter takes longer than most exports, so all but a few share one process.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from rtfbench.base import asking
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.engines.protocol import FloatArray
from rtfbench.models import resolve, zoo
from rtfbench.models.make_export import ExportRequest, export_here
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.experiment import load_weights
from rtfbench.models.zoo.repvgg import reparameterize
from rtfbench.models.zoo.weights import seed_weights, speech_like_features

from .test_seeded_parity import assert_mnn_agrees

Command = Callable[..., "subprocess.CompletedProcess[str]"]

FEATURES_BTM = speech_like_features(1, 198)
CONFIG = """\
dataset_args:
  num_frms: 200
  frontend: fbank
model: {model}
model_init: null
model_args:
  feat_dim: 80
  embed_dim: {embed_dim}
  pooling_func: "TSTP"
projection_args:
  project_type: "arc_margin"
"""


@pytest.fixture
def exported(rtfbench: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command line in this process, which exports in it too."""
    elsewhere = asking.ask

    # A module that is first imported now keeps this `ask`: what is no export is answered as ever.
    def ask(module: str, request: Any, *others: Any, **options: Any) -> Any:
        if isinstance(request, ExportRequest):
            return export_here(request)
        return elsewhere(module, request, *others, **options)

    for module in (asking, resolve):
        monkeypatch.setattr(module, "ask", ask)
    return rtfbench


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    """Stand in for a trained model: weights of another seed than the zoo's own."""
    model = zoo.build("xvec", embed_dim=64)
    seed_weights(model, seed=7)
    return model


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Write an experiment's configuration."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(model="XVEC", embed_dim=64))
    return tmp_path


def embed(path: Path) -> FloatArray:
    """Return what onnxruntime computes from an exported file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    embedding_BD: FloatArray = session.run(["embs"], {"feats": FEATURES_BTM})[0]
    return embedding_BD


def expected(model: torch.nn.Module) -> FloatArray:
    """Return what torch computes."""
    with torch.no_grad():
        embedding_BD: FloatArray = model(torch.from_numpy(FEATURES_BTM)).numpy()
    return embedding_BD


def export_experiment(
    command: Command, folder: Path, *more: object
) -> "subprocess.CompletedProcess[str]":
    """Export `config.yaml` and `model.pt` of a folder to `model.onnx`."""
    return command(
        *("export", "--config", folder / "config.yaml", "--checkpoint", folder / "model.pt"),
        *("--format", "onnx", "-o", folder / "model.onnx"),
        *more,
    )


def refusals(said: str) -> list[str]:
    """Return all lines but those that a slow machine says while it is busy: `10 s: exporting`."""
    return [line for line in said.splitlines() if not re.match(r"\d+ s: ", line)]


@pytest.mark.parametrize("model", ["xvec", "resnet34"])
def test_too_few_frames(exported: Command, tmp_path: Path, model: str) -> None:
    """A model that computes nothing of so few is told before anything is written."""
    path = tmp_path / "new" / "model.onnx"
    done = exported("export", "--model", model, "--num-frames", 1, "--format", "onnx", "-o", path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = refusals(done.stderr)
    assert line.startswith("rtfbench: --num-frames 1: ")
    assert line.endswith("; choose another number")
    assert not path.parent.exists()


def test_a_catalog_model_in_both_forms(exported: Command, tmp_path: Path) -> None:
    """A model of the catalog is written, described and compared at two lengths, or at its own.

    An MNN file is made from an ONNX file of the same form.
    """
    path = tmp_path / "new" / "xvec.mnn"
    arguments = ("export", "--model", "xvec", "--format", "mnn", "-o", path)
    done = exported(*arguments)
    assert done.returncode == 0, done.stderr
    assert "feats [B, T, 80]" in done.stdout
    assert "embs [B, 512]" in done.stdout
    assert "4.61 M (4,610,524)" in done.stdout
    assert "0.53 G" in done.stdout
    assert done.stdout.count("features: ") == 4
    dynamic = path.read_bytes()
    done = exported(*arguments, "--num-frames", 98)
    assert done.returncode == 0, done.stderr
    assert "feats [1, 98, 80]" in done.stdout
    assert done.stdout.count("98 frames, random features: ") == 1
    assert done.stdout.count("features: ") == 2
    assert path.read_bytes() != dynamic, "a file that exists is replaced"
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing is left beside it"


def test_a_checkpoint_as_training_leaves_it(
    exported: Command, experiment: Path, trained: torch.nn.Module
) -> None:
    """A checkpoint's weights end up in the file; the classifier is left out, and that is said.

    The embedding is the model's less the mean, which the graph subtracts.
    """
    state = {**trained.state_dict(), "projection.weight": torch.zeros(5994, 64)}
    torch.save({"state_dict": state, "epoch": 3}, experiment / "model.pt")
    mean_D = np.linspace(-1, 1, 64)
    np.save(experiment / "mean.npy", mean_D)
    done = export_experiment(exported, experiment, "--mean-vec", experiment / "mean.npy")
    assert done.returncode == 0, done.stderr
    found_BD = embed(experiment / "model.onnx")
    np.testing.assert_allclose(found_BD, expected(trained) - mean_D, atol=1e-4)
    assert "left out projection.weight" in done.stdout


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": values for name, values in state.items()},
        lambda state: {"state_dict": {f"module.{n}": v for n, v in state.items()}},
        lambda state: {**state, "projection.weight": torch.zeros(5994, 64)},
    ],
    ids=["plain", "state_dict", "model", "module", "both", "projection"],
)
def test_weights_are_found_in_any_wrapping(
    tmp_path: Path, trained: torch.nn.Module, wrap: Callable[[Any], Any]
) -> None:
    """Wrapped or not, a checkpoint's weights end up in the model; the classifier is left out."""
    state = wrap(trained.state_dict())
    torch.save(state, tmp_path / "model.pt")
    model = zoo.build("xvec", embed_dim=64)
    left_out = load_weights(model, tmp_path / "model.pt")
    assert left_out == (["projection.weight"] if "projection.weight" in state else [])
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in trained.state_dict().items())


def test_repvgg_is_trained_in_one_form_and_exported_in_the_other(
    exported: Command, tmp_path: Path
) -> None:
    """A checkpoint of the training form becomes a file of one convolution a block.

    In MNN, as it is converted from that, rounding errors stay far under the limit.
    """
    model = zoo.build("repvgg")
    seed_weights(model)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    config = CONFIG.format(model="REPVGG_TINY_A0", embed_dim=256)
    (tmp_path / "config.yaml").write_text(config)
    done = export_experiment(exported, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6.26 M (6,264,352)" in done.stdout
    found_BD, want_BD = embed(tmp_path / "model.onnx"), expected(model)
    assert np.abs(found_BD - want_BD).max() <= 1e-3 * np.abs(want_BD).max()
    deployed = reparameterize(model).eval()
    assert_mnn_agrees(tmp_path / "model.onnx", deployed, catalog.get("repvgg"))


def test_an_onnx_file_becomes_mnn(
    exported: Command, write_tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """An ONNX file is converted, fixed to a length if one is given, and its length is kept."""
    source = write_tiny_onnx(tmp_path / "any.onnx")
    convert = ("export", "--format", "mnn", "-o", tmp_path / "model.mnn", "--onnx")
    done = exported(*convert, source)
    assert done.returncode == 0, done.stderr
    assert "feats [B, T, 80]" in done.stdout
    assert "operators not counted: Mul x1, ReduceMean x1" in done.stdout
    assert "feats [1, 198, 80]" in exported(*convert, source, "--num-frames", 198).stdout
    fixed = write_tiny_onnx(tmp_path / "fixed.onnx", num_frames=98)
    assert "feats [1, 98, 80]" in exported(*convert, fixed).stdout
    refused = exported(*convert, fixed, "--num-frames", 198)
    assert refused.returncode == 2
    assert "fixed to 98 frames" in refused.stderr


def test_a_wrong_file_is_not_kept(
    exported: Command, experiment: Path, trained: torch.nn.Module
) -> None:
    """A result that is not finite is found out; what was there before stays."""
    state = trained.state_dict()
    torch.save({**state, "seg_2.bias": state["seg_2.bias"] * float("nan")}, experiment / "model.pt")
    output = experiment / "model.onnx"
    output.write_text("before")
    done = export_experiment(exported, experiment)
    assert done.returncode == 1
    assert "not kept" in done.stderr
    assert output.read_text() == "before"
    assert {each.suffix for each in experiment.iterdir()} == {".yaml", ".pt", ".onnx"}


class RunsCode:
    """Pickles into a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def damaged(state: dict[str, torch.Tensor], path: Path, how: str) -> None:
    """Write a checkpoint that cannot be loaded."""
    if how == "code":
        torch.save({**state, "more": RunsCode(path.parent / "was_run")}, path)
    elif how == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif how == "text":
        path.write_text("this is no checkpoint\n")
    elif how == "empty":
        path.touch()
    elif how == "number":
        torch.save(3, path)
    elif how == "misfit":
        misfit = {name: values for name, values in state.items() if name != "seg_2.bias"}
        misfit["seg_3.bias"] = torch.zeros(2)
        misfit["seg_2.weight"] = torch.zeros(2, 2)
        torch.save(misfit, path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("code", "would run code"),
        ("truncated", "not a complete checkpoint"),
        ("text", "not a complete checkpoint"),
        ("empty", "not a complete checkpoint"),
        ("number", "holds no weights"),
        (
            "misfit",
            "missing: seg_2.bias; left over: seg_3.bias; "
            "of another shape: seg_2.weight [2, 2] instead of [64, 64]",
        ),
    ],
)
def test_bad_checkpoints_are_one_line(
    exported: Command, experiment: Path, trained: torch.nn.Module, how: str, message: str
) -> None:
    """A checkpoint that cannot be used is named with the reason; no code of it is run."""
    damaged(trained.state_dict(), experiment / "model.pt", how)
    done = export_experiment(exported, experiment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "model.pt" in line
    assert message in line
    assert not (experiment / "was_run").exists()
    assert not (experiment / "model.onnx").exists()


def test_bad_input_is_one_line_from_its_own_process_too(spawned: Command, experiment: Path) -> None:
    """What the exporting process finds wrong is said as a line of the command's own."""
    done = export_experiment(spawned, experiment)
    assert done.returncode == 2
    (line,) = refusals(done.stderr)
    assert f"{experiment / 'model.pt'}: cannot read the checkpoint" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: !!python/object/apply:os.mkdir [{folder}/was_run]", "remove that tag"),
        ("model: [", "not YAML"),
        ("\0\0", "not YAML"),
        ("just text", "no `model`"),
        ("model: ResNet35", "ResNet34"),
        ("model: XVEC\nmodel_args: {{embed_dim: many}}", "must be a positive number"),
        ("model: XVEC\nmodel_args: {{colour: blue}}", "model_args.colour is not known"),
        ("model: XVEC\nmodel_args: {{pooling_func: ASTP}}", "only 'TSTP' is"),
        ("model: ResNet34\nmodel_args: {{two_emb_layer: True}}", "only False is"),
        ("model: XVEC\ndataset_args: {{frontend: s3prl}}", "only fbank is"),
    ],
)
def test_bad_configurations_are_one_line(
    exported: Command, experiment: Path, content: str, message: str
) -> None:
    """A configuration that cannot be used is named with the reason; no code of it is run."""
    (experiment / "config.yaml").write_text(content.format(folder=experiment))
    (experiment / "model.pt").touch()
    done = export_experiment(exported, experiment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "config.yaml" in line
    assert message in line
    assert not (experiment / "was_run").exists()


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        (np.zeros(63), "a mean of shape [64] is needed, not [63]"),
        (np.full(64, np.nan), "finite"),
        (np.array([None] * 64), "not a complete .npy file"),
        (None, "cannot read the mean"),
    ],
)
def test_bad_means_are_one_line(
    exported: Command, experiment: Path, trained: torch.nn.Module, mean: Any, message: str
) -> None:
    """A mean that does not fit, or needs code to be loaded, is refused."""
    torch.save(trained.state_dict(), experiment / "model.pt")
    if mean is not None:
        np.save(experiment / "mean.npy", mean)
    done = export_experiment(exported, experiment, "--mean-vec", experiment / "mean.npy")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "x.onnx"], "name what to export"),
        (["--model", "xvec", "--onnx", "x.onnx", "-o", "y.onnx"], "--model and --onnx given"),
        (["--config", "c.yaml", "-o", "x.onnx"], "belong together"),
        (["--model", "xvec", "--mean-vec", "m.npy", "-o", "x.onnx"], "--mean-vec goes with"),
        (["--model", "xvek", "-o", "x.onnx"], "did you mean xvec"),
        (["--model", "xvec", "-o", "x.mnn"], "ends in .onnx"),
        (["--model", "xvec", "-o", "/dev/null/x.onnx"], "cannot write here"),
        (["--onnx", "none.onnx", "-o", "x.onnx"], "no such model file"),
    ],
)
def test_bad_requests_are_one_line(exported: Command, arguments: list[str], message: str) -> None:
    """Options that do not go together are refused with the cure."""
    done = exported("export", "--format", "onnx", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_experiments_folder_is_a_model(
    exported: Command,
    trained: torch.nn.Module,
    experiment: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It is exported once; what is wrong with a folder is one line, with the cure."""
    speech = sorted(DEFAULT_SPEECH.glob("*.flac"))[0]
    asked = ("extract", "--wav", speech, "--model", experiment, "--samples-per-chunk", 16000)
    refused = exported(*asked)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "avg_model.pt" in refused.stderr
    (experiment / "models").mkdir()
    torch.save({"model": trained.state_dict()}, experiment / "models" / "avg_model.pt")
    named = export_of_checkpoint(
        exported, experiment, tmp_path_factory.mktemp("made") / "made.onnx"
    )
    want = exported(*asked[:4], named, *asked[5:]).stdout
    for _ in range(2):
        done = exported(*asked)
        assert done.returncode == 0, done.stderr
        assert done.stdout == want
    (experiment / "config.yaml").unlink()
    assert exported(*asked).returncode == 2
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(named, experiment / name)
    several = exported(*asked)
    assert several.returncode == 2
    assert "name one of: a.onnx, b.onnx" in several.stderr
    (experiment / "b.onnx").unlink()
    assert exported(*asked).stdout == want


def export_of_checkpoint(command: Command, folder: Path, path: Path) -> Path:
    """Export an experiment by hand."""
    done = command(
        *("export", "--config", folder / "config.yaml"),
        *("--checkpoint", folder / "models" / "avg_model.pt", "--format", "onnx", "-o", path),
    )
    assert done.returncode == 0, done.stderr
    return path
