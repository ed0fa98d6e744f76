"""What a resumed run may keep: comparisons that would be measured the same way again.

A cell's name tells its model file, settings and sizes. The rest is told here: harness, recordings
and host, which all of a run shares, and each engine's version.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import Availability, EngineSpec
from rtfbench.results.host import Environment, identity
from rtfbench.results.store import ENVIRONMENT, CellData, RunFolder, StoreError, finished_of

#: Beside the harness itself, what its front end and its clock run on.
HARNESS_PACKAGES = ("numpy", "soundfile")


@dataclass(frozen=True)
class Kept:
    """What a run folder holds that counts on.

    Attributes:
        finished: ids of the cells that need not be measured again.
        stale: ids of those that were finished, or have times, and would be measured otherwise.
        reasons: what changed, a line each.
    """

    finished: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    reasons: tuple[str, ...] = ()


def stored_environment(folder: RunFolder) -> Environment | None:
    """Return what a folder's cells were measured in, None where nothing tells."""
    try:
        return folder.environment()
    except StoreError:
        return None


def take_up(
    folder: RunFolder,
    stored: Environment | None,
    now: Environment,
    probe: Callable[[EngineSpec], Availability],
) -> Kept:
    """Hold what a folder has against how it would be measured now.

    Its cells were measured in the environment that is stored; an engine is asked for its version.

    Raises:
        InputError: the folder's run is of another host: times of two are never put together.
    """
    cells = folder.cells()
    # What is still not installed is not measured now either, and keeps nothing open.
    refused = {
        cell_id
        for cell_id, data in cells.items()
        if data.outcome is not None
        and data.outcome.status == "unavailable"
        and not probe(data.cell.engine_spec).ok
    }
    finished = finished_of(cells, refused)
    # Of a comparison that is not finished, some may have their times.
    timed = finished | {cell_id for cell_id, data in cells.items() if data.records}
    if not timed:
        return Kept()
    if stored is None:
        return Kept(stale=timed, reasons=(f"its {ENVIRONMENT} cannot be read",))
    _refuse_other_host(folder, stored, now)
    shared = tuple(changes(stored, now))
    if shared:
        return Kept(stale=timed, reasons=shared)
    originals = [
        data for cell_id, data in cells.items() if cell_id in finished and not data.cell.replica
    ]
    engines = dict(_changed_engines(originals, probe, stored.packages == now.packages))
    again = {data.cell.condition for data in originals if str(data.cell.engine_spec) in engines}
    stale = frozenset(cell_id for cell_id in finished if cells[cell_id].cell.condition in again)
    return Kept(finished - stale, stale, tuple(engines.values()))


def changes(stored: Environment, now: Environment) -> Iterator[str]:
    """Yield what changed of all that every cell depends on, a line each (pure)."""
    versions = {"rtfbench": (stored.rtfbench, now.rtfbench), "Python": (stored.python, now.python)}
    for name in HARNESS_PACKAGES:
        versions[name] = (stored.packages.get(name, "none"), now.packages.get(name, "none"))
    for name, (then, today) in versions.items():
        if then != today:
            yield f"{name} {today}, and {then} then"
    recordings = ("audio", "audio_s", "audio_sha256", "scored_sha256")
    if any(getattr(stored, name) != getattr(now, name) for name in recordings):
        yield "other recordings"


def _changed_engines(
    cells: Collection[CellData], probe: Callable[[EngineSpec], Availability], same_packages: bool
) -> Iterator[tuple[str, str]]:
    """Yield the labels of engines that are not what they were, and how so.

    Of one that refused a cell no version is stored: it may take it since any package changed.
    """
    labels: dict[str, CellData] = {}
    for data in cells:
        label = str(data.cell.engine_spec)
        if label not in labels or (data.outcome and data.outcome.version):
            labels[label] = data
    for label, data in labels.items():
        outcome = data.outcome
        assert outcome is not None
        if not outcome.version:
            if not same_packages:
                yield label, f"{label} has other packages around it"
            continue
        found = probe(data.cell.engine_spec)
        then, today = _build(outcome.version, outcome.build), _build(found.version, found.build)
        if found.ok and then != today:
            yield label, f"{label}: {today}, and {then} then"


def _build(version: str, build: str) -> str:
    return f"{version} ({build})" if build else version


def _refuse_other_host(folder: RunFolder, stored: Environment, now: Environment) -> None:
    """Refuse to go on elsewhere; what a busy core does to its measurements is no other host."""
    there, here = identity(stored), identity(now)
    for name in there:
        if name in here and there[name] != here[name]:
            raise InputError(
                f"{folder.path}: was measured on another host ({name}: {there[name]}, here "
                f"{here[name]}); times of two hosts are never put together: choose another --out"
            )
