"""What is said of fewer bits holds against the numbers."""

from typing import Any

from bench.report.plots import eer_loss
from bench.report.precision_findings import precision_findings
from bench.results.rows import CellSummary, Ratio, Summary
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
    return summary(*cells, ratios=tuple(ratios))


def sentence(*cells: CellSummary) -> str:
    """Return the only finding."""
    (found,) = precision_findings(made(*cells))
    return found.text


def test_the_fastest_that_loses_nothing_sure_is_named() -> None:
    """A faster row that surely loses is passed over; the price of the chosen one is told."""
    text = sentence(
        in_float32("onnxruntime", 0.04),
        fewer("openvino", 0.01, (0.004, 0.001, 0.007)),
        fewer("onnxruntime", 0.02, (0.0007, -0.0002, 0.0015)),
    )
    assert "EER is not surely worse is onnxruntime:int8, 2.00 times as fast" in text
    assert "EER +0.07 points against float32 (-0.02 to +0.15)" in text
    assert "openvino" not in text


def test_where_all_lose_it_is_said() -> None:
    """No row is recommended that surely loses."""
    text = sentence(
        in_float32("onnxruntime", 0.04), fewer("onnxruntime", 0.02, (0.004, 0.001, 0.007))
    )
    assert "every row in fewer bits has a surely higher EER than float32" in text
    assert "times as fast" not in text


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
    assert "was not measured (--trials heldout)" in text
    assert "EER is not" not in text


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
    (picture,) = eer_loss.draw(result)
    assert picture.title == "ResNet-34: onnxruntime:int8, 2.00 times as fast as float32"
    assert beaten not in eer_loss.pareto_front(result.cells)
    assert not list(eer_loss.draw(made(in_float32("onnxruntime", 0.04))))
