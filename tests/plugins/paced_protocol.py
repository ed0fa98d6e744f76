"""A protocol from outside: utterances arrive at a fixed pace, whether or not one is at work."""

import time
from collections.abc import Iterator, Sequence

from rtfbench.measure.cell_worker import CellWorker
from rtfbench.measure.messages import Measure
from rtfbench.measure.procedures import Procedure
from rtfbench.report.compare import Finding
from rtfbench.results.protocols import Figure, Protocol
from rtfbench.results.records import Record
from rtfbench.results.rows import Summary

EVERY_NS = 5_000_000


class Paced(Procedure):
    """Times an utterance from its arrival, so that waiting is in it."""

    def measure(self, worker: CellWorker, order: Measure) -> Iterator[Record]:
        """Take utterances as they arrive."""
        began_ns = time.perf_counter_ns()
        for number, name in enumerate(order.utterances):
            arrives_ns = began_ns + number * EVERY_NS
            time.sleep(max(arrives_ns - time.perf_counter_ns(), 0) / 1e9)
            waited_ns = time.perf_counter_ns() - arrives_ns
            record = worker.timed(order, name, worker.kept, worker.first_chunk_ns)
            yield record.model_copy(
                update={
                    "processing_ns": record.processing_ns + waited_ns,
                    "own": {"waiting_ns": (waited_ns,)},
                }
            )


def longest_wait_ms(records: Sequence[Record], _: float) -> float:
    """Return how long an utterance waited at most."""
    return max(ns for record in records for ns in record.own["waiting_ns"]) / 1e6


def findings(summary: Summary) -> Iterator[Finding]:
    """Say how long utterances waited."""
    for row in summary.cells:
        if wait_ms := row.figure("longest_wait_ms"):
            yield Finding("protocol", f"On {row.engine_label} one waited {wait_ms:.3g} ms.")


PACED = Protocol(
    name="paced",
    clock=f"an utterance every {EVERY_NS / 1e6:g} ms, timed from its arrival",
    procedure="paced_protocol:Paced",
    figures=(
        Figure(
            "longest_wait_ms", "longest wait ms", "what waited longest", longest_wait_ms, unit="ms"
        ),
    ),
    findings="paced_protocol:findings",
)
NOTHING = None
