"""`rtfbench run`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.commands.progress import ON_STDERR, complain, say
from bench.commands.report import write_page
from bench.measure.whole_run import BAD_INPUT, INTERRUPTED, default_folder, run_plan
from bench.plan.plan_files import load_plan
from bench.report import terminal
from bench.results.store import PAGE


def run(
    plan_path: Path | None,
    flags: dict[str, Any],
    *,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    thorough: bool = False,
    libraries: Mapping[str, Path | None] | None = None,
) -> int:
    """Run a sweep, print its tables, and return the exit status.

    `libraries` are the folders that options name, by the engines that they are for.
    """
    plan = load_plan(plan_path, flags)
    measured = run_plan(
        plan.thorough() if thorough else plan,
        out or default_folder(),
        ON_STDERR,
        overwrite=overwrite,
        resume=resume,
        libraries=libraries,
    )
    # Before anything is printed: a reader may leave early.
    left_out, status = [], measured.status
    try:
        left_out = list(write_page(measured.folder, measured.summary))
    except (InputError, OSError) as error:
        complain(f"no {PAGE}: {error}")
        status = BAD_INPUT
    terminal.show(measured.summary, terminal.Output())
    for line in left_out:
        say(line)
    interrupted = measured.status == INTERRUPTED
    say(f"results: {measured.folder.path}" + " (interrupted; go on with --resume)" * interrupted)
    return status
