"""One whole comparison on a host of a cluster: it comes as a plan and goes back as a run folder."""

import base64
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer

from rtfbench.base.asking import ask, respond
from rtfbench.base.cache import sha256_of
from rtfbench.base.child import ChildError
from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder, user_folder
from rtfbench.base.values import Value
from rtfbench.engines.protocol import EngineError
from rtfbench.measure.plan import Plan
from rtfbench.measure.whole_run import Audience, run_plan
from rtfbench.models.facts import Facts, facts_of
from rtfbench.results.store import LOCK, RunFolder

#: No comparison takes longer: whatever still runs then, hangs.
LONGEST_S = 7 * 24 * 3600.0
#: Dask sets it for its workers, and it would change how the measured processes get their memory.
NOT_INHERITED = "MALLOC_TRIM_THRESHOLD_"


class HostTask(Value):
    """What a host is to measure; all paths are absolute.

    The versions of the plan's engines are in `facts`; `files` are models and recordings, path ->
    SHA-256.
    """

    facts: Facts
    #: What was left to a default is left so: the size of chunks may follow from the windows.
    plan: Annotated[Plan, PlainSerializer(lambda plan: plan.model_dump(exclude_unset=True))]
    libraries: dict[str, Path]
    files: dict[str, str]


class SentFolder(Value):
    """A run folder on its way: name -> content as base64, and what the run said meanwhile.

    `refusal` is why there is none, else empty.
    """

    kind: Literal["run"] = "run"
    refusal: str = ""
    status: int = 2
    notes: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)

    def store(self, folder: RunFolder) -> None:
        """Write the files to a folder of this machine.

        Raises:
            InputError: a name that leads elsewhere.
        """
        for name, content in self.files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise InputError(f"{folder.path}: a file called {name!r} does not belong here")
            folder.write(name, base64.b64decode(content))


def describe(comparison: dict[str, Any]) -> dict[str, Any]:
    """Say which host this is, and what keeps it from being of use."""
    asked = HostTask.model_validate(comparison)
    return {"host": socket.gethostname(), "unfit": _unfit(asked)}


def _unfit(asked: HostTask) -> list[str]:
    try:
        specs = [spec for axes in asked.plan.sweeps for spec in axes.engines]
        found = facts_of(*specs).differences(asked.facts)
    except EngineError as error:
        return [str(error)]
    for path, sha256 in asked.files.items():
        try:
            if sha256_of(Path(path)) != sha256:
                found.append(f"{path} is not the client's; put that file there")
        except OSError as error:
            found.append(f"{path} cannot be read ({error.strerror}); put the file there")
    return found


def measure_here(comparison: dict[str, Any]) -> dict[str, Any]:
    """Make a whole run on this host, where no other one is being made."""
    asked = HostTask.model_validate(comparison)
    try:
        with _alone():
            done = ask("rtfbench.measure.cluster.measuring", asked, SentFolder, timeout_s=LONGEST_S)
    except (InputError, ChildError) as error:
        done = SentFolder(refusal=str(error))
    return done.model_dump(mode="json")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of this host.

    Raises:
        InputError: another comparison has it.
    """
    fd = os.open(user_folder() / "measuring", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError("another comparison is being measured here; wait for it") from None
    finally:
        os.close(fd)


def _measure(asked: HostTask) -> SentFolder:
    """Make the run in this process, which is its own."""
    os.environ.pop(NOT_INHERITED, None)
    notes: list[str] = []
    audience = Audience(notes.append, notes.append, lambda: nullcontext(_Noting(notes)))
    with TemporaryDirectory(dir=process_folder()) as scratch:
        path = Path(scratch) / "run"
        try:
            done = run_plan(asked.plan, path, audience, libraries=asked.libraries)
        except InputError as error:
            return SentFolder(refusal=str(error), notes=tuple(notes))
        files = {
            each.relative_to(path).as_posix(): base64.b64encode(each.read_bytes()).decode("ascii")
            for each in sorted(path.rglob("*"))
            if each.is_file() and each.name != LOCK
        }
    return SentFolder(status=done.status, notes=tuple(notes), files=files)


class _Noting(Progress):
    """Progress that is not shown, but for its notes."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def note(self, text: str) -> None:
        """Remember it."""
        self._notes.append(text)


if __name__ == "__main__":
    respond(HostTask, _measure)
