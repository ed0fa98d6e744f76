"""`rtfbench cache`."""

import re
import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bench.base.cache import cache_folder
from bench.base.cache_content import KINDS, Entry, entries, outdated, remove
from bench.base.errors import InputError
from bench.base.sizes import parse_size
from bench.report.terminal import Output

OK = 0
SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
DAY_S = SECONDS["d"]


def list_entries() -> int:
    """Print every entry with its size and the days since it was used."""
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
    return OK


def prune(*, older_than: str | None, max_size: str | None, dry_run: bool) -> int:
    """Delete what is old, and the longest unused of what is too much."""
    if older_than is None and max_size is None:
        raise InputError("say what has to go: --older-than 30d, --max-size 5GB, or both")
    going = outdated(
        entries(cache_folder()),
        unused_since_s=None if older_than is None else time.time() - seconds(older_than),
        max_bytes=None if max_size is None else parse_size(max_size, "--max-size"),
    )
    return _delete(going, dry_run=dry_run)


def empty(*, dry_run: bool) -> int:
    """Delete everything."""
    return _delete(entries(cache_folder()), dry_run=dry_run)


def seconds(text: str) -> float:
    """Read `12h`, `30d` or `4w`.

    Raises:
        InputError: something else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    if not found:
        raise InputError(f"--older-than {text}: write hours, days or weeks, as 12h, 30d or 4w")
    return float(found[1]) * SECONDS[found[2]]


def _delete(going: Sequence[Entry], *, dry_run: bool) -> int:
    for each in going:
        print(each.path)
    if not dry_run:
        try:
            remove(going)
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be deleted ({error.strerror})") from error
    print(f"{'would delete' if dry_run else 'deleted'} {_told(going)}")
    return OK


def _told(found: Sequence[Entry]) -> str:
    size_mb = sum(each.size_bytes for each in found) / 1e6
    return f"{len(found)} {'entry' if len(found) == 1 else 'entries'}, {size_mb:.1f} MB"
