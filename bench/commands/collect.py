"""`rtfbench collect`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, complain, say
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.report.collection import CollectedRun

#: The first page of a site, and what tells ours from a folder of somebody's own.
INDEX, MARK = "index.html", "<title>rtfbench: "


@app.command(
    short_help="Make one static site of many runs of many hosts.",
    epilog=examples(
        "rtfbench collect reports/ --out site/",
        "rtfbench collect reports/ laptop.tar.gz board.zip --out site/ --overwrite",
        "python -m http.server --directory site --bind 127.0.0.1    # or open site/index.html",
    )
    + "\n\nExit status: 0 all runs are what their records say or cannot be told, 1 some differ "
    "and are shown as such, 2 bad input (the rest is collected).",
)
def collect(
    runs: Annotated[
        list[Path],
        Argument(
            metavar="FOLDER|ARCHIVE...",
            help="Folders that hold runs, or .tar and .zip files of such.",
        ),
    ],
    out: Annotated[Path, Option(help="Folder of the site.")],
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace a site that was made before.")
    ] = False,
) -> None:
    """Check every run and set their ratios side by side, host by host, in pages for a browser.

    The site needs no server and no network. Its first page has a line a ratio and host, searched
    and filtered by model, engine, precision and host; each ratio leads to the records that it was
    derived from, each host to the page of its run. A run whose files are not what its records say
    is shown as one that differs.
    """
    import shutil

    from rtfbench.base.files import writing_to
    from rtfbench.base.packages import require
    from rtfbench.base.scratch import held_folder
    from rtfbench.report.collection import CollectedRun, render

    require("jinja2")
    out = out.absolute()
    if out.exists() and not _is_site(out):
        raise InputError(f"{out}: is there already, and no site of ours; choose another --out")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists; add --overwrite, or choose another --out")
    found: list[CollectedRun] = []
    unread = False
    with writing_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with held_folder(out.parent) as scratch:
            site = scratch / "site"
            site.mkdir()
            for path in runs:
                for each in _runs(path, site, {run.path for run in found}):
                    if isinstance(each, InputError):
                        complain(f"{each}; left out")
                        unread = True
                    else:
                        found.append(each)
            if not found:
                raise InputError("no run could be read, so there is no site")
            (site / INDEX).write_text(render(found), encoding="utf-8")
            if out.exists():
                out.rename(scratch / "before")
            site.rename(out)
            shutil.rmtree(scratch / "before", ignore_errors=True)
    print(out / INDEX)
    raise typer.Exit(2 if unread else int(any(run.answer == "differs" for run in found)))


def _is_site(path: Path) -> bool:
    try:
        return MARK in (path / INDEX).read_text("utf-8", errors="replace")[:2000]
    except OSError:
        return False


def _runs(path: Path, site: Path, taken: set[str]) -> "Iterator[CollectedRun | InputError]":
    """Check the runs of a folder or an archive, lay each into the site, and yield it.

    A run that cannot be read yields why.
    """
    from rtfbench.measure import check as checking

    try:
        with checking.unpacked(path) as folder:
            for run in checking.runs_in(folder):
                shown = path / run.relative_to(folder)
                say(f"checking {shown}")
                name = "/".join(("runs", path.resolve().name, *run.relative_to(folder).parts))
                while name in taken or (site / name).exists():
                    name += "-2"
                taken.add(name)
                try:
                    yield _laid(run, site / name, name)
                except InputError as error:
                    yield InputError(str(error).replace(str(run), str(shown)))
    except InputError as error:
        yield error


def _laid(run: Path, target: Path, name: str) -> "CollectedRun":
    """Check a run and write its files and its page into a folder of the site.

    Raises:
        InputError: the run cannot be read.
    """
    import shutil

    from rtfbench.measure import check as checking
    from rtfbench.measure.whole_run import read_summary, to_json
    from rtfbench.report.collection import CollectedRun
    from rtfbench.report.page import write_page
    from rtfbench.results.store import ENVIRONMENT, PAGE, RECORDS, SIGNATURE, SUMMARY, RunFolder

    checked = checking.check(run)
    summary = read_summary(RunFolder(run))
    folder = RunFolder(target)
    target.mkdir(parents=True)
    # What was derived once and is what the records say need not be derived again.
    kept = checked.answer == "verified" and (run / PAGE).is_file()
    derived = (SUMMARY, PAGE) if kept else ()
    for each in (RECORDS, ENVIRONMENT, SIGNATURE, *derived):
        if (run / each).is_file():
            shutil.copyfile(run / each, target / each)
    if not kept:
        folder.write(SUMMARY, to_json(summary))
        for line in write_page(folder, summary):
            say(f"{name}: {line}")
    reasons = (*checked.differences, *checked.untold)
    return CollectedRun(name, summary, checked.answer, reasons)
