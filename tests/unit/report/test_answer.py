"""The answer on top of a report: held against the numbers of hundreds of results."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from rtfbench.report.answer import answer
from rtfbench.report.compare import paired_ratio
from rtfbench.results.cells import INTERRUPTED
from rtfbench.results.rows import EngineForm, Noise, Ratio, Summary
from tests.unit.report.results import failed, published_and_steady, ratio, row, summary
from tests.unit.report.test_true_sentences import INTERVAL, NUMBER, made

FIRST = re.compile(r"^(model\d): ([\w-]+) \(RTF")
TAKES = re.compile(rf"; ([\w-]+) takes {NUMBER} times as long(?: as [\w-]+)? {INTERVAL}")
TIED = re.compile(rf"([\w-]+) \({NUMBER} times as long, {NUMBER} to {NUMBER}\)")
#: Three significant digits are written near one, two after the point elsewhere.
WRITTEN = 0.0051


def steady(result: Summary, model: str, left: str, right: str) -> list[Ratio]:
    """Return the comparisons of two engines that a line may speak of."""
    wheres = {c.condition for c in result.cells if (c.model, c.protocol) == (model, "steady")}
    sides = [EngineForm(name, "dynamic") for name in (left, right)]
    found = (paired_ratio(result, where, *sides) for where in wheres)
    return [each for each in found if each is not None]


def written(each: Ratio, texts: Sequence[str]) -> bool:
    """Say whether figures are those of a comparison."""
    known = (each.ratio, *(each.ci95 or (0.0, 0.0)))
    return [float(text) for text in texts] == pytest.approx(known, abs=WRITTEN, rel=WRITTEN)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_slower_is_and_what_ties_does(seed: int) -> None:
    """Six lines at most; whoever takes longer surely does, and a tie is one."""
    result = made(seed)
    lines = answer(result)
    assert len(lines) <= 6
    assert lines[-1].startswith("Next: ")
    for line in lines:
        best, taken = FIRST.match(line), TAKES.search(line)
        if best is not None and taken is not None:
            name, *figures = taken.groups()
            found = steady(result, best[1], name, best[2])
            assert any(each.differs and written(each, figures) for each in found)
    head = re.match(r"(?:Tied with|Not told apart yet from) ([\w-]+): ", lines[1])
    for name, *figures in TIED.findall(lines[1]) if head else ():
        assert head is not None
        found = steady(result, result.cells[0].model, name, head[1])
        assert any(not each.differs and written(each, figures) for each in found)


def test_the_answer_of_the_first_case() -> None:
    """Who is fastest, what ties, the other protocol, where, how quiet, what is next."""
    noise = Noise(sentence="", contaminated=False, disturbed_share=0.01)
    result = published_and_steady().model_copy(update={"noise": noise})
    first, tied, other, where, host, next_ = answer(result)
    assert first == (
        "ResNet-34: mnn (RTF 0.04000) and mnn-mini (RTF 0.04000) are fastest; onnxruntime takes "
        "2.00 times as long as mnn (1.97 to 2.02)."
    )
    assert tied.startswith("Tied with mnn: mnn-mini (1.000 times as long, ")
    assert other.startswith(
        "Under the published protocol (a fresh session for every utterance, its "
    )
    assert "steady protocol" in where
    assert "32000 samples a chunk, 1 thread, 2 utterances (10 s)" in where
    assert host.startswith(
        "Host: Test CPU, 2 cores, quiet (1 % of blocks disturbed); differences a"
    )
    assert next_ == (
        "Next: a larger --budget or --thorough: all ratios here are provisional or undecided."
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"sessions": 6, "decided": False}, "`rtfbench tune --model "),
        ({"sessions": 3, "decided": True}, "a larger --budget or --thorough: the ratio here is"),
        ({"sessions": 6, "decided": False, "ci95": (0.97, 1.02)}, "a larger --budget"),
        ({"sessions": 6, "decided": True, "ci95": (0.999, 1.001)}, "`rtfbench tune --model "),
    ],
)
def test_more_is_asked_where_it_may_tell_another_thing(
    found: dict[str, Any], expected: str
) -> None:
    """An interval wider than asked for that leaves out 1 is an answer; one that holds 1 is none."""
    told = ratio(engine="mnn").model_copy(update=found)
    cells = [row(engine="onnxruntime", rtf=0.04), row(engine="mnn", rtf=0.02)]
    *_, next_ = answer(summary(*cells, ratios=(told,)))
    assert next_.startswith(f"Next: {expected}")


def test_fewer_bits_are_told_with_their_price() -> None:
    """Without trials nobody knows what int8 costs, and the answer says how to find out."""
    cells = [row(engine="onnxruntime", rtf=0.04), row(engine="mnn", precision="int8")]
    ratios = (ratio(engine="mnn:int8", sessions=6),)
    *_, lossy, _, _, next_ = answer(summary(*cells, ratios=ratios))
    assert lossy.startswith("In fewer bits: mnn:int8 is 2.00 times as fast as onnxruntime in float")
    assert "cannot be told without trials" in lossy
    assert next_.startswith("Next: `--trials heldout`")
    scored = cells[1].model_copy(update={"eer": 0.03, "eer_loss": (0.0, -0.0005, 0.0005)})
    told = summary(cells[0], scored, ratios=ratios)
    *_, lossy, _, _, next_ = answer(told)
    assert "EER +0.00 points against float32 (-0.05 to +0.05)" in lossy


def test_nothing_measured_says_so() -> None:
    """A run of failures has an answer too."""
    first, next_ = answer(summary(failed()))
    assert first == "No cell has an RTF; the reasons are below."
    assert next_.startswith("Next: `rtfbench explain --where-wrong`")


def test_what_the_budget_did_not_reach_is_not_claimed() -> None:
    """Rows of some utterances are not told as rows of all."""
    *_, where, _, _ = answer(summary(row(utterances=1), row(engine="onnxruntime", utterances=2)))
    assert where.endswith("1 of the 2 utterances (10 s in all; a larger --budget reaches them).")
    *_, where, _, _ = answer(summary(row(utterances=2), row(engine="onnxruntime", utterances=2)))
    assert where.endswith(" 2 utterances (10 s).")


def test_an_undisturbed_host_that_tells_little_is_not_called_quiet() -> None:
    """A neighbour on the same core takes time that no kernel counts: then only intervals tell."""
    noise = Noise(sentence="", contaminated=False, disturbed_share=0.01)
    cells = [row(engine="onnxruntime", rtf=0.04), row(engine="mnn", rtf=0.05)]
    wide, narrow = (ratio(engine="mnn", ci95=ends) for ends in ((0.9, 1.4), (1.24, 1.26)))
    *_, host, _ = answer(summary(*cells, ratios=(wide,), noise=noise))
    assert "quiet" not in host
    assert "1 % of blocks disturbed; differences above" in host
    *_, host, _ = answer(summary(*cells, ratios=(narrow,), noise=noise))
    assert "quiet (1 % of blocks disturbed); differences above" in host


def test_what_was_interrupted_goes_on() -> None:
    """No tuning of what was not measured yet."""
    *_, next_ = answer(summary(failed(status="failed", reason=INTERRUPTED, parity=None)))
    assert "--resume" in next_
    *_, next_ = answer(summary(failed(status="failed", reason="crashed", parity=None)))
    assert "tune" not in next_
    assert "the reasons name" in next_


@pytest.mark.parametrize(
    ("half", "said"), [(0.02, "Tied with onnxruntime: mnn"), (0.5, "Not told apart yet from onnx")]
)
def test_what_is_hardly_known_is_no_tie(half: float, said: str) -> None:
    """An interval that reaches from half to twice as long says nothing, and no tie."""
    cells = [row(engine="onnxruntime"), row(rtf=0.0201)]
    result = summary(*cells, ratios=(ratio(ratio=1.005, ci95=(1 / (1 + half), 1 + half)),))
    assert answer(result)[1].startswith(said)
