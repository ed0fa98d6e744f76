"""`rtfbench replay`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import say
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples


@app.command(
    short_help="Measure a published table again and judge it.",
    epilog=examples(
        "rtfbench replay",
        "rtfbench replay wespeaker-mnn",
        "rtfbench replay wespeaker-onnxruntime --budget 600 --out runs/replay",
        "rtfbench replay my-claim.toml --audio recordings/",
    ),
)
def replay(
    claim: Annotated[
        str | None, Argument(help="A claim's name, or a TOML file. [default: list them]")
    ] = None,
    audio: opt.Audio = None,
    budget: opt.PlanBudget = None,
    out: Annotated[
        Path | None, Option(help="Folder for the results. [default: runs/CLAIM-DATE-TIME]")
    ] = None,
) -> None:
    """Run a published table's settings and print it beside what is measured here.

    Absolute RTFs belong to two machines, so ratios between rows are compared; Params and FLOPs
    digit by digit. Each ratio ends as reproduced, not reproduced, or explained by a control.
    """
    from rtfbench.commands.progress import ON_STDERR
    from rtfbench.gate.claims import claim as claims
    from rtfbench.report import terminal

    if claim is None:
        for name in claims.claim_names():
            known = claims.load_claim(name)
            print(f"{name}: {known.title} ({known.source})")
        return
    measured, told = claims.replay(
        claim, audio=tuple(audio or ()), budget_s=budget, out=out, audience=ON_STDERR
    )
    terminal.show(told)
    say(f"results: {measured.folder.path}")
    raise typer.Exit(measured.status)
