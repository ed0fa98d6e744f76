"""`rtfbench history`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, complain
from rtfbench.base.packages import cure, missing, require
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.report.history import HostHistory
    from rtfbench.report.plots.style import Picture

BAD_INPUT = 2
PAGE, TEXT, DATA = "index.html", "history.md", "history.json"


@app.command(
    short_help="Show how ratios changed over many runs, host by host.",
    epilog=examples(
        "rtfbench history runs/",
        "rtfbench history runs/2026-* --out public/speed    # public/speed/index.html is the page",
        "rtfbench history artifacts/ && jq '.hosts[].series[].changes[]' history/history.json",
    ),
)
def history(
    folders: Annotated[
        list[Path],
        Argument(
            metavar="FOLDER...",
            help="Run folders, or folders that hold some at any depth: each summary.json is a run.",
        ),
    ],
    out: Annotated[Path, Option(help="Folder for the page and what is beside it.")] = Path(
        "history"
    ),
) -> None:
    """Write a page of every ratio over time, from runs that were stored.

    Runs of one host alone are set in a row, never those of two. Where the level of a ratio moved,
    the page says since when, by how much, and what the runs before and after differ in: an engine's
    version, the model file, the harness, the commit. OUT gets index.html, history.md, history.json
    and plots/.
    """
    from rtfbench.base.files import check_outputs
    from rtfbench.measure.whole_run import stored_below
    from rtfbench.report import history as told

    require("jinja2")
    found = stored_below(folders)
    check_outputs([out / name for name in (PAGE, TEXT, DATA)], found.paths)
    for error in found.errors:
        complain(error)
    if not found.runs:
        raise InputError(f"{', '.join(map(str, folders))}: no run here that can be shown")
    notes = [f"Left out: {error}" for error in found.errors]
    if missing("ruptures"):
        notes.append(f"{told.NOT_SEARCHED}: {cure('ruptures')}.")
    if missing("matplotlib"):
        notes.append(f"Nothing is drawn: {cure('matplotlib')}.")
    hosts = told.histories(found.runs, search=not missing("ruptures"))
    _write(out, hosts, notes)
    for line in _told(hosts, out, notes[len(found.errors) :]):
        print(line)
    if found.errors:
        raise typer.Exit(BAD_INPUT)


def _write(out: Path, hosts: Sequence["HostHistory"], notes: Sequence[str]) -> None:
    """Write the page, the text, the data and the pictures."""
    import json

    from rtfbench.base.cache import write_whole
    from rtfbench.base.files import writing_to
    from rtfbench.report import history as report
    from rtfbench.report import html, markdown
    from rtfbench.report.page import write_pictures
    from rtfbench.report.plots import runs
    from rtfbench.results.store import PLOTS

    drawn: list[list[Picture]] = [[] for _ in hosts]
    if not missing("matplotlib"):
        drawn = [list(runs.history(host, n)) for n, host in enumerate(hosts, start=1)]
    paths = [{f"{PLOTS}/{each.name}.svg": each.title for each in pictures} for pictures in drawn]
    told = report.of_history(hosts, notes, paths)
    found = report.content(hosts, notes)
    data = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    by_path = {f"{PLOTS}/{each.name}.svg": each for pictures in drawn for each in pictures}
    page = html.page(told, by_path, title="history", name="history", data=found)
    for name, content in ((PAGE, page), (TEXT, markdown.draw(told)), (DATA, data)):
        with writing_to(out):
            write_whole(out / name, content)
    with writing_to(out / PLOTS):
        write_pictures(out / PLOTS, [each for pictures in drawn for each in pictures])


def _told(hosts: Sequence["HostHistory"], out: Path, notes: Sequence[str]) -> Iterator[str]:
    """Yield what a person is told at the end: the changes, and where the page is."""
    from rtfbench.report import history as told

    yield from notes
    for host in hosts:
        yield f"{host.name}: {told.described(host)}"
        changes = [told.sentence(*each) for each in host.changes]
        off = [f"{s.name}: {told.state(s)}" for s in host.series if s.newest_is_off]
        yield from (f"  {each}" for each in [*changes, *off] or [told.nothing(host)])
    yield str(out / PAGE)
