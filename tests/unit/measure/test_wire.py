"""What crosses revisions, and what is said where it cannot."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rtfbench.base.child import Interpreter
from rtfbench.base.packages import PACKAGE
from rtfbench.embed.pipeline import front_end_text
from rtfbench.engines.protocol import ModelArtifact
from rtfbench.frontends.front_end import PRESETS
from rtfbench.measure import OLDEST, PROTOCOL, workers
from rtfbench.measure.messages import WorkerSpec
from rtfbench.measure.workers import protocol_of
from rtfbench.results.cells import Cell

SPEC = WorkerSpec(
    cell_id="c",
    cell=Cell(
        model="m", engine="e", form="dynamic", threads=1, chunk_samples=32000, protocol="steady"
    ),
    artifact=ModelArtifact("m", Path("/m.onnx"), "onnx", "dynamic", None, 80, 2, "0"),
    sources=(),
    reference=Path("/r.npz"),
    embeddings=None,
    cores=(0,),
)
#: As if two fields had come with protocol 3, one of them within the cell.
SINCE = {3: {"session": 0, "cell.slowdown": 0.0}}


def test_this_codes_workers_get_all_of_it() -> None:
    """Nothing is left out for a worker of the same protocol, and the number is told."""
    content = workers.written(SPEC, PROTOCOL)
    assert WorkerSpec.model_validate(content) == SPEC.model_copy(update={"protocol": PROTOCOL})


def test_an_older_worker_gets_what_it_knows() -> None:
    """Newer fields are left out where they say nothing."""
    content = workers.written(SPEC, 2, SINCE)
    assert "session" not in content
    assert "slowdown" not in content["cell"]
    assert content["protocol"] == 2


def test_what_an_older_worker_does_not_know_is_refused() -> None:
    """A newer field with a meaning ends the comparison in one line that names it."""
    slowed = SPEC.cell.model_copy(update={"slowdown": 0.1})
    with pytest.raises(
        workers.IncomparableError, match=r"protocol 2 and do not know cell\.slowdown"
    ):
        workers.written(SPEC.model_copy(update={"cell": slowed}), 2, SINCE)
    assert workers.written(SPEC.model_copy(update={"cell": slowed}), 3, SINCE)


def test_workers_of_before_devices_get_cells_of_the_cpu() -> None:
    """They are told of no device, and one that is not the CPU is refused."""
    assert "device" not in workers.written(SPEC, 5)["cell"]
    elsewhere = SPEC.cell.model_copy(update={"device": "stand-in"})
    with pytest.raises(workers.IncomparableError, match=r"do not know cell\.device"):
        workers.written(SPEC.model_copy(update={"cell": elsewhere}), 5)


def test_workers_of_before_front_ends_feed_wespeakers() -> None:
    """They are told of no front end, and a model that is fed another is refused."""
    assert "front_end" not in workers.written(SPEC, 7)["artifact"]
    artifact = replace(SPEC.artifact, front_end=front_end_text(PRESETS["nemo"]))
    with pytest.raises(workers.IncomparableError, match=r"do not know artifact\.front_end"):
        workers.written(SPEC.model_copy(update={"artifact": artifact}), 7)


def checkout(folder: Path, door: str) -> Interpreter:
    """Write a revision of which only the door is known."""
    (folder / "bench").mkdir(parents=True)
    (folder / "bench" / "__init__.py").write_text("")
    if door:
        (folder / "bench" / "worker.py").write_text(door)
    # Not this environment's Python: an editable installation would lend it this code's modules.
    return Interpreter(Path(sys.base_prefix, "bin", "python3"), (folder,), worker="bench.worker")


def test_a_worker_says_its_protocol(tmp_path: Path) -> None:
    """This code's door answers, and one of before the package had one name."""
    assert protocol_of(Interpreter()) == PROTOCOL
    assert protocol_of(checkout(tmp_path, f"print({OLDEST})\n")) == OLDEST


def test_the_door_answers_to_its_older_name(tmp_path: Path) -> None:
    """An older gate that starts this code's worker is told which protocol it speaks."""
    (tmp_path / "bench").symlink_to(PACKAGE)
    older = Interpreter(Path(sys.base_prefix, "bin", "python3"), (tmp_path,), worker="bench.worker")
    assert protocol_of(older) == PROTOCOL


def test_an_older_worker_is_refused(tmp_path: Path) -> None:
    """One that does not know the question, or speaks what is forgotten, is refused in a line."""
    old = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('spec')\n"
    with pytest.raises(workers.IncomparableError, match="does not say which protocol it speaks"):
        protocol_of(checkout(tmp_path / "older", old + "parser.parse_args()\n"))
    with pytest.raises(
        workers.IncomparableError, match=r"speak protocol 3 .* name a newer revision"
    ):
        protocol_of(checkout(tmp_path, "print(3)\n"))


def test_a_newer_worker_is_refused(tmp_path: Path) -> None:
    """Its answers could not be understood; the cure is the newer revision's gate."""
    with pytest.raises(workers.IncomparableError, match=r"speak protocol 99 .* newer revision"):
        protocol_of(checkout(tmp_path, "print(99)\n"))


def test_a_revision_without_the_door_is_refused(tmp_path: Path) -> None:
    """A checkout of before the door cannot measure, which is said."""
    with pytest.raises(workers.IncomparableError, match=r"no bench/worker\.py"):
        protocol_of(checkout(tmp_path, ""))


def test_a_worker_refuses_what_came_after_it(tmp_path: Path) -> None:
    """A specification of a later protocol is told from a damaged one."""
    path = tmp_path / "spec.json"
    path.write_text(f'{{"protocol": {PROTOCOL + 1}, "something": "new"}}')
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.worker", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"this worker speaks protocol {PROTOCOL}, and was sent {PROTOCOL + 1}"
    )
