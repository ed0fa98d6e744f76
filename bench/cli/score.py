"""`rtfbench score`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples


@app.command(
    short_help="Score trials with embeddings; EER and minDCF.",
    epilog=examples(
        "rtfbench score --trials trials.txt --embeddings embedding.txt --labels",
        "rtfbench score --trials trials.txt --embeddings ort.txt --embeddings mnn.txt --out scores",
    )
    + "\n\nExit status: 0 all well, 1 an embedding is missing, 2 bad input.",
)
def score(
    trials: Annotated[
        Path, typer.Option(help="Lines of ENROLL TEST [LABEL]: target or nontarget, 1 or 0.")
    ],
    embeddings: Annotated[
        list[Path],
        typer.Option(
            help="Embeddings that `rtfbench extract` wrote, by ending .npz, .scp, .ark or text. "
            "Of several, each one's EER is compared with the first one's."
        ),
    ],
    labels: Annotated[
        bool, typer.Option("--labels", help="Insist on labels: a trial without one is an error.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="File for the scores. [default: standard output]")
    ] = None,
) -> None:
    """Write the cosine of every trial and, where labels exist, say EER and minDCF (p = 0.01).

    A line is ENROLL TEST COSINE [LABEL], with one cosine for each file of embeddings.
    """
    from bench.commands import score as command

    raise typer.Exit(command.score(trials, embeddings, labels=labels, out=out))
