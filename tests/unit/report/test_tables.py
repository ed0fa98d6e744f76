"""Tables: markdown and terminal."""

import io

import pytest
from rich.console import Console

from rtfbench.report import markdown, terminal
from rtfbench.report.markdown import grid
from rtfbench.report.run_document import of_run
from rtfbench.report.views import MOST_COLUMNS
from rtfbench.results.load import Load
from rtfbench.results.rows import Noise, Summary
from tests.unit.report.results import failed, published_and_steady, ratio, row, summary

LONG = "onnxruntime[graph_optimization=extended,spinning=off]"


def shown(width: int, result: Summary) -> list[str]:
    """Return the lines that a terminal of this width gets, without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    terminal.show(of_run(result), console, full=False)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


WIDTHS = (80, 100, 120, 160)
TITLE = "ECAPA-TDNN (C=1024)"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_gets_whole_names_and_figures(width: int) -> None:
    """Engine, protocol and chunk size stand on the line of RTF and ratio, all uncut."""
    result = summary(
        *(
            each
            for protocol in ("published", "steady")
            for each in (
                row(engine="onnxruntime", title=TITLE, rtf=0.1377, protocol=protocol),
                row(title=TITLE, rtf=0.05262, rtf_ci95=(0.05, 0.054), protocol=protocol),
                failed(engine="mnn-mini", form="static", title=TITLE, protocol=protocol),
            )
        ),
        row(engine="onnxruntime", title=TITLE, rtf=0.1377, chunk_samples=160000),
        ratios=(ratio(),),
    )
    lines = shown(width, result)
    assert max(map(len, lines)) <= width
    expected = {
        "onnxruntime": ("32000", "0.1377", "reference"),
        "mnn": ("32000", "0.05262", "0.50× (0.49 to 0.51) *"),
        "mnn-mini": ("32000", "wrong output"),
    }
    for engine, figures in expected.items():
        (line,) = [
            each
            for each in lines
            if each.split()[:1] == [engine] and " steady " in each and " 32000 " in each
        ]
        assert all(figure in line for figure in figures)
    text = "\n".join(lines)
    assert "…" not in text
    assert ("first ms" in text) == ("chunk ms" in text) == (width >= 100)


@pytest.mark.parametrize("width", WIDTHS)
def test_settings_leave_the_figures_whole(width: int) -> None:
    """A long list of settings breaks rather than that a figure is cut or goes."""
    settings = {"graph_optimization": "extended", "spinning": "off"}
    result = summary(
        row(engine="onnxruntime", settings=settings, rtf=0.1377),
        row(rtf=0.05262, rtf_ci95=(0.05, 0.054)),
        ratios=(ratio(reference=LONG),),
    )
    lines = shown(width, result)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "0.1377" in text
    assert "0.50× (0.49 to 0.51)" in text
    assert "…" not in text
    whole = any(line.startswith(LONG) and "0.1377" in line for line in lines)
    assert whole == (width >= 100)


def test_the_answer_and_its_tables_fit_a_screen() -> None:
    """Eighteen rows: sixty lines of 100 columns hold the answer and both tables."""
    sizes = (16000, 32000, 48000, 80000, 160000)
    conditions: list[tuple[str, int]] = [("published", 32000), *(("steady", s) for s in sizes)]
    cells = [
        row(engine=engine, protocol=protocol, chunk_samples=size)
        for protocol, size in conditions
        for engine in ("onnxruntime", "mnn", "mnn-mini")
    ]
    ratios = tuple(
        ratio(engine=engine, protocol=protocol, chunk_samples=size)
        for protocol, size in conditions
        for engine in ("mnn", "mnn-mini")
    )
    noise = Noise(sentence="quiet", contaminated=False, disturbed_share=0.0)
    lines = shown(100, summary(*cells, ratios=ratios, noise=noise))
    assert sum(line.startswith("• ") for line in lines) <= 6
    assert len(lines) <= 57  # the page, the pictures and the folder come behind
    assert lines[0].startswith("• ResNet-34: ")


def test_no_color_means_no_bold_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR asks for plain text."""
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    terminal.show(of_run(published_and_steady()), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    assert "\x1b[" not in file.getvalue()


def test_the_markdown_is_no_wider_than_a_page() -> None:
    """Nine columns a table at most, and a footnote once however many tables need it."""
    cells = [row(protocol=p, engine=e, note="a note") for p in ("published", "steady")
             for e in ("onnxruntime", "mnn")]  # fmt: skip
    text = markdown.draw(of_run(summary(*cells, ratios=(ratio(),))))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert max(line.count("|") - 1 for line in tables) <= MOST_COLUMNS
    assert sum(line == "¹ a note" for line in text.splitlines()) == 1
    assert text.index("¹ a note") < text.index("Everything else")


def test_the_best_row_is_marked_a_model() -> None:
    """Each model's row that is surely fastest is green; in a tie none is."""
    cells = [
        row(title="A", model="a", rtf=0.01),
        row(title="A", model="a", engine="other", rtf=0.011),
        row(title="B", model="b", rtf=0.03),
        row(title="B", model="b", engine="other", rtf=0.02),
        row(title="C", model="c", rtf=0.04),
        row(title="C", model="c", engine="other", rtf=0.0401),
    ]
    ratios = (
        ratio(model="a", reference="other", ratio=0.91, ci95=(0.9, 0.92)),
        ratio(model="b", reference="other", ratio=1.5, ci95=(1.4, 1.6)),
        ratio(model="c", reference="other", ratio=0.998, ci95=(0.95, 1.05)),
    )
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    terminal.show(of_run(summary(*cells, ratios=ratios)), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    green = [line for line in file.getvalue().splitlines() if "\x1b[1;32m" in line]
    assert ["0.01000" in green[0], "0.02000" in green[1]] == [True, True]
    assert len(green) == 2


def test_markdown_has_ratios_findings_and_noise() -> None:
    """What terminal and page say, the markdown says too; a pipe in a text stays in its cell."""
    noise = Noise(sentence="quiet.", contaminated=False, disturbed_share=0.0)
    result = published_and_steady().model_copy(update={"noise": noise})
    text = markdown.draw(of_run(result))
    assert "0.500 (0.490 to 0.510)" in text
    assert "<details>" in text
    assert "## Findings\n\nNoise: quiet.\n\n- ResNet-34" in text
    assert grid([["a"], ["b|c"]], [False]) == "| a    |\n| :--- |\n| b\\|c |"


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ((0.0, 0.0), "Denormal activations on a chunk of speech: 0 %."),
        ((0.0, 0.0123), "Denormal activations on a chunk of speech: B 1.2 %, all others 0 %."),
        ((0.5, 0.0123), "Denormal activations on a chunk of speech: A 50 %, B 1.2 %."),
        ((None, 0.0), "Denormal activations on a chunk of speech: 0 %."),
    ],
)
def test_a_report_tells_of_denormals(shares: tuple[float | None, float], sentence: str) -> None:
    """The share of denormal activations stands behind where the weights come from."""
    first, second = shares
    cells = row(title="A", denormal_share=first), row(title="B", denormal_share=second)
    (line,) = [x for x in markdown.draw(of_run(summary(*cells))).splitlines() if "Weights:" in x]
    assert line.endswith(sentence)


