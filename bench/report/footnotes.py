"""Notes to the rows of a table."""

from collections.abc import Sequence

from bench.results.rows import CellSummary

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """Numbers notes in the order in which rows first need them."""

    def __init__(self, rows: Sequence[CellSummary]) -> None:
        self.notes = list(dict.fromkeys(row.note for row in rows if row.note))

    def mark(self, row: CellSummary) -> str:
        """Return a row's superscript mark, empty when it has no note."""
        if not row.note:
            return ""
        return f" {self.notes.index(row.note) + 1}".translate(_SUPERSCRIPTS)

    def lines(self) -> list[str]:
        """Return the notes, each behind its mark."""
        return [
            f"{number} {note}".replace(str(number), str(number).translate(_SUPERSCRIPTS), 1)
            for number, note in enumerate(self.notes, start=1)
        ]
