"""The same session driven by MLPerf's LoadGen: it tells what this harness tells."""

import itertools
import os
import re
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rtfbench.base.core_count import cores_to_pin
from rtfbench.embed.audio_input import check_audio
from rtfbench.measure import procedures
from rtfbench.measure.cell_worker import CellWorker
from rtfbench.measure.machine import health
from rtfbench.measure.machine.health import read_counters
from rtfbench.measure.messages import Done, Loaded, Measure, Open, Ready, Work, Worked, WorkerSpec
from rtfbench.measure.session import KEPT_WAITING
from rtfbench.measure.team import TASKS_AT_HAND, Team
from rtfbench.models.resolve import resolve
from rtfbench.models.workload import prepare
from rtfbench.results.cells import Cell
from rtfbench.results.noise import disturbances
from rtfbench.results.records import Record

TIMEOUT_S = 120
#: Both have so many turns, one after the other, of so many requests each: short ones, because
#: whoever else is at work on the machine then disturbs both alike.
PAIRS, MOST_PAIRS, REQUESTS = 20, 40, 16
#: What either may say more than the other.
AGREES = 0.03
#: Requests take about as long, so that a quantile does not depend on which were drawn: two chunks.
WINDOW_S, CHUNK_SAMPLES = 4.0, 32000


@pytest.fixture(scope="module")
def loadgen() -> ModuleType:
    """Return LoadGen, which has wheels for few Pythons."""
    found: ModuleType = pytest.importorskip(
        "mlperf_loadgen", reason="LoadGen is not installed: pip install 'rtfbench[loadgen]'"
    )
    return found


@pytest.fixture
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> WorkerSpec:
    """Return what measures a cell of XVEC, on windows of speech, under a protocol."""
    cell = Cell(
        model="xvec",
        engine="onnxruntime",
        form="dynamic",
        threads=1,
        chunk_samples=CHUNK_SAMPLES,
        protocol=request.param,
    )
    sources = check_audio((), windows=(WINDOW_S, WINDOW_S)).sources
    (prepared,) = prepare(
        resolve([cell]), sources, cores=1, logs=tmp_path / "logs", phase=lambda _: None
    )
    assert prepared.artifact is not None
    assert prepared.reference is not None
    return WorkerSpec(
        cell_id="c",
        cell=cell,
        artifact=prepared.artifact,
        sources=sources,
        reference=prepared.reference,
        embeddings=None,
        cores=(cores_to_pin()[-1],),
        proves=False,
    )


