"""The gate's rule and others on simulated machines, and the intervals of few sessions."""

from rtfbench.results.estimate import SESSIONS_FOR_RANKS
from tests.validation.coverage import RANKS, coverage, coverage_table
from tests.validation.rules import RULES, compare_rules, rules_table
from tests.validation.scenario import Scenario

#: True ratios: nothing, the margin's edge, and what is to be found.
RATIOS = (1.0, 1.02, 1.05, 1.20, 1.85)
#: How much more than is assumed sessions may differ.
LUCKS = (1.0, 3.0, 10.0)
SESSIONS = (2, 3, SESSIONS_FOR_RANKS, 12)


def section(*, gates: int, budget_s: float) -> str:
    """Simulate, and return what was found."""
    usual = Scenario(budget_s=budget_s)
    rows = [
        row
        for cells in (1, 3)
        for ratio in RATIOS
        for row in compare_rules(
            RULES, Scenario(ratio=ratio, cells=cells, budget_s=budget_s), gates, 0
        )
    ]
    wild = {
        luck: [
            row
            for ratio in RATIOS
            for row in compare_rules(
                ["guarded", "moderated"],
                Scenario(ratio=ratio, luck=luck * usual.luck, budget_s=budget_s),
                gates,
                1,
            )
        ]
        for luck in LUCKS[1:]
    }
    covered = [
        row
        for luck in LUCKS[:2]
        for cells in (1, 6)
        for sessions in SESSIONS
        for row in coverage(
            ["moderated", "student", *([RANKS] if sessions >= SESSIONS_FOR_RANKS else [])],
            Scenario(ratio=1.0, cells=cells, luck=luck * usual.luck),
            sessions=sessions,
            trials=gates,
            seed=2,
        )
    ]
    wilder = "\n\n".join(
        f"The same where processes differ {luck:g} times as much as is assumed:\n\n"
        + rules_table(rows)
        for luck, rows in wild.items()
    )
    return f"""
Gates of ResNet-34's size ({1000 * usual.chunk_s:.0f} ms a chunk), at most {budget_s:g} s a cell;
each process draws luck of {usual.luck:.1%}. `guarded` is the gate's rule:
`moderated` with a spread that is at least what the ghost's sessions let expect.

{rules_table(rows)}

{wilder}

How often 95 % intervals of few sessions hold the truth:

{coverage_table(covered)}
"""
