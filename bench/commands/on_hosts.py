"""`rtfbench run` on other hosts: each makes the whole run, and its folder comes back."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from rtfbench.base.errors import InputError, as_input, complain, say

if TYPE_CHECKING:
    from rtfbench.measure.cluster.measuring import SentFolder
    from rtfbench.measure.plan import Plan


class Sweep(NamedTuple):
    """What is measured, where its result goes, and what becomes of one that is there."""

    plan: "Plan"
    out: Path
    overwrite: bool
    resume: bool
    libraries: Mapping[str, Path | None]


def run_by_ssh(hosts: Sequence[str], python: str | None, sweep: Sweep) -> int:
    """Run a sweep on every host that is named, print them side by side, return the exit status."""
    from rtfbench.base.scratch import process_folder
    from rtfbench.measure.cluster.by_ssh import HostOrder, HostRun
    from rtfbench.measure.cluster.carried import carried
    from rtfbench.measure.whole_run import BAD_INPUT, INTERRUPTED
    from rtfbench.results.store import OCCUPIED, RECORDS

    plan, out, overwrite, resume, libraries = sweep
    if any(libraries.values()):
        raise InputError("--host: name a library there as a setting: mnn[home=/opt/mnn]")
    names = named(hosts)
    for name in names:
        if (out / name / RECORDS).exists() and not (resume or overwrite):
            raise InputError(f"{out / name} {OCCUPIED}")
    stopping, storing, ended = Event(), Lock(), SimpleQueue[tuple[str, int]]()

    def one(name: str, run: HostRun) -> None:
        status = INTERRUPTED
        try:
            measured = run.measure()
            with storing:
                status = store(out / name, name, measured)
            if not measured.refusal:
                run.forget()
        except InputError as error:
            complain(str(error))
            status = BAD_INPUT
        except OSError as error:
            complain(f"{out / name}: cannot be written ({error.strerror}); the run is still there")
            status = BAD_INPUT
        except KeyboardInterrupt:
            pass  # nothing was started there
        finally:
            ended.put((name, status))

    with TemporaryDirectory(dir=process_folder()) as scratch:
        sent = carried(plan, Path(scratch))
        runs = {}
        for name, address in names.items():
            before = files_in(out / name) if resume else {}
            order = HostOrder(sent, python, before, resume=resume, overwrite=overwrite)
            runs[name] = HostRun(address, order, stopping, partial(_say_of, name))
        for each in runs.items():
            Thread(target=one, args=each, daemon=True).start()
        statuses: dict[str, int] = {}
        while len(statuses) < len(runs):
            try:
                name, status = ended.get()
                statuses[name] = status
            except KeyboardInterrupt:
                say(
                    "interrupted: each host ends when its block is complete, and sends what it "
                    "has; once more leaves at once"
                )
                stopping.set()
    shown = _show([out / name for name in names])
    if stopping.is_set():
        kept = f"; {out} holds what was measured, go on with --resume" if shown else ""
        say(f"interrupted{kept}")
        return INTERRUPTED
    return max(statuses.values())


def _say_of(host: str, text: str) -> None:
    say(f"{host}: {text}")


def named(hosts: Sequence[str]) -> dict[str, str]:
    """Return a folder's name for each host -> its address: the host's name where that is enough.

    Raises:
        InputError: one is named twice.
    """
    short = [re.sub(r"^(ssh://)?([^@/]*@)?", "", host).rstrip("/") for host in hosts]
    counts = Counter(short)
    chosen = [name if counts[name] == 1 else host for name, host in zip(short, hosts, strict=True)]
    found: dict[str, str] = {}
    for name, host in zip(chosen, hosts, strict=True):
        folder = re.sub(r"[^\w.-]+", "-", name).strip("-.")
        if not folder or folder in found:
            raise InputError(f"--host {host}: is named twice, or is no host")
        found[folder] = host
    return found


def files_in(folder: Path) -> dict[str, Path]:
    """Return the files of a run that is gone on with, as they are called there."""
    from rtfbench.results.store import LOCK

    found = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != LOCK)
    return {f"out/{each.relative_to(folder).as_posix()}": each for each in found}


def run_on_cluster(cluster: str, sweep: Sweep) -> int:
    """Run a sweep on every host of a cluster, print them side by side, return the exit status."""
    from rtfbench.base.cluster.dask_cluster import connected
    from rtfbench.base.cluster.driver import ClusterError
    from rtfbench.engines.protocol import EngineError
    from rtfbench.measure.cluster.sweep import comparison, hosts_of, measure_on
    from rtfbench.measure.whole_run import INTERRUPTED, OK
    from rtfbench.results.store import OCCUPIED, SUMMARY

    plan, out, overwrite, resume, libraries = sweep
    with as_input(EngineError, ValueError):
        asked = comparison(plan, libraries)
    statuses: list[int] = []
    try:
        with connected(cluster, workers=1) as connection:
            hosts = hosts_of(connection, asked)
            finished = [host for host in hosts if (out / host.name / SUMMARY).exists()]
            if finished and not (resume or overwrite):
                raise InputError(f"{out / finished[0].name} {OCCUPIED}")
            missing = [host for host in hosts if overwrite or host not in finished]
            names = ", ".join(host.name for host in missing)
            if missing:
                say(f"measuring on {names}: up to about {plan.budget_s:.0f} s, and what it loads")
            for host, measured in measure_on(connection, missing, asked, complain):
                statuses.append(store(out / host.name, host.name, measured))
    except KeyboardInterrupt:
        say(f"interrupted; {out} holds the runs that came back, go on with --resume")
        return INTERRUPTED
    except ClusterError as error:
        raise InputError(
            f"{error}; {out} holds the runs that came back, go on with --resume"
        ) from error
    _show([out / host.name for host in hosts])
    return max(statuses, default=OK)


def store(path: Path, host: str, measured: "SentFolder") -> int:
    """Write a run that came back, and its page; return its exit status."""
    from rtfbench.measure.whole_run import BAD_INPUT, read_summary
    from rtfbench.report.page import write_page
    from rtfbench.results.store import RunFolder

    for text in measured.notes:
        say(f"{host}: {text}")
    if measured.refusal:
        complain(f"{host}: {measured.refusal}")
        return BAD_INPUT
    folder = RunFolder.create(path, overwrite=True, resume=False)
    measured.store(folder)
    for text in write_page(folder, read_summary(folder)):
        say(text)
    return measured.status


def _show(folders: Sequence[Path]) -> int:
    """Print the runs that are there, side by side where there are several; return their number."""
    from rtfbench.commands.report import show, show_hosts
    from rtfbench.results.store import SUMMARY

    paths = [path for path in folders if (path / SUMMARY).exists()]
    if len(paths) > 1:
        show_hosts(paths)
    elif paths:
        show(paths[0])
    for path in paths:
        say(f"results: {path}")
    return len(paths)
