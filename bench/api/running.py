"""Measure, and load what was measured."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypedDict, Unpack

from bench.api.progress import ProgressCallback, Told
from bench.api.result import Result
from bench.base.errors import InputError
from bench.measure.context import Progress
from bench.measure.whole_run import Audience, default_folder, read_summary, run_plan
from bench.plan.plan_files import load_plan
from bench.plan.sweep import Plan
from bench.results.cells import Protocol
from bench.results.store import RECORDS, RunFolder
from bench.zoo.catalog import Weights
from engines.protocol import Form, Precision

StrPath = str | PathLike[str]


class PlanOptions(TypedDict, total=False):
    """What may be said of a run; the names are those of a plan file, one value stands for a list.

    `rtfbench run --help` and `bench.plan.sweep` explain them and have the defaults.
    """

    models: StrPath | Sequence[StrPath]
    engines: str | Sequence[str]
    precisions: Precision | Sequence[Precision]
    threads: int | Sequence[int]
    chunk_samples: int | Sequence[int]
    forms: Form | Sequence[Form]
    protocols: Protocol | Sequence[Protocol]
    jobs: int | Sequence[int]
    batches: int | Sequence[int]
    audio: StrPath | Sequence[StrPath]
    channel: int
    resample: bool
    weights: Weights
    trials: StrPath
    trial_audio: StrPath | Sequence[StrPath]
    max_eer_loss: float
    budget_s: float
    sessions: int
    half_width: float
    timeout_s: float
    max_rss_mb: float
    seed: int
    ghost: bool
    weight: float
    input: str
    output: str
    reference: StrPath
    packages: str | Sequence[str]


def run(
    plan: StrPath | None = None,
    *,
    out: StrPath | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    **options: Unpack[PlanOptions],
) -> Result:
    """Measure every combination of what is named, as `rtfbench run` does.

    Ctrl-C ends the measuring, not the program: the result is what was measured until then, and its
    `interrupted` is true. A recording that cannot be used is left out, with a warning.

    Args:
        plan: a plan file, or the name of one of the package's; options override it.
        out: the run folder; None makes one under `runs/`.
        overwrite: replace a run that `out` holds.
        resume: go on with the run that `out` holds.
        progress: is called with a text and the share that is done.
        options: see `PlanOptions`.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    told = Told(progress)

    @contextmanager
    def watch(expected_s: float) -> Iterator[Progress]:
        yield told

    measured = run_plan(
        load_plan(None if plan is None else Path(plan), _as_lists(options)),
        default_folder() if out is None else Path(out),
        Audience(say=told.note, complain=_warn, progress=watch),
        overwrite=overwrite,
        resume=resume,
    )
    return Result(measured.folder.path, measured.summary, measured.status)


def load_run(path: StrPath) -> Result:
    """Load a finished or interrupted run from its folder.

    Raises:
        InputError: no run, or a damaged one.
    """
    folder = Path(path)
    if not (folder / RECORDS).is_file():
        raise InputError(f"{folder}: no {RECORDS} here; name a folder that a run was made in")
    return Result(folder, read_summary(RunFolder(folder)))


def _warn(text: str) -> None:
    """Warn of a part of the input that is left out: nobody need listen to progress."""
    warnings.warn(text, stacklevel=2)


def _as_lists(options: PlanOptions) -> dict[str, Any]:
    """Write a single value as a list where the plan has lists."""
    given: dict[str, Any] = dict(options)
    for name, value in given.items():
        field = Plan.model_fields.get(name)
        several = field is not None and str(field.annotation).startswith("tuple")
        if several and isinstance(value, str | int | PathLike):
            given[name] = (value,)
    if "models" in given:
        given["models"] = tuple(map(fspath, given["models"]))
    return given