def test_a_report_of_files_is_silent_about_denormals() -> None:
    """Where nobody looked for denormals, nothing is claimed."""
    assert "enormal" not in markdown.draw(of_run(summary(row())))


def test_rows_that_differ_in_their_rate_alone_tell_it() -> None:
    """Of several rates each row has its own; one that all share stands above the table."""
    slow, fast = (row(protocol="server", load=Load(rate_per_s=rate)) for rate in (2.5, 4.0))
    lines = markdown.draw(of_run(summary(slow, fast))).splitlines()
    head = next(line for line in lines if line.startswith("| ") and " requests " in line)
    place = [part.strip() for part in head.split("|")].index("requests")
    after = lines[lines.index(head) + 2 :]
    assert [line.split("|")[place].strip() for line in after[:2]] == [
        "2.5 requests/s",
        "4 requests/s",
    ]
    alone = markdown.draw(of_run(summary(slow)))
    assert "2.5 requests/s" in alone
    assert "| requests " not in alone


def test_no_table_of_the_markdown_is_wider_than_nine_columns() -> None:
    """Not even where threads vary, a precision has a price, and libraries and coverage are told."""
    loss = {"precision": "int8", "eer": 0.03, "eer_loss": (0.0, -0.001, 0.001)}
    home = {"effective": {"library_bytes": 3_000_000}, "settings": {"home": "/full"}}
    result = summary(
        *(row(engine="onnxruntime", threads=threads, utterances=2) for threads in (1, 2)),
        *(
            row(threads=threads, utterances=1, speedup=1.8, efficiency=0.9, **loss, **home)
            for threads in (1, 2)
        ),
    )
    lines = [line for line in markdown.draw(of_run(result)).splitlines() if line.startswith("| ")]
    assert any("EER loss" in line for line in lines)
    assert max(line.count("|") - 1 for line in lines) == MOST_COLUMNS


def test_the_published_table_is_of_what_it_times() -> None:
    """A queue of requests is in no published table; a caption of no version has no gap."""
    queued = row(protocol="server", version="")
    told = markdown.draw(of_run(summary(queued)))
    assert "published table" not in told
    assert "; ." not in told
    assert "published table" in markdown.draw(of_run(summary(row(protocol="steady"))))
