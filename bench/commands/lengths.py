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

RESULT, TEXT = "lengths.json", "lengths.md"
OK, FOUND = 0, 1
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
    folder = folder_for(out, RESULT, overwrite=overwrite)
    flags = {**flags, "forms": ("dynamic",), "protocols": ("steady",)}
    subject = subject_of(flags, libraries=libraries, phase=say, note=complain)
    with progress_on_stderr(AROUND_S * len(subject.cells)) as progress:
        found = lengths_of(subject, progress=progress)
    text = report.render(found)
    contents: dict[str, str | bytes] = {
        TEXT: text,
        RESULT: found.model_dump_json(indent=2) + "\n",
    }
    try:
        drawn = picture.draw(found)
    except ImportError:
        drawn = None
        say("no picture: matplotlib is not installed; pip install 'rtfbench[plot]'")
    if drawn is not None:
        contents |= {f"{drawn.name}.png": drawn.png, f"{drawn.name}.svg": drawn.svg}
    write(folder, contents)
    print(text, end="")
    say(f"results: {folder}")
    return FOUND if any(each.failed or each.leaks for each in found.engines) else OK
