"""One run on one host that ssh reaches; it goes on there whatever becomes of the connection."""

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.base.files import MB
from rtfbench.base.pace import SignOfLife
from rtfbench.base.ssh import ConnectionLostError, RemoteHost
from rtfbench.measure.cluster import on_host
from rtfbench.measure.cluster.carried import Carried
from rtfbench.measure.cluster.measuring import SentFolder
from rtfbench.measure.whole_run import BAD_INPUT, INTERRUPTED, OK, SOME_FAILED
from rtfbench.report import figures
from rtfbench.results.store import LOCK, RECORDS

T = TypeVar("T")
#: The Python that is looked for where none is named.
PYTHON = "python3"
#: Pauses between attempts to connect again, and how long nothing may come of them.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
PATIENCE_S = 600.0
#: After Ctrl-C: how long an unreachable host is tried, and when a run is ended that does not end.
STOP_PATIENCE_S, STOP_AGAIN_S = 60.0, 180.0
#: What a run writes there, beside its input.
ROOM_BYTES = 5 * MB
#: How a run ends that has all that it was to measure.
COMPLETE = (OK, SOME_FAILED)


@dataclass(frozen=True)
class HostOrder:
    """What a host is to measure.

    Attributes:
        sent: plan, files and code.
        python: one that is there and has what a run needs; None makes an environment.
        before: the files of a run here that is gone on with.
        resume: whether a run of the same plan there is taken up.
        overwrite: whether one that was not brought back is deleted.
    """

    sent: Carried
    python: str | None
    before: dict[str, Path]
    resume: bool
    overwrite: bool


