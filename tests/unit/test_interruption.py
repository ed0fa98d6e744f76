"""Signals in the middle of what has to be whole."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.base.interruption import SIGNALS, finishing
from bench.cli.signals import as_interruption


def run(times: int, number: signal.Signals, done: list[str]) -> None:
    """Let so many signals come in a block, and write down what was reached and said."""
    with finishing(done.append):
        for _ in range(times):
            signal.raise_signal(number)
        done.append("the end of the block")
    done.append("what is behind it")


@pytest.mark.parametrize("number", SIGNALS)
def test_once_waits_for_the_end(number: signal.Signals) -> None:
    """The block is complete, what is behind it is not begun, and the wait is told."""
    done: list[str] = []
    with as_interruption() as interruption:
        with pytest.raises(KeyboardInterrupt):
            run(1, number, done)
        assert interruption.status == 128 + number
    (said, reached) = done
    assert "once more ends at once" in said
    assert reached == "the end of the block"


def test_twice_does_not_wait() -> None:
    """Python's own handler ends the block in its middle."""
    done: list[str] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(2, signal.SIGINT, done)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(done) == 1


def test_handlers_are_as_before() -> None:
    """Without a signal nothing is said or changed; in another thread nothing is at all."""
    before = [signal.getsignal(number) for number in SIGNALS]
    done: list[str] = []
    run(0, signal.SIGINT, done)
    with ThreadPoolExecutor() as pool:
        pool.submit(run, 0, signal.SIGINT, done).result()
    assert done == ["the end of the block", "what is behind it"] * 2
    assert [signal.getsignal(number) for number in SIGNALS] == before
