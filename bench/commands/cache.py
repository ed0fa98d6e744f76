"""`rtfbench cache`."""

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from rtfbench.base.errors import InputError
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.base.cache import CacheEntry

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

SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
DAY_S = SECONDS["d"]
DryRun = Annotated[
    bool, Option("--dry-run", help="Print what would be deleted, and delete nothing.")
]


@cache_app.callback(invoke_without_command=True)
def cache(context: typer.Context) -> None:
    """List what is cached."""
    if context.invoked_subcommand is None:
        list_()


@cache_app.command("list")
def list_() -> None:
    """Print every entry with its size and the days since it was used, the longest unused first."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from rtfbench.base.cache import KINDS, cache_folder, entries
    from rtfbench.report.terminal import Output

    found = entries(cache_folder())
    table = Table(box=SIMPLE_HEAD)
    for heading in ("kind", "entry", "MB", "days unused"):
        table.add_column(heading, justify="right" if heading in ("MB", "days unused") else "left")
    now_s = time.time()
    for each in found:
        days = max(now_s - each.used_s, 0.0) / DAY_S
        size_mb = f"{each.size_bytes / 1e6:.1f}"
        table.add_row(each.kind, escape(each.path.name), size_mb, f"{days:.0f}")
    if found:
        Output().print(table)
    for kind, what in KINDS.items():
        of_kind = [each for each in found if each.kind == kind]
        if of_kind:
            print(f"{kind}: {_told(of_kind)}, {what}")
    print(f"{cache_folder()}: {_told(found)}")


@cache_app.command(epilog=examples("rtfbench cache prune --older-than 30d --max-size 5GB"))
def prune(
    older_than: Annotated[
        str | None, Option(help="Delete what was not used for so long: 12h, 30d, 4w.")
    ] = None,
    max_size: Annotated[
        str | None, Option(help="Then delete the longest unused until this is left: 500MB, 5GB.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Delete what is old or too much."""
    from rtfbench.base.cache import cache_folder, entries, outdated
    from rtfbench.base.limits import parse_size

    if older_than is None and max_size is None:
        raise InputError("say what has to go: --older-than 30d, --max-size 5GB, or both")
    going = outdated(
        entries(cache_folder()),
        unused_since_s=None if older_than is None else time.time() - seconds(older_than),
        max_bytes=None if max_size is None else parse_size(max_size, "--max-size"),
    )
    _delete(going, dry_run=dry_run)


@cache_app.command()
def empty(dry_run: DryRun = False) -> None:
    """Delete everything that is cached."""
    from rtfbench.base.cache import cache_folder, entries

    _delete(entries(cache_folder()), dry_run=dry_run)


def seconds(text: str) -> float:
    """Read `12h`, `30d` or `4w`.

    Raises:
        InputError: something else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    if not found:
        raise InputError(f"--older-than {text}: write hours, days or weeks, as 12h, 30d or 4w")
    return float(found[1]) * SECONDS[found[2]]


def _delete(going: Sequence["CacheEntry"], *, dry_run: bool) -> None:
    from rtfbench.base.cache import remove

    for each in going:
        print(each.path)
    if not dry_run:
        try:
            remove(going)
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be deleted ({error.strerror})") from error
    print(f"{'would delete' if dry_run else 'deleted'} {_told(going)}")


def _told(found: Sequence["CacheEntry"]) -> str:
    size_mb = sum(each.size_bytes for each in found) / 1e6
    return f"{len(found)} {'entry' if len(found) == 1 else 'entries'}, {size_mb:.1f} MB"
