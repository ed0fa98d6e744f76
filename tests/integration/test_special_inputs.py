"""What never ends, never begins or is nested without measure is refused before it does harm."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.engines.native.compiler import find_compiler
from rtfbench.engines.protocol import EngineError

Command = Callable[..., "subprocess.CompletedProcess[str]"]
MODEL = ("--model", "xvec", "--weights", "seeded")
SPEECH = DEFAULT_SPEECH / "short_en_us.flac"
#: Seeded, so that no trials are read.
TUNED = ("--model", "xvec", "--engine", "onnxruntime", "--weights", "seeded")


@pytest.mark.parametrize("kind", ["device", "FIFO"])
@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("gate", "--baseline"),
        ("extract", *MODEL, "--wav-scp"),
        ("extract", *MODEL, "--input"),
        ("score", "--embeddings", "e.txt", "--trials"),
        ("score", "--trials", "t.txt", "--embeddings"),
        ("run", *MODEL, "--host", "nowhere.invalid", "--audio"),
        ("capacity", *MODEL, "--latency-ms", 100, "--trace"),
        ("frontend", "check", "--model", "xvec", "--wav", SPEECH, "--features"),
    ],
)
def test_lists_plans_and_results_are_files(
    rtfbench: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[object, ...],
    kind: str,
) -> None:
    """A device would fill the memory, and nobody may ever write to a FIFO."""
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("a b target\n")
    Path("e.txt").write_text("a 1 2\nb 2 1\n")
    os.mkfifo("fifo")
    given = "/dev/zero" if kind == "device" else "fifo"
    done = rtfbench(*command, given)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{given}: is no regular file" in done.stderr


def test_a_list_of_a_shell_is_read(rtfbench: Command, tmp_path: Path) -> None:
    """As `score --trials <(grep ...)` hands it over."""
    embeddings = tmp_path / "e.txt"
    embeddings.write_text("a 1 2\nb 2 1\nc 1 -2\n")
    reading, writing = os.pipe()
    os.write(writing, b"a b target\na c nontarget\n")
    os.close(writing)
    done = rtfbench("score", "--trials", f"/dev/fd/{reading}", "--embeddings", embeddings)
    os.close(reading)
    assert done.returncode == 0, done.stderr


def test_an_empty_file_holds_no_features(rtfbench: Command, tmp_path: Path) -> None:
    """It is told as any other file that holds none."""
    empty = tmp_path / "empty.npy"
    empty.touch()
    check = ("frontend", "check", "--model", "xvec", "--wav", SPEECH, "--features", empty)
    done = rtfbench(*check)
    assert (done.returncode, f"{empty}: holds no features" in done.stderr) == (2, True), done.stderr


def test_what_is_nested_without_measure(rtfbench: Command, tmp_path: Path) -> None:
    """A plan and a list of JSON lines end as bad input, not in the reader."""
    plan, lines = tmp_path / "plan.toml", tmp_path / "raw.list"
    plan.write_text("a=" + "[" * 100_000)
    lines.write_text('{"key": "a", "wav": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    done = rtfbench("run", plan)
    assert (done.returncode, "nested too deep" in done.stderr) == (2, True)
    done = rtfbench("extract", *MODEL, "--input", lines)
    assert (done.returncode, "line 1 is no utterance" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("option", "said"),
    [(("--jobs", 1_000_000), "or fewer"), (("--batch", 10**12), "less than or equal to")],
)
def test_no_number_takes_the_machine(
    rtfbench: Command, short_speech: Path, option: tuple[object, ...], said: str
) -> None:
    """Processes and batches without measure are refused."""
    done = rtfbench("extract", *MODEL, "--wav", short_speech, *option)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_compiler_that_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote that is not closed is told, as a compiler that is not there."""
    monkeypatch.setenv("CXX", 'g++ "')
    with pytest.raises(EngineError, match="CXX is no command"):
        find_compiler()


@pytest.mark.parametrize(
    "command",
    [
        ("export", "--format", "onnx", "-o", "o.onnx", "--checkpoint", "a.pt", "--config"),
        ("export", "--format", "mnn", "-o", "o.mnn", "--onnx"),
        ("run", "--model", "xvec", "--engine", "mnn", "--mnn-home"),
        ("tune", *TUNED, "--audio"),
        ("tune", *TUNED, "--lengths"),
        ("gate", "--baseline"),
        ("merge", "--result", "e.txt"),
    ],
    ids=lambda command: " ".join(command[:1] + command[-1:]),
)
def test_a_name_that_is_no_text_is_one_line(
    rtfbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Wherever it is named, and whether there is such a file or not."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"a\xff.onnx")
    for _ in range(2):
        done = rtfbench(*command, name)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("rtfbench: ")]
        assert "a\\udcff" in line or name in line
        Path(name).write_bytes(b"nothing")


@pytest.mark.parametrize("name", ["x.tar", "x.parquet", "x.PARQUET"])
def test_archives_are_files(spawned: Command, tmp_path: Path, name: str) -> None:
    """Nobody waits for what may never be written to a FIFO."""
    os.mkfifo(tmp_path / name)
    done = spawned("extract", *MODEL, "--input", tmp_path / name, timeout_s=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it is no regular file" in done.stderr
