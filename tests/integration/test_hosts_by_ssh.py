"""Runs on hosts that ssh reaches: over OpenSSH's server on the loopback, with what goes wrong."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest

from .extraction import Command
from .processes import start
from .sshd import GUEST, GUEST_ID, MISSING, SSHD, StandIn, served

pytestmark = pytest.mark.skipif(SSHD is None, reason=MISSING)
PATIENCE_S = 120
PYTHON = ("--remote-python", sys.executable)


@pytest.fixture
def hosts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[StandIn]]:
    """Start two hosts, which `ssh` knows by name."""
    folder = tmp_path_factory.mktemp("hosts")
    with served(folder, "board", "pi") as found:
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
        # The hosts are on this machine: they have caches of their own.
        yield found
        for host in found:
            assert not host.running(), "something is left running there"


def asked(model: Path, speech: Path, *, sessions: int = 1, budget: float = 0.1) -> list[object]:
    """Return the arguments of a short comparison."""
    engines = ("--engine", "onnxruntime", "--engine", "onnxruntime[graph_optimization=off]")
    protocol = ("--protocol", "steady", "--sessions", sessions, "--budget", budget)
    return ["run", "--model", model, *engines, *protocol, "--audio", speech, *PYTHON]


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def records(host: StandIn) -> int:
    """Return how many bytes of records a host has."""
    return sum(path.stat().st_size for path in host.kept.glob("runs/*/out/records.jsonl"))


def cut_until(over: Event, host: StandIn, cuts: int) -> int:
    """Cut a host's connections at random moments; return how many were cut."""
    rng, done = random.Random(7), 0
    while done < cuts and not over.wait(rng.uniform(0, 2)):
        done += host.cut()
    return done


def with_cuts(arguments: list[object], host: StandIn, cuts: int) -> tuple[int, str, int]:
    """Run a command whose connections are cut; return its status, what it says, and the cuts."""
    run, over, counted = start(*arguments), Event(), list[int]()
    assert run.stderr is not None
    first = run.stderr.readline()  # it has been there once
    cutter = Thread(target=lambda: counted.append(cut_until(over, host, cuts)))
    cutter.start()
    _, told = run.communicate(timeout=600)
    over.set()
    cutter.join()
    return run.returncode, first + told, counted[0]


