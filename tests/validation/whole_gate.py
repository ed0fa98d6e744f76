"""The whole gate on this very machine: identical sides, known slow-downs, a busy neighbour.

In some, the first cell's candidate computes on for a share of each call; the other cells' sides are
identical always.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from rtfbench.base.values import Value
from rtfbench.gate.baseline import MARGIN, MAX_REGRESSION
from rtfbench.gate.measure import GatedCell, run
from rtfbench.gate.verdict import Answer, criteria, overall
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell
from tests.validation.machine import steady_cell
from tests.validation.neighbour import neighbour


@dataclass(frozen=True)
class Scenario:
    """What the gates of one row of the table have in common, and how many are wanted."""

    name: str
    gates: int
    slowdown: float = 0.0
    neighbour: bool = False


#: What a gate's cells are, the first one alone or all.
SHAPES = (("onnxruntime", 32000), ("mnn", 32000), ("onnxruntime", 16000))
IDENTICAL = "identical sides"
SCENARIOS = (
    Scenario(IDENTICAL, 40),
    Scenario("slower by 5 %", 20, 0.05),
    Scenario("slower by 20 %", 20, 0.20),
    Scenario("identical sides, busy neighbour", 20, neighbour=True),
)


class GateFinding(Value):
    """What one gate said.

    `found` says whether the slowed cell's RTF was called a regression, `elsewhere` names whatever
    else was: a false alarm. `ratio`, `low` and `high` are the first cell's.
    """

    model: str
    cells: int
    scenario: str
    gate: int
    answer: Answer
    found: bool
    elsewhere: tuple[str, ...]
    ratio: float | None
    low: float | None
    high: float | None
    seconds: float


def order(scenarios: Sequence[Scenario]) -> list[tuple[Scenario, int]]:
    """Return every gate, the scenarios mixed, so that a drift of the machine meets all alike."""
    gates = [(scenario, number) for scenario in scenarios for number in range(scenario.gates)]
    return sorted(gates, key=lambda gate: (gate[1] + 0.5) / gate[0].gates)


def cells(model: str, count: int) -> list[Cell]:
    """Return the cells of a gate, three at most."""
    return [steady_cell(model, engine, chunk_samples) for engine, chunk_samples in SHAPES[:count]]


def run_once(
    prepared: Sequence[Prepared],
    context: RunContext,
    scenario: Scenario,
    *,
    number: int,
    budget_s: float,
) -> GateFinding:
    """Run one gate of a scenario."""
    began_s = time.monotonic()
    slowed, *others = prepared
    cell = slowed.cell.model_copy(update={"slowdown": scenario.slowdown})
    pairs = [(replace(slowed, cell=cell), slowed), *((each, each) for each in others)]
    asked = [
        GatedCell(_name(base.cell), Job.of(head), Job.of(base), context) for head, base in pairs
    ]
    disturbed = neighbour(context.cores[0]) if scenario.neighbour else nullcontext()
    with disturbed:
        result = run(
            asked,
            context,
            criteria(margin=MARGIN, max_regression=MAX_REGRESSION),
            budget_s=budget_s,
        )
    first = (_name(slowed.cell), "RTF")
    ruling = next(ruling for ruling in result.rulings if (ruling.cell, ruling.criterion) == first)
    alarms = [ruling for ruling in result.rulings if ruling.answer == "regression"]
    return GateFinding(
        model=slowed.cell.model,
        cells=len(prepared),
        scenario=scenario.name,
        gate=number,
        answer=overall(result.rulings),
        found=ruling.answer == "regression",
        elsewhere=tuple(
            f"{alarm.cell}: {alarm.criterion}"
            for alarm in alarms
            if not scenario.slowdown or (alarm.cell, alarm.criterion) != first
        ),
        ratio=ruling.ratio,
        low=ruling.interval[0] if ruling.interval else None,
        high=ruling.interval[1] if ruling.interval else None,
        seconds=round(time.monotonic() - began_s, 1),
    )


def _name(cell: Cell) -> str:
    return f"{cell.model}, {cell.engine_label}, {cell.chunk_samples}"
