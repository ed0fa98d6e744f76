"""Commands under a CPU quota, which a stand-in for /sys/fs/cgroup tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.base.core_count import cores_here

from .extraction import Command, write_list

#: Its first argument covers the control groups; the others are the command.
COVERED = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
HERE = cores_here()
#: How many cores a quota allows, and how a version of control groups tells it.
QUOTAS = {
    "v2": (1.5, {"cgroup.controllers": "cpu\n", "cpu.max": "150000 100000\n"}),
    "v1": (0.5, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}),
}
#: Tells how many cores a worker of one thread is given, by `extract` and in a cluster.
PINNING = """
import psutil, sys
from rtfbench.extract.cluster.tasks import claimed
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.engines.protocol import parse_engine
from rtfbench.extract.options import ModelOptions, setup_for, workers
from rtfbench.inputs.find import Utterance
spec = parse_engine("onnxruntime")
options = ModelOptions(sys.argv[1], spec, None, 4000)
setup = setup_for(options, phase=str, note=str)
with claimed(1) as cores, workers(setup, options.worker) as pool:
    list(pool.embed([Utterance("u", DEFAULT_SPEECH / "short_en_us.flac")]))
    (worker,) = psutil.Process().children()
    print(len(cores), len(worker.cpu_affinity()))
"""

pytestmark = pytest.mark.skipif(HERE.count < 2, reason="one core is as many as a quota leaves")


def covered(groups: Path, *command: object) -> "subprocess.CompletedProcess[str]":
    """Run a command that sees a folder in place of the machine's control groups."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", COVERED, str(groups), *map(str, command)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=300,
        check=False,
    )


@pytest.fixture(params=QUOTAS)
def quota(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[float, Command]:
    """Return a quota in cores, and a function that runs Python under it."""
    cores, files = QUOTAS[request.param]
    groups = tmp_path / "groups"
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    tried = covered(groups, "true")
    if tried.returncode != 0:
        assert "not permitted" in tried.stderr or "denied" in tried.stderr, tried.stderr
        pytest.skip("a mount namespace needs CAP_SYS_ADMIN")
    return cores, lambda *arguments: covered(groups, sys.executable, *arguments)


def test_extract_starts_no_more_than_the_quota_is_enough_for(
    quota: tuple[float, Command], model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """There is one job where there would be one a core, and a refusal that names the quota."""
    cores, python = quota
    scp = write_list(tmp_path / "wav.scp", recordings[:4])
    extract = ("-m", "rtfbench.commands", "extract", "--wav-scp", scp, "--model", model)
    done = python(*extract)
    assert done.returncode == 0, done.stderr
    assert " on 1 job, loading included\n" in done.stderr
    refused = python(*extract, "--threads", 2)
    assert refused.returncode == 2
    why = f"--threads 2: this process may use 1 core of {HERE.allowed} (its CPU quota is {cores})"
    assert why in refused.stderr


@pytest.mark.parametrize("quota", ["v2"], indirect=True)
def test_the_doctor_tells_the_quota(quota: tuple[float, Command]) -> None:
    """How many cores can be used, and what would help."""
    cores, python = quota
    done = python("-m", "rtfbench.commands", "doctor", "--model", "xvec", "--budget", 1)
    assert done.returncode in (0, 1), done.stderr
    told = " ".join(done.stdout.split())  # where lines end depends on what else a CPU has to tell
    assert f"1 of {os.cpu_count()} cores usable" in told
    assert f"CPU limit {cores} cores" in told
    assert f"the cgroup allows {cores} cores of {HERE.allowed}" in told


def test_under_a_quota_workers_are_not_pinned(quota: tuple[float, Command], model: Path) -> None:
    """Containers of one host see no others: all of them would take its first cores."""
    _, python = quota
    done = python("-c", PINNING, model)
    assert done.stdout.split() == [str(HERE.allowed)] * 2, done.stderr


@pytest.mark.skipif(HERE.limited, reason="this process is under a quota itself")
def test_without_a_quota_workers_are_pinned(model: Path) -> None:
    """One thread is given one core."""
    command = [sys.executable, "-c", PINNING, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["1", "1"], done.stderr
