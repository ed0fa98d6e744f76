"""`rtfbench extract`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError
from rtfbench.base.limits import LONGEST_S, MOST_TOGETHER, RECORDING_TIMEOUT_S
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

#: Of what is read: a path, or an address for fsspec.
PLACE = "PATH|URL"


@app.command(
    short_help="Compute the embeddings of recordings.",
    epilog=examples(
        "rtfbench extract --wav-scp wav.scp --model model.onnx --result embedding.txt",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --engine mnn --result embedding.txt",
        "rtfbench extract --wav a.wav b.wav --model resnet34    # no real speakers, but the speed",
        "rtfbench extract --wav-scp wav.scp --model model.mnn --jobs 2 --result x.ark --resume",
        "rtfbench extract --wav-scp wav.scp.gz --segments segments --model x.onnx --result x.ark",
        "rtfbench extract --input shard.list --model model.onnx --jobs 4 --result x.ark",
        "rtfbench extract --input s3://bucket/raw.list --model model.onnx --result x.ark",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --shard 3/32 --result shards/",
        "rtfbench extract --wav-scp wav.scp --model x.onnx --cluster tcp://h:8786 --result x.ark",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --part-size 1GB --result x.ark",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --threads 2 --jobs 1 --batch 4",
        "rtfbench extract --wav-scp wav.scp --config best.toml --result x.ark",
    )
    + "\n\nExit status: 0 all well, 1 a recording was skipped, 2 bad input, 130 interrupted.",
)
def extract(
    context: typer.Context,
    recordings: Annotated[
        list[str] | None, Argument(help="More recordings or folders, as with --wav.")
    ] = None,
    wav_scp: Annotated[
        str | None,
        Option(
            metavar=PLACE, help="Kaldi list: lines of UTTERANCE PATH; .gz too, - is standard input."
        ),
    ] = None,
    segments: Annotated[
        str | None,
        Option(
            metavar=PLACE,
            help="Kaldi's lines of UTTERANCE RECORDING BEGIN END, of recordings in it.",
        ),
    ] = None,
    allow_pipes: Annotated[
        bool,
        Option(
            "--allow-pipes",
            help="Run commands of the list (sox x.sph -t wav - |), without a shell: only for lists "
            "that you trust.",
        ),
    ] = False,
    input_file: Annotated[
        str | None,
        Option(
            "--input",
            metavar=PLACE,
            help="WeSpeaker's raw.list or shard.list, a NeMo manifest, lhotse's cuts, a tar file "
            "(WebDataset), or a Parquet file with a column of audio (Hugging Face).",
        ),
    ] = None,
    wav: Annotated[
        list[str] | None,
        Option(
            metavar=PLACE,
            help="Recording or folder; named by its stem, blanks as _. May be repeated.",
        ),
    ] = None,
    model: opt.ModelFile = None,
    weights: opt.WeightsName = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    engine: opt.EngineName = None,
    mnn_home: opt.MnnHome = None,
    mnn_mini_home: opt.MnnMiniHome = None,
    form: opt.ModelForm = None,
    samples_per_chunk: opt.ChunkSamples = None,
    threads: Annotated[int | None, Option(min=1, help="Intra-op threads. [default: 1]")] = None,
    jobs: Annotated[
        int | None,
        Option(
            min=1,
            help="Worker processes, each on cores of its own if possible. "
            "[default: the cores that may be used, over --threads]",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        Option(
            min=1,
            max=MOST_TOGETHER,
            help="Chunks that run together, of one recording or several; dynamic models. "
            "[default: 1]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        Option(
            help="What `rtfbench tune --save` wrote: model, engine, form, chunk size, threads, "
            "jobs and batch; other options come first."
        ),
    ] = None,
    result: Annotated[
        Path | None,
        Option(
            help="Where the embeddings go: text, or by ending .npz, .parquet or Kaldi's .ark with "
            "its .scp. [default: text on standard output]"
        ),
    ] = None,
    part_size: opt.PartSize = None,
    shard: Annotated[
        str | None,
        Option(
            metavar="I/N",
            help="Take the I-th of N parts of the list, and write it with its manifest to the "
            "folder --result; `rtfbench merge` joins them.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Part the list into shards for the workers of a Dask cluster, tcp://HOST:8786, or "
            "of this machine, local; they are joined into --result. All hosts share the folders.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        Option(min=1, help="Of --cluster. [default: as many as take a worker two minutes each]"),
    ] = None,
    vad: Annotated[
        str,
        Option(
            help="Leave out frames that are no speech: energy[threshold=5,mean_scale=0.5,context=0,"
            "proportion=0.6] is Kaldi's rule; others by entry point (rtfbench.vads). "
            "[default: none]",
            show_default=False,
        ),
    ] = "",
    channel: opt.Channel = None,
    resample: opt.Resample = False,
    timeout: Annotated[
        float, Option(min=0.001, max=LONGEST_S, help="Seconds that a recording may take.")
    ] = RECORDING_TIMEOUT_S,
    max_rss: opt.MaxRss = None,
    strict: Annotated[
        bool, Option("--strict", help="Stop at the first recording that cannot be used.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Compute only what RESULT or RESULT.part lacks.")
    ] = False,
    quiet: Annotated[bool, Option("--quiet", help="Tell of nothing but failures.")] = False,
    verbose: Annotated[
        bool,
        Option(
            "--verbose",
            help="Tell of every utterance. [default: a bar, or without a terminal a line now and "
            "then]",
        ),
    ] = False,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace RESULT; throw an interrupted RESULT.part away.")
    ] = False,
) -> None:
    """Compute an embedding for every recording, in the order of the list, and the RTF.

    A recording that cannot be used is reported and skipped; the others are complete. Results grow
    in RESULT.part, which becomes RESULT at the end, so that nothing is lost by an interruption.
    """
    from rtfbench.base.child import started_ahead
    from rtfbench.extract import WORKER

    # This process multiplies nothing, and starting threads for it takes numpy half of its import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The first worker imports what it needs while this process does.
    ahead = context.with_resource(started_ahead(WORKER)) if cluster is None else None

    from rtfbench.extract.local import extract_here
    from rtfbench.extract.messages import WorkerOptions
    from rtfbench.extract.options import ExtractOptions, ModelOptions, read_config
    from rtfbench.extract.report import Verbosity
    from rtfbench.frontends.addresses import place_of
    from rtfbench.inputs.formats import Inputs
    from rtfbench.models.names import named_engine
    from rtfbench.models.user_models import Reading

    known = read_config(config)
    if cluster is None and shards is not None:
        raise InputError("--shards is about --cluster; one part of a list is --shard I/N")
    if cluster is not None and (shard is not None or strict):
        raise InputError("--cluster parts the list itself: leave --shard and --strict out")
    options = ExtractOptions(
        model=ModelOptions(
            model=model or known.model or "",
            weights=weights or known.weights,
            engine=named_engine(engine) if engine else known.engine,
            form=form.value if form else known.form,
            chunk_samples=known.chunk_samples if samples_per_chunk is None else samples_per_chunk,
            worker=WorkerOptions(
                threads=threads or known.threads or 1,
                batch=batch or known.batch or 1,
                timeout_s=timeout,
                max_rss_mb=max_rss,
            ),
            channel=channel,
            resample=resample,
            libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
            vad=vad,
            reading=Reading(
                front_end or known.reading.front_end,
                model_input or known.reading.input_name,
                model_output or known.reading.output_name,
            ),
        ),
        inputs=Inputs(
            wav_scp=place_of(wav_scp) if wav_scp is not None else None,
            segments=place_of(segments) if segments is not None else None,
            allow_pipes=allow_pipes,
            file=place_of(input_file) if input_file is not None else None,
            wavs=[place_of(each) for each in (*(wav or ()), *(recordings or ()))],
        ),
        result=result,
        part_size=part_size,
        shard=shard,
        shards=shards,
        # The configuration's jobs are those of this machine, with its own threads.
        jobs=jobs or (known.jobs if threads is None and cluster is None else None),
        strict=strict,
        resume=resume,
        overwrite=overwrite,
        verbosity=Verbosity(quiet=quiet, verbose=verbose),
    )
    if cluster is None:
        raise typer.Exit(extract_here(options, ahead))
    from rtfbench.extract.cluster.whole import extract_on_cluster

    raise typer.Exit(extract_on_cluster(cluster, options))
