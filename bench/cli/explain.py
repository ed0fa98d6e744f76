"""`rtfbench explain`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.app import app, examples
from bench.cli.options import Budget, Form, MnnHome, MnnMiniHome, ModelName, Seed, Threads


class ExplainedProtocol(StrEnum):
    """Which chunk is explained."""

    steady = "steady"
    published = "published"


@app.command(
    short_help="Say why one engine is slower than another, operator by operator.",
    epilog=examples(
        "rtfbench explain",
        "rtfbench explain --model ecapa512 --engine onnxruntime --engine mnn --out runs/why",
        'rtfbench explain --engine onnxruntime --engine "onnxruntime[graph_optimization=off]"',
        "rtfbench explain --model my.onnx --engine openvino",
        "rtfbench explain --protocol published --engine mnn --engine onnxruntime",
        "rtfbench explain --where-wrong --model campplus --engine mnn-mini --save-repro pooling",
        "rtfbench explain --lengths --model ecapa512 --engine onnxruntime --engine mnn",
        "rtfbench explain --where-wrong --model my.mnn --reference my.onnx --engine mnn",
    )
    + "\n\nExit status: 0 all well; 1 an engine failed, is wrong (--where-wrong) or leaks "
    "(--lengths); 2 bad input; 130 interrupted.",
)
def explain(
    model: ModelName = "resnet34",
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine (`rtfbench engines`), with settings as name[key=value,...]; the first is "
            "what the others are held against. [default: onnxruntime, mnn]"
        ),
    ] = None,
    threads: Threads = 1,
    chunk_samples: Annotated[
        int | None,
        typer.Option(
            help="Samples a chunk at 16 kHz, -1: whole utterance. "
            "[default: 32000, or what a static model file is fixed to]"
        ),
    ] = None,
    form: Annotated[
        Form | None, typer.Option(help="Model form. [default: what each engine prefers]")
    ] = None,
    protocol: Annotated[
        ExplainedProtocol,
        typer.Option(
            help="steady: a chunk of a warmed session; published: the first chunk of a fresh one, "
            "with what the runtime prepares in it."
        ),
    ] = ExplainedProtocol.steady,
    mnn_home: MnnHome = None,
    mnn_mini_home: MnnMiniHome = None,
    budget: Budget = 30,
    where_wrong: Annotated[
        bool,
        typer.Option(
            "--where-wrong",
            help="Name the first operator whose output is wrong, in place of times.",
        ),
    ] = False,
    lengths: Annotated[
        bool,
        typer.Option(
            "--lengths",
            help="Run dynamic sessions on input of many lengths: time and memory by length, and "
            "whether memory grows over 500 runs.",
        ),
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="With --where-wrong: the ONNX file that --model, a file of yours, was made from."
        ),
    ] = None,
    save_repro: Annotated[
        Path | None,
        typer.Option(
            help="With --where-wrong: folder for the smallest model that is wrong, its input and "
            "a script."
        ),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/explain-DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an explanation that --out holds.")
    ] = False,
) -> None:
    """Profile engines on the same chunk, in turns, and lay their operators side by side.

    Every operator is mapped to the nodes of the ONNX graph that it computes. Times are those of
    runs without a profiler; what the profiler itself costs is told. With --where-wrong, the
    operator is named whose output is wrong; with --lengths, engines run input of many lengths.
    """
    from bench.commands import explain as command

    flags: dict[str, Any] = {
        "models": (model,),
        "engines": tuple(engine or ("onnxruntime", "mnn")),
        "threads": (threads,),
        "chunk_samples": None if chunk_samples is None else (chunk_samples,),
        "forms": None if form is None else (form.value,),
        "protocols": (protocol.value,),
        "seed": seed,
    }
    libraries = {"mnn": mnn_home, "mnn-mini": mnn_mini_home}
    if where_wrong and lengths:
        raise typer.BadParameter("choose one of --where-wrong and --lengths")
    if not where_wrong and (reference is not None or save_repro is not None):
        raise typer.BadParameter("--reference and --save-repro need --where-wrong")
    if where_wrong:
        from bench.commands import where_wrong as divergence

        raise typer.Exit(
            divergence.where_wrong(
                {**flags, "reference": reference},
                libraries=libraries,
                save_to=save_repro,
                out=out,
                overwrite=overwrite,
            )
        )
    if lengths:
        from bench.commands import lengths as by_length

        raise typer.Exit(
            by_length.lengths(flags, libraries=libraries, out=out, overwrite=overwrite)
        )
    raise typer.Exit(
        command.explain(
            flags,
            libraries=libraries,
            budget_s=budget,
            out=out,
            overwrite=overwrite,
        )
    )
