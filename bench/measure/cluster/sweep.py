"""The same comparison on every host of a cluster: one whole run is one task.

Hosts are measured side by side, and never pooled: what is compared took turns on one host.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rtfbench.base.cache import sha256_of
from rtfbench.base.cluster.dask_cluster import Cluster
from rtfbench.base.cluster.driver import TICK_S, Answered, Died, Raised
from rtfbench.base.errors import InputError
from rtfbench.base.files import reading_from
from rtfbench.measure.cluster import measuring
from rtfbench.measure.cluster.carried import files_of, renamed
from rtfbench.measure.cluster.measuring import HostTask, SentFolder
from rtfbench.measure.plan import Plan
from rtfbench.models.facts import facts_of

GONE = "its workers are gone; start some there, and go on with --resume"


@dataclass(frozen=True)
class ClusterHost:
    """A host by its own name, with its workers."""

    name: str
    workers: tuple[str, ...]


def comparison(plan: Plan, libraries: Mapping[str, Path | None]) -> HostTask:
    """Return what hosts are given to measure; a plan may name files from the present folder.

    Raises:
        InputError: a file that cannot be read.
        EngineError: there is no engine of a name here.
    """
    plan = renamed(plan, {path: str(path.absolute()) for path, _ in files_of(plan)})
    with reading_from():
        files = {str(path): sha256_of(path) for _, inside in files_of(plan) for path in inside}
    return HostTask(
        facts=facts_of(*(spec for axes in plan.sweeps for spec in axes.engines)),
        plan=plan,
        libraries={name: path.absolute() for name, path in libraries.items() if path},
        files=files,
    )


def hosts_of(cluster: Cluster, asked: HostTask) -> list[ClusterHost]:
    """Return the hosts of a cluster, each by a name that no other has.

    Raises:
        InputError: a worker is of no use, or has other work.
    """
    found: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    told = cluster.everywhere(measuring.describe, asked.model_dump(mode="json"))
    for worker, said in told.items():
        if unfit := said if isinstance(said, str) else "; ".join(said["unfit"]):
            raise InputError(f"worker {worker}: {unfit}")
        address = urlsplit(worker).hostname or worker
        found.setdefault(address, []).append(worker)
        names[address] = said["host"]
    if strangers := cluster.strangers():
        raise InputError(
            f"worker {sorted(strangers)[0]}: runs tasks of others; measure when the cluster is free"
        )
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    return [
        ClusterHost(f"{name}-{address}" if name in twice else name, tuple(found[address]))
        for address, name in names.items()
    ]


def measure_on(
    cluster: Cluster, hosts: list[ClusterHost], asked: HostTask, note: Callable[[str], None]
) -> Iterator[tuple[ClusterHost, SentFolder]]:
    """Yield every host's run as it ends; all measure at the same time.

    Raises:
        ClusterError: the cluster is gone.
    """
    executor, job = cluster.executor(measuring.measure_here), asked.model_dump(mode="json")
    open_hosts = {host.name: host for host in hosts}
    for host in hosts:
        executor.submit(host.name, job, only=host.workers)
    disturbed: set[str] = set()
    while open_hosts:
        event = executor.next_event(TICK_S)
        match event:
            case Answered() if event.answer["kind"] == "run":
                yield open_hosts.pop(event.key), SentFolder.model_validate(event.answer)
            case Answered():
                yield open_hosts.pop(event.key), SentFolder(refusal=event.answer["reason"])
            case Died():
                yield open_hosts.pop(event.key), SentFolder(refusal=GONE)
            case Raised():
                yield open_hosts.pop(event.key), SentFolder(refusal=event.reason)
        busy = set(cluster.strangers())
        for host in open_hosts.values():
            if host.name not in disturbed and busy & set(host.workers):
                disturbed.add(host.name)
                note(f"{host.name}: others gave it work meanwhile; do not trust what it measures")
        present = set(executor.workers())
        for host in [each for each in open_hosts.values() if not present & set(each.workers)]:
            # Its task is bound to them, and would wait for ever.
            executor.forget(host.name)
            yield open_hosts.pop(host.name), SentFolder(refusal=GONE)
