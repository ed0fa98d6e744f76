"""What children say, and one that is started before it has something to do."""

from pathlib import Path

import pytest

from rtfbench.base.child import (
    Child,
    ChildDied,
    ChildError,
    how_it_ended,
    read_answer,
    started_ahead,
)
from rtfbench.extract import WORKER
from rtfbench.extract.messages import ANSWER
from rtfbench.measure.messages import REPLY, Done


@pytest.mark.parametrize(
    "line", [b"free(): invalid pointer", b'{"kind": "record"}', b"\xff\xfe", b"a\rb", b"x" * 9999]
)
def test_an_answer_that_is_none_is_told_in_one_short_line(line: bytes) -> None:
    """The reason stands in a row of a table: it says what came, and is no page of its own."""
    with pytest.raises(ChildError) as raised:
        read_answer(REPLY, line)
    text = str(raised.value)
    assert "answer cannot be understood" in text
    assert repr(line.decode(errors="replace")[:20])[:-1] in text
    assert len(text.splitlines()) == 1
    assert len(text) < 250


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    """Real-time signals have none in Python."""
    assert how_it_ended(-11) == "killed by SIGSEGV"
    assert how_it_ended(-35) == "killed by signal 35"


def test_an_answer_is_what_was_sent() -> None:
    """A line that a worker writes comes back as the same value."""
    assert read_answer(REPLY, Done().model_dump_json().encode()) == Done()


def test_a_process_that_is_started_ahead_is_told_later(tmp_path: Path) -> None:
    """The first worker of an extraction imports before anybody knows what it is to open."""
    with started_ahead(WORKER) as started:
        child = Child(WORKER, "no specification", "worker", logs=tmp_path, replies=ANSWER,
                      ahead=started)  # fmt: skip
        assert child.pid == started.process.pid
        with pytest.raises(ChildDied, match=r"it said: .*json_invalid"):
            child.receive(60)


def test_a_process_that_is_started_ahead_in_vain_ends() -> None:
    """What was asked for may be refused before any worker is needed."""
    with started_ahead(WORKER) as started:
        pass
    assert started.process.returncode is not None
