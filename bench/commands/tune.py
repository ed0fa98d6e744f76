"""`rtfbench tune`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from rtfbench.base.errors import say
from rtfbench.base.limits import MAX_EER_LOSS, MOST_LATENCY_MS, MOST_MB
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples


@app.command(
    short_help="Name the fastest engine, threads, jobs, batch and chunk size of this machine.",
    epilog=examples(
        "rtfbench tune",
        "rtfbench tune --model my.onnx --audio recordings/ --save best.toml",
        "rtfbench tune --model my.onnx --lengths utt2dur --trials trials --trial-audio wavs/",
        "rtfbench tune --model ecapa512 --goal latency --cores 4",
        "rtfbench tune --model my.onnx --goal server --latency-ms 500 --max-rss 2000",
        "rtfbench tune --model ecapa512 --goal streams --latency-ms 200 --window 1.5 --hop 0.75",
    )
    + "\n\nExit status: 0 a configuration is named, 1 none keeps the limits, 3 it cannot be told "
    "within the budget, 2 bad input, 130 interrupted.",
)
def tune(
    model: opt.ModelName = "resnet34",
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    goal: Annotated[
        Literal["throughput", "latency", "server", "streams"],
        Option(
            help="throughput: most audio a second, on all cores; latency: one recording at a time, "
            "soonest; server: most requests a second that are answered within --latency-ms, their "
            "waiting counted; streams: the same of live streams."
        ),
    ] = "throughput",
    engine: Annotated[
        list[str] | None,
        Option(
            help="Engine to race, as name:precision[key=value]; may be repeated. "
            "[default: all that are installed]"
        ),
    ] = None,
    precision: Annotated[
        list[opt.PrecisionChoice] | None,
        Option(help="Precision to race; may be repeated. [default: all with trials, else float32]"),
    ] = None,
    chunk_samples: Annotated[
        list[int] | None,
        Option(
            help="Chunk size to race, the default one first; may be repeated. [default: 32000, and "
            "what fits the lengths]"
        ),
    ] = None,
    audio: opt.Audio = None,
    lengths: Annotated[
        Path | None,
        Option(
            help="Lengths of your recordings in seconds, one a line (or Kaldi's utt2dur), in place "
            "of --audio."
        ),
    ] = None,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
    latency_ms: Annotated[
        float | None,
        Option(
            min=0.001,
            max=MOST_LATENCY_MS,
            help="95 of 100 recordings have to take less than this; of server and streams, 99 of "
            "100 requests, from when each is due.",
        ),
    ] = None,
    window: opt.WindowS = None,
    hop: opt.HopS = None,
    gamma: opt.GammaShape = None,
    trace: opt.TraceFile = None,
    max_rss: Annotated[
        float | None,
        Option(min=1, max=MOST_MB, help="Megabytes that all processes together may hold."),
    ] = None,
    trials: Annotated[
        Path | None,
        Option(
            help="Trial list (`rtfbench score`) that tells what fewer bits lose. [default: the "
            "package's, for models of the catalog with trained weights]"
        ),
    ] = None,
    trial_audio: Annotated[
        list[Path] | None, Option(help="Recordings of the trials. [default: those of --audio]")
    ] = None,
    max_eer_loss: Annotated[
        float,
        Option(
            min=0,
            help="Points of EER that fewer bits may lose against float32; what may lose more is "
            "out.",
        ),
    ] = MAX_EER_LOSS,
    weights: opt.WeightsName = None,
    cores: Annotated[
        int | None, Option(min=1, help="Cores to use. [default: those that may be used]")
    ] = None,
    margin: Annotated[
        float,
        Option(min=0.001, max=0.5, help="Differences below this share make no difference to you."),
    ] = 0.02,
    budget: Annotated[
        float | None,
        Option(
            min=1,
            help="Seconds of measuring; starting processes takes about as long besides. "
            "[default: 120; of server and streams 600]",
        ),
    ] = None,
    timeout: Annotated[
        float, Option(min=1, help="Seconds that a worker may take for one answer.")
    ] = 120,
    mnn_home: opt.MnnHome = None,
    mnn_mini_home: opt.MnnMiniHome = None,
    save: Annotated[
        Path | None, Option(help="Write the configuration here, for `run`, `extract` and `gate`.")
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for the results. [default: runs/tune-DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace what --out and --save hold.")
    ] = False,
    seed: opt.Seed = None,
) -> None:
    """Race engines, precisions, chunk sizes, threads, jobs and batches against each other.

    All candidates get a cheap look on one core; those that are surely slower are dropped, the rest
    get more sessions on all cores, until one is named, or those that are left make no difference.
    """
    from rtfbench.commands.progress import ON_STDERR
    from rtfbench.models.names import named_engine
    from rtfbench.models.user_models import Reading
    from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS
    from rtfbench.report import terminal
    from rtfbench.results.load import Traffic
    from rtfbench.tune.space import BUDGET_S, BUDGETS_S, STEADY_TRAFFIC, TuneOptions
    from rtfbench.tune.tuning import tune as tuned

    if lengths is not None and audio:
        raise typer.BadParameter("name one of --audio and --lengths")
    done = tuned(
        TuneOptions(
            model=model,
            reading=Reading(front_end, model_input, model_output),
            goal=goal,
            engines=[named_engine(each) for each in engine or ()],
            precisions=[each.value for each in precision or ()],
            chunk_samples=chunk_samples or (),
            audio=audio or (),
            lengths=lengths,
            channel=channel,
            resample=resample,
            latency_ms=latency_ms,
            traffic=Traffic(
                window_s=window,
                hop_s=hop,
                gamma_shape=gamma or STEADY_TRAFFIC.gamma_shape,
                trace=trace,
            ),
            max_rss_mb=max_rss,
            trials=trials,
            trial_audio=trial_audio or (),
            max_eer_loss=max_eer_loss,
            weights=weights or DEFAULT_WEIGHTS,
            cores=cores,
            margin=margin,
            budget_s=budget or BUDGETS_S.get(goal, BUDGET_S),
            timeout_s=timeout,
            seed=seed,
            libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
        ),
        out=out,
        save=save,
        overwrite=overwrite,
        audience=ON_STDERR,
    )
    terminal.show(done.document)
    say(f"results: {done.folder}")
    # Last, because it may fail, and the answer is known by then.
    if save is not None:
        done.save(save)
        say(f"saved: {save}" if done.toml else f"{save}: not written, nothing keeps the limits")
    raise typer.Exit(done.status)
