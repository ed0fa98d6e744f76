"""`rtfbench gate` and `rtfbench compare`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError
from rtfbench.base.limits import read_regression
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.gate.measure import Held
    from rtfbench.gate.verdict import Also

STATUS = {"pass": 0, "regression": 1, "inconclusive": 3}
STATUSES = "Exit status: 0 pass, 1 regression, 3 inconclusive, 2 bad input."


@dataclass(frozen=True)
class GateOutputs:
    """Where the result goes, besides standard output."""

    junit: Path | None = None
    comment: Path | None = None
    github_summary: bool = False
    json: bool = False
    fail_inconclusive: bool = False

    @property
    def files(self) -> list[Path]:
        """What is written over."""
        return [path for path in (self.junit, self.comment) if path is not None]

    def check(self) -> None:
        """Refuse before anything is measured what could not be written after it.

        Raises:
            InputError: there is no summary of a workflow's step.
        """
        if self.github_summary:
            from rtfbench.report.page import step_summary

            step_summary()


AlsoDecides = Annotated[
    str,
    Option(
        metavar="NAMES",
        help="What decides beside the RTF, by commas: front-end, harness, load, first-chunk, "
        "memory, size. The rest is told.",
    ),
]


def named_also(text: str) -> list["Also"]:
    """Read `memory,load`."""
    from rtfbench.gate.verdict import Also

    known: dict[str, Also] = {each: each for each in get_args(Also)}
    names = [each.strip() for each in text.split(",") if each.strip()]
    unknown = [each for each in names if each not in known]
    if unknown:
        raise typer.BadParameter(f"--also {unknown[0]!r}: known are {', '.join(known)}")
    return [known[each] for each in names]


@app.command(
    short_help="Fail when something got slower than a baseline, and only then.",
    epilog=examples(
        "rtfbench gate --baseline reports/baselines/mnn-3.6.0.toml",
        "rtfbench gate --against-rev main --max-regression 5% --budget 120",
        "rtfbench gate --baseline base.toml --junit gate.xml --github-summary",
    ),
    help="Measure a baseline and what is installed in the same blocks, and judge. " + STATUSES,
)
def gate(
    baseline: Annotated[
        Path | None, Option(help="TOML: pinned packages, a revision, or a model file.")
    ] = None,
    against_rev: Annotated[
        str | None, Option(help="Git revision of this project whose code is the baseline.")
    ] = None,
    max_regression: Annotated[
        str | None, Option(help="An RTF's interval must stay under this. [default: 5%]")
    ] = None,
    budget: opt.GateBudget = 300,
    also: AlsoDecides = "",
    max_rss: opt.MaxRss = None,
    junit: opt.Junit = None,
    comment: opt.Comment = None,
    github_summary: opt.StepSummary = False,
    json: opt.Json = False,
    fail_inconclusive: opt.FailInconclusive = False,
    seed: opt.Seed = None,
) -> None:
    """Run the gate."""
    from rtfbench.base.files import check_outputs
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.gate.baseline import Baseline, GateOptions, load_baseline
    from rtfbench.gate.held import Comparison

    wanted = GateOutputs(junit, comment, github_summary, json, fail_inconclusive)
    wanted.check()
    limit = None if max_regression is None else read_regression(max_regression)
    if (baseline is None) == (against_rev is None):
        only = ", and leave the other out" if baseline else ""
        raise InputError(f"name one of --baseline FILE and --against-rev REVISION{only}")
    held = load_baseline(baseline) if baseline else Baseline(revision=against_rev)
    check_outputs(wanted.files, [baseline, held.model_file, *map(Path, held.models)])
    options = GateOptions(
        max_regression=limit, budget_s=budget, seed=seed, max_rss_mb=max_rss, also=named_also(also)
    )
    asked = Comparison.with_baseline(held, options)
    with progress_on_stderr() as progress:
        found = asked.run(progress)
    raise typer.Exit(_tell(found, wanted))


@app.command(
    short_help="Hold two engines, versions, models or finished runs against each other.",
    epilog=examples(
        "rtfbench compare mnn@3.6.0 mnn",
        "rtfbench compare onnxruntime mnn --model ecapa512 --budget 60",
        "rtfbench compare mnn:old.mnn mnn:new.mnn",
        "rtfbench compare runs/before runs/after",
    ),
    help="Measure two specifications in the same blocks, or compare two finished runs by their "
    "ratios to the reference engine. " + STATUSES,
)
def compare(
    base: Annotated[str, Argument(help="Engine, engine@version, engine:model, or a run.")],
    candidate: Annotated[str, Argument(help="The same; held against the first.")],
    model: Annotated[str, Option(help="Model, where no file is named.")] = "resnet34",
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    device: opt.DeviceName = "cpu",
    threads: opt.Threads = 1,
    chunk_samples: Annotated[int, Option(help="Samples a chunk at 16 kHz.")] = 32000,
    max_regression: Annotated[
        str, Option(help="The candidate's interval must stay under this.")
    ] = "5%",
    budget: opt.GateBudget = 60,
    also: AlsoDecides = "",
    max_rss: opt.MaxRss = None,
    junit: opt.Junit = None,
    comment: opt.Comment = None,
    github_summary: opt.StepSummary = False,
    json: opt.Json = False,
    fail_inconclusive: opt.FailInconclusive = False,
    seed: opt.Seed = None,
) -> None:
    """Compare two sides."""
    from rtfbench.base.files import check_outputs
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.gate.baseline import GateOptions
    from rtfbench.gate.held import hold
    from rtfbench.models.user_models import Reading

    wanted = GateOutputs(junit, comment, github_summary, json, fail_inconclusive)
    wanted.check()
    options = GateOptions(
        model=model,
        reading=Reading(front_end, model_input, model_output),
        device=device,
        threads=threads,
        chunk_samples=chunk_samples,
        max_regression=read_regression(max_regression),
        budget_s=budget,
        seed=seed,
        max_rss_mb=max_rss,
        also=named_also(also),
    )
    check_outputs(wanted.files, [Path(model), *_read_by(base), *_read_by(candidate)])
    with progress_on_stderr() as progress:
        found = hold(base, candidate, options, progress)
    raise typer.Exit(_tell(found, wanted))


def _read_by(side: str) -> list[Path]:
    """Return the files that a side of a comparison names: those of a run, or a model."""
    folder = Path(side)
    return [*folder.iterdir()] if folder.is_dir() else [Path(side.partition(":")[2])]


def _tell(held: "Held", wanted: GateOutputs) -> int:
    """Print what was found, write it where it is wanted, and return the exit status."""
    from rtfbench.base.cache import write_whole
    from rtfbench.base.files import writing_to
    from rtfbench.gate import report
    from rtfbench.gate.verdict import overall
    from rtfbench.report import markdown, terminal
    from rtfbench.report.page import append_to_step_summary

    found = report.of_gate(held)
    text = markdown.draw(found)
    if wanted.json:
        print(report.as_json(held), end="")
    else:
        terminal.show(found)
    for path, content in ((wanted.junit, report.junit(held)), (wanted.comment, text)):
        if path is not None:
            with writing_to(path):
                write_whole(path, content)
            print(path, file=sys.stderr)
    if wanted.github_summary:
        append_to_step_summary(text)
    status = STATUS[overall(held.rulings)]
    return STATUS["regression"] if wanted.fail_inconclusive and status else status
