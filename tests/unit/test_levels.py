"""An absolute RTF: what its interval rests on."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from rtfbench.results.cells import ProtocolName
from rtfbench.results.contrasts import complete_slots
from rtfbench.results.levels import Level, pass_s, rtf_level
from rtfbench.results.lines import SLOTS
from rtfbench.results.load import Load
from rtfbench.results.summary import _with_scaling
from tests.unit.report.results import row
from tests.unit.test_contrasts import add, cell_data

#: An utterance of `add` lasts a second.
PORTIONS = (("a", "b"), ("c", "d"), ("e", "f"))


def level_of(
    sessions: Sequence[Sequence[Mapping[str, float]]], protocol: ProtocolName = "steady"
) -> Level | None:
    """Return the level of a cell from each session's blocks: utterance -> milliseconds."""
    data = cell_data("mnn", protocol)
    for number, blocks in enumerate(sessions):
        for block, times_ms in enumerate(blocks):
            for position in range(SLOTS):
                add(data, number, block, position, **times_ms)
    return rtf_level(complete_slots(data.records), protocol)


def test_utterances_of_one_session_alone_do_not_hide_how_sessions_differ() -> None:
    """Sessions of one block hold other utterances each, and the interval is that of sessions."""
    factors = (0.97, 1.0, 1.03)
    found = level_of(
        [
            [dict.fromkeys(portion, 100 * factor)]
            for portion, factor in zip(PORTIONS, factors, strict=True)
        ]
    )
    assert found is not None
    assert found.rtf == pytest.approx(0.1, rel=0.001)
    assert found.ci95 is not None
    low, high = found.ci95
    spread = float(np.std(np.log(factors), ddof=1))
    # 4.30 is Student's factor of two degrees of freedom.
    assert math.log(high / low) / 2 == pytest.approx(4.30 * spread / math.sqrt(3), rel=0.01)


def test_one_session_has_no_interval() -> None:
    """However many its blocks: what a process draws by luck they all share."""
    found = level_of([[{"a": 100.0 + block} for block in range(20)]])
    assert found is not None
    assert found.ci95 is None


def test_a_spike_in_a_session_moves_little() -> None:
    """A session's level is the median of its slots'."""
    found = level_of([[{"a": 100.0}, {"a": 100.0}, {"a": 900.0}]] * 2)
    assert found is not None
    assert found.rtf == pytest.approx(0.1)


def test_a_value_of_the_published_protocol_holds_every_utterance() -> None:
    """The first run of an utterance costs more, so portions differ by what they hold."""
    blocks = [{"a": 400.0, "b": 100.0}, {"c": 100.0, "d": 100.0}]
    found = level_of([blocks, blocks[::-1]], "published")
    assert found is not None
    assert found.rtf == pytest.approx(0.175)
    assert found.ci95 == pytest.approx((0.175, 0.175))


def test_passes_are_of_all_utterances() -> None:
    """The seconds of a pass are those of every utterance, whichever a slot holds."""
    data = cell_data("mnn")
    for block, portion in enumerate(PORTIONS):
        for position in range(SLOTS):
            add(data, 0, block, position, **dict.fromkeys(portion, 100))
    assert pass_s(complete_slots(data.records), "steady") == pytest.approx([0.6] * 6)


def test_scaling_is_over_threads_alone() -> None:
    """Rows that differ in any other part of their condition are none of each other's."""
    rows = [
        row(protocol="server", threads=threads, load=Load(rate_per_s=rate), rtf=rtf)
        for threads, rate, rtf in ((1, 4.0, 0.04), (1, 8.0, 0.08), (2, 8.0, 0.05))
    ]
    found = [_with_scaling(each, rows) for each in rows]
    assert [each.speedup for each in found] == pytest.approx([1.0, 1.0, 1.6])
    assert [each.efficiency for each in found] == pytest.approx([1.0, 1.0, 0.8])
