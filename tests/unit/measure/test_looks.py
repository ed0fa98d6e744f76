"""When measuring stops: at a declared look, once every interval is narrow enough."""

from pathlib import Path

import pytest

from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Plan
from rtfbench.results.contrasts import course_of, run_ratios
from rtfbench.results.store import CellData, RunFolder

from .scripted import Script, ScriptedMachine

PLAN = Plan(engines=parse_engines("one", "two", "three"), protocols=("steady",), budget_s=6000)


def sessions_of(data: CellData) -> int:
    """Return in how many sessions a cell was measured."""
    return len({record.session for record in data.records})


def decided_after(sessions: int, group: list[CellData]) -> bool:
    """Say whether every interval was narrow enough after so many sessions."""
    known = [
        CellData(
            data.declaration,
            [r for r in data.records if r.session < sessions],
            course=data.course,
        )
        for data in group
    ]
    return all(ratio.decided for ratio in run_ratios([known]))


def measured(luck: float, path: Path) -> RunFolder:
    """Return a run in which one of three cells has luck."""
    machine = ScriptedMachine({"two": Script(luck=luck)})
    return machine.measure(PLAN, path)


@pytest.mark.parametrize(("luck", "sessions"), [(0.0, 6), (0.02, 12), (0.1, 24)])
def test_measuring_stops_at_the_first_look_that_is_narrow_enough(
    tmp_path: Path, luck: float, sessions: int
) -> None:
    """Not before, and not after: a quiet cell needs the first look, a noisy one the last."""
    group = list(measured(luck, tmp_path).cells().values())
    course = course_of(group)
    assert course is not None
    assert course.looks == (6, 12, 24)
    assert {sessions_of(data) for data in group} == {sessions}
    earlier = [look for look in course.looks if look < sessions]
    assert not any(decided_after(look, group) for look in earlier)
    assert decided_after(sessions, group) or sessions == course.looks[-1]


def test_the_noisiest_cell_keeps_the_others_measuring(tmp_path: Path) -> None:
    """One interval that is too wide is enough: only what takes turns can be compared."""
    group = list(measured(0.1, tmp_path).cells().values())
    quiet = [data for data in group if data.cell.engine != "two"]
    assert decided_after(6, quiet)
    assert {sessions_of(data) for data in quiet} == {24}


def test_the_course_is_declared_before_anything_is_measured(tmp_path: Path) -> None:
    """Looks, alpha and precision cannot depend on what was found: they stand ahead of it."""
    lines = list(measured(0.1, tmp_path).lines())
    kinds = [line.kind for line in lines]
    assert kinds.count("course") == 1
    assert kinds.index("course") < kinds.index("record")
