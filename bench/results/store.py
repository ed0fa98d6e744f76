"""The run folder: records are appended as they come, results are replaced as a whole."""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from rtfbench.base.cache import sha256_of, write_whole
from rtfbench.base.child import write_all
from rtfbench.base.errors import InputError
from rtfbench.base.files import read_bytes
from rtfbench.results.cells import Cell
from rtfbench.results.explanation import Explanation, LengthReport
from rtfbench.results.host import Environment
from rtfbench.results.lines import LINE, Course, Declaration, Line, Outcome
from rtfbench.results.records import Health, Record

RECORDS = "records.jsonl"
ENVIRONMENT = "environment.json"
SUMMARY = "summary.json"
TABLE = "table.md"
#: Why nothing is written to a folder where neither flag says what becomes of its run.
OCCUPIED = "holds a run already; choose another --out, or add --resume or --overwrite"
TRIALS = "trials.txt"
TRIAL_OPTIONS = "trials.json"
PAGE = "report.html"
PLOTS = "plots"
Found = TypeVar("Found", Explanation, LengthReport)
#: Folders of explanations within a run's folder, and the files that they may have.
EXPLAINED, EXPLANATION, LENGTHS = "explain", "explain.json", "lengths.json"
WHERE_WRONG = "where-wrong.json"
#: Answers that a search wrote with its records, and what it wrote beside them.
ANSWERS = ("tune.json", "tune.md", "race.*", "capacity.json", "capacity.md")
#: What somebody says of the records, as `ssh-keygen -Y sign` writes it.
SIGNATURE = "records.sig"
#: Held by the process that writes here.
LOCK = ".lock"
#: Lines that could not be read, set aside by the run that goes on.
DAMAGED = "damaged.jsonl"


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


def no_run(path: Path, lacks: str = RECORDS) -> str:
    """Say that a folder holds no run, and which to name in its place."""
    if not path.exists():
        return f"{path}: no such folder; name one that `rtfbench run --out` made"
    inside = [str(each.parent.relative_to(path)) for each in sorted(path.glob(f"*/{RECORDS}"))]
    cure = f"one in it: {', '.join(inside)}" if inside else "a folder that `rtfbench run` made"
    return f"{path}: no {lacks} here; name {cure}"


