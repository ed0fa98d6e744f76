"""Tables: markdown and terminal."""

import io

import pytest
from rich.console import Console

from bench.report import markdown, terminal
from bench.report.grid import grid
from bench.report.views import MOST_COLUMNS
from bench.results.rows import Noise, Summary
from tests.unit.report.results import failed, published_and_steady, ratio, row, summary

LONG = "onnxruntime[graph_optimization=extended,spinning=off]"


def shown(width: int, result: Summary) -> list[str]:
    """Return the lines that a terminal of this width gets, without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    terminal.show(result, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


WIDTHS = (80, 100, 120, 140, 160)
TITLE = "ECAPA-TDNN (C=1024)"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_gets_whole_names_and_figures(width: int) -> None:
    """Model and engine stand on the line of their RTF and ratio, all uncut; others give way."""
    result = summary(
        row(engine="onnxruntime", title=TITLE, rtf=0.1377),
        row(title=TITLE, rtf=0.05262, rtf_ci95=(0.05, 0.054)),
        failed(engine="mnn-mini", form="static", title=TITLE),
        ratios=(ratio(),),
    )
    lines = shown(width, result)
    assert max(map(len, lines)) <= width
    expected = {
        "onnxruntime": ("0.1377",),
        "mnn": ("0.05262", "0.50× ±2.0 %"),
        "mnn-mini": ("wrong output",),
    }
    for engine, figures in expected.items():
        (line,) = [
            each for each in lines if each.strip().startswith(f"{TITLE} ") and f" {engine} " in each
        ]
        assert all(figure in line for figure in figures)
    text = "\n".join(lines)
    assert "…" not in text
    assert ("6.63 M" in text) == (width == 160)


@pytest.mark.parametrize("width", WIDTHS)
def test_settings_leave_the_figures_whole(width: int) -> None:
    """A long list of settings breaks rather than that a figure is cut or goes."""
    settings = {"graph_optimization": "extended", "spinning": "off"}
    result = summary(
        row(engine="onnxruntime", settings=settings, title=TITLE, rtf=0.1377),
        row(title=TITLE, rtf=0.05262, rtf_ci95=(0.05, 0.054)),
        ratios=(ratio(reference=LONG),),
    )
    lines = shown(width, result)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "0.1377" in text
    assert "0.05262" in text
    assert "…" not in text
    whole = any(TITLE in line and LONG in line and "0.1377" in line for line in lines)
    assert whole == (width >= 100)


def test_no_color_means_no_bold_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR asks for plain text."""
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    terminal.show(published_and_steady(), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    assert "\x1b[" not in file.getvalue()


def test_the_markdown_is_no_wider_than_a_page() -> None:
    """Nine columns a table at most, and a footnote once however many tables need it."""
    cells = [row(protocol=p, engine=e, note="a note") for p in ("published", "steady")
             for e in ("onnxruntime", "mnn")]  # fmt: skip
    text = markdown.render(summary(*cells, ratios=(ratio(),)))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert max(line.count("|") - 1 for line in tables) <= MOST_COLUMNS
    assert sum(line == "¹ a note" for line in text.splitlines()) == 1


def test_the_best_row_is_marked_a_model() -> None:
    """Each model's fastest row is green, not only the fastest of all."""
    cells = [
        row(title="A", model="a", rtf=0.01),
        row(title="A", model="a", engine="other", rtf=0.011),
        row(title="B", model="b", rtf=0.03),
        row(title="B", model="b", engine="other", rtf=0.02),
    ]
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    terminal.show(summary(*cells), console)
    file = console.file
    assert isinstance(file, io.StringIO)
    green = [
        line for line in file.getvalue().splitlines() if "\x1b[1;32m" in line and "0.0" in line
    ]
    assert [
        figure in line for line, figure in zip(green, ("0.01000", "0.02000"), strict=False)
    ] == [
        True,
        True,
    ]


def test_markdown_has_ratios_findings_and_noise() -> None:
    """What terminal and page say, the markdown says too; a pipe in a text stays in its cell."""
    noise = Noise(sentence="quiet.", contaminated=False, disturbed_share=0.0)
    result = published_and_steady().model_copy(update={"noise": noise})
    text = markdown.render(result)
    assert "0.500 (0.490 to 0.510)" in text
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
    (line,) = [x for x in markdown.render(summary(*cells)).splitlines() if "Weights:" in x]
    assert line.endswith(sentence)


def test_a_report_of_files_is_silent_about_denormals() -> None:
    """Where nobody looked for denormals, nothing is claimed."""
    assert "enormal" not in markdown.render(summary(row()))


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
    lines = [line for line in markdown.render(result).splitlines() if line.startswith("| ")]
    assert any("EER loss" in line for line in lines)
    assert max(line.count("|") - 1 for line in lines) == MOST_COLUMNS
