"""`rtfbench doctor`."""

import os
from typing import Annotated

import typer
from typer import Option

from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples


@app.command(
    short_help="Say in a minute what this machine can tell apart.",
    epilog=examples("rtfbench doctor", "rtfbench doctor --engine mnn --model ecapa512"),
)
def doctor(
    model: Annotated[str, Option(help="Model that is measured with.")] = "resnet34",
    engine: Annotated[str, Option(help="Engine that is measured against itself.")] = "onnxruntime",
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    threads: opt.Threads = 1,
    budget: opt.Budget = 40,
) -> None:
    """Measure an engine against itself, and say which ratios this machine resolves and what helps.

    What it finds is the noise floor: a difference smaller than that cannot be told from none. The
    harness's own cost is measured with it.
    """
    from rtfbench.base.core_count import usable_cores
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.measure.machine.health import advise
    from rtfbench.measure.noise_floor import noise_floor, sentences
    from rtfbench.models.user_models import Reading
    from rtfbench.report import about
    from rtfbench.report.terminal import Output

    # Before anything is started here.
    advised = list(advise(usable_cores(), load_average_1min=os.getloadavg()[0]))
    with progress_on_stderr() as progress:
        found = noise_floor(
            model=model,
            engine=engine,
            threads=threads,
            budget_s=budget,
            progress=progress,
            reading=Reading(front_end, model_input, model_output),
        )
    output = Output()
    output.print(about.host(found.host))
    for line in about.machine(found.host.host) if found.host.host else ():
        output.print(line)
    for line in sentences(found):
        output.print(line)
    for text in advised:
        output.print(f"- {text}")
    # 1 where twins looked different.
    raise typer.Exit(int(found.noise.contaminated))
