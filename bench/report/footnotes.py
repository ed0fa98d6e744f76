"""Notes to the rows of a result, each told once."""

from collections.abc import Sequence

from bench.results.rows import CellSummary

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """Numbers notes in the order in which the rows of a result first need them."""

    def __init__(self, rows: Sequence[CellSummary]) -> None:
        self._notes = list(dict.fromkeys(row.note for row in rows if row.note))
        self._told: set[str] = set()

    def mark(self, row: CellSummary) -> str:
        """Return a row's superscript mark, empty when it has no note."""
        if not row.note:
            return ""
        return f" {self._notes.index(row.note) + 1}".translate(_SUPERSCRIPTS)

    def lines(self, rows: Sequence[CellSummary]) -> list[str]:
        """Return the notes of rows that no rows before had, each behind its mark."""
        needed = [note for note in dict.fromkeys(row.note for row in rows) if note]
        new = [note for note in needed if note not in self._told]
        self._told.update(new)
        return [f"{self._number(note)} {note}" for note in new]

    def _number(self, note: str) -> str:
        return str(self._notes.index(note) + 1).translate(_SUPERSCRIPTS)
