"""Whether two runs are of one host, and how far the hours of one move a ratio (pure)."""

from collections.abc import Sequence

from rtfbench.results import host
from rtfbench.results.rows import Environment

#: How much an hour moves a ratio of one host, one standard deviation of its logarithm: what runs
#: that were repeated over an hour let it be at most; see "Hours" in `reports/validation.md`.
BETWEEN_HOURS = 0.0075
GIB = 2**30
#: So many measurements of a core may be off.
DISTURBED = 1


def differences(first: Environment, second: Environment) -> list[tuple[str, str, str]]:
    """Return what tells two hosts apart: its name, and what it is here and there.

    Memory is rounded, and the kernel is none of it: neither changes which engine is faster. A run
    that has no fingerprint cannot be shown to be of the same host as another.
    """
    ours, theirs = facts(first), facts(second)
    found = [
        (name, ours.get(name, "not told"), theirs.get(name, "not told"))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]
    if not found and (first.host is None or second.host is None):
        texts = ["told" if each.host else "none" for each in (first, second)]
        found.append(("fingerprint", texts[0], texts[1]))
    probes = [each.host.probes if each.host else None for each in (first, second)]
    if probes[0] and probes[1]:
        found += host.differing_probes(probes[0], probes[1])
    return found


def one_host(known: Sequence[Environment], other: Environment) -> bool:
    """Say whether a run is of the host of others.

    One measurement of its core may be off, as a neighbour on it makes it: it is held against all
    that were made there. Facts may not.
    """
    if other.host is None or known[0].host is None or facts(known[0]) != facts(other):
        return False
    return any(len(differences(each, other)) <= DISTURBED for each in known)


def facts(environment: Environment) -> dict[str, str]:
    """Return what tells a host from others, in words: what no neighbour on a core changes."""
    return {
        "CPU": environment.cpu,
        "cores": str(environment.cores),
        "usable cores": str(environment.usable_cores),
        "memory": f"{environment.memory_bytes / GIB:.0f} GiB",
        **(host.facts(environment.host) if environment.host else {}),
    }
