"""`rtfbench history`."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.inputs import check_readable
from bench.base.links import followed
from bench.base.outputs import check_outputs, writing_to
from bench.commands.report import cure, missing, require, write_pictures
from bench.report import figures, history_page, history_text, plots
from bench.report.history import HostHistory, StoredRun, histories
from bench.results.rows import Summary
from bench.results.store import PLOTS, RECORDS, SUMMARY

if TYPE_CHECKING:
    from bench.report.plots.style import Picture

OK, BAD_INPUT = 0, 2
PAGE, TEXT, DATA = "index.html", "history.md", "history.json"


@dataclass
class Found:
    """What was there, the runs that were read, and a line for each that could not be."""

    paths: set[Path] = field(default_factory=set)
    runs: list[StoredRun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def history(folders: Sequence[Path], out: Path) -> int:
    """Write the history of stored runs; a run that cannot be read is told, and costs status 2."""
    require("jinja2")
    found = read(folders)
    check_outputs([out / name for name in (PAGE, TEXT, DATA)], found.paths)
    for error in found.errors:
        print(f"rtfbench: {error}", file=sys.stderr)
    if not found.runs:
        raise InputError(f"{', '.join(map(str, folders))}: no run here that can be shown")
    notes = [f"Left out: {error}" for error in found.errors]
    if missing("ruptures"):
        notes.append(f"{history_text.NOT_SEARCHED}: {cure('ruptures')}.")
    if missing("matplotlib"):
        notes.append(f"Nothing is drawn: {cure('matplotlib')}.")
    hosts = histories(found.runs, search=not missing("ruptures"))
    _write(out, hosts, notes)
    for line in _told(hosts, out, notes[len(found.errors) :]):
        print(line)
    return BAD_INPUT if found.errors else OK


def read(folders: Sequence[Path]) -> Found:
    """Read every summary in and below the folders, each once."""
    found = Found()
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
                summary = Summary.model_validate_json(path.read_bytes())
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


def _write(out: Path, hosts: Sequence[HostHistory], notes: Sequence[str]) -> None:
    """Write the page, the text, the data and the pictures."""
    drawn: list[list[Picture]] = [[] for _ in hosts]
    if not missing("matplotlib"):
        drawn = [list(plots.draw_history(host, n)) for n, host in enumerate(hosts, start=1)]
    paths = [{f"{PLOTS}/{each.name}.svg": each.title for each in pictures} for pictures in drawn]
    data = json.dumps(history_text.content(hosts, notes), indent=2, ensure_ascii=False) + "\n"
    for name, content in (
        (PAGE, history_page.render(hosts, notes, drawn)),
        (TEXT, history_text.markdown(hosts, notes, paths)),
        (DATA, data),
    ):
        with writing_to(out), replacing(out / name) as part:
            part.write_text(content, encoding="utf-8")
    with writing_to(out / PLOTS):
        write_pictures(out / PLOTS, [each for pictures in drawn for each in pictures])


def _told(hosts: Sequence[HostHistory], out: Path, notes: Sequence[str]) -> Iterator[str]:
    """Yield what a person is told at the end: the changes, and where the page is."""
    yield from notes
    for host in hosts:
        yield f"{host.name}: {history_text.described(host)}"
        changes = [history_text.sentence(*each) for each in host.changes]
        off = [f"{s.name}: {history_text.state(s)}" for s in host.series if s.newest_is_off]
        yield from (f"  {each}" for each in [*changes, *off] or [history_text.nothing(host)])
    yield str(out / PAGE)
