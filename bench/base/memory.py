"""What memory a process takes, and a limit that its parent holds it to.

The parent looks, because a limit of the kernel's would be one of addresses (RLIMIT_AS), of which
runtimes reserve far more than they use, and a process that meets it cannot say what it met.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from rtfbench.base.child import ChildError, ChildSilent

Reply = TypeVar("Reply")
#: How often the parent looks while it waits; a look takes some 50 µs.
LOOK_S = 0.1
MB = 1_000_000


class ChildTooLarge(ChildError):
    """The process took more memory than it may."""


class Memory(NamedTuple):
    """A process's resident size: the largest so far and the present one."""

    peak_bytes: int
    steady_bytes: int


def memory_of(pid: int | str = "self") -> Memory:
    """Return a process's memory.

    Read from the kernel's VmHWM: `getrusage` starts a child off with its parent's peak.

    Raises:
        OSError: there is no such process.
        KeyError: it is dead, and its parent was not told yet.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return Memory(*(int(found[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS")))


def family_of(pid: int) -> list[int]:
    """Return a process and all that descend from it, as far as they are still there."""
    import psutil  # every worker loads this module, and few processes ask

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


@dataclass(frozen=True)
class MemoryLimit:
    """What a process may take at most; None sets no limit."""

    max_bytes: int | None = None

    @classmethod
    def of_megabytes(cls, number: float | None) -> "MemoryLimit":
        """Return the limit that an option names, in 10^6 bytes."""
        return cls(None if number is None else round(number * MB))

    def check(self, *pids: int) -> None:
        """Look once at processes that share the limit; a peak that is over counts too.

        Raises:
            ChildTooLarge: they are, or were, larger together.
        """
        if self.max_bytes is None:
            return
        with suppress(OSError, KeyError):  # it is gone, which its answers will tell
            peak_bytes = sum(memory_of(pid).peak_bytes for pid in pids)
            if peak_bytes > self.max_bytes:
                raise ChildTooLarge(
                    f"took {peak_bytes / MB:.0f} MB of memory, and --max-rss allows "
                    f"{self.max_bytes / MB:.0f}; a larger one gives it more"
                )

    def wait(
        self, pid: int, receive: Callable[[float], Reply], timeout_s: float, *, family: bool = False
    ) -> Reply:
        """Wait for a process's answer, which `receive` does, and look while nothing comes.

        With `family`, what the process started counts as well.

        Raises:
            ChildTooLarge: the process is larger than it may be.
            ChildSilent: there is no answer within the time limit.
            ChildError: as `receive`.
        """
        left_s = timeout_s
        while self.max_bytes is not None and left_s > LOOK_S:
            try:
                reply = receive(LOOK_S)
            except ChildSilent:
                left_s -= LOOK_S
                self.check(*(family_of(pid) if family else [pid]))
            else:
                self.check(pid)
                return reply
        try:
            return receive(left_s)
        except ChildSilent:
            raise ChildSilent.after(timeout_s) from None
