"""The command line: parses, calls, and turns what went wrong into one line and a status.

Nothing heavy is imported before a command runs: `rtfbench --help` loads no numpy and no runtime.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import InputError


def _examples(*lines: str) -> str:
    """Return a help text's examples."""
    # The backspace tells the formatter to leave the lines that follow as they are.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


app = typer.Typer(
    name="rtfbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: brackets in it are text, and it stays readable at any width.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare inference engines on speaker-embedding models: real-time factor (RTF), with "
    "proof that all engines compute the same embedding.",
    epilog="Exit status: 0 all well, 1 something measured is not ok, 2 bad input.",
)


class Form(StrEnum):
    """Whether a model takes any number of frames."""

    dynamic = "dynamic"
    static = "static"


class Protocol(StrEnum):
    """What the clock includes."""

    published = "published"
    steady = "steady"


class ReportFormat(StrEnum):
    """How a result is printed."""

    markdown = "markdown"
    json = "json"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rtfbench {version('rtfbench')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    short_help="Measure models on engines and print the table.",
    epilog=_examples(
        "rtfbench run",
        'rtfbench run --engine mnn --engine "mnn[precision=low]" --audio recordings/',
        "rtfbench run --model resnet34 --threads 1 --threads 2 --chunk-samples 80000 --budget 60",
        "rtfbench run sweep.toml --out runs/sweep --resume",
    ),
)
def run(
    plan: Annotated[
        Path | None, typer.Argument(help="A sweep in TOML; options given here override it.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model name (`rtfbench models`). [default: resnet34]")
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
        typer.Option(help="Samples a chunk at 16 kHz, -1: whole utterance. [default: 32000]"),
    ] = None,
    form: Annotated[
        list[Form] | None, typer.Option(help="Model form. [default: what the engine prefers]")
    ] = None,
    protocol: Annotated[
        list[Protocol] | None, typer.Option(help="What the clock includes. [default: both]")
    ] = None,
    audio: Annotated[
        list[Path] | None,
        typer.Option(help="Audio file, folder or Kaldi wav.scp. [default: speech in the package]"),
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="Channel of recordings with several, from 0.")
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Convert other sample rates to 16 kHz.")
    ] = False,
    budget: Annotated[
        float | None, typer.Option(help="Seconds of measuring, loading apart. [default: 180]")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a worker may take for one answer. [default: 120]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the order of turns.")] = None,
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
        "audio": audio,
        "budget_s": budget,
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
            channel=channel,
            resample=resample,
        )
    )


@app.command(
    short_help="Print a finished run again.",
    epilog=_examples(
        "rtfbench report runs/bench",
        "rtfbench report runs/bench --format json | jq '.cells[] | [.engine, .rtf]'",
    ),
)
def report(
    run_dir: Annotated[Path, typer.Argument(help="A folder that `rtfbench run` made.")],
    format: Annotated[ReportFormat, typer.Option(help="How to print it.")] = ReportFormat.markdown,
) -> None:
    """Derive a run's result from its records and print it to standard output."""
    from bench.commands import run as command

    raise typer.Exit(command.report(run_dir, format.value))


@app.command(
    short_help="List engines: versions, settings, or why one is missing.",
    epilog=_examples(
        "rtfbench engines",
    ),
)
def engines() -> None:
    """List every installed engine, plug-ins included."""
    from bench.commands import lists as command

    raise typer.Exit(command.engines())


@app.command(
    short_help="List models with Params and FLOPs.",
    epilog=_examples(
        "rtfbench models",
    ),
)
def models() -> None:
    """List the models: counted Params and FLOPs beside the published figures."""
    from bench.commands import lists as command

    raise typer.Exit(command.models())


def main() -> None:
    """Run the command line; the console script `rtfbench`."""
    try:
        app()
    except InputError as error:
        print(f"rtfbench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
