"""`rtfbench export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import app, examples


class ModelFormat(StrEnum):
    """What is written."""

    onnx = "onnx"
    mnn = "mnn"


@app.command(
    short_help="Write a model file, ONNX or MNN, proved against its source.",
    epilog=examples(
        "rtfbench export --model resnet34 --format onnx -o resnet34.onnx",
        "rtfbench export --model resnet34 --format mnn --num-frames 198 -o resnet34.mnn",
        "rtfbench export --config exp/config.yaml --checkpoint exp/models/avg_model.pt "
        "--format onnx -o model.onnx",
        "rtfbench export --onnx model.onnx --format mnn --num-frames 198 -o model.mnn",
    ),
)
def export(
    format: Annotated[ModelFormat, typer.Option(help="What to write.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; one that exists is replaced.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Model name (`rtfbench models`), with seeded weights.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="config.yaml of a WeSpeaker experiment.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Its weights; nothing in the file is run.")
    ] = None,
    mean_vec: Annotated[
        Path | None, typer.Option(help="Vector (.npy) that is subtracted from every embedding.")
    ] = None,
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to convert.")] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(
            min=1, max=360_000, help="Fix the number of frames. [default: any number will do]"
        ),
    ] = None,
) -> None:
    """Export a model of the catalog, a WeSpeaker experiment, or an ONNX file.

    The result is run beside its source on random and real features, at two lengths where it takes
    any; a file that does not compute the same is not kept, and the exit status is 1.
    """
    from bench.commands import export as command
    from bench.models.make_export import ExportRequest

    raise typer.Exit(
        command.export(
            ExportRequest(
                output=output,
                format=format.value,
                num_frames=num_frames,
                model=model,
                config=config,
                checkpoint=checkpoint,
                mean_vec=mean_vec,
                onnx=onnx,
            )
        )
    )
