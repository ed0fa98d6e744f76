"""Rows that ran on libraries of the user's own, and how a reader sees them."""

from rtfbench.report import libraries, markdown
from rtfbench.report.page import render
from rtfbench.report.run_document import of_run
from rtfbench.results.rows import Ghost, Noise

from .results import ratio, row, summary

MINI = {"home": "/opt/mini-3.6.1"}
OTHER = {"home": "/opt/mini-2.8.3", "precision": "low"}
FULL = {"home": "/opt/full"}
RAN = {
    "build": "minimal library, /opt/mini-3.6.1/lib/libMNN.so, SHA-256 0123456789ab",
    "version": "3.6.1",
    "effective": {"library_bytes": 2_193_664, "mega_macs": 9.0, "mega_macs_from": "the model"},
}


def test_a_minimal_library_reads_as_published() -> None:
    """Alone, its row is called what the published table calls it; its size is a column."""
    result = summary(row(), row(engine="mnn-mini", form="static", settings=MINI, **RAN))
    text = markdown.draw(of_run(result))
    assert "| mnn mini_libs |" in text
    assert "/opt/mini-3.6.1 " not in text
    assert "library MB" in text
    assert "2.19" in text
    assert (
        "- Library of mnn mini_libs: minimal library, /opt/mini-3.6.1/lib/libMNN.so, SHA-256 "
        "0123456789ab, MNN 3.6.1, 2,193,664 bytes."
    ) in text


def test_several_are_told_apart() -> None:
    """Each of several has the shortest name that is its own; a full one always names its folder."""
    cells = [
        row(engine="mnn-mini", form="static", settings=MINI),
        row(engine="mnn-mini", form="static", settings=OTHER),
        row(engine="mnn", settings=FULL),
        row(engine="mnn", settings={"home": "/other/full"}),
        row(engine="mnn", settings={}),
    ]
    labels = [cell.engine_label for cell in libraries.named(summary(*cells)).cells]
    assert labels == [
        "mnn mini_libs[home=mini-3.6.1]",
        "mnn mini_libs[home=mini-2.8.3,precision=low]",
        "mnn[home=/opt/full]",
        "mnn[home=/other/full]",
        "mnn",
    ]
    (alone, _) = libraries.named(summary(cells[2], cells[4])).cells
    assert alone.engine_label == "mnn[home=full]"


def test_ratios_and_noise_follow() -> None:
    """Ratios and the reference against itself carry the same names, so that rows find them."""
    ghost = Ghost(
        model="resnet34", threads=1, chunk_samples=32000, protocol="steady",
        reference="mnn[home=/opt/full]", ratio=1.0, ci95=None, half_width=None, contains_one=True,
    )  # fmt: skip
    result = summary(
        row(engine="mnn", settings=FULL),
        row(engine="mnn-mini", form="static", settings=MINI),
        ratios=(
            ratio(engine="mnn-mini[home=/opt/mini-3.6.1]", form="static",
                  reference="mnn[home=/opt/full]", ratio=0.4, ci95=(0.39, 0.41)),
        ),
        noise=Noise(sentence="", contaminated=False, disturbed_share=None, ghosts=(ghost,)),
    )  # fmt: skip
    shown = libraries.named(result)
    (measured,) = shown.ratios
    assert (measured.engine, measured.reference) == ("mnn mini_libs", "mnn[home=full]")
    assert shown.noise is not None
    assert shown.noise.ghosts[0].reference == "mnn[home=full]"
    assert libraries.named(shown) == shown
    sentence = "mnn[home=full] takes 2.50 times as long as mnn mini_libs (2.44 to 2.56)"
    assert sentence in markdown.draw(of_run(result))


def test_the_data_of_a_page_stays_as_stored() -> None:
    """The page shows the short name and offers the stored result."""
    page = render(summary(row(engine="mnn-mini", form="static", settings=MINI, **RAN)), [])
    assert "mnn mini_libs" in page
    assert '"engine": "mnn-mini"' in page
    assert "/opt/mini-3.6.1" in page


def test_a_count_that_is_the_models_is_no_cross_check() -> None:
    """A library that counts nothing does not confirm the count of the model."""
    text = markdown.draw(
        of_run(summary(row(engine="mnn-mini", form="static", settings=MINI, **RAN)))
    )
    assert "counts" not in text


def test_other_results_stay_as_they_are() -> None:
    """Without such a library a result is not touched, and has no column for sizes."""
    result = summary(row(), row(engine="onnxruntime"))
    assert libraries.named(result) is result
    assert "library MB" not in markdown.draw(of_run(result))
