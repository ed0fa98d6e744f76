r"""One process, one cell: takes commands until it is told to stop.

Commands come as JSON lines on standard input, answers go as JSON lines to an inherited file
descriptor and never to standard output, where runtimes print. By hand, with a specification that
a run left in its `logs` folder:

    echo '{"command": "open"}' | python -m bench.worker logs/CELL.json 3>&1
"""

import argparse
import json
import os
import sys
import traceback
from pathlib import Path

from bench.base.child import answer, die_with_parent
from bench.measure.cell_worker import CellEnd, CellWorker
from bench.measure.messages import (
    COMMAND,
    Check,
    Done,
    Embed,
    Measure,
    Open,
    Stop,
    Warm,
    Work,
    WorkerSpec,
)
from bench.measure.protocol import PROTOCOL
from bench.results.lines import Outcome
from engines.protocol import EngineError

ANSWER_FD = 3


def serve(spec: WorkerSpec, fd: int) -> None:
    """Answer commands until told to stop, or until the parent is gone."""
    try:
        worker = CellWorker(spec)
        answer(fd, worker.loaded())
        for line in sys.stdin:
            command = COMMAND.validate_json(line)
            match command:
                case Open():
                    answer(fd, worker.open())
                case Measure():
                    for record in worker.measure(command):
                        answer(fd, record)
                    answer(fd, Done())
                case Warm():
                    worker.warm()
                    answer(fd, Done())
                case Work():
                    answer(fd, worker.work(command))
                case Check():
                    worker.check()
                    answer(fd, Done())
                case Embed():
                    worker.embed_scored(command.utterances)
                    answer(fd, Done())
                case Stop():
                    answer(fd, worker.finish())
                    return
    except Exception as error:  # whatever a runtime throws ends as this cell's row
        traceback.print_exc()
        answer(fd, _failure(spec, error))


def _failure(spec: WorkerSpec, error: Exception) -> Outcome:
    text = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, CellEnd):
        return Outcome(cell_id=spec.cell_id, status=error.status, reason=text, parity=error.parity)
    reason = text if isinstance(error, EngineError) else f"{type(error).__name__}: {text}"
    return Outcome(cell_id=spec.cell_id, status="failed", reason=reason)


def main(argv: list[str] | None = None) -> None:
    """Run a worker from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__)
    parser.add_argument("spec", type=Path, help="the cell's specification (JSON)")
    parser.add_argument("--answer-fd", type=int, default=ANSWER_FD)
    arguments = parser.parse_args(argv)
    die_with_parent()
    text = arguments.spec.read_text(encoding="utf-8")
    if (sent := json.loads(text).get("protocol", 1)) > PROTOCOL:
        sys.exit(f"this worker speaks protocol {PROTOCOL}, and was sent {sent}")
    spec = WorkerSpec.model_validate_json(text)
    # Before a runtime is loaded: thread pools take over the affinity that they find.
    os.sched_setaffinity(0, spec.cores)
    serve(spec, arguments.answer_fd)