@pytest.fixture
def on_one_core(spec: WorkerSpec) -> Iterator[None]:
    """Keep this process on the core of the cell, as its own process would be."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, spec.cores)
    yield
    os.sched_setaffinity(0, before)


def requests(spec: WorkerSpec) -> tuple[str, ...]:
    """Return the names of what a turn asks for."""
    names = itertools.cycle(source.name for source in spec.sources)
    return tuple(itertools.islice(names, REQUESTS))


class UnderTest:
    """LoadGen's system under test."""

    def __init__(
        self, loadgen: ModuleType, serve: Callable[[Sequence[int]], Iterable[int]]
    ) -> None:
        """Make one.

        Args:
            loadgen: its module.
            serve: serves requests, and yields their places in a turn when they are answered.
        """
        self._loadgen, self._serve = loadgen, serve

    def _issued(self, queries: Sequence[Any]) -> None:
        ids = iter([query.id for query in queries])
        for _ in self._serve([query.index for query in queries]):
            answer = self._loadgen.QuerySampleResponse(next(ids), 0, 0)
            self._loadgen.QuerySamplesComplete([answer])

    def measured(self, scenario: str, folder: Path, told: str) -> float:
        """Let LoadGen measure one turn, and return a number of its summary."""
        lg = self._loadgen
        settings = lg.TestSettings()
        settings.scenario = getattr(lg.TestScenario, scenario)
        settings.mode = lg.TestMode.PerformanceOnly
        settings.min_duration_ms = 0
        settings.min_query_count = 1 if scenario == "Offline" else REQUESTS
        settings.max_query_count = settings.min_query_count
        settings.offline_expected_qps = 1
        settings.performance_issue_unique = True
        log = lg.LogSettings()
        log.enable_trace = False
        log.log_output.outdir = str(folder)
        log.log_output.copy_summary_to_stdout = False
        library = lg.ConstructQSL(REQUESTS, REQUESTS, lambda _: None, lambda _: None)
        system = lg.ConstructSUT(self._issued, lambda: None)
        try:
            lg.StartTestWithLogSettings(system, library, settings, log)
        finally:
            lg.DestroySUT(system)
            lg.DestroyQSL(library)
        text = (folder / "mlperf_log_summary.txt").read_text()
        found = re.search(rf"^{re.escape(told)}\s*:\s*([\d.e+]+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


def ratio(
    ours: Callable[[int], float], theirs: Callable[[int], float], pids: Collection[int]
) -> float:
    """Return how many times theirs ours is, in the middle of pairs of turns.

    Args:
        ours: measures a turn as this harness does.
        theirs: measures one as LoadGen does.
        pids: of processes that take part besides this one.

    Either begins every other pair, so that what drifts favours none. Pairs in which the processes
    waited for a core, as a race takes them again, do not count; where most are such, nothing is
    told.
    """
    found: list[float] = []
    for turn in range(MOST_PAIRS):
        before = read_counters(pids)
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        values = first(turn), second(turn)
        after = read_counters(pids)
        line = health.between(before, after, cell_id="c", session=0, block=turn)
        if KEPT_WAITING.isdisjoint(disturbances(line)):
            found.append(values[0] / values[1] if turn % 2 else values[1] / values[0])
        if len(found) == PAIRS:
            break
    if len(found) < PAIRS // 2:
        pytest.skip(f"others were busy in {MOST_PAIRS - len(found)} of {MOST_PAIRS} pairs of turns")
    return statistics.median(found)


@pytest.mark.speed
@pytest.mark.measures
@pytest.mark.usefixtures("on_one_core")
@pytest.mark.parametrize("spec", ["steady"], indirect=True)
def test_single_stream_is_steady(loadgen: ModuleType, spec: WorkerSpec, tmp_path: Path) -> None:
    """LoadGen's p90 of a query is that of a request under the steady protocol."""
    names, worker = requests(spec), CellWorker(spec)
    worker.open()

    def served(places: Sequence[int]) -> Iterator[int]:
        for place in places:
            worker.work(Work(utterances=(names[place],)))
            yield place
        worker.check()

    under_test = UnderTest(loadgen, served)

    def ours(turn: int) -> float:
        worker.warm(names[0])
        order = Measure(block=turn, position=0, utterances=names)
        records = procedures.of(spec.cell.protocol).measure(worker, order)
        # As LoadGen counts: no value between two.
        return sorted(record.processing_ns for record in records)[int(0.9 * REQUESTS)]

    def theirs(_: int) -> float:
        return under_test.measured("SingleStream", tmp_path, "90.00 percentile latency (ns)")

    assert ratio(ours, theirs, ()) == pytest.approx(1, abs=AGREES)


@pytest.mark.speed
@pytest.mark.measures
@pytest.mark.parametrize("spec", ["throughput"], indirect=True)
def test_offline_is_throughput(loadgen: ModuleType, spec: WorkerSpec, tmp_path: Path) -> None:
    """LoadGen's samples a second are the recordings a second of the throughput protocol."""
    names = requests(spec)
    with Team(spec, tmp_path) as team:
        (process,) = team.members
        assert isinstance(team.receive(TIMEOUT_S), Loaded)
        team.send(Open())
        assert isinstance(team.receive(TIMEOUT_S), Ready)

        def served(places: Sequence[int]) -> Iterator[int]:
            """Let the process have its next task at hand, as the protocol does."""
            tasks = [Work(utterances=(names[place],)) for place in places]
            for task in tasks[:TASKS_AT_HAND]:
                process.send(task)
            for number, place in enumerate(places):
                assert isinstance(process.receive(TIMEOUT_S), Worked)
                for task in tasks[number + TASKS_AT_HAND :][:1]:
                    process.send(task)
                yield place

        under_test = UnderTest(loadgen, served)

        def ours(turn: int) -> float:
            team.send(Measure(block=turn, position=0, utterances=names))
            record = team.receive(TIMEOUT_S)
            assert isinstance(record, Record), record
            assert isinstance(team.receive(TIMEOUT_S), Done)
            return REQUESTS / record.processing_ns * 1e9

        def theirs(_: int) -> float:
            return under_test.measured("Offline", tmp_path, "Samples per second")

        assert ratio(ours, theirs, team.pids) == pytest.approx(1, abs=AGREES)
