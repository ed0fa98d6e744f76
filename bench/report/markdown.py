"""A document as markdown, whose tables line up in plain text too."""

import re
from collections.abc import Sequence

from rtfbench.report import document as doc

#: What begins a tag, and what lies between the text and the target of a link.
TAG_OR_LINK = re.compile(r"<(?=[A-Za-z/!?])|(?<=\])\(")
#: A name that somebody may have; `mnn@3.6.0` is none.
MENTION = re.compile(r"(?<![\w`])@(?=\w)")


def grid(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return a markdown table of texts, the first line of which holds the headings."""
    texts = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(len(line[index]) for line in texts) for index in range(len(numeric))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return f"| {' | '.join(aligned)} |"

    rule = [
        "-" * (width - 1) + ":" if right else ":" + "-" * (width - 1)
        for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join([line(texts[0]), f"| {' | '.join(rule)} |", *map(line, texts[1:])])


def harmless(text: str) -> str:
    """Keep what a file is called from being a tag, a picture, a link or a call for somebody.

    Reports are put into comments of pull requests, where the names are those of their authors. What
    stands in backquotes is shown as it is.
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backquote without its other
        parts = [text.replace("`", "'")]
    for place in range(0, len(parts), 2):
        parts[place] = MENTION.sub("@\u200b", TAG_OR_LINK.sub(r"\\\g<0>", parts[place]))
    return "`".join(parts)


def draw(document: doc.Document) -> str:
    """Return the whole document."""
    return "\n\n".join(map(_block, document.blocks)) + "\n"


def _block(block: doc.Block) -> str:
    match block:
        case doc.Heading(text, level):
            return f"{'#' * level} {harmless(text)}"
        case doc.Paragraph():
            return _text(block)
        case doc.Bullets(items):
            return "\n".join(f"- {_text(item)}" for item in items)
        case doc.Table():
            return _table(block)
        case doc.Image(title, path):
            return f"![{title}]({path})"
        case doc.More(title, blocks):
            inner = draw(doc.Document(blocks))
            return f"<details>\n<summary>{harmless(title)}</summary>\n\n{inner}\n</details>"
        case doc.Code(text, language):
            return f"```{language}\n{text.strip()}\n```"


def _text(found: doc.Paragraph) -> str:
    text = harmless(found.text)
    if found.lead:
        return f"**{harmless(found.lead)}** {text}"
    return f"**{text}**" if found.style == "strong" else text


def _table(found: doc.Table) -> str:
    strong = found.strong
    rows = [
        [f"**{cell}**" if strong and cell == strong else harmless(cell) for cell in row]
        for row in found.rows
    ]
    return grid([found.headings, *rows], found.numeric)
