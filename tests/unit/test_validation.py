"""The validation's document, and the order of its gates."""

from tests.validation import document
from tests.validation.machine import IntervalFinding
from tests.validation.whole_gate import IDENTICAL, SCENARIOS, GateFinding, Scenario, order


def finding(
    scenario: str, *, gate: int = 0, found: bool = False, alarm: bool = False
) -> GateFinding:
    """Return what a gate said."""
    return GateFinding(
        model="resnet34",
        cells=1,
        scenario=scenario,
        gate=gate,
        answer="regression" if found or alarm else "pass",
        found=found,
        elsewhere=("xvec: RTF",) if alarm else (),
        ratio=1.0,
        low=0.99,
        high=1.01,
        seconds=20.0,
    )


def test_sections_are_replaced_one_by_one() -> None:
    """A command that writes its own sections leaves those of the other, in the fixed order."""
    first = document.with_sections("", {"Whole gates of one cell": "\ngates\n"})
    both = document.with_sections(first, {"Simulated machines": "simulated", "This machine": "old"})
    new = document.with_sections(both, {"This machine": "new"})
    assert new.startswith("# ")
    assert [line for line in new.splitlines() if line.startswith("## ")] == [
        "## Simulated machines",
        "## This machine",
        "## Whole gates of one cell",
    ]
    assert "gates" in new
    assert "new" in new
    assert "old" not in new


def test_scenarios_are_mixed() -> None:
    """Whenever a validation is cut short, every scenario has its share of the gates."""
    gates = order(SCENARIOS)
    assert len(gates) == len(set(gates)) == sum(each.gates for each in SCENARIOS)
    half = gates[: len(gates) // 2]
    for scenario in SCENARIOS:
        count = sum(each == scenario for each, _ in half)
        assert abs(count - scenario.gates / 2) <= 1


def test_order_keeps_a_scenarios_numbers() -> None:
    """Gates of one scenario come in the order of their numbers."""
    gates = order([Scenario("a", 3), Scenario("b", 1)])
    assert [number for scenario, number in gates if scenario.name == "a"] == [0, 1, 2]


def test_gates_are_counted_with_exact_bounds() -> None:
    """A row a scenario; 0 of 40 is at most 8.8 %."""
    findings = [finding(IDENTICAL, gate=n) for n in range(40)]
    findings += [finding("slower", gate=n, found=n < 3) for n in range(4)]
    text = document.gate_section(findings, budget_s=60, host="here")
    assert "0 of 40: 0.0% (0.0 to 8.8)" in text
    assert "3 of 4: 75.0%" in text
    assert "Fewer gates than wanted, and nothing said of them: slower by 5 % (0 of 20)" in text
    assert "identical sides (" not in text


def test_a_false_alarm_is_counted() -> None:
    """Whatever was called slower though nothing differed."""
    findings = [finding(IDENTICAL, gate=n, alarm=n == 0) for n in range(10)]
    text = document.gate_section(findings, budget_s=60, host="here")
    assert "identical: 1 of 10: 10.0%" in text


def test_runs_are_counted_by_replica() -> None:
    """A row a replica: how often it was called different, and how often the truth was held."""
    findings = [
        IntervalFinding(
            run=number,
            replica=replica,
            true_ratio=true,
            ratio=true,
            low=low,
            high=1.06,
            sessions=6,
            blocks=6,
            seconds=18.0,
            width_after={6: 0.02},
        )
        for replica, true, lows in (("twin", 1.0, (0.98, 1.01)), ("slow", 1.05, (0.99, 1.04)))
        for number, low in enumerate(lows)
    ]
    text = document.machine_section(findings, what="xvec", budget_s=12, sessions=6, host="here")
    twin, slow = (line for line in text.splitlines() if line.startswith(("| twin", "| slow")))
    assert twin.count("1 of 2: 50.0%") == 2
    assert slow.count("1 of 2: 50.0%") == 1
    assert slow.count("2 of 2: 100.0%") == 1
    assert "(true 1.0500)" in slow
    assert "though nothing differs: 1 of 2" in text
