"""The machine that a run was made on: what it is, what it can do at best, and how two differ.

Pure: `rtfbench.measure.machine` looks at the machine itself.
"""

from collections.abc import Sequence

from pydantic import Field

from rtfbench.base.core_count import Cores
from rtfbench.base.values import Value

#: Two measurements of one host's clock, or of what its core does in a cycle, differ by less.
SAME_CLOCK, SAME_CYCLE = 0.25, 0.15


class Probes(Value):
    """What a core reached when the run began; None where it could not be measured.

    `clock_ghz` is told by a chain of additions, `copy_gb_s` counts what is read and written.
    `peaks` are 10^9 operations a second of one core on registers alone, by type and instruction
    set; `ceiling` names the one that rows are held against.
    """

    clock_ghz: float | None = None
    copy_gb_s: float | None = None
    peaks: dict[str, float] = Field(default_factory=dict)
    ceiling: str = ""

    def times_the_ceiling(self, kind: str) -> float:
        """Return how many times the ceiling's operations a core does of a type; 1 if unknown."""
        own = [peak for name, peak in self.peaks.items() if name.split()[0] == kind]
        ceiling = self.peaks.get(self.ceiling)
        return max(own) / ceiling if own and ceiling else 1.0

    @property
    def flop_a_cycle(self) -> float | None:
        """Single-precision operations that a core does in a cycle."""
        peak = self.peaks.get(self.ceiling)
        return peak / self.clock_ghz if peak and self.clock_ghz else None


class Host(Value):
    """What a machine is, as far as its system tells; empty or None where it does not.

    Instruction sets have the names that Linux gives them. `cache_bytes` are those of one cache of
    each level. `cpu_limit` is a container's limit, in cores.
    """

    vendor: str = ""
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    microarchitecture: str = ""
    instruction_sets: tuple[str, ...] = ()
    cache_bytes: dict[str, int] = Field(default_factory=dict)
    threads_per_core: int | None = None
    hypervisor: str = ""
    container: str = ""
    cpu_limit: float | None = None
    max_mhz: float | None = None
    blas: str = ""
    probes: Probes | None = None


class Environment(Value):
    """The host and the software of a run, taken when it began."""

    rtfbench: str
    started_utc: str
    cpu: str
    cores: int
    usable_cores: int
    memory_bytes: int
    os: str
    python: str
    packages: dict[str, str]
    load_average_1min: float
    audio: tuple[str, ...] = ()
    audio_s: float = 0.0
    #: Of the samples as they were decoded, and of those of recordings for trials alone.
    audio_sha256: str = ""
    scored_sha256: str = ""
    weights: str = ""
    #: What models are fed, where that is not WeSpeaker's front end.
    front_ends: str = ""
    #: Of the order of all turns.
    seed: int | None = None
    host: Host | None = None
    #: Of the repository that the run was started in; empty outside of one.
    commit: str = ""

    @property
    def cpu_kind(self) -> str:
        """The CPU's name with what tells it from others of the same name."""
        return kind(self.cpu, self.host)

    @property
    def core_count(self) -> int:
        """How many of the usable cores the CPU quota was enough for."""
        return Cores(self.usable_cores, self.host.cpu_limit if self.host else None).count


def kind(cpu: str, host: Host | None) -> str:
    """Name a CPU so that others of the same name are told from it."""
    if host is None:
        return cpu
    known = [host.microarchitecture] if host.microarchitecture not in ("", cpu) else []
    known += [f"family {host.family}"] if host.family is not None else []
    known += [f"model {host.model}"] if host.model is not None else []
    return f"{cpu} ({', '.join(known)})" if known else cpu


def widest_vectors(host: Host) -> str:
    """Return the widest vectors that a processor shows, empty where it shows none of these."""
    names = {"avx512f": "AVX-512", "avx2": "AVX2", "sse4_2": "SSE4.2", "sve": "SVE"}
    return next((name for flag, name in names.items() if flag in host.instruction_sets), "")


def facts(host: Host) -> dict[str, str]:
    """Return what identifies a machine, in words; what is unknown is left out."""
    found = {
        "vendor": host.vendor,
        "micro-architecture": host.microarchitecture,
        "family": host.family,
        "model": host.model,
        "stepping": host.stepping,
        "threads a core": host.threads_per_core,
        "instruction sets": " ".join(host.instruction_sets),
        "caches": ", ".join(f"{name} {_size(b)}" for name, b in host.cache_bytes.items()),
        "hypervisor": host.hypervisor,
        "container": host.container,
        "CPU limit": None if host.cpu_limit is None else f"{host.cpu_limit:g} cores",
    }
    return {name: str(known) for name, known in found.items() if known not in (None, "")}


def measured(probes: Probes) -> dict[str, str]:
    """Return what was measured of a machine, in words."""
    found = {name: f"{value:.0f} G operations/s" for name, value in probes.peaks.items()}
    if probes.clock_ghz is not None:
        found = {"clock": f"{probes.clock_ghz:.2f} GHz", **found}
    if probes.copy_gb_s is not None:
        found["memory copies"] = f"{probes.copy_gb_s:.0f} GB/s"
    return found


def differing_probes(first: Probes, second: Probes) -> list[tuple[str, str, str]]:
    """Return in what two machines were measured to differ: its name, then each one's figure.

    The clock may vary with the hour and memory with the neighbours; what a core does in a cycle
    varies with neither.
    """
    found = []
    clocks = first.clock_ghz, second.clock_ghz
    if clocks[0] and clocks[1] and not _alike(clocks[0], clocks[1], SAME_CLOCK):
        found.append(("clock", f"{clocks[0]:.2f} GHz", f"{clocks[1]:.2f} GHz"))
    for name in first.peaks.keys() & second.peaks.keys():
        ours, theirs = (each.peaks[name] / (each.clock_ghz or 1.0) for each in (first, second))
        if not _alike(ours, theirs, SAME_CYCLE):
            texts = [f"{each:.0f} operations a cycle" for each in (ours, theirs)]
            found.append((name, texts[0], texts[1]))
    return sorted(found)


def _alike(one: float, other: float, tolerance: float) -> bool:
    return 1 / (1 + tolerance) < one / other < 1 + tolerance


def _size(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


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
    ours, theirs = identity(first), identity(second)
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
        found += differing_probes(probes[0], probes[1])
    return found


def one_host(known: Sequence[Environment], other: Environment) -> bool:
    """Say whether a run is of the host of others.

    One measurement of its core may be off, as a neighbour on it makes it: it is held against all
    that were made there. Facts may not.
    """
    if other.host is None or known[0].host is None or identity(known[0]) != identity(other):
        return False
    return any(len(differences(each, other)) <= DISTURBED for each in known)


def identity(environment: Environment) -> dict[str, str]:
    """Return what tells a host from others, in words: what no neighbour on a core changes."""
    return {
        "CPU": environment.cpu,
        "cores": str(environment.cores),
        "usable cores": str(environment.usable_cores),
        "memory": f"{environment.memory_bytes / GIB:.0f} GiB",
        **(facts(environment.host) if environment.host else {}),
    }
