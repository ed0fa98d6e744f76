"""`rtfbench run`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.cli.app import app, examples
from bench.cli.options import (
    Audio,
    Channel,
    Form,
    MaxRss,
    MnnHome,
    MnnMiniHome,
    PlanBudget,
    Resample,
    Seed,
)


class Protocol(StrEnum):
    """What the clock includes."""

    published = "published"
    steady = "steady"
    throughput = "throughput"


class WeightsChoice(StrEnum):
    """Which weights models of the catalog have."""

    trained = "trained"
    seeded = "seeded"


class Precision(StrEnum):
    """What weights and activations are computed in."""

    float32 = "float32"
    bf16 = "bf16"
    fp16 = "fp16"
    fp16_weights = "fp16-weights"
    int8 = "int8"
    int8_weights = "int8-weights"


@app.command(
    short_help="Measure models on engines and print the table.",
    epilog=examples(
        "rtfbench run",
        'rtfbench run --engine mnn --engine "mnn[precision=low]" --audio recordings/',
        "rtfbench run --model resnet34 --threads 1 --threads 2 --chunk-samples 80000 --budget 60",
        "rtfbench run --model my.onnx --engine onnxruntime --engine mnn --engine mnn-mini",
        "rtfbench run --engine onnxruntime --engine openvino --precision float32 --precision int8",
        "rtfbench run --protocol steady --budget 60 --thorough",
        "rtfbench run --protocol throughput --jobs 1 --jobs 2 --batch 1 --batch 4",
        "rtfbench run --engine mnn --engine mnn-mini --mnn-home mnn-3.6/ --mnn-mini-home mini-3.6/",
        'rtfbench run --engine mnn --engine "mnn[home=/opt/mnn-2.8]"',
        "rtfbench run zoo --out runs/zoo --resume",
        "rtfbench run sweep.toml --out runs/sweep --resume",
        "rtfbench run sweep.toml --out runs/hosts --cluster tcp://head:8786",
    ),
)
def run(
    plan: Annotated[
        Path | None,
        typer.Argument(
            help="A sweep in TOML, or `zoo` for the published ten-model table; "
            "options given here override it."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model name (`rtfbench models`), or a file: .onnx or .mnn. [default: resnet34]"
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine (`rtfbench engines`), with settings as name[key=value,...]. "
            "[default: onnxruntime, mnn, mnn-mini]"
        ),
    ] = None,
    precision: Annotated[
        list[Precision] | None,
        typer.Option(
            help="What engines compute in; one alone is written as name:precision, as in "
            "openvino:int8. [default: float32]"
        ),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Intra-op threads. [default: 1]")
    ] = None,
    chunk_samples: Annotated[
        list[int] | None,
        typer.Option(
            help="Samples a chunk at 16 kHz, -1: whole utterance. "
            f"[default: {PUBLISHED_CHUNK_SAMPLES}, or what a static model file is fixed to]"
        ),
    ] = None,
    mnn_home: MnnHome = None,
    mnn_mini_home: MnnMiniHome = None,
    form: Annotated[
        list[Form] | None, typer.Option(help="Model form. [default: what the engine prefers]")
    ] = None,
    protocol: Annotated[
        list[Protocol] | None,
        typer.Option(help="What the clock includes. [default: published and steady]"),
    ] = None,
    jobs: Annotated[
        list[int] | None,
        typer.Option(
            help="Processes at work at once, under --protocol throughput. [default: the cores that "
            "may be used, over the threads]"
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Chunks of equal length that run together at most. [default: 1]"),
    ] = None,
    input: Annotated[
        str | None, typer.Option(help="Input of a model file, where its shape does not tell.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Output of a model file, where its shape does not tell.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="ONNX file that a model file is compared with. [default: the file itself in "
            "onnxruntime without optimisations; for a lone .mnn, MNN itself]"
        ),
    ] = None,
    audio: Audio = None,
    channel: Channel = None,
    resample: Resample = False,
    trials: Annotated[
        Path | None,
        typer.Option(
            help="Trial list (`rtfbench score`), or `heldout` for the package's: adds each cell's "
            "EER, and what a precision loses of it."
        ),
    ] = None,
    trial_audio: Annotated[
        list[Path] | None,
        typer.Option(help="Recordings of the trials, embedded once a cell and not timed."),
    ] = None,
    max_eer_loss: Annotated[
        float | None,
        typer.Option(
            help="A row that surely loses more points of EER against float32 is wrong. "
            "[default: 0.1]"
        ),
    ] = None,
    weights: Annotated[
        WeightsChoice | None,
        typer.Option(
            help="Of models of the catalog: trained on synthetic voices where a model has such, or "
            "seeded. [default: trained]"
        ),
    ] = None,
    budget: PlanBudget = None,
    sessions: Annotated[
        int | None,
        typer.Option(
            help="Sets of fresh processes before intervals are looked at; a short budget allows "
            "fewer. [default: 6]"
        ),
    ] = None,
    half_width: Annotated[
        float | None,
        typer.Option(
            help="Stop when every ratio's 95 % interval is this narrow to either side, as a "
            "share. [default: 0.015]"
        ),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="12 sessions, half the width and three times the budget."),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a worker may take for one answer. [default: 120]"),
    ] = None,
    max_rss: MaxRss = None,
    seed: Seed = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that --out holds.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Measure on every host of a Dask cluster, tcp://HOST:8786, each the whole plan at "
            "once and nothing else; OUT gets a folder a host.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that --out holds.")
    ] = False,
) -> None:
    """Measure every combination of models, engines, threads, chunk sizes, forms and protocols.

    Options may be repeated. Every cell of the sweep ends as a row: with its RTF when its embedding
    equals the reference's, else with the reason.
    """
    from bench.commands import run as command

    flags: dict[str, Any] = {
        "models": model,
        "engines": engine,
        "threads": threads,
        "chunk_samples": chunk_samples,
        "forms": form,
        "protocols": protocol,
        "jobs": jobs,
        "batches": batch,
        "input": input,
        "output": output,
        "reference": reference,
        "audio": audio,
        "channel": channel,
        "resample": resample or None,
        "trials": trials,
        "trial_audio": trial_audio,
        "max_eer_loss": max_eer_loss,
        "weights": weights,
        "budget_s": budget,
        "sessions": sessions,
        "precisions": precision,
        "half_width": half_width,
        "timeout_s": timeout,
        "max_rss_mb": max_rss,
        "seed": seed,
    }
    if cluster is not None:
        from bench.commands.run_on_cluster import run_on_cluster

        raise typer.Exit(
            run_on_cluster(
                cluster,
                plan,
                flags,
                out=out,
                overwrite=overwrite,
                resume=resume,
                thorough=thorough,
                libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
            )
        )
    raise typer.Exit(
        command.run(
            plan,
            flags,
            out=out,
            overwrite=overwrite,
            resume=resume,
            thorough=thorough,
            libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
        )
    )
