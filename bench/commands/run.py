"""`rtfbench run`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, complain, say
from rtfbench.base.limits import MAX_EER_LOSS, MOST_LATENCY_MS, PUBLISHED_CHUNK_SAMPLES
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples
from rtfbench.commands.on_hosts import Sweep, run_by_ssh, run_on_cluster
from rtfbench.results.protocols import BUILT_IN, SCENARIOS


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
        "rtfbench run --protocol server --rate 2 --rate 4 --rate 6 --jobs 1",
        "rtfbench run --protocol streams --streams 4 --streams 8 --window 1.5 --hop 0.75",
        "rtfbench run --engine mnn --engine mnn-mini --mnn-home mnn-3.6/ --mnn-mini-home mini-3.6/",
        'rtfbench run --engine mnn --engine "mnn[home=/opt/mnn-2.8]"',
        "rtfbench run zoo --out runs/zoo --resume",
        "rtfbench run sweep.toml --out runs/sweep --resume",
        "rtfbench run sweep.toml --out runs/hosts --cluster tcp://head:8786",
        "rtfbench run sweep.toml --out runs/boards --host user@board --host pi5",
    ),
)
def run(
    context: typer.Context,
    plan: Annotated[
        Path | None,
        Argument(
            help="A sweep in TOML, or `zoo` for the published ten-model table; "
            "options given here override it."
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        Option(
            "--model",
            help="Model name (`rtfbench models`), or a file: .onnx or .mnn. [default: resnet34]",
        ),
    ] = None,
    engines: Annotated[
        list[str] | None,
        Option(
            "--engine",
            help="Engine (`rtfbench engines`), with settings as name[key=value,...]. "
            "[default: onnxruntime, mnn, mnn-mini]",
        ),
    ] = None,
    precisions: Annotated[
        list[opt.PrecisionChoice] | None,
        Option(
            "--precision",
            help="What engines compute in; one alone is written as name:precision, as in "
            "openvino:int8. [default: float32]",
        ),
    ] = None,
    devices: Annotated[
        list[str] | None,
        Option(
            "--device", help="Where engines compute: cpu, cuda or cuda:N, from 0. [default: cpu]"
        ),
    ] = None,
    threads: Annotated[list[int] | None, Option(help="Intra-op threads. [default: 1]")] = None,
    chunk_samples: Annotated[
        list[int] | None,
        Option(
            help="Samples a chunk at 16 kHz, -1: whole utterance. "
            f"[default: {PUBLISHED_CHUNK_SAMPLES}, or what a static model file is fixed to]"
        ),
    ] = None,
    mnn_home: opt.MnnHome = None,
    mnn_mini_home: opt.MnnMiniHome = None,
    forms: Annotated[
        list[opt.FormChoice] | None,
        Option("--form", help="Model form. [default: what the engine prefers]"),
    ] = None,
    protocols: Annotated[
        list[str] | None,
        Option(
            "--protocol",
            metavar="NAME",
            help=f"What the clock includes: {', '.join(BUILT_IN)}; or LoadGen's scenario: "
            f"{', '.join(SCENARIOS)}. [default: published and steady]",
        ),
    ] = None,
    jobs: Annotated[
        list[int] | None,
        Option(
            help="Processes at work at once, under --protocol throughput, server or streams. "
            "[default: the cores that may be used, over the threads]"
        ),
    ] = None,
    batches: Annotated[
        list[int] | None,
        Option("--batch", help="Chunks of equal length that run together at most. [default: 1]"),
    ] = None,
    rates: Annotated[
        list[float] | None,
        Option("--rate", help="Requests that arrive a second, under --protocol server."),
    ] = None,
    gamma_shape: opt.GammaShape = None,
    trace: opt.TraceFile = None,
    streams: Annotated[
        list[int] | None, Option(help="Live streams at once, under --protocol streams.")
    ] = None,
    window_s: opt.WindowS = None,
    hop_s: opt.HopS = None,
    batch_delay_ms: Annotated[
        float | None,
        Option(
            min=0, help="How long a request waits for others of its --batch. [default: not at all]"
        ),
    ] = None,
    places: Annotated[
        int | None,
        Option(
            min=0,
            help="Requests that may wait; one that finds no place is rejected. [default: all]",
        ),
    ] = None,
    latency_ms: Annotated[
        float | None,
        Option(
            min=0.001,
            max=MOST_LATENCY_MS,
            help="What a request may take; one that takes longer is late.",
        ),
    ] = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    reference: Annotated[
        Path | None,
        Option(
            help="ONNX file that a model file is compared with. [default: the file itself in "
            "onnxruntime without optimisations; for a lone .mnn, MNN itself]"
        ),
    ] = None,
    audio: opt.Audio = None,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
    trials: Annotated[
        Path | None,
        Option(
            help="Trial list (`rtfbench score`), or `heldout` for the package's: adds each cell's "
            "EER, and what a precision loses of it."
        ),
    ] = None,
    trial_audio: Annotated[
        list[Path] | None,
        Option(help="Recordings of the trials, embedded once a cell and not timed."),
    ] = None,
    max_eer_loss: Annotated[
        float | None,
        Option(
            help="A row that surely loses more points of EER against float32 is wrong. "
            f"[default: {MAX_EER_LOSS}]"
        ),
    ] = None,
    weights: opt.WeightsName = None,
    budget_s: opt.PlanBudget = None,
    sessions: Annotated[
        int | None,
        Option(
            help="Sets of fresh processes before intervals are looked at; a short budget allows "
            "fewer. [default: 6]"
        ),
    ] = None,
    half_width: Annotated[
        float | None,
        Option(
            help="Stop when every ratio's 95 % interval is this narrow to either side, as a "
            "share. [default: 0.015]"
        ),
    ] = None,
    thorough: Annotated[
        bool, Option("--thorough", help="12 sessions, half the width and three times the budget.")
    ] = False,
    full: opt.Full = False,
    timeout_s: Annotated[
        float | None,
        Option("--timeout", help="Seconds that a worker may take for one answer. [default: 120]"),
    ] = None,
    max_rss_mb: opt.MaxRss = None,
    seed: opt.Seed = None,
    out: Annotated[
        Path | None, Option(help="Folder for the results. [default: runs/DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace a run that --out holds.")
    ] = False,
    cluster: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Measure on every host of a Dask cluster, tcp://HOST:8786, each the whole plan at "
            "once and nothing else; OUT gets a folder a host.",
        ),
    ] = None,
    host: Annotated[
        list[str] | None,
        Option(
            metavar="USER@HOST",
            help="Measure on this host, which ssh reaches without a question, and bring the run "
            "back; OUT gets a folder a host.",
        ),
    ] = None,
    remote_python: Annotated[
        str | None,
        Option(
            metavar="PATH",
            help="Python of the --host that has what a run needs. [default: an environment is "
            "made there by pip]",
        ),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the run that --out holds.")
    ] = False,
    # Of a run that another host shows: no table, no page.
    bare: Annotated[bool, Option("--bare", hidden=True)] = False,
) -> None:
    """Measure every combination of models, engines, threads, chunk sizes, forms and protocols.

    Options may be repeated. Every cell of the sweep ends as a row: with its RTF when its embedding
    equals the reference's, else with the reason.
    """
    from rtfbench.measure.plan import load_plan
    from rtfbench.measure.whole_run import folder_for

    asked = load_plan(plan, opt.plan_fields(context))
    if host and cluster:
        raise typer.BadParameter("name a --cluster or hosts, not both")
    if remote_python and not host:
        raise typer.BadParameter("--remote-python is of a --host; name one")
    if (full or bare) and (host or cluster):
        raise typer.BadParameter(
            "--full and --bare are of a run on this host; `rtfbench report --full` shows a host's"
        )
    asked = asked.thorough() if thorough else asked
    libraries = {"mnn": mnn_home, "mnn-mini": mnn_mini_home}
    sweep = Sweep(asked, folder_for(out, resume=resume), overwrite, resume, libraries)
    if host:
        raise typer.Exit(run_by_ssh(host, remote_python, sweep))
    if cluster:
        raise typer.Exit(run_on_cluster(cluster, sweep))
    raise typer.Exit(_run(sweep, full=full, bare=bare))


def _run(sweep: Sweep, *, full: bool, bare: bool) -> int:
    """Run a sweep, print its tables, and return the exit status."""
    from rtfbench.commands.progress import ON_STDERR
    from rtfbench.measure.whole_run import BAD_INPUT, INTERRUPTED, run_plan
    from rtfbench.report import figures, terminal
    from rtfbench.report.page import write_page
    from rtfbench.report.run_document import of_run
    from rtfbench.results.store import PAGE, PLOTS

    plan, out, overwrite, resume, libraries = sweep
    measured = run_plan(
        plan, out, ON_STDERR, overwrite=overwrite, resume=resume, libraries=libraries
    )
    if bare:
        return measured.status
    # Before anything is printed: a reader may leave early.
    left_out, status = [], measured.status
    try:
        left_out = list(write_page(measured.folder, measured.summary))
    except (InputError, OSError) as error:
        complain(f"no {PAGE}: {error}")
        status = BAD_INPUT
    terminal.show(of_run(measured.summary), full=full)
    for line in left_out:
        say(line)
    interrupted = measured.status == INTERRUPTED
    path = measured.folder.path
    say(f"results: {path}" + " (interrupted; go on with --resume)" * interrupted)
    if not left_out and status == measured.status:
        drawn = figures.counted(len(list((path / PLOTS).glob("*.png"))), "picture")
        say(f"page: {path / PAGE}; {drawn}: {path / PLOTS}")
    return status
