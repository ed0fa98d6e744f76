"""This revision's harness and an older one's workers, in both senses of `--against-rev`."""

import subprocess
from pathlib import Path

import pytest

from bench.base.modules import ROOT
from bench.embed.audio_input import Source
from bench.gate import sides
from bench.measure.messages import Done, Loaded, Measure, Open, Ready, Stop, WorkerSpec
from bench.measure.workers import Worker
from bench.models.resolve import resolve
from bench.models.workload import prepare
from bench.results.cells import Cell
from bench.results.lines import Outcome, Record

#: The last commit whose modules lay loose in `bench/`, before protocols were counted.
LOOSE = "1716e814ba9f5b7ef26ef93287fbaf78f1d29da0"


def has_commit(commit: str) -> bool:
    """Say whether the checkout's history goes back so far."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "cat-file", "-e", commit], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.skipif(not has_commit(LOOSE), reason="a shallow clone: that commit is not in it")
def test_workers_of_before_the_rooms_are_understood(tmp_path: Path, short_speech: Path) -> None:
    """A worker of the old layout opens, measures and ends under this revision's parent."""
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
    interpreter = sides.interpreter_for((), LOOSE, phase=lambda _: None)
    assert interpreter is not None
    assert interpreter.protocol == 1
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
