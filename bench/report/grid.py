"""Markdown tables whose columns line up in plain text too."""

from collections.abc import Sequence


def grid(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return a markdown table of texts, the first line of which holds the headings."""
    texts = [[escape(cell) for cell in line] for line in lines]
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


def escape(text: str) -> str:
    """Keep a text from ending a cell."""
    return text.replace("|", "\\|")
