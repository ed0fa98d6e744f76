"""The machine that a run was made on: what it is, what it can do at best, and how two differ."""

from pydantic import Field

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
