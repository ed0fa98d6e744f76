"""No output replaces an input or a device, and a finished result only when that is asked for."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.results.store import RunFolder

Command = Callable[..., "subprocess.CompletedProcess[str]"]

MODEL = ("--model", "xvec", "--weights", "seeded", "--engine", "onnxruntime")


@pytest.fixture
def recording(short_speech: Path, tmp_path: Path) -> Path:
    """Return a recording that a test may lose."""
    return Path(shutil.copy(short_speech, tmp_path / "a.flac"))


@pytest.fixture
def scp(recording: Path, tmp_path: Path) -> Path:
    """Return a list of it."""
    path = tmp_path / "wav.scp"
    path.write_text(f"a {recording}\n")
    return path


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
@pytest.mark.parametrize("result", ["wav.ark", "wav.scp", "a.flac", "soft", "hard"])
def test_extract_destroys_no_input(
    rtfbench: Command, recording: Path, scp: Path, tmp_path: Path, result: str, more: tuple[str]
) -> None:
    """Neither its list nor a recording, whatever it is called by; --overwrite changes nothing."""
    (tmp_path / "soft").symlink_to(recording)
    os.link(recording, tmp_path / "hard")
    before = {path: path.read_bytes() for path in (recording, scp)}
    done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--result", tmp_path / result, *more)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 + done.stderr.count("preparing")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("result", ["embedding.txt", "e.npz", "e.ark", "e.scp"])
def test_a_finished_result_stays(
    rtfbench: Command, recording: Path, tmp_path: Path, result: str
) -> None:
    """It is replaced with --overwrite only; the line names the cures."""
    path = tmp_path / result
    command = ("extract", "--wav", recording, *MODEL, "--result", path)
    assert rtfbench(*command).returncode == 0
    before = path.stat().st_mtime_ns
    done = rtfbench(*command)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert "--resume" in done.stderr
    assert path.stat().st_mtime_ns == before
    assert rtfbench(*command, "--overwrite").returncode == 0
    assert path.stat().st_mtime_ns > before


def test_a_link_is_followed(rtfbench: Command, recording: Path, tmp_path: Path) -> None:
    """The file behind it becomes the result, and the link stays one."""
    target, link = tmp_path / "elsewhere" / "real.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    link.symlink_to(target)
    assert rtfbench("extract", "--wav", recording, *MODEL, "--result", link).returncode == 0
    assert link.is_symlink()
    assert target.read_text().startswith("a ")


def test_a_device_is_written_to(rtfbench: Command, recording: Path, tmp_path: Path) -> None:
    """And never replaced, nor is anything left beside it."""
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    done = rtfbench("extract", "--wav", recording, *MODEL, "--result", device)
    assert done.returncode == 0
    assert Path("/dev/null").is_char_device()
    assert not list(Path("/dev").glob("null.*"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.flac", "null"}


def test_score_destroys_no_input(rtfbench: Command, tmp_path: Path) -> None:
    """Neither its trials nor its embeddings."""
    embeddings, trials = tmp_path / "e.txt", tmp_path / "trials"
    embeddings.write_text("a 1 0\nb 0 1\n")
    trials.write_text("a b nontarget\n")
    for out in (embeddings, trials):
        before = out.read_bytes()
        done = rtfbench("score", "--trials", trials, "--embeddings", embeddings, "--out", out)
        assert done.returncode == 2
        assert f"{out}: is an input" in done.stderr
        assert out.read_bytes() == before


def test_export_destroys_no_input(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """The ONNX file that is converted is no place for the result, by another name either."""
    source = write_tiny_onnx(tmp_path / "tiny.onnx")
    os.link(source, tmp_path / "other.onnx")
    before = source.read_bytes()
    for out in ("tiny.onnx", "other.onnx"):
        done = rtfbench("export", "--onnx", source, "--format", "onnx", "-o", tmp_path / out)
        assert done.returncode == 2
    assert source.read_bytes() == before


def test_a_run_folder_has_one_writer(
    spawned: Command,
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """A second run into it is refused; what --overwrite replaces goes, pictures too."""
    out = tmp_path / "run"
    options = ("--model", model, "--engine", "onnxruntime", "--protocol", "steady", "--sessions", 1)
    command = ("run", *options, "--audio", short_speech, "--budget", 0.1, "--out", out)
    assert rtfbench(*command).returncode == 0
    stale = out / "plots" / "of-before.png"
    stale.touch()
    with RunFolder.create(out, overwrite=False, resume=True):
        done = spawned(*command, "--overwrite")
    assert done.returncode == 2
    assert "another rtfbench is writing here" in done.stderr
    assert rtfbench(*command, "--overwrite").returncode == 0
    assert not stale.exists()


@pytest.mark.parametrize("option", ["--junit", "--comment"])
def test_a_gate_destroys_no_input(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], tmp_path: Path, option: str
) -> None:
    """Neither a model, nor the baseline that names it, nor a run that is compared."""
    model, baseline = write_tiny_onnx(tmp_path / "a.onnx"), tmp_path / "base.toml"
    baseline.write_text(f'models = ["{model}"]\nmodel_file = "{model}"\n')
    records = tmp_path / "run" / "records.jsonl"
    records.parent.mkdir()
    records.write_text("{}\n")
    before = {path: path.read_bytes() for path in (model, baseline, records)}
    for command, output in (
        (("gate", "--baseline", baseline), baseline),
        (("gate", "--baseline", baseline), model),
        (("compare", f"mnn:{model}", "mnn"), model),
        (("compare", records.parent, records.parent), records),
    ):
        done = rtfbench(*command, option, output)
        assert done.returncode == 2
        assert f"{output}: is an input" in done.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "command",
    [
        ("extract", *MODEL, "--wav", "a.flac", "--result", "loop"),
        ("tune", "--model", "xvec", "--weights", "seeded", "--audio", "loop"),
        ("run", "--model", "xvec", "--audio", "loop"),
        ("run", "--model", "xvec", "--audio", "a.flac", "--out", "loop"),
        ("merge", "loop", "--result", "new.txt"),
        ("score", "--trials", "t.txt", "--embeddings", "e.txt", "--out", "loop"),
        ("explain", "--out", "loop"),
        ("history", "loop"),
    ],
    ids=lambda command: " ".join(command[:1] + command[-2:]),
)
@pytest.mark.usefixtures("recording")
def test_a_link_that_leads_in_a_circle(
    rtfbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """It is no input and no output, and stays."""
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("t.txt").write_text("a b target\n")
    Path("e.txt").write_text("a 1 2\nb 2 1\n")
    done = rtfbench(*command)
    assert done.returncode == 2
    assert "loop" in done.stderr.splitlines()[-1]
    assert Path("loop").is_symlink()
