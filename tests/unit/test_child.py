"""What children say, without starting one."""

import pytest

from bench.base.child import ChildError, read_answer
from bench.measure.messages import REPLY, Done


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


def test_an_answer_is_what_was_sent() -> None:
    """A line that a worker writes comes back as the same value."""
    assert read_answer(REPLY, Done().model_dump_json().encode()) == Done()
