"""What is said of fewer bits holds against the numbers."""

from typing import Any

from rtfbench.engines.protocol import not_computed
from rtfbench.report.plots import accuracy
from rtfbench.report.precision_findings import precision_findings
from rtfbench.results.rows import CellSummary, Ratio, Summary, TrialsOfRun
from tests.unit.report.results import ratio, row, summary


def in_float32(engine: str, rtf: float, **changes: Any) -> CellSummary:
    """Return a row that the others are compared with."""
    return row(engine=engine, rtf=rtf, rtf_ci95=(rtf * 0.99, rtf * 1.01), eer=0.03, **changes)


def fewer(
    engine: str, rtf: float, loss: tuple[float, float, float] | None, precision: str = "int8"
) -> CellSummary:
    """Return a row in another precision."""
    changed = {"precision": precision, "eer_loss": loss, "eer": 0.03 + (loss or (0,))[0]}
    return row(engine=engine, rtf=rtf, rtf_ci95=(rtf * 0.99, rtf * 1.01), **changed)


def made(*cells: CellSummary) -> Summary:
    """Return a result with the ratio of each row to the first."""
    first = cells[0]
    ratios: list[Ratio] = [
        ratio(
            engine=each.engine_label,
            reference=first.engine_label,
            ratio=(each.rtf or 0) / (first.rtf or 1),
            ci95=(0.98 * (each.rtf or 0) / (first.rtf or 1), 1.02 * each.rtf / (first.rtf or 1)),
            sessions=6,
        )
        for each in cells[1:]
        if each.rtf
    ]
    trials = TrialsOfRun(trials=1200, speakers=40, max_eer_loss=0.1)
    return summary(*cells, ratios=tuple(ratios)).model_copy(update={"trials": trials})


def sentence(*cells: CellSummary) -> str:
    """Return the only finding."""
    (found,) = precision_findings(made(*cells))
    return found.text


def test_the_fastest_that_keeps_its_accuracy_is_named() -> None:
    """A faster row whose loss is not known has its price beside it, with what trials resolve."""
    text = sentence(
        in_float32("onnxruntime", 0.04),
        fewer("openvino", 0.01, (0.0, -0.002, 0.002)),
        fewer("onnxruntime", 0.02, (0.0003, -0.0002, 0.0008)),
    )
    assert "the fastest row in fewer bits is openvino:int8, 4.00 times as fast" in text
    assert "(-0.20 to +0.20): not known to be within 0.1, 1200 trials resolve 0.30 points" in text
    assert "0.30 points, and 9.0 times as many speakers would resolve that" in text
    assert "the fastest that keeps its accuracy is onnxruntime:int8, 2.00 times as fast" in text
    assert "EER +0.03 points against float32 (-0.02 to +0.08)" in text


def test_a_loss_that_was_not_shown_is_not_kept_accuracy() -> None:
    """Where no row surely loses little enough, none is said to keep its accuracy."""
    text = sentence(in_float32("onnxruntime", 0.04), fewer("mnn", 0.02, (0.001, -0.001, 0.003)))
    assert "not known to be within 0.1" in text
    assert "keeps its accuracy" not in text


def test_few_speakers_tell_no_loss() -> None:
    """Trials of fewer than ten speakers give error rates, and no loss."""
    scored = row(engine="mnn", precision="int8", rtf=0.02, rtf_ci95=(0.0198, 0.0202), eer=0.03)
    result = made(in_float32("onnxruntime", 0.04), scored)
    few = TrialsOfRun(trials=20, speakers=4, max_eer_loss=0.1)
    (found,) = precision_findings(result.model_copy(update={"trials": few}))
    assert "4 speakers are too few for a loss" in found.text


def test_fewer_bits_may_be_slower() -> None:
    """What takes longer than the same engine in float32 is named, and is no gain."""
    text = sentence(
        in_float32("onnxruntime", 0.04),
        in_float32("mnn", 0.04),
        fewer("mnn", 0.12, (0.0, -0.001, 0.001)),
    )
    assert "no row in fewer bits is surely faster" in text
    assert "mnn:int8 takes 3.00 times as long as mnn in float32" in text


def test_without_trials_the_price_is_unknown() -> None:
    """The cosine stands in, and the way to the price is named."""
    text = sentence(in_float32("onnxruntime", 0.04), fewer("onnxruntime", 0.02, None))
    assert "cannot be told without trials (--trials heldout)" in text
    assert "EER is not" not in text


def test_only_what_another_host_may_run_is_told_of_this_one() -> None:
    """An engine that has no bf16 anywhere is no news of the host, and its row says so."""
    reasons = {"openvino": "openvino computes bf16 in float32 on this CPU", "mnn": ""}
    rows = [
        row(engine=name, precision="bf16", status="unsupported", rtf=None, reason=reason)
        for name in reasons
        for reason in [reasons[name] or f"{not_computed(name, 'bf16')}; it has: float32"]
    ]
    assert sentence(in_float32("onnxruntime", 0.04), *rows).endswith(
        ": not run here: openvino:bf16 (openvino computes bf16 in float32 on this CPU)."
    )


def test_float32_alone_says_nothing() -> None:
    """There is nothing to compare."""
    assert not list(
        precision_findings(made(in_float32("onnxruntime", 0.04), in_float32("mnn", 0.03)))
    )


def test_the_picture_says_what_the_sentence_says() -> None:
    """Its title names the same row and factor, and its front leaves out what is beaten."""
    beaten = fewer("mnn", 0.12, (0.004, 0.001, 0.007))
    result = made(
        in_float32("onnxruntime", 0.04), fewer("onnxruntime", 0.02, (0.0, -0.001, 0.001)), beaten
    )
    (picture,) = accuracy.draw(result)
    assert picture.title == (
        "ResNet-34: onnxruntime:int8 is 2.00 times as fast as onnxruntime in float32"
    )
    assert beaten not in accuracy.pareto_front(result, result.cells)
    (parity,) = accuracy.draw(made(in_float32("onnxruntime", 0.04), in_float32("mnn", 0.04)))
    assert parity.title == "ResNet-34: errors are at most 0 % of the parity limit"
