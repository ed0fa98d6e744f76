"""Whether a stored run says what its records say: each figure derived again, each line weighed.

A run may be signed by OpenSSH's own program, with a key that its owner has anyway. Source:
ssh-keygen(1), `-Y sign`, `-Y find-principals` and `-Y verify`.
"""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from rtfbench.base.cache import sha256_of, write_whole
from rtfbench.base.child import last_said
from rtfbench.base.errors import InputError
from rtfbench.base.files import reading_from
from rtfbench.base.packages import missing
from rtfbench.base.scratch import held_folder, process_folder
from rtfbench.engines import registry
from rtfbench.engines.protocol import EngineError
from rtfbench.measure.whole_run import read_summary, to_json
from rtfbench.report import markdown, plots
from rtfbench.report.page import render
from rtfbench.report.run_document import of_run
from rtfbench.results.plausible import faults
from rtfbench.results.rows import Summary
from rtfbench.results.store import (
    ENVIRONMENT,
    PAGE,
    PLOTS,
    RECORDS,
    SUMMARY,
    TABLE,
    CellData,
    RunFolder,
    cells_of,
    no_run,
)

Answer = Literal["verified", "differs", "cannot be told"]
#: Another processor may round the last digits of a sum otherwise.
REL_TOL = 1e-9
#: No member of a tar file lands outside of its folder, or is a device.
SAFELY: Mapping[str, Any] = {"filter": "data"}
#: So many places of one file are named.
MOST_PLACES = 3
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Checked:
    """What was found of one run: what differs, and what could not be looked at."""

    path: Path
    #: Of `records.jsonl`, which the answer is about.
    sha256: str
    differences: tuple[str, ...]
    untold: tuple[str, ...]

    @property
    def answer(self) -> Answer:
        """The answer in a word."""
        if self.differences:
            return "differs"
        return "cannot be told" if self.untold else "verified"

    def differing(self, what: str) -> "Checked":
        """Return the same with one more difference."""
        return replace(self, differences=(*self.differences, what))


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a folder as it is, of an archive one that holds its content and goes at the end.

    Raises:
        InputError: neither of both.
    """
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise InputError(f"{path}: no such folder or archive")
    with held_folder(process_folder()) as folder:
        try:
            shutil.unpack_archive(path, folder, **({} if path.suffix == ".zip" else SAFELY))
        except Exception as error:  # each kind of archive breaks in ways of its own
            raise InputError(f"{path}: cannot be unpacked ({error})") from error
        yield folder


def statement(path: Path) -> str:
    """Return what a signature of a run is of: its records and its environment, by their SHA-256."""
    return "".join(f"{sha256_of(path / each)}  {each}\n" for each in (RECORDS, ENVIRONMENT))


def runs_in(path: Path) -> list[Path]:
    """Return the run folders in a folder, itself included.

    Raises:
        InputError: there is none.
    """
    found = sorted(each.parent for each in path.rglob(RECORDS))
    if not found:
        raise InputError(no_run(path))
    return found


def check(path: Path) -> Checked:
    """Derive all that a run's folder holds from its records again, and compare.

    Raises:
        InputError: `records.jsonl` cannot be read.
    """
    folder = RunFolder(path)
    with reading_from(path / RECORDS):
        sha256 = sha256_of(path / RECORDS)
    try:
        environment, lines = folder.environment(), list(folder.lines())
        cells = cells_of(lines)
        distributions = _distributions({data.cell.engine for data in cells.values()})
        found = list(faults(environment, lines, cells, distributions))
        summary = read_summary(folder, cells)
    except InputError as error:
        # The folder of an archive is gone when this is read.
        told = str(error).removeprefix(f"{path}/").removeprefix(f"{path}: ")
        return Checked(path, sha256, (told,), ())
    untold: list[str] = []
    derived = [*_summary(folder, summary, untold), *_table(folder, summary, untold)]
    derived += _page(folder, summary, cells, untold)
    made_by, here = environment.rtfbench, version("rtfbench")
    if derived and made_by != here:
        # Sentences and statistics may be others in any version.
        untold.append(f"made by rtfbench {made_by}, and {here} derives otherwise: check it by that")
        derived = []
    found += derived
    return Checked(path, sha256, tuple(found), tuple(untold))


def _distributions(engines: set[str]) -> dict[str, str]:
    """Return engine -> distribution; a plug-in that is not installed here is left out."""
    found: dict[str, str] = {}
    for name in engines:
        try:
            found[name] = registry.get(name).distribution or ""
        except EngineError:
            continue
    return found


def _summary(folder: RunFolder, summary: Summary, untold: list[str]) -> Iterator[str]:
    """Compare `summary.json` value by value; fields that came later are not in it."""
    try:
        stored = json.loads((folder.path / SUMMARY).read_bytes())
    except FileNotFoundError:
        untold.append(f"{SUMMARY} is not there")
        return
    except ValueError as error:
        yield f"{SUMMARY}: damaged ({error})"
        return
    if not isinstance(stored, dict):
        yield f"{SUMMARY}: damaged (it holds {_short(stored)})"
        return
    if not stored.get("records_sha256"):
        untold.append(f"{SUMMARY} holds no hash of the records")
    places = _unequal(stored, json.loads(to_json(summary)), "")
    yield from _first(SUMMARY, [f"{SUMMARY}: {place}" for place in places])


def _first(name: str, places: Sequence[str]) -> Iterator[str]:
    """Yield the first places of a file, and how many more there are."""
    yield from places[:MOST_PLACES]
    if len(places) > MOST_PLACES:
        yield f"{name}: and {len(places) - MOST_PLACES} more places"


def _unequal(stored: Any, derived: Any, where: str) -> Iterator[str]:
    """Yield each place at which what is stored is not what was derived."""
    if isinstance(stored, dict) and isinstance(derived, dict):
        for key, value in stored.items():
            yield from _unequal(value, derived.get(key), f"{where}.{key}" if where else key)
    elif isinstance(stored, list) and isinstance(derived, list) and len(stored) == len(derived):
        for index, (one, other) in enumerate(zip(stored, derived, strict=True)):
            yield from _unequal(one, other, f"{where}[{index}]")
    elif not _same(stored, derived):
        yield f"{where} is {_short(stored)}, and the records say {_short(derived)}"


def _same(stored: Any, derived: Any) -> bool:
    numbers = all(isinstance(each, int | float) for each in (stored, derived))
    if numbers and not isinstance(stored, bool):
        with suppress(OverflowError):  # somebody wrote a number that no float can be
            return math.isclose(stored, derived, rel_tol=REL_TOL)
    return bool(stored == derived)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} values"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _table(folder: RunFolder, summary: Summary, untold: list[str]) -> Iterator[str]:
    """Compare `table.md` line by line."""
    try:
        stored = (folder.path / TABLE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        untold.append(f"{TABLE} is not there")
        return
    lines = enumerate(
        zip_longest(stored.split("\n"), markdown.draw(of_run(summary)).split("\n"), fillvalue=""), 1
    )
    places = [f"{TABLE}:{n}: is not what the records say" for n, (a, b) in lines if a != b]
    yield from _first(TABLE, places)


def _page(
    folder: RunFolder, summary: Summary, cells: Mapping[str, CellData], untold: list[str]
) -> Iterator[str]:
    """Compare the page and the pictures, where there are any and they can be made here."""
    page = folder.path / PAGE
    stored = {path.stem: path for path in sorted((folder.path / PLOTS).glob("*.svg"))}
    if not page.exists() and not stored:
        return
    lacking = [name for name in ("matplotlib", "jinja2") if missing(name)]
    if lacking:
        untold.append(f"{PAGE} and {PLOTS}: {' and '.join(lacking)} would have to be installed")
        return
    pictures = list(plots.draw(summary))
    drawn = {each.name: each.svg.decode() for each in pictures}
    for name, path in stored.items():
        if not _alike(path.read_text(encoding="utf-8", errors="replace"), drawn.get(name, "")):
            untold.append(
                f"{PLOTS}/{path.name}: is not what is drawn here, by an edit or by another "
                "version of matplotlib"
            )
    if page.exists():
        originals = [data for data in cells.values() if not data.cell.replica]
        made = render(summary, originals, pictures)
        found = page.read_text(encoding="utf-8", errors="replace")
        if SVG.sub("", found) != SVG.sub("", made):
            yield f"{PAGE}: is not what the records say"


def _alike(stored: str, drawn: str) -> bool:
    """Whether two pictures have the same lines at the same places, to a hundredth of a point."""
    if NUMBER.sub("", stored) != NUMBER.sub("", drawn):
        return False
    pairs = zip(NUMBER.findall(stored), NUMBER.findall(drawn), strict=True)
    return all(abs(float(one) - float(other)) <= 0.01 for one, other in pairs)


NAMESPACE = "rtfbench"
#: An agent or a hardware key may ask its owner first.
TIMEOUT_S = 120.0


def sign(text: str, key: Path, signature: Path) -> None:
    """Write a signature of a text, by a private key or the public one of what an agent holds.

    Raises:
        InputError: there is no such key, or it cannot sign.
    """
    if not key.is_file():
        raise InputError(f"{key}: no such key; make one with: ssh-keygen -t ed25519")
    done = _ask(["sign", "-f", str(key.absolute()), "-n", NAMESPACE], text)
    if done.returncode != 0 or not done.stdout:
        said = last_said(done.stderr) or f"exit status {done.returncode}"
        raise InputError(f"{key}: cannot sign ({said})")
    write_whole(signature, done.stdout)


def signer(text: str, signature: Path, signers: Path) -> str | None:
    """Return who of the allowed signers signed a text, None where none of them did.

    The file of signers has a line each: `name key-type key`.

    Raises:
        InputError: there is no list of allowed signers.
    """
    if not signers.is_file():
        raise InputError(f"{signers}: no such file")
    files = ["-s", str(signature.absolute()), "-f", str(signers.absolute())]
    found = _ask(["find-principals", *files], "")
    for name in found.stdout.splitlines() if found.returncode == 0 else ():
        if _ask(["verify", *files, "-n", NAMESPACE, "-I", name], text).returncode == 0:
            return name
    return None


def _ask(arguments: list[str], text: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=process_folder(),
            check=False,
        )
    except FileNotFoundError:
        raise InputError("ssh-keygen is not installed; install OpenSSH's client") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"ssh-keygen: no answer within {TIMEOUT_S:g} s") from None
