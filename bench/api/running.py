"""Measure, and load what was measured."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypedDict, Unpack

from rtfbench.api.result import Result
from rtfbench.base.pace import Countdown, Progress
from rtfbench.engines.protocol import Form, Precision
from rtfbench.measure.plan import Plan, load_plan
from rtfbench.measure.whole_run import Audience, folder_for, read_stored, run_plan
from rtfbench.models.zoo.catalog import Weights

#: Is told what goes on, and which share of the measuring is done, 0 to 1.
ProgressCallback = Callable[[str, float], None]


class ToldProgress(Progress):
    """Progress that a function is told of, if there is one."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback or (lambda text, done: None)
        self._text, self._countdown = "starting", Countdown()

    def phase(self, text: str) -> None:
        """Tell what begins."""
        self._text = text
        self._callback(text, self._countdown.share)

    def step(self, text: str) -> None:
        """Tell what begins within a phase."""
        self.phase(text)

    def note(self, text: str) -> None:
        """Tell what a user should know."""
        self._callback(text, self._countdown.share)

    def left(self, most_s: float, least_s: float | None = None) -> None:
        """Tell how much is done."""
        self._countdown.tell(most_s, least_s)
        self._callback(self._text, self._countdown.share)


StrPath = str | PathLike[str]


class PlanOptions(TypedDict, total=False):
    """What may be said of a run; the names are those of a plan file, one value stands for a list.

    `rtfbench run --help` and `rtfbench.measure.plan` explain them and have the defaults.
    """

    models: StrPath | Sequence[StrPath]
    engines: str | Sequence[str]
    precisions: Precision | Sequence[Precision]
    devices: str | Sequence[str]
    threads: int | Sequence[int]
    chunk_samples: int | Sequence[int]
    forms: Form | Sequence[Form]
    protocols: str | Sequence[str]
    jobs: int | Sequence[int]
    batches: int | Sequence[int]
    rates: float | Sequence[float]
    streams: int | Sequence[int]
    window_s: float
    hop_s: float
    gamma_shape: float
    trace: StrPath
    batch_delay_ms: float
    places: int
    latency_ms: float
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
    front_end: str
    model_input: str
    model_output: str
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
    told = ToldProgress(progress)

    @contextmanager
    def watch() -> Iterator[Progress]:
        yield told

    measured = run_plan(
        load_plan(None if plan is None else Path(plan), _as_lists(options)),
        folder_for(None if out is None else Path(out), resume=resume),
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
    folder, summary = read_stored(Path(path))
    return Result(folder.path, summary)


def _warn(text: str) -> None:
    """Warn of a part of the input that is left out: nobody need listen to progress."""
    warnings.warn(text, stacklevel=2)


def _as_lists(options: PlanOptions) -> dict[str, Any]:
    """Write a single value as a list where the plan has lists."""
    given: dict[str, Any] = dict(options)
    for name, value in given.items():
        field = Plan.model_fields.get(name)
        several = field is not None and str(field.annotation).startswith("tuple")
        if several and isinstance(value, str | int | float | PathLike):
            given[name] = (value,)
    if "models" in given:
        given["models"] = tuple(map(fspath, given["models"]))
    return given
