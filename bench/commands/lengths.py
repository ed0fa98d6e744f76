"""`rtfbench explain --lengths`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.commands.explained_folder import folder_for, write
from bench.commands.progress import complain, progress_on_stderr, say
from bench.explain.length_runs import lengths_of
from bench.explain.subject import subject_of
from bench.report import lengths as report
from bench.report.plots import lengths as picture
from bench.report.plots.style import Picture
from bench.results.lengths import LengthReport
from bench.results.store import LENGTHS

TEXT = "lengths.md"
OK, FOUND, INTERRUPTED = 0, 1, 130
#: 500 runs of one engine, of a model of some GFLOP.
AROUND_S = 60.0
ONE_LENGTH = "--lengths: a static model takes one length; leave out --form, or choose dynamic"


def lengths(
    flags: Mapping[str, Any],
    *,
    libraries: Mapping[str, Path | None],
    out: Path | None,
    overwrite: bool,
) -> int:
    """Run engines on input of many lengths, print the report, and return the exit status.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    if "static" in (flags.get("forms") or ()):
        raise InputError(ONE_LENGTH)
    folder = folder_for(out, LENGTHS, overwrite=overwrite)
    flags = {**flags, "forms": ("dynamic",), "protocols": ("steady",)}
    subject = subject_of(flags, libraries=libraries, phase=say, note=complain)
    with progress_on_stderr(AROUND_S * len(subject.cells)) as progress:
        found = lengths_of(subject, progress=progress)
    text = report.render(found)
    print(text, end="")
    write(folder, text=(TEXT, text), figures=(LENGTHS, found), pictures=_pictures(found))
    say(f"results: {folder}")
    if any(each.interrupted for each in found.engines):
        return INTERRUPTED
    return FOUND if any(each.failed or each.leaks for each in found.engines) else OK


def _pictures(found: LengthReport) -> list[Picture]:
    """Return the picture; none where matplotlib is not installed, or nobody came to an end."""
    try:
        drawn = picture.draw(found)
    except ImportError as error:
        say(f"no picture: {error}; install matplotlib with: pip install 'rtfbench[plot]'")
        return []
    return [] if drawn is None else [drawn]
