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


@app.command(
    short_help="Measure models on engines and print the table.",
    epilog=examples(
        "rtfbench run",
        'rtfbench run --engine mnn --engine "mnn[precision=low]" --audio recordings/',
        "rtfbench run --model resnet34 --threads 1 --threads 2 --chunk-samples 80000 --budget 60",
        "rtfbench run --model my.onnx --engine onnxruntime --engine mnn --engine mnn-mini",
        "rtfbench run --protocol steady --budget 60 --thorough",
        "rtfbench run --engine mnn --engine mnn-mini --mnn-home mnn-3.6/ --mnn-mini-home mini-3.6/",
        'rtfbench run --engine mnn --engine "mnn[home=/opt/mnn-2.8]"',
        "rtfbench run zoo --out runs/zoo --resume",
        "rtfbench run sweep.toml --out runs/sweep --resume",
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
        list[Protocol] | None, typer.Option(help="What the clock includes. [default: both]")
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
            help="Trial list (`rtfbench score`): adds each cell's EER, and how far engines differ."
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
    precision: Annotated[
        float | None,
        typer.Option(
            help="Stop when every ratio's 95 % interval is this narrow to either side, as a "
            "share. [default: 0.015]"
        ),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="12 sessions, half the precision and three times the budget."
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a worker may take for one answer. [default: 120]"),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that --out holds.")
    ] = False,
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
        "input": input,
        "output": output,
        "reference": reference,
        "audio": audio,
        "channel": channel,
        "resample": resample or None,
        "trials": trials,
        "budget_s": budget,
        "sessions": sessions,
        "precision": precision,
        "timeout_s": timeout,
        "seed": seed,
    }
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
