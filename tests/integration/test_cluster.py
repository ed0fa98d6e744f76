"""Extraction on a Dask cluster from end to end: whatever dies, the result is that of one run."""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from distributed import Client

from rtfbench.base.cluster import dask_cluster

from .extraction import Command, write_list
from .processes import start

#: Enough for some seconds.
COUNT = 480
PATIENCE_S = 60
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a list of so many utterances, one of which is not there."""
    many = (recordings * (COUNT // len(recordings)))[1:]
    return write_list(tmp_path_factory.mktemp("list") / "wav.scp", [*many, Path("none")])


@pytest.fixture(scope="module")
def whole(
    rtfbench: Command, model: Path, scp: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the result of one undisturbed run."""
    result = tmp_path_factory.mktemp("whole") / "e.txt"
    assert rtfbench("extract", "--wav-scp", scp, "--model", model, "--result", result).returncode
    return result


def is_whole(result: Path, whole: Path) -> bool:
    """Say whether every byte of result and card is that of one run."""
    return all(
        (result.parent / name).read_bytes() == (whole.parent / name).read_bytes()
        for name in ("e.txt", "e.txt.json")
    )


def dask_workers(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes that have opened a session."""
    found = []
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            if any("rtfbench.extract.worker" in " ".join(c.cmdline()) for c in child.children()):
                found.append(child)
    return found


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses that a process and its children listen at, never with plain HTTP."""
    found: set[tuple[str, int]] = set()
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            found |= {tuple(c.laddr) for c in each.net_connections() if c.status == "LISTEN"}
    for address in found:
        with suppress(OSError), socket.create_connection(address, timeout=2) as port:
            port.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert not port.recv(4).startswith(b"HTTP"), f"a web page at {address}"
    return {host for host, _ in found}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def written(result: Path) -> int:
    """Return how many bytes of shards there are."""
    folder = result.with_name(f"{result.name}.shards")
    return sum(each.stat().st_size for each in folder.glob("*.part") if each.exists())


def kill_at_random(run: "subprocess.Popen[str]", result: Path, kills: int) -> set[str]:
    """Kill workers of a local cluster, each after some more was written; return the addresses."""
    rng, process, addresses = random.Random(8), psutil.Process(run.pid), set[str]()
    for _ in range(kills):
        before = written(result)
        wait_until(lambda: written(result) != before, "nothing is written")  # noqa: B023
        wait_until(lambda: dask_workers(process), "there is no worker")
        addresses |= listening(process)
        time.sleep(rng.uniform(0, 1))
        if workers := dask_workers(process):
            rng.choice(workers).kill()
    return addresses


def test_workers_of_this_machine_are_killed(
    model: Path, scp: Path, whole: Path, tmp_path: Path
) -> None:
    """The result is that of one run, byte for byte; nothing listens beyond the loopback."""
    result = tmp_path / "e.txt"
    options = ("--model", model, "--cluster", "local", "--jobs", 2, "--result", result)
    run = start("extract", "--wav-scp", scp, *options)
    assert kill_at_random(run, result, 2) == {LOOPBACK}
    _, told = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1, told
    assert f"{COUNT} of {COUNT} utterances, " in told
    assert f"utterance u{COUNT - 1}: none: does not exist" in told
    assert is_whole(result, whole)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://", "no scheduler answers there"),
        ("bad://x:1", "no scheduler answers there"),
        ("tls://127.0.0.1:1", "needs certificates; name them in Dask's configuration"),
    ],
)
def test_what_is_no_address_is_told(
    spawned: Command, model: Path, scp: Path, tmp_path: Path, address: str, told: str
) -> None:
    """In one line, and no client says a word of its own when the process ends."""
    result = ("--result", tmp_path / "e.txt")
    done = spawned("extract", "--wav-scp", scp, "--model", model, "--cluster", address, *result)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"--cluster {address}: {told}" in line


def test_no_clock_ends_a_cluster_of_this_machine() -> None:
    """Its certificate is valid whatever the clock says, and no worker is given up by that clock.

    Dask's own is valid from when it was made on: with a clock that was set back no worker came
    again, and an extraction waited for ever.
    """
    told = dask_cluster.own_security().get_tls_config_for_role("worker")
    certificate = x509.load_pem_x509_certificate(told["cert"].encode())
    assert certificate.not_valid_before_utc.year == 1970
    assert certificate.not_valid_after_utc.year == 9999
    assert dask_cluster.SETTINGS["distributed.scheduler.worker-ttl"] is None


@pytest.mark.deep
def test_thirty_kills_in_twenty_thousand_utterances(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """Two workers that are killed thirty times lose and double nothing."""
    scp = write_list(tmp_path / "wav.scp", recordings * 500)
    whole, result = tmp_path / "whole/e.txt", tmp_path / "e.txt"
    options = ("--wav-scp", scp, "--model", model)
    assert rtfbench("extract", *options, "--result", whole).returncode == 0
    local = ("--cluster", "local", "--jobs", 2)
    run = start("extract", *options, *local, "--result", result)
    kill_at_random(run, result, 30)
    _, told = run.communicate(timeout=600)
    assert run.returncode == 0, told
    assert is_whole(result, whole)


@contextmanager
def dask(*command: object, environment: dict[str, str] | None = None) -> Iterator[int]:
    """Run a scheduler or worker of Dask's; yield its process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Start a scheduler; return its address and process id."""
    found = tmp_path / "scheduler.json"
    where = ("--host", LOOPBACK, "--port", 0, "--dashboard-address", f"{LOOPBACK}:0")
    with dask("distributed.cli.dask_scheduler", *where, "--scheduler-file", found) as pid:
        wait_until(lambda: found.exists() and found.stat().st_size, "no scheduler")
        yield json.loads(found.read_text())["address"], pid


def worker(
    address: str,
    folder: Path,
    environment: dict[str, str] | None = None,
    host: str = LOOPBACK,
) -> AbstractContextManager[int]:
    """Start a worker of Dask's, as a user would on a host."""
    options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder)
    return dask(
        "distributed.cli.dask_worker", address, *options, "--host", host, environment=environment
    )


