"""Sessions of identical processes, recorded once: what a machine's luck and noise really are.

A session has six processes of one cell, so any three of them can play candidate, baseline and
ghost of a gate in which nothing differs (`tests.validation.replay`). Kept is what the gate's values
are made of: of each process and block the time against the first process, as a logarithm.

A bank is a text file: a line that says what was recorded and where, then a line a session.
"""

import datetime
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field

from rtfbench.base.child import Interpreter
from rtfbench.base.errors import InputError
from rtfbench.base.values import Value
from rtfbench.gate.baseline import MARGIN, MAX_REGRESSION
from rtfbench.gate.verdict import Criterion, criteria
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell
from rtfbench.results.contrasts import block_times, contrasts_by_session
from rtfbench.results.moderated import prior_spread

#: Processes of a session.
PROCESSES = 6
#: Times are kept to a millionth.
PER_UNIT = 1_000_000
#: What a bank has: every time that a gate judges.
CRITERIA = criteria(margin=MARGIN, max_regression=MAX_REGRESSION)


class BankSession(Value):
    """One session: `logs` are, by criterion, a list of blocks for each process but the first.

    The values are millionths; `seconds` is how long the session took, starting included.
    """

    seconds: float
    logs: dict[str, list[list[int]]]


class BankHead(Value):
    """What was recorded: the cell, the machine, and what was going on beside it.

    `environments` is the number of each process's environment: processes of two that were built
    apart, of the same versions, are a harder test than those of one.
    """

    name: str
    cell: Cell
    version: str
    host: str
    recorded: str
    neighbour: bool = False
    environments: tuple[int, ...] = Field(default=(0,) * PROCESSES)


@dataclass(frozen=True)
class Bank:
    """A head and its sessions."""

    head: BankHead
    sessions: tuple[BankSession, ...]

    @property
    def prior(self) -> float:
        """How much sessions of the cell are assumed to differ."""
        return prior_spread(protocol=self.head.cell.protocol, form=self.head.cell.form)


def read_bank(path: Path) -> Bank:
    """Read a bank.

    Raises:
        InputError: it is none, or is damaged.
    """
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        head = BankHead.model_validate_json(first)
        sessions = tuple(BankSession.model_validate_json(line) for line in lines)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a bank of sessions ({type(error).__name__}); record it again"
        ) from error
    return Bank(head, sessions)


def read_banks(folder: Path) -> list[Bank]:
    """Read every bank of a folder, in the order of their names."""
    return [read_bank(path) for path in sorted(folder.glob("*.jsonl"))]


def record(
    prepared: Prepared,
    context: RunContext,
    path: Path,
    *,
    name: str,
    host: str,
    sessions: int,
    others_python: Interpreter | None = None,
    neighbour: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Record sessions into a file, each as it ends; those that it holds already count.

    Args:
        prepared: the cell.
        context: of the run that measures.
        path: the bank.
        name: what the bank is called.
        host: the machine, in words.
        sessions: how many the file shall hold.
        others_python: the second half of the processes runs in this Python.
        neighbour: whether something else is busy meanwhile; said, not done here.
        tell: is told how far it is.

    Raises:
        InputError: the file is another bank, or a process ended early.
    """
    half = PROCESSES // 2
    environments = (0,) * half + (0 if others_python is None else 1,) * (PROCESSES - half)
    known = len(read_bank(path).sessions) if path.exists() else 0
    jobs = [Job.of(prepared).replica(f"p{number}") for number in range(half)]
    jobs += [
        Job.of(prepared, others_python).replica(f"p{number}") for number in range(half, PROCESSES)
    ]
    group = Group(jobs, context, ghost=False)
    while known < sessions:
        began_s = time.monotonic()
        group.measure_session()
        seconds = time.monotonic() - began_s
        ended = [job.data.outcome.reason for job in jobs if job.failed and job.data.outcome]
        if ended:
            raise InputError(f"{name}: a process ended early: {ended[0]}")
        if not path.exists():
            ready = jobs[0].ready
            head = BankHead(
                name=name,
                cell=prepared.cell,
                version=ready.version if ready else "",
                host=host,
                recorded=datetime.date.today().isoformat(),
                neighbour=neighbour,
                environments=environments,
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head.model_dump_json() + "\n", encoding="utf-8")
        session = BankSession(seconds=round(seconds, 2), logs=dict(_logs(jobs, group.sessions - 1)))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(session.model_dump(), separators=(",", ":")) + "\n")
        known += 1
        tell(f"{name}: session {known} of {sessions}, {seconds:.0f} s")


def _logs(jobs: Sequence[Job], session: int) -> Iterator[tuple[str, list[list[int]]]]:
    """Yield each criterion's logarithms of a session, process by process against the first."""
    for criterion in CRITERIA:
        yield criterion.name, [_of_process(job, jobs[0], criterion, session) for job in jobs[1:]]


def _of_process(job: Job, first: Job, criterion: Criterion, session: int) -> list[int]:
    found = contrasts_by_session(
        job.data, first.data, partial(block_times, part_ns=criterion.part_ns)
    )
    values = found.get(session, [])[: criterion.values_a_session]
    return [round(PER_UNIT * value) for value in values]
