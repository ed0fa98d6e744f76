"""Decision rules on simulated machines: how often wrong, how soon, and where each is weak."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from rtfbench.results.moderated import SessionValues, moderated
from rtfbench.results.sequential import Case, decide
from rtfbench.results.stats import hodges_lehmann
from tests.validation.coverage import coverage, coverage_table
from tests.validation.outcome import GOING_ON, PASS, REGRESSION
from tests.validation.rank_sums import holm, signed_rank_p
from tests.validation.rates import binomial_interval
from tests.validation.rules import RULES, Row, Tally, compare_rules, rules_table, sequential
from tests.validation.scenario import Scenario, centres, draw_blocks


def found(rule: str, scenario: Scenario, *, trials: int = 2000) -> Row:
    """Return what a rule said."""
    (row,) = compare_rules([rule], scenario, trials, seed=7)
    return row


def test_a_large_difference_is_called_after_two_sessions() -> None:
    """By hand: a block takes 2 * 5 * 0.06 s * 3.85 = 2.31 s, two sessions 2 * (1.2 + 2 * 2.31)."""
    row = found("guarded", Scenario(ratio=1.85))
    assert row.regression == row.trials
    assert row.seconds == pytest.approx(11.64)


def test_five_percent_are_called_within_half_a_minute() -> None:
    """Nearly always, at the assumed luck."""
    row = found("guarded", Scenario(ratio=1.05))
    assert row.regression / row.trials > 0.98
    assert row.seconds < 30


def test_nothing_passes_within_a_quarter_of_a_minute() -> None:
    """Identical sides pass."""
    row = found("guarded", Scenario())
    assert row.passed / row.trials > 0.99
    assert row.seconds < 15


@pytest.mark.parametrize("cells", [1, 3, 10])
@pytest.mark.parametrize("luck", [0.006, 0.018])
def test_false_alarms_at_the_margins_edge(cells: int, luck: float) -> None:
    """With every cell exactly at the margin, at most 1 % of gates raise an alarm."""
    scenario = Scenario(ratio=1.02, cells=cells, slowed=cells, luck=luck)
    row = found("guarded", scenario, trials=2000)
    assert binomial_interval(row.alarms, row.trials)[1] <= 0.01


def test_alarms_are_counted_in_any_cell() -> None:
    """A rule that errs often is seen to: of ten cells at the edge one is called more often."""
    rng = np.random.default_rng(0)
    scenario = Scenario(ratio=1.02, cells=10, slowed=10, luck=0.018)
    answers = sequential(scenario, 500, rng, alpha=0.5).answers == REGRESSION
    assert answers.any(axis=1).mean() > 2 * answers[:, 0].mean() > 0
    row = found("guarded", Scenario(ratio=1.2, cells=3), trials=500)
    assert row.regression == 500
    assert row.alarms == 0


def test_rank_sums_never_call_a_large_difference_within_a_minute() -> None:
    """Sessions of long slots fill the budget before they can be confirmed."""
    row = found("rank sums", Scenario(ratio=1.85))
    assert row.regression == 0
    assert row.inconclusive == row.trials


def test_rank_sums_with_time_call_it() -> None:
    """It is the budget that they lack."""
    row = found("rank sums", Scenario(ratio=1.85, budget_s=240), trials=500)
    assert row.regression / row.trials > 0.95
    assert row.seconds > 120


def test_students_rule_needs_more_sessions() -> None:
    """Two sessions never decide for it what they do for the moderated rule."""
    student, moderated_rule = (found(each, Scenario(ratio=1.85)) for each in ("student", "guarded"))
    assert student.seconds >= 1.5 * moderated_rule.seconds


def test_a_misleading_machine_spares_the_candidate() -> None:
    """With heavy tails and ten times the luck, false alarms stay rare: gates end undecided."""
    row = found("guarded", Scenario(ratio=1.02, luck=0.06, luck_df=3.0))
    assert binomial_interval(row.alarms, row.trials)[0] <= 0.01
    assert row.inconclusive > row.trials / 10


def test_two_sessions_that_agree_by_luck_convince_nobody_whose_ghost_does_not() -> None:
    """At thirty times the luck, two sessions seem to agree now and then; the ghost is asked too."""
    scenario = Scenario(luck=0.18)
    guarded, moderated_rule = (
        found(name, scenario, trials=8000) for name in ("guarded", "moderated")
    )
    assert binomial_interval(moderated_rule.alarms, 8000)[0] > 0.005
    assert binomial_interval(guarded.alarms, 8000)[1] < 0.003


def test_many_gates_decide_as_one_does() -> None:
    """What the arrays say of gates of two sessions is what `decide` says of each."""
    rng = np.random.default_rng(3)
    u = rng.normal(0.03, 0.02, (3, 2))
    tally = Tally((1, 3))
    for session in range(2):
        where = (np.zeros(3, np.intp), np.arange(3))
        tally.add(where, u[:, session])
    scale, df = tally.scale(0.009, 3.0)
    for cell in range(3):
        others = [u[other].tolist() for other in range(3) if other != cell]
        alone = moderated(u[cell].tolist(), others=others, prior=0.009)
        assert alone is not None
        assert (alone.mean, alone.scale, alone.df) == pytest.approx(
            (tally.mean[0, cell], scale[0, cell], df[0, cell])
        )


def test_a_decided_cell_still_informs_its_stratum() -> None:
    """A cell that needs no more sessions keeps its part in the spread of those that go on."""
    steady = SessionValues((0.0, 0.001), (0.0, 0.0))
    cell = SessionValues((0.25, 0.27), (0.0, 0.0))
    alone, beside = (
        decide(Case(cell, margin=0.02, limit=0.05, others=others))
        for others in ([], [steady, steady])
    )
    assert alone is not None
    assert beside is not None
    assert (alone.answer, beside.answer) == ("inconclusive", "regression")


def test_a_wild_cell_among_calm_ones_is_where_it_errs() -> None:
    """A prior from cells that are not alike misleads: less so the less it counts."""
    scenario = Scenario(ratio=1.02, cells=3, wild=5.0)
    alarms = []
    for weight in (3.0, 1.0):
        rng = np.random.default_rng(8)
        outcome = sequential(scenario, 8000, rng, most_prior_freedom=weight, ghost=False)
        answers = outcome.answers
        alarms.append(int((answers[:, 0] == REGRESSION).sum()))
    assert binomial_interval(alarms[0], 8000)[0] > 0.006
    assert binomial_interval(alarms[1], 8000)[1] < 0.006


def test_the_budget_is_kept() -> None:
    """No gate takes longer than its cells' budgets together, loading included."""
    for cells in (1, 3):
        scenario = Scenario(ratio=1.03, cells=cells, luck=0.03)
        outcome = sequential(scenario, 200, np.random.default_rng(1))
        assert outcome.seconds.max() <= 60 * cells
        assert set(np.unique(outcome.answers)) <= {GOING_ON, REGRESSION, PASS}


