"""`rtfbench cache`."""

from typing import Annotated

import typer

from bench.cli.app import app, examples

cache_app = typer.Typer(
    rich_markup_mode=None,
    help="Look after the cache folder: what is in it is made again when it is needed. Lists it "
    "where no command follows.",
    epilog=examples(
        "rtfbench cache",
        "rtfbench cache prune --older-than 30d --max-size 5GB",
        "rtfbench cache empty --dry-run",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cache_app, name="cache", short_help="List, prune or empty the cache folder.")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be deleted, and delete nothing.")
]


@cache_app.callback(invoke_without_command=True)
def cache(context: typer.Context) -> None:
    """List what is cached."""
    if context.invoked_subcommand is None:
        list_()


@cache_app.command("list")
def list_() -> None:
    """Print every entry with its size and the days since it was used, the longest unused first."""
    from bench.commands import cache as command

    raise typer.Exit(command.list_entries())


@cache_app.command(epilog=examples("rtfbench cache prune --older-than 30d --max-size 5GB"))
def prune(
    older_than: Annotated[
        str | None, typer.Option(help="Delete what was not used for so long: 12h, 30d, 4w.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(help="Then delete the longest unused until this is left: 500MB, 5GB."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Delete what is old or too much."""
    from bench.commands import cache as command

    raise typer.Exit(command.prune(older_than=older_than, max_size=max_size, dry_run=dry_run))


@cache_app.command()
def empty(dry_run: DryRun = False) -> None:
    """Delete everything that is cached."""
    from bench.commands import cache as command

    raise typer.Exit(command.empty(dry_run=dry_run))