class RunFolder:
    """A folder with `records.jsonl` and what was derived from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd = -1
        #: Damaged lines that were set aside when the folder was taken up.
        self.set_aside = 0

    @classmethod
    def create(cls, path: Path, *, overwrite: bool, resume: bool) -> "RunFolder":
        """Return a folder that may be appended to, a context that lets others in at its end.

        Raises:
            StoreError: it holds a run already and neither flag says what to do with it.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._lock()
            folder._begin(overwrite=overwrite, resume=resume)
        except (OSError, StoreError) as error:
            folder.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path}: cannot write here ({error.strerror})") from error
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, *, overwrite: bool, resume: bool) -> None:
        """Make what is missing, of a run that is there already what the flags say."""
        there = [_holds_file(self.path / name) for name in (RECORDS, SUMMARY)]
        if any(there) and not resume:
            if not overwrite:
                raise StoreError(f"{self.path} {OCCUPIED}")
            self._clear()
        self.logs.mkdir(exist_ok=True)
        self.embeddings.mkdir(exist_ok=True)
        self._mend()
        if not self.set_aside:
            self.check_unchanged()
        elif not self._is_of_summary():
            # It is of lines that are no more; the run that goes on writes another one.
            (self.path / SUMMARY).unlink(missing_ok=True)

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
        with (self.path / RECORDS).open("ab", buffering=0) as file:
            begins = file.seek(0, os.SEEK_END)
            try:
                write_all(file.fileno(), (line.model_dump_json() + "\n").encode())
            except OSError:
                # What there was no room for is no line; a summary of the others is one of all.
                file.truncate(begins)
                raise

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file of the folder."""
        write_whole(self.path / name, content)

    def environment(self) -> Environment:
        """Return the environment that the run was made in.

        Raises:
            StoreError: not a run folder, or a damaged one.
        """
        path = self.path / ENVIRONMENT
        try:
            return Environment.model_validate_json(read_bytes(path))
        except OSError:
            raise StoreError(no_run(self.path, ENVIRONMENT)) from None
        except ValidationError as error:
            raise StoreError(
                f"{path}: damaged ({error.error_count()} errors); `rtfbench run --resume` writes "
                "it anew"
            ) from None

    def lines(self) -> Iterator[Line]:
        """Yield the stored lines; a last line that was cut off by a crash is left out.

        Raises:
            StoreError: another line is damaged, or of a cell that was not declared before.
        """
        path = self.path / RECORDS
        if not _holds_file(path):
            return
        # Bytes, and not splitlines: names may hold what that takes for ends of lines.
        *complete, _ = read_bytes(path).split(b"\n")
        declared: set[str] = set()
        for number, text in enumerate(complete, start=1):
            line = _read(text, declared)
            if isinstance(line, str):
                raise StoreError(
                    f"{path}:{number}: damaged line ({line}); `rtfbench run --resume` sets it "
                    "aside and goes on"
                )
            yield line

    def check_unchanged(self) -> None:
        """Refuse records that are not those of the summary beside them; lines may have been added.

        Raises:
            StoreError: they were edited, or damaged so that they still can be read.
        """
        if not self._is_of_summary():
            raise self._changed(RECORDS)

    def check_environment(self) -> None:
        """Refuse an environment that is not that of the summary of just these records.

        A run that goes on replaces the environment before it adds lines.

        Raises:
            StoreError: as above.
        """
        stored = self._stored()
        if stored.get("records_sha256") == sha256_of(self.path / RECORDS):
            now, then = json.loads(read_bytes(self.path / ENVIRONMENT)), stored.get("environment")
            # Whoever derived the summary may have known more fields.
            if not isinstance(then, dict) or now != {name: then.get(name) for name in now}:
                raise self._changed(ENVIRONMENT)

    def _changed(self, name: str) -> StoreError:
        return StoreError(
            f"{self.path / name}: is not what {SUMMARY} was derived from; `rtfbench check "
            f"{self.path}` says what differs; to take it as it is, delete {SUMMARY}"
        )

    def _stored(self) -> dict[str, Any]:
        """Return what the summary says; nothing where it is missing or damaged."""
        try:
            found = json.loads(read_bytes(self.path / SUMMARY))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _is_of_summary(self) -> bool:
        """Say whether the records begin with those that the summary beside them was derived from.

        So does one without a summary, or whose summary tells of no records.
        """
        wanted = self._stored().get("records_sha256")
        if not wanted:
            return True
        digest = hashlib.sha256()
        if not (self.path / RECORDS).is_file():
            return False
        with (self.path / RECORDS).open("rb") as lines:
            for line in lines:
                digest.update(line)
                if digest.hexdigest() == wanted:
                    return True
        return False

    def cells(self) -> dict[str, CellData]:
        """Return all cells by id; see `cells_of`."""
        return cells_of(self.lines())

    def originals(self) -> dict[str, CellData]:
        """Return the cells that were asked for, without replicas."""
        return {cell_id: data for cell_id, data in self.cells().items() if not data.cell.replica}

    def explanations(self) -> tuple[Explanation, ...]:
        """Return what `rtfbench explain` left in the folder, in the order of the names.

        Raises:
            StoreError: one is damaged.
        """
        return self._explained(EXPLANATION, Explanation)

    def lengths(self) -> tuple[LengthReport, ...]:
        """Return what `rtfbench explain --lengths` left in the folder, in the order of the names.

        Raises:
            StoreError: one is damaged.
        """
        return self._explained(LENGTHS, LengthReport)

    def _explained(self, name: str, kind: type[Found]) -> tuple[Found, ...]:
        found = sorted(self.path.glob(f"{EXPLAINED}/*/{name}"))
        return tuple(read_explanation(path, kind) for path in found)

    def close(self) -> None:
        """Let others write here; a second call does nothing."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _lock(self) -> None:
        """Keep others from writing here until `close`, or for as long as this process lives.

        Raises:
            StoreError: another one does.
        """
        # A record lock is the process's: it goes with it, however it ends, and no child has it.
        self._lock_fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise StoreError(
                    f"{self.path}: another rtfbench is writing here; wait for it, or choose "
                    "another --out"
                ) from None
            # Any other is of a file system that has no locks.

    def _clear(self) -> None:
        """Delete what an earlier run left; files of others in the folder stay."""
        derived = (SUMMARY, TABLE, TRIALS, TRIAL_OPTIONS, PAGE, DAMAGED, SIGNATURE)
        for name in (RECORDS, ENVIRONMENT, *derived):
            (self.path / name).unlink(missing_ok=True)
        for pattern in (
            f"{PLOTS}/*.png",
            f"{PLOTS}/*.svg",
            "embeddings/*.npz",
            "logs/*",
            f"{EXPLAINED}/*/*.json",
            *ANSWERS,
        ):
            for path in self.path.glob(pattern):
                path.unlink()

    def _mend(self) -> None:
        """Set aside what cannot be read, and cut off a last line that a crash left incomplete."""
        path = self.path / RECORDS
        if not path.exists():
            return
        *complete, torn = read_bytes(path).split(b"\n")
        declared: set[str] = set()
        kept: list[bytes] = []
        damaged: list[bytes] = []
        for line in complete:
            (damaged if isinstance(_read(line, declared), str) else kept).append(line + b"\n")
        if damaged:
            self.set_aside = len(damaged)
            with (self.path / DAMAGED).open("ab") as file:
                file.writelines(damaged)
        if damaged or torn:
            write_whole(path, b"".join(kept))


