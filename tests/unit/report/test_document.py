"""One document, three renderers."""

import io
from dataclasses import replace

from rich.console import Console

from rtfbench.report import html, markdown, terminal
from rtfbench.report.document import (
    Code,
    Heading,
    Image,
    Paragraph,
    bullets,
    document,
    table,
)

RACE = table(["engine", "ms"], [["mnn | mini", "7"], ["<torch>", "100"]], "lr")
EVERY = document(
    Heading("The title", 1),
    "A sentence.",
    Paragraph("Pass.", "strong"),
    Paragraph("is fast.", lead="mnn"),
    bullets(["one", "two"], "warning"),
    bullets([]),
    None,
    replace(RACE, strong="7", styles=("good", "")),
    Image("a picture", "plots/a.svg"),
    Code("rtfbench run a-very-long-name-that-no-terminal-may-break.toml\n", "sh"),
)


def test_markdown_has_every_block_once() -> None:
    """Blocks stand apart by an empty line, tables line up, and a pipe stays in its cell."""
    assert markdown.draw(EVERY).split("\n\n") == [
        "# The title",
        "A sentence.",
        "**Pass.**",
        "**mnn** is fast.",
        "- one\n- two",
        "| engine      |    ms |\n| :---------- | ----: |\n"
        "| mnn \\| mini | **7** |\n| \\<torch>    |   100 |",
        "![a picture](plots/a.svg)",
        "```sh\nrtfbench run a-very-long-name-that-no-terminal-may-break.toml\n```\n",
    ]


def test_a_terminal_gets_tables_without_markup() -> None:
    """No pipe but those of the texts, and no line break in what is to be copied."""
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    terminal.show(EVERY, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    lines = [line.rstrip() for line in text.splitlines()]
    assert "• one" in lines
    assert "mnn is fast." in lines
    assert text.count("|") == 1
    assert "**" not in text
    assert "rtfbench run a-very-long-name-that-no-terminal-may-break.toml" in lines


def test_html_escapes_what_it_writes() -> None:
    """No text becomes an element, and a picture that is not there leaves nothing."""
    text = html.draw(EVERY)
    assert "<h1>The title</h1>" in text
    assert "&lt;torch&gt;" in text
    assert '<li class="warning">one</li>' in text
    assert "<strong>7</strong>" in text
    assert "<figure>" not in text
