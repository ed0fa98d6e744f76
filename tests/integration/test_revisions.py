"""This revision's harness and the workers of one whose package had another name."""

import subprocess
from pathlib import Path

import pytest

from rtfbench.base.packages import ROOT
from rtfbench.embed.audio_input import Source
from rtfbench.gate import sides
from rtfbench.measure.messages import Done, Loaded, Measure, Open, Ready, Stop, WorkerSpec
from rtfbench.measure.workers import Worker
from rtfbench.models.resolve import resolve
from rtfbench.models.workload import prepare
from rtfbench.results.cells import Cell
from rtfbench.results.lines import Outcome
from rtfbench.results.records import Record

#: The last commit whose packages were `bench`, `engines` and `frontends`.
BEFORE = "21a208c"


def has_commit(commit: str) -> bool:
    """Say whether the checkout's history goes back so far."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "cat-file", "-e", commit], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.skipif(not has_commit(BEFORE), reason="a shallow clone: that commit is not in it")
def test_workers_of_before_the_name_are_understood(tmp_path: Path, short_speech: Path) -> None:
    """A worker of the old name opens, measures and ends under this revision's parent."""
    cell = Cell(
        model="xvec",
        engine="onnxruntime",
        form="dynamic",
        threads=1,
        chunk_samples=32000,
        protocol="steady",
    )
    sources = (Source(name="a", path=short_speech),)
    (prepared,) = prepare(
        resolve([cell]), sources, cores=1, logs=tmp_path / "logs", phase=lambda _: None
    )
    assert prepared.artifact is not None
    assert prepared.reference is not None
    interpreter = sides.interpreter_for((), BEFORE, phase=lambda _: None)
    assert interpreter is not None
    assert interpreter.protocol == 4
    spec = WorkerSpec(
        cell_id="c",
        cell=cell,
        artifact=prepared.artifact,
        sources=sources,
        reference=prepared.reference,
        embeddings=None,
        cores=(0,),
    )
    with Worker(spec, tmp_path, interpreter) as worker:
        assert worker.receive(60) == Loaded(chunks={"a": 1})
        worker.send(Open())
        assert isinstance(worker.receive(60), Ready)
        worker.send(Measure(block=0, position=0, utterances=("a",)))
        record = worker.receive(60)
        assert isinstance(record, Record)
        assert record.processing_ns > 0
        assert worker.receive(60) == Done()
        worker.send(Stop())
        outcome = worker.receive(60)
    assert isinstance(outcome, Outcome)
    assert outcome.status == "ok"
