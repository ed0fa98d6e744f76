"""`rtfbench capacity`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from rtfbench.base.errors import say
from rtfbench.base.limits import MOST_LATENCY_MS
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples


@app.command(
    short_help="Find how many requests a second engines hold within a latency.",
    epilog=examples(
        "rtfbench capacity --model resnet34 --engine onnxruntime --engine mnn --latency-ms 2000",
        "rtfbench capacity --model my.onnx --engine openvino --latency-ms 200 --slo 0.95 --jobs 2",
        "rtfbench capacity --model ecapa512 --latency-ms 300 --window 1.5 --hop 0.75",
    )
    + "\n\nExit status: 0 every engine has a capacity, 1 one failed or keeps the limit at no rate, "
    "3 it cannot be told within the budget, 2 bad input, 130 interrupted.",
)
def capacity(
    context: typer.Context,
    latency_ms: Annotated[
        float,
        Option(
            min=0.001, max=MOST_LATENCY_MS, help="What a request may take, from when it is due."
        ),
    ],
    model: opt.ModelName = "resnet34",
    engine: Annotated[
        list[str] | None,
        Option(
            help="Engine (`rtfbench engines`), with settings as name[key=value,...]; may be "
            "repeated, the others are held against the first. [default: onnxruntime, mnn]"
        ),
    ] = None,
    slo: Annotated[
        float, Option(min=0.5, max=0.999, help="Share of the requests that have to keep it.")
    ] = 0.99,
    jobs: Annotated[
        int | None,
        Option(min=1, help="Processes that serve. [default: as many as the cores allow]"),
    ] = None,
    window_s: opt.WindowS = None,
    hop_s: opt.HopS = None,
    gamma_shape: opt.GammaShape = None,
    trace: opt.TraceFile = None,
    least: Annotated[
        float | None,
        Option(min=0, help="Exit status 1 where an engine surely holds fewer, 3 where it may."),
    ] = None,
    threads: opt.Threads = 1,
    chunk_samples: opt.ChunkSamples = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    audio: opt.Audio = None,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
    weights: opt.WeightsName = None,
    budget_s: opt.GateBudget = 600,
    timeout_s: Annotated[
        float, Option("--timeout", min=1, help="Seconds that a worker may take for one answer.")
    ] = 120,
    max_rss_mb: opt.MaxRss = None,
    out: Annotated[
        Path | None, Option(help="Folder for the results. [default: runs/capacity-DATE-TIME]")
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what --out holds.")] = False,
    seed: opt.Seed = None,
) -> None:
    """Find the highest rate of requests at which --slo of them are answered within --latency-ms.

    Requests arrive as under the server protocol; with --window or --hop they are those of live
    streams, and as many streams are found. Engines take turns, each near its own capacity.
    """
    from rtfbench.commands.progress import ON_STDERR
    from rtfbench.measure.capacity import FIRST_STREAMS, find_capacity, first_rate
    from rtfbench.measure.plan import load_plan
    from rtfbench.measure.whole_run import default_folder
    from rtfbench.report import terminal
    from rtfbench.results.server import SERVER, STREAMS

    flags = {
        **opt.plan_fields(context),
        "models": (model,),
        "engines": tuple(engine or ("onnxruntime", "mnn")),
        "jobs": () if jobs is None else (jobs,),
        "threads": (threads,),
        "chunk_samples": () if chunk_samples is None else (chunk_samples,),
        "latency_ms": None,  # what is searched by, and of no load
    }
    if window_s or hop_s:
        flags |= {"protocols": (STREAMS.name,), "streams": (FIRST_STREAMS,)}
    else:
        flags |= {"protocols": (SERVER.name,), "rates": (first_rate(latency_ms),)}
    found = find_capacity(
        load_plan(None, flags),
        out or default_folder("capacity-"),
        ON_STDERR,
        latency_ms=latency_ms,
        slo=slo,
        overwrite=overwrite,
        least=least,
    )
    terminal.show(found.document)
    say(f"results: {found.folder}")
    raise typer.Exit(found.status)