def rank_sum_p(sessions: Sequence[Sequence[float]], centre: float) -> float:
    """Return one gate's p-value: Student's test of the sessions' sums of signed ranks."""
    distances = np.concatenate([np.asarray(each) - centre for each in sessions])
    signed = np.sign(distances) * stats.rankdata(np.abs(distances))
    sums = [each.sum() for each in np.split(signed, np.cumsum([len(s) for s in sessions])[:-1])]
    return float(stats.ttest_1samp(sums, 0.0, alternative="greater").pvalue)


def test_rank_sums_are_those_of_one_gate() -> None:
    """P-values for many gates are those of each alone, whatever blocks a session has."""
    rng = np.random.default_rng(4)
    values = rng.normal(0.05, 0.05, (3, 2, 6, 4))
    values[1, :, 2:, 2:] = np.nan
    p = signed_rank_p(values, 0.02)
    for gate, cell in np.ndindex(3, 2):
        sessions = [session[np.isfinite(session)].tolist() for session in values[gate, cell]]
        assert p[gate, cell] == pytest.approx(rank_sum_p(sessions, 0.02))


def test_many_p_values_are_adjusted_as_holm_says() -> None:
    """By hand: the smallest of three counts three times, and none is below the one before it."""
    adjusted = holm(np.array([[0.04, 0.01, 0.03], [0.5, 0.9, 0.4]]))
    assert adjusted[0].tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert adjusted[1].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_centres_are_hodges_and_lehmanns() -> None:
    """The same as of one list."""
    values = np.random.default_rng(5).exponential(size=(4, 5))
    assert centres(values).tolist() == pytest.approx([hodges_lehmann(v.tolist()) for v in values])


def test_blocks_have_the_spread_that_is_said() -> None:
    """A ratio's spread is the noise of its blocks and the luck of two processes."""
    rng = np.random.default_rng(6)
    scenario = Scenario(ratio=1.1, spike_share=0.0, noise=0.015, luck=0.006)
    times = draw_blocks(rng, scenario, np.zeros(20_000, np.intp), blocks=2)
    ratio = times[:, 1] - times[:, 0]
    assert ratio.mean() == pytest.approx(np.log(1.1), abs=3e-4)
    assert (ratio[:, 0] - ratio[:, 1]).std() == pytest.approx(0.015 * 2**0.5, rel=0.03)
    assert np.cov(ratio.T)[0, 1] ** 0.5 == pytest.approx(0.006 * 2**0.5, rel=0.05)


def test_intervals_of_few_sessions() -> None:
    """At the assumed luck they hold and are narrow; three times that and a lone cell, 90 %."""
    for sessions in (2, 3, 4, 6):
        (row,) = coverage(["moderated"], Scenario(cells=3), sessions=sessions, trials=4000, seed=1)
        assert 0.94 <= row.held / row.trials <= 0.98
    narrow, wide = coverage(["moderated", "student"], Scenario(), sessions=2, trials=4000, seed=1)
    assert narrow.half_width is not None
    assert wide.half_width is not None
    assert narrow.half_width < wide.half_width / 2
    (row,) = coverage(["moderated"], Scenario(luck=0.018), sessions=3, trials=4000, seed=1)
    assert 0.89 <= row.held / row.trials < 0.94
    with pytest.raises(ValueError, match="need 6 sessions"):
        coverage(["signed ranks"], Scenario(), sessions=5, trials=10, seed=1)


def test_from_six_sessions_on_all_intervals_hold() -> None:
    """Student's over the sessions' values is never further from 95 % than the signed ranks'."""
    for luck, tails in ((0.006, None), (0.018, None), (0.018, 3.0)):
        scenario = Scenario(luck=luck, luck_df=tails)
        for row in coverage(["student", "signed ranks"], scenario, sessions=6, trials=4000, seed=2):
            assert 0.935 <= row.held / row.trials <= 0.97


def test_tables() -> None:
    """A row a rule and scenario, rates with their exact bounds."""
    rows = compare_rules(RULES, Scenario(ratio=1.85), 100, seed=0)
    text = rules_table(rows)
    assert len(text.splitlines()) == 2 + len(RULES)
    assert "100 of 100: 100.0% (96.4 to 100.0)" in text
    assert "| 1.85 |" in " ".join(text.split())
    text = coverage_table(coverage(["student"], Scenario(), sessions=3, trials=100, seed=0))
    assert text.splitlines()[2].startswith("| student")