def cells_of(lines: Iterable[Line]) -> dict[str, CellData]:
    """Return all cells by id, replicas too, in the order of their declaration.

    A cell that was begun again, as a resumed run does, counts from its last beginning, and
    replicas of its comparison from before that do not count: they may have another reference.
    """
    cells: dict[str, CellData] = {}
    for line in lines:
        match line:
            case Declaration():
                if line.cell_id in cells and not line.cell.replica:
                    where = line.cell.condition
                    cells = {
                        cell_id: data
                        for cell_id, data in cells.items()
                        if not data.cell.replica or data.cell.condition != where
                    }
                    # One that failed and is not asked for again has no part in the new turns.
                    for cell_id, data in cells.items():
                        ended_well = data.outcome is not None and data.outcome.status == "ok"
                        if data.cell.condition == where and not ended_well:
                            cells[cell_id] = CellData(data.declaration, outcome=data.outcome)
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


def finished_of(cells: Mapping[str, CellData], refused: Collection[str] = ()) -> frozenset[str]:
    """Return the ids of the cells whose comparison is complete: measuring again adds nothing.

    A comparison in which a cell is missing or failed is measured again as a whole, because only
    what took turns can be compared. Those that are `refused` once more leave nothing open.
    """
    open_groups = {
        data.cell.condition
        for cell_id, data in cells.items()
        if cell_id not in refused and (data.outcome is None or data.outcome.status not in FINAL)
    }
    return frozenset(
        cell_id for cell_id, data in cells.items() if data.cell.condition not in open_groups
    )


def _holds_file(path: Path) -> bool:
    """Say whether there is a file.

    Raises:
        StoreError: there is something else: a FIFO would be waited for without end.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: not a regular file; choose another --out")
    return path.exists()


def _read(text: bytes, declared: set[str]) -> Line | str:
    """Return a line, or what is wrong with it; `declared` has the cells of the lines before."""
    try:
        line = LINE.validate_json(text)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    if isinstance(line, Declaration):
        declared.add(line.cell_id)
    elif line.cell_id not in declared:
        return f"cell {line.cell_id} was not declared before it"
    return line


def read_explanation(path: Path, kind: type[Found]) -> Found:
    """Return an explanation of a kind that was written.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return kind.model_validate_json(read_bytes(path))
    except (OSError, ValidationError):
        raise StoreError(
            f"{path}: not an explanation, or a damaged one; delete it, or write it anew with: "
            "rtfbench explain --overwrite"
        ) from None
