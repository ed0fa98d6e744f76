"""Signals in the middle of what has to be whole.

They come in a process of their own: in this one, whatever goes wrong with a signal would end all
tests.
"""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from rtfbench.base.interruption import SIGNALS, finishing

#: A block in which so many signals of a kind come; it writes down what was reached and said.
PROGRAM = """
import signal, sys
from contextlib import nullcontext
from rtfbench.base.interruption import finishing
from rtfbench.commands.process import as_interruption

times, number, ours = map(int, sys.argv[1:])
with as_interruption() if ours else nullcontext() as interruption:
    try:
        with finishing(print):
            for _ in range(times):
                signal.raise_signal(number)
            print("the end of the block")
        print("what is behind it")
    except KeyboardInterrupt:
        print("interrupted", interruption.status if interruption else "by Python")
"""


def run(
    times: int, number: signal.Signals, *, ours: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the program with the handlers of our commands, or with Python's."""
    numbers = (times, number, ours)
    # Unbuffered: what was said is seen whatever ends the process.
    command = [sys.executable, "-u", "-c", PROGRAM, *(str(int(each)) for each in numbers)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", SIGNALS)
def test_once_waits_for_the_end(number: signal.Signals) -> None:
    """The block is complete, what is behind it is not begun, and the wait is told."""
    done = run(1, number)
    assert done.returncode == 0, done
    said, *reached = done.stdout.splitlines()
    assert "once more ends at once" in said
    assert reached == ["the end of the block", f"interrupted {128 + number}"]


@pytest.mark.parametrize("number", SIGNALS)
def test_twice_does_not_wait(number: signal.Signals) -> None:
    """The second ends the block in its middle, and the process with it."""
    done = run(2, number)
    assert done.returncode == 128 + number, done
    assert len(done.stdout.splitlines()) == 1
    assert "once more ends at once" in done.stdout


def test_pythons_own_handler() -> None:
    """In a program of somebody else's, the second ends the block in its middle."""
    done = run(2, signal.SIGINT, ours=False)
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[1:] == ["interrupted by Python"]


def test_handlers_are_as_before() -> None:
    """Without a signal nothing is said or changed; in another thread nothing is at all."""
    before = [signal.getsignal(number) for number in SIGNALS]
    said: list[str] = []

    def run_quietly() -> list[object]:
        with finishing(said.append):
            return [signal.getsignal(number) for number in SIGNALS]

    assert run_quietly() != before
    with ThreadPoolExecutor() as pool:
        assert pool.submit(run_quietly).result() == before
    assert not said
    assert [signal.getsignal(number) for number in SIGNALS] == before
