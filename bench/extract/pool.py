"""Hands utterances to worker processes and takes their embeddings, in the order of the list.

The parent blocks while it waits, looks only a bounded way ahead in the list, and replaces a worker
that dies.
"""

import select
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rtfbench.base.child import Child, ChildDied, ChildError, ChildSilent, Started
from rtfbench.base.core_count import cores_here
from rtfbench.base.memory import LOOK_S, ChildTooLarge
from rtfbench.embed.embeddings import Origin
from rtfbench.extract import WORKER
from rtfbench.extract.messages import (
    ANSWER,
    EmbedderSpec,
    Embedding,
    ExtractionSetup,
    Opened,
    Refused,
    Task,
    Unusable,
    WorkerOptions,
)
from rtfbench.frontends.audio import NOT_TEXT, is_text, printable
from rtfbench.inputs.find import Utterance

NS_PER_S = 1_000_000_000
#: A worker has the next tasks at hand when it is done with one batch.
BATCHES_AT_HAND = 2
#: How far, in utterances, the fastest worker may run ahead of the slowest.
LOOK_AHEAD = 256
#: For a worker to open the model: the largest take some seconds.
OPEN_TIMEOUT_S = 600.0
#: For the rest of an answer that has begun to arrive.
ANSWER_TIMEOUT_S = 60.0
#: An utterance whose worker dies is tried once more.
TRIES = 2
#: After so many workers in a row that died before they were ready, another would too.
FAILED_STARTS = 2


class ExtractError(Exception):
    """No worker can be started; one line with what the last one said."""


class Finished(NamedTuple):
    """An utterance and its outcome."""

    utterance: Utterance
    answer: Embedding | Unusable

    @property
    def origin(self) -> Origin:
        """Where its embedding is from."""
        seconds = self.answer.audio_ns / NS_PER_S if isinstance(self.answer, Embedding) else None
        return Origin(seconds, str(self.utterance.path))


@dataclass
class TriedTask:
    """A task, and how many workers died of it."""

    task: Task
    deaths: int = 0


class Member:
    """A place in the pool: its present process and the tasks that it has, the first one running."""

    def __init__(
        self, spec: EmbedderSpec, number: int, logs: Path, ahead: Started | None, now_s: float
    ) -> None:
        self._spec, self._name, self._logs = (
            spec.model_dump_json(indent=2),
            f"worker-{number}",
            logs,
        )
        self.tries: deque[TriedTask] = deque()
        self.start(now_s, ahead)

    def start(self, now_s: float, ahead: Started | None = None) -> None:
        """Start a process, or hand the one that waits its specification."""
        self.opened, self.since = False, now_s
        self.child = Child(
            WORKER, self._spec, self._name, logs=self._logs, replies=ANSWER, ahead=ahead
        )


