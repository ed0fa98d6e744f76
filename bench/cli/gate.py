"""`rtfbench gate` and `rtfbench compare`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples
from bench.cli.options import Comment, GateBudget, Json, Junit, MaxRss, Seed, StepSummary, Threads

STATUSES = "Exit status: 0 pass, 1 regression, 3 inconclusive, 2 bad input."


def share(text: str) -> float:
    """Read `5%` or `0.05`."""
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: write a share, for example 5% or 0.05") from None
    if not 0 < value < 1:
        raise typer.BadParameter(f"{text!r}: must lie between 0 and 100 %")
    return value


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
        Path | None, typer.Option(help="TOML: pinned packages, a revision, or a model file.")
    ] = None,
    against_rev: Annotated[
        str | None, typer.Option(help="Git revision of this project whose code is the baseline.")
    ] = None,
    max_regression: Annotated[
        str | None, typer.Option(help="An RTF's interval must stay under this. [default: 5%]")
    ] = None,
    budget: GateBudget = 300,
    max_rss: MaxRss = None,
    junit: Junit = None,
    comment: Comment = None,
    github_summary: StepSummary = False,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Run the gate."""
    from bench.commands import gate as command

    wanted = command.Wanted(junit, comment, github_summary, json)
    raise typer.Exit(
        command.gate(
            baseline,
            against_rev,
            max_regression=None if max_regression is None else share(max_regression),
            budget_s=budget,
            wanted=wanted,
            seed=seed,
            max_rss_mb=max_rss,
        )
    )


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
    base: Annotated[str, typer.Argument(help="Engine, engine@version, engine:model, or a run.")],
    candidate: Annotated[str, typer.Argument(help="The same; held against the first.")],
    model: Annotated[str, typer.Option(help="Model, where no file is named.")] = "resnet34",
    threads: Threads = 1,
    chunk_samples: Annotated[int, typer.Option(help="Samples a chunk at 16 kHz.")] = 32000,
    max_regression: Annotated[
        str, typer.Option(help="The candidate's interval must stay under this.")
    ] = "5%",
    budget: GateBudget = 60,
    max_rss: MaxRss = None,
    junit: Junit = None,
    comment: Comment = None,
    github_summary: StepSummary = False,
    json: Json = False,
    seed: Seed = None,
) -> None:
    """Compare two sides."""
    from bench.commands import gate as command

    raise typer.Exit(
        command.compare(
            base,
            candidate,
            model=model,
            threads=threads,
            chunk_samples=chunk_samples,
            max_regression=share(max_regression),
            budget_s=budget,
            wanted=command.Wanted(junit, comment, github_summary, json),
            seed=seed,
            max_rss_mb=max_rss,
        )
    )