@pytest.mark.parametrize("cuts", [3, pytest.param(25, marks=pytest.mark.deep)])
def test_a_cut_connection_costs_nothing(
    cuts: int,
    hosts: list[StandIn],
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """Whenever connections are cut, the run comes back whole, and nothing of it stays there."""
    sessions = 1 if cuts == 3 else 12
    arguments = asked(model, short_speech, sessions=sessions, budget=sessions)
    status, told, cut = with_cuts(
        [*arguments, "--host", "board", "--out", tmp_path / "runs"], hosts[0], cuts
    )
    assert status == 0, told
    assert cut >= 2, told
    assert told.count("connection lost") >= 1
    assert rtfbench("check", tmp_path / "runs" / "board").returncode == 0
    assert not list(hosts[0].kept.glob("runs/*"))


def test_hosts_measure_side_by_side(
    hosts: list[StandIn], rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """All that are reached bring their runs; one that is not is told, and decides the status."""
    config = hosts[0].home.parent / "config"
    config.write_text(config.read_text() + "Host away\n  HostName 127.0.0.1\n  Port 1\n")
    names = ("--host", "board", "--host", "root@pi", "--host", "away")
    arguments = asked(model, short_speech)
    done = rtfbench(*arguments, *names, "--out", tmp_path / "runs")
    assert done.returncode == 2, done.stderr
    assert "rtfbench: away: no connection (ssh: connect to host 127.0.0.1 port 1" in done.stderr
    folders = [tmp_path / "runs" / name for name in ("board", "pi")]
    assert done.stdout == rtfbench("report", *folders).stdout
    again = rtfbench(*arguments, *names, "--out", tmp_path / "runs")
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
    sent = list((hosts[0].kept / "files").iterdir())
    # Model, recording and plan; the code is unpacked.
    assert len(sent) == 3


def test_ctrl_c_leaves_nothing_running(
    hosts: list[StandIn], rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """What was measured comes back, and `--resume` goes on with it."""
    arguments = [*asked(model, short_speech, sessions=3, budget=4), "--host", "board", "--out"]
    run = start(*arguments, tmp_path / "runs")
    wait_until(lambda: records(hosts[0]) > 3000, "nothing is measured")
    assert run.stderr is not None
    while run.stderr.readline().startswith("board: sending"):
        pass  # then come the run's own lines, while it goes on
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130, told
    assert not hosts[0].running()
    stored = tmp_path / "runs" / "board" / "records.jsonl"
    before = stored.read_bytes()
    assert before
    assert not list(hosts[0].kept.glob("runs/*"))
    done = rtfbench(*arguments, tmp_path / "runs", "--resume")
    assert done.returncode == 0, done.stderr
    assert len(stored.read_bytes()) > len(before)
    assert rtfbench("check", stored.parent).returncode == 0


def test_a_second_client_takes_up_what_the_first_one_left(
    hosts: list[StandIn], rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A run goes on without its client; the host makes one at a time; `--resume` brings it back."""
    arguments = [*asked(model, short_speech, sessions=3, budget=8), "--host", "board", "--out"]
    run = start(*arguments, tmp_path / "first")
    wait_until(lambda: records(hosts[0]), "nothing is measured")
    run.kill()
    run.communicate()
    same = rtfbench(*arguments, tmp_path / "second")
    assert same.returncode == 2
    assert "a run of this plan goes on there; --resume takes it up" in same.stderr
    other = rtfbench(*arguments, tmp_path / "second", "--seed", 5)
    assert other.returncode == 2
    assert "another run is being measured there: run " in other.stderr
    done = rtfbench(*arguments, tmp_path / "second", "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "second/board/summary.json").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can give a host a disk of its own")
def test_a_full_disk_there_is_told_first(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line with the host's name, what is needed and what there is; nothing is sent."""
    with served(tmp_path, "board", disk="8m"):
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        options = ("--host", "board", "--out", tmp_path / "runs")
        done = rtfbench(*asked(model, short_speech), *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rtfbench: board: {tmp_path / 'board'}/.cache/rtfbench/hosts needs ")
    assert line.endswith(" MB left; make room there")


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can give a host a second user")
def test_another_user_measures_too(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who one is there, and at which port, is ssh's business; all that is kept there is theirs."""
    with TemporaryDirectory(dir="/tmp", prefix="rtfbench-guest-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with served(folder, "board", guest=True) as (host,):
            monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
            allowed = subprocess.run(
                ["ssh", f"{GUEST}@board", shlex.join([sys.executable, "-c", "import numpy"])],
                capture_output=True,
                text=True,
                check=False,
            )
            if allowed.returncode:
                pytest.skip(f"another user cannot run this Python: {allowed.stderr}")
            out = tmp_path / "runs"
            options = ("--host", f"{GUEST}@board", "--out", out)
            done = rtfbench(*asked(model, short_speech), *options)
            assert done.returncode == 0, done.stderr
            assert {path.stat().st_uid for path in host.kept.rglob("*")} == {GUEST_ID}
            assert not list(host.kept.glob("runs/*"))
            assert rtfbench("check", out / "board").returncode == 0


def test_refusals_name_the_host(
    hosts: list[StandIn],
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """No such Python, one without packages, an unknown key of the host: one line each."""
    folder = tmp_path / "runs"
    rest = ("--host", "board", "--out", folder)
    arguments = asked(model, short_speech)[: -len(PYTHON)]
    missing = rtfbench(*arguments, *rest, "--remote-python", "/no/python")
    assert missing.returncode == 2
    assert "rtfbench: board: /no/python cannot be run there; install" in missing.stderr
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    without = rtfbench(*arguments, *rest, "--remote-python", bare / "bin/python")
    assert without.returncode == 2
    assert "No module named" in without.stderr
    assert "rtfbench: board: its run left no result (status 1)" in without.stderr
    (hosts[0].home.parent / "known_hosts").write_text("")
    unknown = rtfbench(*arguments, *rest, *PYTHON)
    assert unknown.returncode == 2
    assert "board: no connection (Host key verification failed.)" in unknown.stderr
    assert not folder.exists()