def wait_for_workers(address: str, count: int) -> None:
    """Wait until a scheduler knows so many workers."""
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=PATIENCE_S)


def test_client_and_scheduler_are_killed(
    cluster: tuple[str, int],
    rtfbench: Command,
    model: Path,
    scp: Path,
    whole: Path,
    tmp_path: Path,
) -> None:
    """Another client goes on with what the manifests tell, on another cluster if need be."""
    address, scheduler = cluster
    result = tmp_path / "e.txt"
    options = ("--wav-scp", scp, "--model", model, "--result", result)
    with worker(address, tmp_path), worker(address, tmp_path):
        wait_for_workers(address, 2)
        begun = ("extract", *options, "--cluster", address, "--shards", 6)
        client = start(*begun)
        shards = tmp_path / "e.txt.shards"
        wait_until(lambda: list(shards.glob("shard-*.json")), "no shard is finished")
        client.kill()
        client.communicate()
        refused = rtfbench(*begun)
        assert refused.returncode == 2
        assert "go on with --resume" in refused.stderr

        second = start(*begun, "--resume")
        assert second.stderr is not None
        assert "of 6 shards are finished" in second.stderr.readline()
        os.kill(scheduler, signal.SIGKILL)
        _, told = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2, told
    assert "the scheduler is gone" in told
    assert "go on with --resume" in told
    assert not result.exists()
    done = rtfbench("extract", *options, "--cluster", "local", "--jobs", 1, "--resume")
    assert "of 6 shards are finished" in done.stderr
    assert done.returncode == 1, done.stderr
    assert is_whole(result, whole)


def test_a_worker_of_another_version_is_refused_with_the_cure(
    cluster: tuple[str, int], rtfbench: Command, model: Path, scp: Path, tmp_path: Path
) -> None:
    """Nothing is begun while one of the workers would compute something else."""
    address, _ = cluster
    other = tmp_path / "other"
    (other / "numpy-1.26.0.dist-info").mkdir(parents=True)
    (other / "numpy-1.26.0.dist-info/METADATA").write_text("Name: numpy\nVersion: 1.26.0\n")
    result = ("--result", tmp_path / "e.txt")
    asked = ("extract", "--wav-scp", scp, "--model", model, "--cluster", address, *result)
    refused = rtfbench(*asked)
    assert refused.returncode == 2
    assert "has no worker; start some with: dask worker" in refused.stderr
    paths = os.pathsep.join([str(other), os.environ["PYTHONPATH"]])
    with ExitStack() as stack:
        stack.enter_context(worker(address, tmp_path))
        stack.enter_context(worker(address, tmp_path, {"PYTHONPATH": paths}))
        wait_for_workers(address, 2)
        refused = rtfbench(*asked)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "numpy is 1.26.0, not " in line
    assert "pip install numpy==" in line
    assert not list((tmp_path / "e.txt.shards").glob("shard*"))


@pytest.mark.deep
def test_a_full_disk_on_one_worker_costs_nothing(
    cluster: tuple[str, int], rtfbench: Command, model: Path, scp: Path, whole: Path, tmp_path: Path
) -> None:
    """Its shards go to the other one; it is left out, with the reason."""
    address, _ = cluster
    result = tmp_path / "e.txt"
    with worker(address, tmp_path), worker(address, tmp_path) as full:
        wait_for_workers(address, 2)
        resource.prlimit(full, resource.RLIMIT_FSIZE, (4096, 4096))
        options = ("--cluster", address, "--shards", 12, "--result", result)
        done = rtfbench("extract", "--wav-scp", scp, "--model", model, *options)
    assert done.returncode == 1, done.stderr
    assert "failed 3 times and is left out: " in done.stderr
    assert "cannot be written (File too large); make room" in done.stderr
    assert is_whole(result, whole)


@pytest.mark.deep
def test_a_comparison_is_made_on_every_host(
    cluster: tuple[str, int], rtfbench: Command, model: Path, tmp_path: Path
) -> None:
    """Each host's run comes back as a folder, and they are shown side by side.

    Two addresses stand for two hosts, each with its own place for locks.
    """
    address, _ = cluster
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'engines = ["onnxruntime", "onnxruntime[graph_optimization=off]"]\n'
        f'protocols = ["steady"]\nmodels = ["{os.path.relpath(model)}"]\n'
        "budget_s = 0.1\nsessions = 1\nghost = false\n"
    )
    asked = ("run", plan, "--cluster", address, "--out")
    with ExitStack() as stack:
        for number in (1, 2):
            place = tmp_path / f"host-{number}"
            place.mkdir()
            environment = {"TMPDIR": str(place)}
            stack.enter_context(worker(address, place, environment, host=f"127.0.0.{number}"))
        wait_for_workers(address, 2)
        done = rtfbench(*asked, tmp_path / "runs")
        folders = sorted((tmp_path / "runs").iterdir())
        assert len(folders) == 2, done.stderr
        again = rtfbench(*asked, tmp_path / "runs")
    for folder in folders:
        assert f"results: {folder}" in done.stderr
        assert {"records.jsonl", "summary.json", "environment.json"} <= {
            each.name for each in folder.iterdir()
        }
        assert folder.name in done.stdout
    shown = rtfbench("report", *folders)
    assert done.stdout == shown.stdout
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
