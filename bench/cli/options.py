"""Options that several commands have, each declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.base.limits import LONGEST_S, MOST_MB


class Form(StrEnum):
    """Whether a model takes any number of frames."""

    dynamic = "dynamic"
    static = "static"


# What computes.
ModelName = Annotated[
    str,
    typer.Option(
        help="Model name (`rtfbench models`), an .onnx or .mnn file, or an experiment's folder."
    ),
]
ModelFile = Annotated[
    str | None,
    typer.Option(
        help="An .onnx or .mnn file, or the folder of an experiment (config.yaml and its "
        "checkpoint); with --seeded-weights a model name (`rtfbench models`)."
    ),
]
SeededWeights = Annotated[
    bool,
    typer.Option(
        "--seeded-weights",
        help="Use a model of the catalog, whose weights are not trained and know no speakers: for "
        "speed and parity. [default model: resnet34]",
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        help="Engine (`rtfbench engines`), with settings as name[key=value,...]. "
        "[default: mnn; onnxruntime for an .onnx file or an experiment]"
    ),
]
MnnHome = Annotated[
    Path | None,
    typer.Option(
        help="Folder with your own MNN (include/MNN and libMNN.so, here or in lib/), which the "
        "engine mnn then uses in place of the wheel. [default: RTFBENCH_MNN_HOME]",
    ),
]
MnnMiniHome = Annotated[
    Path | None,
    typer.Option(
        help="The same with a minimal MNN (built with -DMNN_BUILD_MINI=ON) for the engine "
        "mnn-mini. [default: RTFBENCH_MNN_MINI_HOME]",
    ),
]
ModelForm = Annotated[
    Form | None, typer.Option(help="Model form. [default: what the engine prefers]")
]
ChunkSamples = Annotated[
    int | None,
    typer.Option(
        "--samples-per-chunk",
        "--chunk-samples",
        help="Samples a chunk at 16 kHz, -1: whole utterance. "
        "[default: 32000, or what a static model file is fixed to]",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="Intra-op threads.")]

# What is read.
Audio = Annotated[
    list[Path] | None,
    typer.Option(help="Audio file, folder or Kaldi wav.scp. [default: speech in the package]"),
]
Channel = Annotated[
    int | None, typer.Option(min=0, help="Channel of recordings with several, from 0.")
]
Resample = Annotated[bool, typer.Option("--resample", help="Convert other sample rates to 16 kHz.")]

# How much, how long, and where results go.
PartSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Split an .ark into RESULT.1.ark, RESULT.2.ark and so on, of 500MB or 1GB each, with "
        "one .scp.",
    ),
]
MaxRss = Annotated[
    float | None,
    typer.Option(
        metavar="MB",
        min=1,
        max=MOST_MB,
        help="Resident memory that a worker, or what makes a model's files, may take, in 10^6 "
        "bytes. [default: no limit]",
    ),
]
Budget = Annotated[
    float, typer.Option(min=1, max=LONGEST_S, help="Seconds of measuring, loading apart.")
]
GateBudget = Annotated[
    float,
    typer.Option(
        min=1,
        max=LONGEST_S,
        help="Seconds that measuring may take, the start of processes included.",
    ),
]
PlanBudget = Annotated[
    float | None, typer.Option(help="Seconds of measuring, loading apart. [default: 180]")
]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
Comment = Annotated[Path | None, typer.Option(help="Write the markdown table here.")]
StepSummary = Annotated[
    bool, typer.Option("--github-summary", help="Append the table to $GITHUB_STEP_SUMMARY.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Seed = Annotated[
    int | None, typer.Option(help="Seed of the order of turns. [default: drawn, and told]")
]


def model_or_default(model: str | None, *, seeded_weights: bool) -> str:
    """Return the model that is meant, empty where none is named and none may be assumed."""
    return model or ("resnet34" if seeded_weights else "")
