"""`rtfbench extract`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.limits import LONGEST_S, MOST_TOGETHER, RECORDING_TIMEOUT_S
from bench.cli.app import app, examples
from bench.cli.options import (
    Channel,
    ChunkSamples,
    EngineName,
    MaxRss,
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
    short_help="Compute the embeddings of recordings.",
    epilog=examples(
        "rtfbench extract --wav-scp wav.scp --model model.onnx --engine mnn --result embedding.txt",
        "rtfbench extract --wav a.wav b.wav --seeded-weights    # no speakers, but the speed",
        "rtfbench extract --wav-scp wav.scp --model model.mnn --jobs 2 --result x.ark --resume",
        "rtfbench extract --wav-scp wav.scp.gz --segments segments --model x.onnx --result x.ark",
        "rtfbench extract --input shard.list --model model.onnx --jobs 4 --result x.ark",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --shard 3/32 --result shards/",
        "rtfbench extract --wav-scp wav.scp --model model.onnx --threads 2 --jobs 1 --batch 4",
    )
    + "\n\nExit status: 0 all well, 1 a recording was skipped, 2 bad input, 130 interrupted.",
)
def extract(
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="More recordings or folders, as with --wav.")
    ] = None,
    wav_scp: Annotated[
        Path | None,
        typer.Option(help="Kaldi list: lines of UTTERANCE PATH; .gz too, - is standard input."),
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(help="Kaldi's lines of UTTERANCE RECORDING BEGIN END, of recordings in it."),
    ] = None,
    allow_pipes: Annotated[
        bool,
        typer.Option(
            "--allow-pipes",
            help="Run commands of the list (sox x.sph -t wav - |), without a shell: only for lists "
            "that you trust.",
        ),
    ] = False,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="WeSpeaker's raw.list or shard.list, a NeMo manifest, a tar file (WebDataset), "
            "or a Parquet file with a column of audio (Hugging Face).",
        ),
    ] = None,
    wav: Annotated[
        list[Path] | None,
        typer.Option(help="Recording or folder; named by its stem, blanks as _. May be repeated."),
    ] = None,
    model: ModelFile = None,
    seeded_weights: SeededWeights = False,
    engine: EngineName = None,
    mnn_home: MnnHome = None,
    mnn_mini_home: MnnMiniHome = None,
    form: ModelForm = None,
    samples_per_chunk: ChunkSamples = None,
    threads: Threads = 1,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes, each on cores of its own if possible. "
            "[default: the cores that may be used, over --threads]",
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_TOGETHER,
            help="Chunks that run together, of one recording or several; dynamic models.",
        ),
    ] = 1,
    result: Annotated[
        Path | None,
        typer.Option(
            help="Where the embeddings go: text, or by ending .npz, .parquet or Kaldi's .ark with "
            "its .scp. [default: text on standard output]"
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Take the I-th of N parts of the list, and write it with its manifest to the "
            "folder --result; `rtfbench merge` joins them.",
        ),
    ] = None,
    channel: Channel = None,
    resample: Resample = False,
    timeout: Annotated[
        float, typer.Option(min=0.001, max=LONGEST_S, help="Seconds that a recording may take.")
    ] = RECORDING_TIMEOUT_S,
    max_rss: MaxRss = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first recording that cannot be used.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Compute only what RESULT or RESULT.part lacks.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace RESULT; throw an interrupted RESULT.part away."),
    ] = False,
) -> None:
    """Compute an embedding for every recording, in the order of the list, and the RTF.

    A recording that cannot be used is reported and skipped; the others are complete. Results grow
    in RESULT.part, which becomes RESULT at the end, so that nothing is lost by an interruption.
    """
    from bench.commands import extract as command
    from bench.extract.options import ModelOptions
    from bench.inputs.formats import Inputs

    raise typer.Exit(
        command.extract(
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
            Inputs(
                wav_scp=wav_scp,
                segments=segments,
                allow_pipes=allow_pipes,
                file=input_file,
                wavs=[*(wav or ()), *(recordings or ())],
            ),
            result=result,
            shard=shard,
            jobs=jobs,
            batch=batch,
            timeout_s=timeout,
            max_rss_mb=max_rss,
            strict=strict,
            resume=resume,
            overwrite=overwrite,
        )
    )
