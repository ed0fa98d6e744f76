"""Where few sessions are asked for: what is left goes to whom it helps most."""

from pathlib import Path

import pytest

from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Axes, Plan
from rtfbench.results.estimate import SESSIONS_FOR_RANKS
from rtfbench.results.lines import SLOTS

from .scripted import Script, ScriptedMachine

#: So many cells take turns: two engines and the ghost.
CELLS = 3
BUDGET_S = 40 * SLOTS * CELLS * (1 + 10) * Script().chunk_s


def plan(half_width: float) -> Plan:
    """Return two comparisons of two sessions each; in one, an engine has much luck."""
    return Plan(
        models=("calm", "wild"),
        half_width=half_width,
        budget_s=BUDGET_S,
        sweep=(
            Axes(
                models=("calm",),
                engines=parse_engines("one", "two"),
                sessions=2,
                protocols=("steady",),
            ),
            Axes(
                models=("wild",),
                engines=parse_engines("one", "lucky"),
                sessions=2,
                protocols=("steady",),
            ),
        ),
    )


def sessions(machine: ScriptedMachine, model: str) -> int:
    """Return in how many sessions a model was measured."""
    return len({w.spec.session for w in machine.workers if w.spec.cell.model == model})


def test_the_widest_interval_gets_what_is_left(tmp_path: Path) -> None:
    """A calm comparison keeps its two sessions; the other one gets up to six."""
    machine = ScriptedMachine({"lucky": Script(luck=0.1)})
    machine.measure(plan(0.02), tmp_path)
    assert sessions(machine, "calm") == 2
    assert 2 < sessions(machine, "wild") <= SESSIONS_FOR_RANKS
    assert machine.measured_s <= BUDGET_S * 1.05


@pytest.mark.parametrize("half_width", [0.9])
def test_what_is_narrow_enough_is_left_alone(tmp_path: Path, half_width: float) -> None:
    """Nobody gets more than was asked for where every interval is as narrow as was asked for."""
    machine = ScriptedMachine({"lucky": Script(luck=0.1)})
    machine.measure(plan(half_width), tmp_path)
    assert sessions(machine, "calm") == sessions(machine, "wild") == 2
