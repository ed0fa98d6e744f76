"""A disk that is too full is told before anything is computed, and what fills up costs the rest."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.base.files import check_room, free_bytes

Command = Callable[..., "subprocess.CompletedProcess[str]"]
#: Mounts a small disk that goes with the process, and runs a command.
ON_SMALL_DISK = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return a function that runs the command line with a small disk at `tmp_path / "disk"`."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def run(size: str, *command: object) -> subprocess.CompletedProcess[str]:
        alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_SMALL_DISK, "sh"]
        return subprocess.run(
            [*alone, size, str(disk), *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
        )

    if run("1m", "true").returncode != 0:
        pytest.skip("this system lets nobody mount a disk in a namespace of their own")
    return lambda size, *arguments: run(size, sys.executable, "-m", "rtfbench.commands", *arguments)


@pytest.mark.parametrize("where", ["--out", "--result", "RTFBENCH_CACHE"])
def test_a_full_disk_is_told_first(
    on_small_disk: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """One line with what is needed, what there is and the cure; nothing is begun."""
    disk = tmp_path / "disk"
    if where == "--out":
        arguments = ["run", "--model", model, "--audio", short_speech, where, disk / "out"]
    elif where == "--result":
        scp = tmp_path / "wav.scp"
        scp.write_text("".join(f"u{number} {short_speech}\n" for number in range(100)))
        arguments = ["extract", "--model", model, "--wav-scp", scp, where, disk / "e.ark"]
    else:
        monkeypatch.setenv(where, str(disk / "cache"))
        arguments = ["extract", "--model", "xvec", "--weights", "seeded", "--wav", short_speech]
    done = on_small_disk("8k", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"MB left; make room, or name another place with {where}")


def test_a_disk_that_fills_up_costs_what_is_not_measured_yet(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """The table of the finished cells is printed, and --resume goes on."""
    out = tmp_path / "out"
    run = ["run", "--model", model, "--audio", short_speech]
    run += ["--engine", "onnxruntime", "--protocol", "steady", "--budget", 0.1, "--sessions", 1]
    run += ["--out", out, "--chunk-samples", 32000]
    assert rtfbench(*run).returncode == 0
    records = out / "records.jsonl"
    size_bytes = records.stat().st_size + 5000
    command = [*run, "--chunk-samples", 16000, "--resume"]
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.commands", *map(str, command)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{out}: cannot be written (File too large)" in done.stderr
    assert "samples_per_chunk = 32000" in done.stdout
    # The line that found no room is none, so what is there is what the summary is of.
    assert size_bytes - 5000 < records.stat().st_size <= size_bytes
    assert records.read_bytes().endswith(b"\n")
    assert rtfbench(*command).returncode == 0


def test_room_is_that_of_the_disk(tmp_path: Path) -> None:
    """Of a place that is not there yet, its parents'; unknown sizes refuse nothing."""
    free = free_bytes(tmp_path)
    assert free is not None
    assert free > 0
    check_room(tmp_path / "not" / "there", 0, what="this", named_by="--out")
    check_room(Path("/proc/1"), 1 << 60, what="this", named_by="--out")
    with pytest.raises(InputError, match="MB at least, and its disk has"):
        check_room(tmp_path / "not" / "there", 1 << 60, what="this", named_by="--out")
