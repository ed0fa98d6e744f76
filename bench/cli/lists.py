"""`rtfbench engines` and `rtfbench models`."""

import typer

from bench.cli.app import app, examples


@app.command(
    short_help="List engines: versions, settings, or why one is missing.",
    epilog=examples(
        "rtfbench engines",
    ),
)
def engines() -> None:
    """List every installed engine, plug-ins included."""
    from bench.commands import lists as command

    raise typer.Exit(command.engines())


@app.command(
    short_help="List models with Params and FLOPs.",
    epilog=examples(
        "rtfbench models",
    ),
)
def models() -> None:
    """List the models: counted Params and FLOPs beside the published figures."""
    from bench.commands import lists as command

    raise typer.Exit(command.models())
