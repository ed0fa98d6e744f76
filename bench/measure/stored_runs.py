"""The summaries of runs that were stored, and what cannot be read of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, followed, read_bytes
from rtfbench.report import figures
from rtfbench.report.history import StoredRun
from rtfbench.results.rows import Summary
from rtfbench.results.store import RECORDS, SUMMARY


@dataclass
class FoundRuns:
    """What was there, the runs that were read, and a line for each that could not be."""

    paths: set[Path] = field(default_factory=set)
    runs: list[StoredRun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def read(folders: Sequence[Path]) -> FoundRuns:
    """Read every summary in and below the folders, each once."""
    found = FoundRuns()
    for folder in folders:
        paths = sorted(folder.rglob(SUMMARY)) if folder.is_dir() else []
        if not paths:
            found.errors.append(f"{folder}: no {SUMMARY} here or below; name folders of runs")
        for path in paths:
            if followed(path) in found.paths:
                continue
            found.paths.add(followed(path))
            try:
                check_readable(path)
                summary = Summary.model_validate_json(read_bytes(path))
            except InputError as error:
                found.errors.append(str(error))
            except OSError as error:
                found.errors.append(f"{path}: cannot be read ({error.strerror})")
            except ValidationError as error:
                count = figures.counted(error.error_count(), "error")
                found.errors.append(
                    f"{path}: damaged, or of a newer rtfbench ({count}); "
                    f"where {RECORDS} is beside it, `rtfbench report {path.parent} --format json` "
                    "derives it anew"
                )
            else:
                found.runs.append(StoredRun(str(path.parent), summary))
    return found