class HostRun:
    """The run of one host: from sending what it needs to bringing its folder back."""

    def __init__(
        self, address: str, order: HostOrder, stopping: Event, say: Callable[[str], None]
    ) -> None:
        """Connect to nothing yet; `stopping` is set where the user wants an end."""
        source = Path(on_host.__file__).read_bytes()
        self._host = RemoteHost(address, order.python or PYTHON, source)
        self._order, self._stopping, self._say = order, stopping, say
        self._nonce, self._run = secrets.token_hex(8), order.sent.id
        self._sha256s = order.sent.sha256s | {p: sha256_of(p) for p in order.before.values()}
        self._started = self._reached = False
        self._stopped_s: float | None = None

    def measure(self) -> SentFolder:
        """Make the run, and bring it back.

        Raises:
            InputError: it cannot be made or not be reached; one line with the host's name.
            KeyboardInterrupt: stopped before anything was started there.
        """
        known = self._hello()
        state = known["state"]
        if state is not None and not self._order.resume:
            going = "status" not in state
            if going or not self._order.overwrite:
                told = "goes on there" if going else "is there, and was not brought back"
                raise InputError(
                    f"{self._host.address}: a run of this plan {told}; --resume takes it up"
                )
            self.forget()
        if not (state and state.get("status", OK) in COMPLETE and self._order.resume):
            self._start(known)
        self._started = True
        status = self._follow()
        if status == on_host.GONE:
            self._say("its run was killed, or its host restarted; go on with --resume")
        files = self._fetch()
        if RECORDS not in files:
            self.forget()
            if self._stopping.is_set():
                refusal = "interrupted before anything was measured"
                return SentFolder(status=INTERRUPTED, refusal=refusal)
            # What the run said last is the reason, and was shown.
            refusal = f"its run left no result (status {status})"
            return SentFolder(status=BAD_INPUT, refusal=refusal)
        packed = {name: base64.b64encode(each).decode("ascii") for name, each in files.items()}
        ended = (*COMPLETE, BAD_INPUT)
        return SentFolder(status=status if status in ended else INTERRUPTED, files=packed)

    def forget(self) -> None:
        """Have the host delete a run that is stored here."""
        self._only(op="drop", run=self._run)

    def _hello(self) -> dict[str, Any]:
        """Make the first contact; what fails at once is not tried again."""
        wanted = sorted(set(self._sha256s.values()))
        try:
            (known,) = self._answers({"op": "hello", "run": self._run, "wanted": wanted})
        except ConnectionLostError as error:
            address = self._host.address
            raise InputError(
                f"{address}: no connection ({error}); `ssh {address} true` has to succeed without "
                "a question"
            ) from None
        self._reached = True
        return known

    def _start(self, known: dict[str, Any]) -> None:
        self._send(known)
        python = self._order.python
        if not python:
            wanted = list(self._order.sent.requirements)
            with SignOfLife(lambda: self._say("making its environment")).watching():
                python = self._only(op="environment", requirements=wanted)["python"]
        files = [*self._order.sent.files.items(), *self._order.before.items()]
        self._started = True
        self._only(
            op="start",
            run=self._run,
            nonce=self._nonce,
            code=self._sha256s[self._order.sent.code],
            python=python,
            files=[[name, self._sha256s[path]] for name, path in files],
            options=["--resume", "--bare"],
        )

    def _send(self, known: dict[str, Any]) -> None:
        """Send the files that the host lacks, each from where an earlier attempt was cut."""
        code, have = self._sha256s[self._order.sent.code], known["have"]
        paths = {sha256: path for path, sha256 in self._sha256s.items() if have[sha256] >= 0}
        if not paths:
            return
        sizes = {sha256: path.stat().st_size for sha256, path in paths.items()}
        whole = sum(sizes.values())
        needed = whole + ROOM_BYTES + 2 * sizes.get(code, 0)  # the code is unpacked
        if known["free"] < needed:
            raise InputError(
                f"{self._host.address}: {known['place']} needs {needed / MB:,.1f} MB, and its disk "
                f"has {known['free'] / MB:,.1f} MB left; make room there"
            )
        told = f"sending {figures.counted(len(paths), 'file')}, {whole / MB:,.1f} MB"

        def attempt() -> None:
            nonlocal have
            if have is None:
                (answer,) = self._answers({"op": "hello", "run": self._run, "wanted": [*paths]})
                have = answer["have"]
            missing = [(each, have[each]) for each in paths if have[each] >= 0]
            have = None
            files = [[sha256, sizes[sha256], offset] for sha256, offset in missing]
            payload = [(paths[sha256], offset) for sha256, offset in missing]
            list(self._answers({"op": "put", "files": files}, payload))

        self._say(told)
        with SignOfLife(lambda: self._say(told)).watching():
            self._steadily(attempt)

    def _follow(self) -> int:
        """Show the run's log until it has ended; return its status."""
        offset = 0

        def attempt() -> int:
            nonlocal offset
            status: int | None = None
            request = {"op": "follow", "run": self._run, "offset": offset}
            for answer in self._answers(request, idle=self._stop):
                for line in answer.get("log", "").splitlines():
                    self._say(line)
                offset, status = answer.get("offset", offset), answer.get("status")
            if status is None:
                raise ConnectionLostError("it ended early")
            return status

        return self._steadily(attempt)

    def _stop(self) -> None:
        """Interrupt the run there if the user wants an end, and end it if that was long ago."""
        now_s, stopped_s = time.monotonic(), self._stopped_s
        if self._stopping.is_set() and (stopped_s is None or now_s - stopped_s > STOP_AGAIN_S):
            self._only(op="stop", run=self._run, hard=stopped_s is not None)
            self._stopped_s = now_s

    def _fetch(self) -> dict[str, bytes]:
        request = {"op": "fetch", "run": self._run}
        return self._steadily(
            lambda: {
                answer["file"]: answer["bytes"]
                for answer in self._answers(request)
                if answer.get("file", LOCK) != LOCK
            }
        )

    def _only(self, **request: Any) -> dict[str, Any]:
        """Return the one answer to a request that may be asked again."""
        return self._steadily(lambda: list(self._answers(request))[-1])

    def _answers(
        self,
        request: dict[str, Any],
        payload: Sequence[tuple[Path, int]] = (),
        *,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[dict[str, Any]]:
        """Yield a connection's answers; notes and signs of life are not among them.

        Raises:
            ConnectionLostError: it ended before the last one.
        """
        complete = False
        for answer in self._host.ask(request, payload):
            if self._stopping.is_set() and not self._started:
                raise KeyboardInterrupt
            if answer is None:
                idle()
                continue
            self._reached = True
            if "refused" in answer:
                raise InputError(f"{self._host.address}: {answer['refused']}")
            if "note" in answer:
                self._say(answer["note"])
            elif "beat" not in answer:
                complete = complete or "file" not in answer
                yield answer
        if not complete:
            raise ConnectionLostError("it ended early")

    def _steadily(self, attempt: Callable[[], T]) -> T:
        """Do something, again where the connection is cut, for as long as there is hope.

        Raises:
            InputError: the host was not reached for long; what runs there goes on.
        """
        lost_s, pauses = time.monotonic(), iter(PAUSES_S)
        while True:
            self._reached = False
            try:
                return attempt()
            except ConnectionLostError as error:
                if self._reached:
                    lost_s, pauses = time.monotonic(), iter(PAUSES_S)
                patience_s = STOP_PATIENCE_S if self._stopping.is_set() else PATIENCE_S
                if time.monotonic() - lost_s > patience_s:
                    goes_on = "; its run goes on there, --resume finds it" * self._started
                    raise InputError(
                        f"{self._host.address}: no connection for {patience_s:.0f} s ({error})"
                        f"{goes_on}"
                    ) from None
                self._say(f"connection lost ({error}); trying again")
                pause_s = next(pauses, PAUSES_S[-1])
                if not self._stopping.is_set():
                    self._stopping.wait(pause_s)
                elif self._started:
                    time.sleep(pause_s)
                else:
                    raise KeyboardInterrupt from None
