"""`rtfbench doctor`."""

from typing import Annotated

import typer

from bench.cli.app import app, examples
from bench.cli.options import Budget, Threads


@app.command(
    short_help="Say in a minute what this machine can tell apart.",
    epilog=examples("rtfbench doctor", "rtfbench doctor --engine mnn --model ecapa512"),
)
def doctor(
    model: Annotated[str, typer.Option(help="Model that is measured with.")] = "resnet34",
    engine: Annotated[
        str, typer.Option(help="Engine that is measured against itself.")
    ] = "onnxruntime",
    threads: Threads = 1,
    budget: Budget = 40,
) -> None:
    """Measure an engine against itself, and say which ratios this machine resolves and what helps.

    What it finds is the noise floor: a difference smaller than that cannot be told from none. The
    harness's own cost is measured with it.
    """
    from bench.commands import doctor as command

    raise typer.Exit(command.doctor(model=model, engine=engine, threads=threads, budget_s=budget))
