"""Options that several commands have, each declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Context, Option

from rtfbench.base.limits import LONGEST_S, MOST_MB


def plan_fields(context: Context) -> dict[str, Any]:
    """Return what options say of a plan: each bears the name of the plan's field."""
    from rtfbench.measure.plan import Plan

    # A switch that is off was not given.
    said = ((name, value) for name, value in context.params.items() if value is not False)
    return {name: value for name, value in said if name in Plan.model_fields}


class FormChoice(StrEnum):
    """Whether a model takes any number of frames."""

    dynamic = "dynamic"
    static = "static"


class PrecisionChoice(StrEnum):
    """What weights and activations are computed in."""

    float32 = "float32"
    tf32 = "tf32"
    bf16 = "bf16"
    fp16 = "fp16"
    fp16_weights = "fp16-weights"
    int8 = "int8"
    int8_weights = "int8-weights"


# How requests arrive.
WindowS = Annotated[
    float | None,
    Option(
        "--window",
        metavar="S",
        min=0.01,
        max=3600,
        help="Seconds that a live stream asks for. [default: 1.5]",
    ),
]
HopS = Annotated[
    float | None,
    Option(
        "--hop",
        metavar="S",
        min=0.01,
        max=3600,
        help="Seconds from one window of a live stream to the next. [default: half a window]",
    ),
]
GammaShape = Annotated[
    float | None,
    Option(
        "--gamma",
        metavar="SHAPE",
        min=0.01,
        max=1e6,
        help="Gaps between requests are of a gamma distribution of this shape; less is burstier. "
        "[default: 1, a Poisson process]",
    ),
]
TraceFile = Annotated[
    Path | None,
    Option(
        "--trace",
        help="File with the second of each request, a line each, whose gaps are taken instead.",
    ),
]
# What computes.
ModelName = Annotated[
    str,
    Option(
        help="Model name (`rtfbench models`), an .onnx or .mnn file, or an experiment's folder."
    ),
]
ModelFile = Annotated[
    str | None,
    Option(
        help="An .onnx or .mnn file, the folder of an experiment (config.yaml and its checkpoint), "
        "or a model name (`rtfbench models`), which knows no real speakers."
    ),
]
FrontEndName = Annotated[
    str | None,
    Option(
        "--front-end",
        metavar="NAME|FILE",
        help="What a model file is fed: wespeaker, 3d-speaker, sherpa-onnx, nemo, speechbrain, "
        "pyannote, kaldi, or a file in TOML. [default: what the file, or model.toml beside it, "
        "says; else wespeaker]",
    ),
]
ModelInput = Annotated[
    str | None,
    Option("--model-input", help="Input of a model file, where its shape does not tell."),
]
ModelOutput = Annotated[
    str | None,
    Option("--model-output", help="Embedding of a model file, where shapes do not tell."),
]
WeightsName = Annotated[
    Literal["trained", "seeded"] | None,
    Option(
        "--weights",
        help="Of models of the catalog: trained on synthetic voices where a model has such, else "
        "seeded; or seeded. [default: trained]",
    ),
]
EngineName = Annotated[
    str | None,
    Option(
        help="Engine (`rtfbench engines`), with settings as name[key=value,...]. "
        "[default: mnn; onnxruntime for an .onnx file or an experiment]"
    ),
]
MnnHome = Annotated[
    Path | None,
    Option(
        help="Folder with your own MNN (include/MNN and libMNN.so, here or in lib/), which the "
        "engine mnn then uses in place of the wheel. [default: RTFBENCH_MNN_HOME]"
    ),
]
MnnMiniHome = Annotated[
    Path | None,
    Option(
        help="The same with a minimal MNN (built with -DMNN_BUILD_MINI=ON) for the engine "
        "mnn-mini. [default: RTFBENCH_MNN_MINI_HOME]"
    ),
]
ModelForm = Annotated[
    FormChoice | None, Option(help="Model form. [default: what the engine prefers]")
]
ChunkSamples = Annotated[
    int | None,
    Option(
        "--samples-per-chunk",
        "--chunk-samples",
        help="Samples a chunk, -1: whole utterance. "
        "[default: 32000, or what a static model file is fixed to]",
    ),
]
Threads = Annotated[int, Option(min=1, help="Intra-op threads.")]
DeviceName = Annotated[
    str, Option("--device", help="Where engines compute: cpu, cuda or cuda:N, from 0.")
]

# What is read.
Audio = Annotated[
    list[Path] | None,
    Option(help="Audio file, folder or Kaldi wav.scp. [default: speech in the package]"),
]
Channel = Annotated[int | None, Option(min=0, help="Channel of recordings with several, from 0.")]
Resample = Annotated[bool, Option("--resample", help="Convert other sample rates to the model's.")]

# How much, how long, and where results go.
PartSize = Annotated[
    str | None,
    Option(
        metavar="SIZE",
        help="Split an .ark into RESULT.1.ark, RESULT.2.ark and so on, of 500MB or 1GB each, with "
        "one .scp.",
    ),
]
MaxRss = Annotated[
    float | None,
    Option(
        "--max-rss",
        metavar="MB",
        min=1,
        max=MOST_MB,
        help="Resident memory that a worker, or what makes a model's files, may take, in 10^6 "
        "bytes. [default: no limit]",
    ),
]
Budget = Annotated[float, Option(min=1, max=LONGEST_S, help="Seconds of measuring, loading apart.")]
GateBudget = Annotated[
    float,
    Option(
        "--budget",
        min=1,
        max=LONGEST_S,
        help="Seconds that measuring may take, the start of processes included.",
    ),
]
PlanBudget = Annotated[
    float | None, Option("--budget", help="Seconds of measuring, loading apart. [default: 180]")
]
Junit = Annotated[Path | None, Option(help="Write JUnit XML here.")]
Comment = Annotated[Path | None, Option(help="Write the markdown table here.")]
StepSummary = Annotated[
    bool, Option("--github-summary", help="Append the table to $GITHUB_STEP_SUMMARY.")
]
FailInconclusive = Annotated[
    bool, Option("--fail-inconclusive", help="End with status 1 where it cannot be told, too.")
]
Full = Annotated[
    bool, Option("--full", help="Print all that was measured, not the answer's tables alone.")
]
Json = Annotated[bool, Option("--json", help="Print JSON, for machines.")]
Seed = Annotated[int | None, Option(help="Seed of the order of turns. [default: drawn, and told]")]
