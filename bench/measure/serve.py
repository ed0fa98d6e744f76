r"""One process, one cell: takes commands until it is told to stop.

Commands come as JSON lines on standard input, answers go as JSON lines to an inherited file
descriptor and never to standard output, where runtimes print. By hand, with a specification that
a run left in its `logs` folder:

    echo '{"command": "open"}' | python -m rtfbench.worker logs/CELL.json 3>&1
"""

import argparse
import json
import sys
import traceback
from pathlib import Path

from pydantic import ValidationError

from rtfbench.base.child import answer, die_with_parent
from rtfbench.base.values import UnknownNameError
from rtfbench.engines.protocol import EngineError
from rtfbench.measure import PROTOCOL, procedures
from rtfbench.measure.cell_worker import CellEnd, CellWorker
from rtfbench.measure.machine import devices
from rtfbench.measure.messages import (
    COMMAND,
    Check,
    Done,
    Embed,
    Hear,
    Measure,
    Open,
    Stop,
    Warm,
    Work,
    WorkerSpec,
)
from rtfbench.results.lines import Outcome

ANSWER_FD = 3


def serve(spec: WorkerSpec, fd: int) -> None:
    """Answer commands until told to stop, or until the parent is gone."""
    try:
        worker = CellWorker(spec)
        answer(fd, worker.loaded())
        for line in sys.stdin.buffer:  # in UTF-8, whatever the locale
            command = COMMAND.validate_json(line)
            match command:
                case Open():
                    answer(fd, worker.open())
                case Measure():
                    worker.warm(command.utterances[0])
                    for record in procedures.of(spec.cell.protocol).measure(worker, command):
                        answer(fd, record)
                    answer(fd, Done())
                case Warm():
                    worker.warm()
                    answer(fd, Done())
                case Work():
                    answer(fd, worker.work(command))
                case Hear():
                    answer(fd, worker.hear(command))
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
    parser = argparse.ArgumentParser(prog="python -m rtfbench.worker", description=__doc__)
    parser.add_argument("spec", type=Path, help="the cell's specification (JSON)")
    parser.add_argument("--answer-fd", type=int, default=ANSWER_FD)
    arguments = parser.parse_args(argv)
    die_with_parent()
    text = arguments.spec.read_text(encoding="utf-8")
    if (sent := json.loads(text).get("protocol", PROTOCOL)) > PROTOCOL:
        sys.exit(f"this worker speaks protocol {PROTOCOL}, and was sent {sent}")
    try:
        spec = WorkerSpec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        sys.exit(f"{arguments.spec}: {where}: {first['msg'].removeprefix('Value error, ')}")
    try:
        device = devices.named(spec.cell.device)
    except UnknownNameError as error:
        sys.exit(f"{arguments.spec}: cell.device: {error}")
    device.pin(spec.cores)  # before a runtime is loaded
    serve(spec, arguments.answer_fd)
