"""A ratio's interval, from one session to many."""

import math

import numpy as np
import pytest

from rtfbench.results.contrasts import run_ratios
from rtfbench.results.estimate import ratio_estimate, session_centres
from rtfbench.results.lines import Outcome
from rtfbench.results.moderated import moderated
from rtfbench.results.store import CellData
from tests.unit.test_contrasts import add, cell_data

SESSIONS = np.random.default_rng(0).normal(0.1, 0.01, (8, 5)).tolist()


def test_few_sessions_are_moderated_and_six_are_ranked() -> None:
    """The interval narrows from session to session; each says what it rests on."""
    found = [ratio_estimate(SESSIONS[:count]) for count in (1, 2, 3, 6, 8)]
    assert [each and each.sessions for each in found] == [1, 2, 3, 6, 8]
    assert [each and each.df for each in found] == [1, 2, 3, 5, 7]
    widths = [each.half_width for each in found if each]
    assert widths == sorted(widths, reverse=True)
    assert found[3] is not None
    assert found[3].ratio == pytest.approx(math.exp(0.1), rel=0.02)
    assert found[3].blocks == 30
    assert ratio_estimate([]) is None
    assert ratio_estimate([[]]) is None


def test_sessions_that_agree_by_luck_are_no_surer_than_the_ghost() -> None:
    """Where the reference differs from itself by 5 %, two equal sessions prove little."""
    agreeing, ghost = [[0.1], [0.1]], [0.05, -0.05]
    trusting, warned = ratio_estimate(agreeing), ratio_estimate(agreeing, ghost=ghost)
    assert trusting is not None
    assert warned is not None
    assert warned.ratio == trusting.ratio
    assert warned.half_width > 2 * trusting.half_width
    # Six sessions tell their own spread.
    assert ratio_estimate(SESSIONS, ghost=[1.0]) == ratio_estimate(SESSIONS)


def test_few_sessions_have_the_moderated_interval() -> None:
    """The centre is the mean of the sessions' own estimates."""
    centres = session_centres(SESSIONS[:3])
    expected = moderated(centres)
    found = ratio_estimate(SESSIONS[:3])
    assert expected is not None
    assert found is not None
    assert found.interval == pytest.approx([math.exp(end) for end in expected.interval()])


def measured(model: str, engine: str, logs: list[float]) -> list[CellData]:
    """Return a reference and an engine that takes exp(log) times as long, session by session."""
    reference, other = cell_data("onnxruntime"), cell_data(engine)
    for data in (reference, other):
        cell = data.cell.model_copy(update={"model": model})
        data.declaration = data.declaration.model_copy(update={"cell": cell})
        data.outcome = Outcome(cell_id="", status="ok")
    for session, log in enumerate(logs):
        for position in (0, 1):
            add(reference, session, 0, position, a=10**6)
            add(other, session, 0, position, a=round(10**6 * math.exp(log)))
    return [reference, other]


def test_other_models_of_the_same_engines_tell_of_the_spread() -> None:
    """Two sessions that agree by chance do not promise more than the others' do."""
    lucky = measured("lucky", "mnn", [0.1, 0.1])
    wild = [measured(f"wild{i}", "mnn", [0.0, 0.08, -0.05, 0.02]) for i in range(3)]
    calm = [measured(f"calm{i}", "mnn", [0.001, 0.0, -0.001, 0.0]) for i in range(3)]
    elsewhere = [measured(f"else{i}", "null", [0.0, 0.08, -0.05, 0.02]) for i in range(3)]
    (alone,) = run_ratios([lucky])
    beside = {
        name: run_ratios([lucky, *others])[0]
        for name, others in (("wild", wild), ("calm", calm), ("elsewhere", elsewhere))
    }

    def width(ratio: object) -> float:
        low, high = ratio.ci95  # type: ignore[attr-defined]
        return float(high / low)

    assert width(beside["wild"]) > width(beside["calm"])
    assert width(alone) > width(beside["calm"])
    assert beside["elsewhere"].ci95 == alone.ci95, "other engines say nothing of these"
    assert (alone.df, beside["calm"].df) == (2, 4)
