"""Pictures: they show what was measured, say what they show, and are the same each time."""

import xml.etree.ElementTree as ElementTree

import pytest

from rtfbench.report import plots
from rtfbench.report.plots.accuracy import pareto_front
from rtfbench.report.plots.style import Picture, looks, wrap
from rtfbench.results.cells import Parity
from rtfbench.results.rows import Summary
from tests.unit.report.results import curve, failed, published_and_steady, row, summary

SIZES = (16000, 32000, 48000, 80000, 160000)


def pictures(result: Summary) -> dict[str, Picture]:
    """Draw a result."""
    return {each.name: each for each in plots.draw(result)}


def test_a_curve_says_who_is_fastest() -> None:
    """The title is the finding; the caption has machine, versions and threads."""
    drawn = pictures(curve(*SIZES))["rtf-by-chunk-size-resnet34-t1"]
    assert (
        drawn.title
        == "ResNet-34: mnn is 1.50 to 2.00 times as fast as the others at every chunk size "
        "(steady)"
    )
    for part in ("Test CPU", "onnxruntime 1.0", "mnn 1.0", "1 thread", "95 % interval"):
        assert part in drawn.caption


def test_a_title_names_no_winner_without_intervals() -> None:
    """Without ratios the title states the range, not a winner."""
    result = curve(*SIZES).model_copy(update={"ratios": ()})
    for drawn in pictures(result).values():
        assert "fastest" not in drawn.title


def test_one_chunk_size_is_no_curve() -> None:
    """A picture is drawn only where the run has figures for it."""
    names = set(pictures(curve(32000)))
    assert not {name for name in names if "chunk-size" in name or "thread" in name}
    assert {"rtf-by-model-t1", "where-the-time-goes", "accuracy-against-speed"} <= names


def test_a_models_path_leads_a_picture_nowhere() -> None:
    """Runs of others are drawn too: whatever their model is called, files stay in the folder."""
    result = curve(*SIZES)
    cells = tuple(each.model_copy(update={"model": "../../m.onnx"}) for each in result.cells)
    names = set(pictures(result.model_copy(update={"cells": cells})))
    assert "rtf-by-chunk-size-..-..-m.onnx-t1" in names
    assert not any("/" in name for name in names)


def test_threads_without_a_row_of_one_are_left_out_of_the_title() -> None:
    """The title is of the largest number that has a speed-up."""
    result = summary(row(), row(threads=2, rtf=0.0125), row(engine="other", threads=4))
    drawn = pictures(result)["thread-scaling-steady-32000"]
    assert drawn.title == "2 threads are 1.60× to 1.60× as fast as one"


def test_threads_that_compare_nothing_say_so() -> None:
    """One engine with one thread, another with two: nothing tells what threads bring."""
    drawn = pictures(summary(row(), row(engine="other", threads=2)))
    titles = [each.title for name, each in drawn.items() if name.startswith("thread-scaling")]
    assert titles in ([], ["No row was measured with one thread and with more"])


def test_threads_are_drawn_when_there_are_several() -> None:
    """Two thread counts give the scaling; its title has the range of what they bring."""
    result = summary(row(), row(threads=2, rtf=0.0125), row(engine="other"))
    drawn = pictures(result)["thread-scaling-steady-32000"]
    assert drawn.title == "2 threads are 1.60× to 1.60× as fast as one"


def test_time_parts_name_the_largest() -> None:
    """Of 375 ms, 350 in the first chunk, the first chunk is what is named."""
    drawn = pictures(published_and_steady())["where-the-time-goes"]
    # 20 ms to load, 350 in the first chunk, a thousandth of 5 s in the front end.
    assert drawn.title == "From nothing to the embedding: 93 % of mnn's time is its first chunk"


def test_nothing_measured_draws_nothing() -> None:
    """A run of failures has no pictures and no error."""
    assert pictures(summary(failed())) == {}


def test_a_failed_row_is_named_under_the_picture() -> None:
    """What is not drawn is said."""
    result = summary(row(), failed(form="static"))
    assert "mnn static (wrong output)" in pictures(result)["rtf-by-model-t1"].caption


def test_whatever_a_picture_leaves_out_is_named() -> None:
    """Panels and bars have a limit; what does not fit, and what failed, stands in the caption."""
    cells = [
        row(model=f"model{n}", title=f"Model {n}", engine=engine, protocol="published")
        for n in range(20)
        for engine in ("onnxruntime", "mnn")
    ]
    drawn = pictures(summary(*cells, failed(protocol="published")))
    accuracy = drawn["accuracy-against-speed"]
    assert accuracy.title.startswith("12 models: ")
    assert "not drawn: ResNet-34 on mnn dynamic (wrong output), Model 12, Model 13" in (
        accuracy.caption
    )
    assert "and 5 more" in accuracy.caption
    assert "not drawn: Model 16 on onnxruntime" in drawn["where-the-time-goes"].caption


def test_lines_are_of_one_length_and_keep_units_with_their_numbers() -> None:
    """A title of two lines does not leave a word alone, nor a number without its unit."""
    words = "ResNet-34: mnn on the Pareto front; every error is at most 23 % of the parity limit"
    lines = wrap(words, 60)
    assert len(lines) == 2
    assert min(map(len, lines)) > 0.6 * max(map(len, lines))
    assert " ".join(lines).replace("\N{NO-BREAK SPACE}", " ") == words
    for width in range(20, 60):
        assert not any(line.startswith("%") for line in wrap(words, width))
    assert wrap("one line", 60) == ["one line"]
    assert wrap("", 60) == []


@pytest.mark.parametrize(
    "result", [curve(*SIZES), published_and_steady(), summary(row(rtf_ci95=None))]
)
def test_pictures_are_repeatable_files(result: Summary) -> None:
    """The same result gives the same bytes; SVG is XML without a date, PNG is PNG."""
    first, second = pictures(result), pictures(result)
    assert [each.svg + each.png for each in first.values()] == [
        each.svg + each.png for each in second.values()
    ]
    for picture in first.values():
        ElementTree.fromstring(picture.svg)
        assert b"<dc:date>" not in picture.svg
        assert picture.png.startswith(b"\x89PNG")


def test_engines_differ_in_colour_and_marker() -> None:
    """Each engine and form has its own look, kept in every picture."""
    found = looks(published_and_steady()).values()
    assert len({look.color for look in found}) == len({look.marker for look in found}) == 3


def test_the_pareto_front() -> None:
    """On the front is what nothing surely beats; rounding errors and ties in speed beat nothing."""

    def front(*pairs: tuple[float, float]) -> list[float | None]:
        rows = [
            row(
                rtf=rtf,
                rtf_ci95=(rtf * 0.98, rtf * 1.02),
                parity=Parity(cosine=1.0, max_rel_err=error, ok=True),
            )
            for rtf, error in pairs
        ]
        return [each.rtf for each in pareto_front(summary(*rows), rows)]

    assert front((0.01, 4e-4), (0.02, 1e-6), (0.03, 1e-4), (0.015, 4e-4)) == [0.01, 0.02]
    # A tenth of an error that is rounding is no reason to take twice as long.
    assert front((0.02, 1e-6), (0.04, 1e-7)) == [0.02]
    # Half a percent is within the intervals: both are as fast.
    assert front((0.02, 4e-4), (0.0201, 4e-4)) == [0.02, 0.0201]
