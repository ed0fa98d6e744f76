"""`rtfbench verify`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples
from bench.cli.options import (
    Channel,
    ChunkSamples,
    EngineName,
    MnnHome,
    MnnMiniHome,
    ModelFile,
    ModelForm,
    Resample,
    SeededWeights,
    Threads,
    model_or_default,
)


@app.command(
    short_help="Tell whether two recordings are of one speaker.",
    epilog=examples(
        "rtfbench verify --enroll a.wav --test b.wav --model model.onnx --engine mnn",
    )
    + "\n\nExit status: 0 same speaker, 1 different speakers, 2 error.",
)
def verify(
    enroll: Annotated[Path, typer.Option(help="Recording of the speaker who is known.")],
    test: Annotated[Path, typer.Option(help="Recording to compare it with.")],
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Same speaker from this score on.")
    ] = 0.5,
    model: ModelFile = None,
    seeded_weights: SeededWeights = False,
    engine: EngineName = None,
    mnn_home: MnnHome = None,
    mnn_mini_home: MnnMiniHome = None,
    form: ModelForm = None,
    samples_per_chunk: ChunkSamples = None,
    threads: Threads = 1,
    channel: Channel = None,
    resample: Resample = False,
) -> None:
    """Print the similarity of two recordings, (cosine + 1) / 2, and the decision."""
    from bench.commands import verify as command
    from bench.extract.options import ModelOptions

    raise typer.Exit(
        command.verify(
            ModelOptions(
                model=model_or_default(model, seeded_weights=seeded_weights),
                seeded_weights=seeded_weights,
                engine=engine,
                form=form.value if form else None,
                chunk_samples=samples_per_chunk,
                threads=threads,
                channel=channel,
                resample=resample,
                libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
            ),
            enroll=enroll,
            test=test,
            threshold=threshold,
        )
    )