class Pool:
    """Workers for one setup. Use it as a context: its end ends the workers."""

    def __init__(
        self,
        setup: ExtractionSetup,
        options: WorkerOptions,
        *,
        jobs: int,
        cores: list[int],
        logs: Path,
        ahead: Started | None = None,
    ) -> None:
        """Start so many workers; what they print goes to `logs`.

        If there are enough cores, each worker gets its own, but not under a CPU quota: the
        containers of a host would all take the same ones. `ahead` is the first worker's process,
        where it was started before.
        """
        self._options, self._memory = options, options.memory
        self._again: deque[TriedTask] = deque()
        self._failed_starts = 0
        self._members: list[Member] = []
        pinned = not cores_here().limited and jobs * options.threads <= len(cores)
        for number in range(jobs):
            own = cores[number * options.threads : (number + 1) * options.threads]
            own = own if pinned else cores
            spec = EmbedderSpec(setup=setup, options=options, cores=tuple(own))
            waits = ahead if number == 0 else None
            self._members.append(Member(spec, number, logs, waits, time.monotonic()))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for member in self._members:
                stack.callback(member.child.close)

    def embed(self, utterances: Iterable[Utterance]) -> Iterator[Finished]:
        """Yield the outcome of every utterance, in their order.

        Raises:
            ExtractError: no worker can be started.
        """
        fresh = enumerate(utterances)
        waiting: deque[Utterance] = deque()
        answers: dict[int, Embedding | Unusable] = {}
        given = 0
        while True:
            # Before new tasks are handed out: what is done makes room for them.
            while given in answers:
                yield Finished(waiting.popleft(), answers.pop(given))
                given += 1
            # One at a time to each, so that a short list is shared out evenly.
            for member in self._members * (BATCHES_AT_HAND * self._options.batch):
                if len(member.tries) < BATCHES_AT_HAND * self._options.batch:
                    if not self._again and len(waiting) < LOOK_AHEAD:
                        for index, utterance in islice(fresh, 1):
                            waiting.append(utterance)
                            name, path, part = utterance.name, utterance.path, utterance.part
                            # What needs no worker to fail is given none.
                            if utterance.fault or not is_text(path):
                                reason = utterance.fault or f"{printable(path)}: {NOT_TEXT}"
                                answers[index] = Unusable(index=index, reason=reason)
                                continue
                            task = Task(index=index, name=name, path=path, part=part)
                            self._again.append(TriedTask(task))
                    if self._again:
                        self._hand_out(member, self._again.popleft())
            if not waiting:
                return
            if given not in answers:
                self._wait(answers)

    def _hand_out(self, member: Member, attempt: TriedTask) -> None:
        if not member.tries and member.opened:
            member.since = time.monotonic()
        member.tries.append(attempt)
        # What a dead worker answered before is still to be read; its end is met behind that.
        with suppress(ChildDied):
            member.child.send(attempt.task)

    def _wait(self, answers: dict[int, Embedding | Unusable]) -> None:
        """Take what the workers have to say, waiting until one does or is late."""
        busy = [member for member in self._members if member.tries or not member.opened]
        readable, _, _ = select.select([m.child for m in busy], [], [], self._patience_s(busy))
        for member in busy:
            answered = False
            try:
                if member.child in readable:
                    answered = self._listen(member, answers)
                else:
                    self._check_time(member)
                self._memory.check(member.child.pid)
            except ChildTooLarge as error:
                # What it answered may have taken the memory: of the next one nobody knows yet.
                self._replace(member, error, answers, blames=not answered)
            except ChildError as error:
                self._replace(member, error, answers)

    def _listen(self, member: Member, answers: dict[int, Embedding | Unusable]) -> bool:
        """Take every answer that a worker has sent, and say whether one is an utterance's."""
        answered = False
        while True:
            match member.child.receive(ANSWER_TIMEOUT_S):
                case Opened():
                    member.opened, self._failed_starts = True, 0
                case Refused() as refused:
                    raise ExtractError(refused.reason)
                case Embedding() | Unusable() as answer:
                    answers[answer.index] = answer
                    member.tries.popleft()
                    answered = True
            member.since = time.monotonic()
            if not member.child.has_answer:
                return answered

    def _patience_s(self, members: list[Member]) -> float | None:
        """Return after how many seconds to look at them: one may be late then; None for never."""
        waits_s = [left_s for member in members if (left_s := self._left_s(member)) is not None]
        if self._memory.max_bytes is not None:
            waits_s.append(LOOK_S)
        return max(0.0, min(waits_s)) if waits_s else None

    def _left_s(self, member: Member) -> float | None:
        """Return how long a worker still may take for what it does, None without a limit."""
        # Loading a model is no utterance's fault.
        limit_s = self._options.timeout_s if member.opened else OPEN_TIMEOUT_S
        return None if limit_s is None else member.since + limit_s - time.monotonic()

    def _check_time(self, member: Member) -> None:
        """Give a worker up that is late: it is `ChildSilent`."""
        left_s = self._left_s(member)
        if left_s is None or left_s > 0:
            return
        if not member.opened:
            raise ChildSilent(f"the model is not open within {OPEN_TIMEOUT_S:g} s")
        raise ChildSilent(
            f"no embedding within {self._options.timeout_s:g} s; a larger --timeout gives it more "
            "time"
        )

    def _replace(
        self,
        member: Member,
        error: ChildError,
        answers: dict[int, Embedding | Unusable],
        *,
        blames: bool = True,
    ) -> None:
        """Start a worker in a dead one's place; of its tasks, the running one is to blame.

        Any of a batch may have been: each of them is tried again alone.
        """
        member.child.close()
        if not blames:
            pass
        elif (
            member.opened
            and self._options.batch > 1
            and member.tries
            and not member.tries[0].task.alone
        ):
            for attempt in member.tries:
                attempt.task = attempt.task.model_copy(update={"alone": True})
        elif member.opened and member.tries:
            blamed = member.tries[0]
            blamed.deaths += 1
            if blamed.deaths == TRIES:
                member.tries.popleft()
                reason = f"{blamed.task.path}: tried {TRIES} times: {error}"
                answers[blamed.task.index] = Unusable(index=blamed.task.index, reason=reason)
        if not member.opened:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise ExtractError(str(error))
        self._again.extendleft(reversed(member.tries))
        member.tries.clear()
        member.start(time.monotonic())
