"""A queue that several processes share: what is handed out, and what its record says."""

import pytest

from rtfbench.measure import team
from rtfbench.measure.messages import Measure, Worked, WorkerSpec
from rtfbench.measure.schedule import QUEUED_CHUNKS, queues
from rtfbench.results.cells import Cell
from tests.unit.measure.test_wire import SPEC

CHUNKS = {"long": 7, "middle": 3, "short": 1, "shorter": 1}


def test_tasks_fill_batches_longest_first() -> None:
    """Every utterance is in one task; a task is an utterance, or as many as make a batch."""
    assert team.tasks_of([*CHUNKS], CHUNKS, batch=1) == [(name,) for name in CHUNKS]
    assert team.tasks_of(["short", "long", "shorter", "middle"], CHUNKS, batch=4) == [
        ("long",),
        ("middle", "short"),
        ("shorter",),
    ]
    assert team.tasks_of(["short"] * 3, CHUNKS, batch=2) == [("short", "short"), ("short",)]


@pytest.mark.parametrize(("jobs", "batch"), [(1, 1), (2, 1), (4, 1), (2, 16)])
def test_queues_keep_every_process_busy(jobs: int, batch: int) -> None:
    """However few utterances there are, each process has enough chunks; none is left out."""
    found = queues(CHUNKS, wanted=10, jobs=jobs, batch=batch)
    assert {name for portion in found for name in portion} == set(CHUNKS)
    for portion in found:
        assert sum(CHUNKS[name] for name in portion) >= jobs * max(QUEUED_CHUNKS, 2 * batch)
        assert len({portion.count(name) for name in portion}) == 1


def test_a_pass_is_one_record() -> None:
    """Its time is the wall's, its audio that of all tasks, its parts those of one process."""
    cell = Cell(**SPEC.cell.model_dump() | {"protocol": "throughput", "jobs": 2})
    spec: WorkerSpec = SPEC.model_copy(update={"cell": cell})
    each = Worked(
        audio_ns=6_000, padded_audio_ns=8_000, frontend_ns=10, chunk_ns=(40, 50),
        processing_ns=110, cpu_ns=100, load_ns=7, first_chunk_ns=60,
    )  # fmt: skip
    order = Measure(block=3, position=1, utterances=("a", "b", "c"))
    record = team.record_of(spec, order, [(("a", "b"), each), (("c",), each)], wall_ns=130)
    assert (record.audio_ns, record.processing_ns, record.cpu_ns) == (12_000, 130, 200)
    assert (record.frontend_ns, record.engine_ns, record.chunk_ns) == (10, 90, (40, 50, 40, 50))
    assert (record.queued, record.utterance_ns) == (("a", "b", "c"), (110, 110, 110))
    assert (record.block, record.position) == (3, 1)
