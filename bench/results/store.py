"""The run folder: records are appended as they come, results are replaced as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.results.cells import Cell, Condition
from bench.results.lines import LINE, Course, Declaration, Health, Line, Outcome, Record
from bench.results.rows import Environment

RECORDS = "records.jsonl"
ENVIRONMENT = "environment.json"
SUMMARY = "summary.json"
TABLE = "table.md"
TRIALS = "trials.txt"
TRIAL_OPTIONS = "trials.json"
PAGE = "report.html"
PLOTS = "plots"


#: How a cell may end so that measuring it again would end alike.
FINAL = frozenset({"ok", "wrong_output", "unsupported"})


class StoreError(InputError):
    """A run folder cannot be read or written; one line that names the folder and the cure."""


@dataclass
class CellData:
    """All lines of one cell, in order."""

    declaration: Declaration
    records: list[Record] = field(default_factory=list)
    outcome: Outcome | None = None
    course: Course | None = None
    health: list[Health] = field(default_factory=list)

    @property
    def cell(self) -> Cell:
        """What is measured."""
        return self.declaration.cell


class RunFolder:
    """A folder with `records.jsonl` and what was derived from it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, overwrite: bool, resume: bool) -> "RunFolder":
        """Return a folder that may be appended to.

        Raises:
            StoreError: it holds a run already and neither flag says what to do with it.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RECORDS).exists() and not resume:
                if not overwrite:
                    raise StoreError(
                        f"{path} holds a run already; choose another --out, "
                        "or add --resume or --overwrite"
                    )
                for name in (RECORDS, ENVIRONMENT, SUMMARY, TABLE, TRIALS, TRIAL_OPTIONS, PAGE):
                    (path / name).unlink(missing_ok=True)
            folder.logs.mkdir(exist_ok=True)
            folder.embeddings.mkdir(exist_ok=True)
            folder._mend()
        except OSError as error:
            raise StoreError(f"{path}: cannot write here ({error.strerror})") from error
        return folder

    @property
    def logs(self) -> Path:
        """Where workers' standard output and error go."""
        return self.path / "logs"

    @property
    def embeddings(self) -> Path:
        """Where every cell leaves its embeddings, one file a cell."""
        return self.path / "embeddings"

    def append(self, line: Line) -> None:
        """Append one line and hand it to the operating system at once."""
        with (self.path / RECORDS).open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json() + "\n")

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file of the folder."""
        with replacing(self.path / name) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)

    def environment(self) -> Environment:
        """Return the environment that the run was made in.

        Raises:
            StoreError: not a run folder, or a damaged one.
        """
        path = self.path / ENVIRONMENT
        try:
            return Environment.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError:
            raise StoreError(
                f"{self.path}: no {ENVIRONMENT} here; name a folder that `rtfbench run --out` made"
            ) from None
        except ValidationError as error:
            raise StoreError(f"{path}: damaged ({error.error_count()} errors)") from None

    def lines(self) -> Iterator[Line]:
        """Yield the stored lines; a last line that was cut off by a crash is left out.

        Raises:
            StoreError: another line is damaged.
        """
        path = self.path / RECORDS
        if not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        for number, line in enumerate(complete.splitlines(), start=1):
            try:
                yield LINE.validate_json(line)
            except ValidationError as error:
                raise StoreError(
                    f"{path}:{number}: damaged line ({error.errors()[0]['msg']})"
                ) from None

    def cells(self) -> dict[str, CellData]:
        """Return all cells by id, replicas too, in the order of their declaration.

        A cell that was begun again, as a resumed run does, counts from its last beginning, and
        replicas of its comparison from before that do not count: they may have another reference.
        """
        cells: dict[str, CellData] = {}
        for line in self.lines():
            match line:
                case Declaration():
                    if line.cell_id in cells and not line.cell.replica:
                        cells = _without_replicas(cells, line.cell.condition)
                    cells[line.cell_id] = CellData(line)
                case Record():
                    cells[line.cell_id].records.append(line)
                case Course():
                    cells[line.cell_id].course = line
                case Health():
                    cells[line.cell_id].health.append(line)
                case Outcome():
                    cells[line.cell_id].outcome = line
        return cells

    def originals(self) -> dict[str, CellData]:
        """Return the cells that were asked for, without replicas."""
        return {cell_id: data for cell_id, data in self.cells().items() if not data.cell.replica}

    def finished(self) -> frozenset[str]:
        """Return the ids of the cells whose comparison is complete: measuring again adds nothing.

        A comparison in which a cell is missing or failed is measured again as a whole, because
        only what took turns can be compared.
        """
        cells = self.cells()
        open_groups = {
            data.cell.condition
            for data in cells.values()
            if data.outcome is None or data.outcome.status not in FINAL
        }
        return frozenset(
            cell_id for cell_id, data in cells.items() if data.cell.condition not in open_groups
        )

    def _mend(self) -> None:
        """Cut off a last line that a crash left incomplete, so that appending is safe."""
        path = self.path / RECORDS
        if path.exists():
            text = path.read_bytes()
            complete = text[: text.rfind(b"\n") + 1]
            if complete != text:
                with replacing(path) as part:
                    part.write_bytes(complete)


def _without_replicas(cells: dict[str, CellData], condition: Condition) -> dict[str, CellData]:
    return {
        cell_id: data
        for cell_id, data in cells.items()
        if not data.cell.replica or data.cell.condition != condition
    }
