"""What is asked for, and what may be the answer (pure).

Heats race engines, chunk sizes, then how cores are shared. Each varies what the one before left in
the race, so that a few dozen configurations are looked at in place of every combination.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtfbench.base.limits import MAX_EER_LOSS
from rtfbench.engines.protocol import FLOAT32, EngineSpec, Form, Precision
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ, WHOLE_UTTERANCE, ChunkPolicy
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.report.figures import counted
from rtfbench.results.cells import Cell, unique
from rtfbench.results.load import Load, Traffic
from rtfbench.results.server import SERVER, STREAMS, THROUGHPUT

#: `throughput`: seconds of audio a second, over all cores. `latency`: one recording at a time, as
#: soon as possible. `server` and `streams`: most requests a second, or most live streams, that are
#: answered within a latency, their waiting counted.
Goal = Literal["throughput", "latency", "server", "streams"]

#: Chunk sizes that are thought of, beside the default.
SIZES = tuple(round(each * SAMPLE_RATE_HZ) for each in (1, 1.5, 2, 3, 4, 5, 6, 10))
#: Of those, so many with the least padding are raced.
MOST_SIZES = 3
BATCHES = (4, 16)
#: So many engines are raced with other chunk sizes, so many of their results on all cores.
MOST_ENGINES, MOST_FINALISTS, MOST_STATIC = 3, 3, 2
#: All cores as jobs of one thread, and of so many at once.
SHARES = (1, 2, 4)
#: Seconds of measuring where nothing is said; a capacity takes longer than a time.
BUDGET_S, BUDGETS_S = 120.0, {"server": 600.0, "streams": 600.0}
#: Requests that are a Poisson process, or windows of the default's length.
STEADY_TRAFFIC = Traffic()


@dataclass(frozen=True)
class TuneOptions:
    """What a user asked for; see `rtfbench tune --help`."""

    model: str
    goal: Goal = "throughput"
    reading: Reading = AS_IT_SAYS
    engines: Sequence[EngineSpec] = ()
    precisions: Sequence[Precision] = ()
    chunk_samples: Sequence[int] = ()
    audio: Sequence[Path] = ()
    lengths: Path | None = None
    channel: int | None = None
    resample: bool = False
    latency_ms: float | None = None
    #: How requests arrive, of goals under which they do.
    traffic: Traffic = STEADY_TRAFFIC
    max_rss_mb: float | None = None
    trials: Path | None = None
    trial_audio: Sequence[Path] = ()
    max_eer_loss: float = MAX_EER_LOSS
    weights: Weights = DEFAULT_WEIGHTS
    cores: int | None = None
    margin: float = 0.02
    budget_s: float = BUDGET_S
    timeout_s: float = 120.0
    seed: int | None = None
    libraries: Mapping[str, Path | None] = field(default_factory=dict)


def choice(spec: EngineSpec, form: Form, *, model: str, chunk_samples: int) -> Cell:
    """Return an engine as it is thought of: in one process, on one core."""
    # With one job, the throughput protocol is the steady one, and tells of every recording.
    return Cell(
        model=model,
        engine=spec.name,
        settings=spec.settings,
        precision=spec.computes,
        form=form,
        threads=1,
        chunk_samples=chunk_samples,
        protocol=THROUGHPUT.name,
    )


def alone(goal: Goal, choice: Cell, *, cores: int) -> Cell:
    """Return a choice as its first heat runs it.

    For latency it has all cores at once: with one recording there is nothing else to do with them.
    """
    return choice.model_copy(update={"threads": cores}) if goal == "latency" else choice


def untuned(goal: Goal, choice: Cell, *, cores: int) -> Cell:
    """Return what runs without tuning: a job a core, for latency one process."""
    return choice if goal == "latency" else choice.model_copy(update={"jobs": cores})


def with_sizes(cells: Iterable[Cell], sizes: Sequence[int]) -> list[Cell]:
    """Return cells with every other chunk size, the cells of one size side by side."""
    some = list(cells)
    return [
        cell.model_copy(update={"chunk_samples": size})
        for size in sizes
        for cell in some
        if size != cell.chunk_samples
    ]


def shared(
    finalists: Sequence[Cell], *, cores: int, batches: Sequence[int] = BATCHES
) -> list[Cell]:
    """Return the finalists on all cores; the first of them shared otherwise, and in batches."""
    found = [cell.model_copy(update={"jobs": cores}) for cell in with_static(finalists)]
    first = found[0]
    for threads in (*SHARES[1:], cores):
        if cores % threads == 0:
            found.append(first.model_copy(update={"jobs": cores // threads, "threads": threads}))
    # Static models take no batches.
    batches = batches if first.form == "dynamic" else ()
    found += [first.model_copy(update={"batch": batch}) for batch in batches]
    return unique(found)


def arriving(cell: Cell, load: Load) -> Cell:
    """Return a cell at which requests arrive, as a load says it of each of its processes."""
    load = load.at(load.rate_per_s * cell.jobs)
    protocol = STREAMS.name if load.streams else SERVER.name
    update = {"protocol": protocol, "load": load, "rate_per_s": load.rate_per_s}
    return cell.model_copy(update=update)


def with_threads(finalists: Sequence[Cell], *, cores: int) -> list[Cell]:
    """Return the finalists with as many threads as there are cores, and fewer."""
    counts = sorted({cores, cores // 2, 1} - {0}, reverse=True)
    found = with_static(finalists)
    return unique(cell.model_copy(update={"threads": n}) for cell in found for n in counts)


def with_static(finalists: Sequence[Cell]) -> list[Cell]:
    """Return the finalists, and the first of them as static models of their chunk sizes too."""
    static = [
        cell.model_copy(update={"form": "static"})
        for cell in finalists[:MOST_STATIC]
        if cell.chunk_samples != WHOLE_UTTERANCE
    ]
    return unique([*finalists, *static])


def sizes_for(
    num_samples: Sequence[int], front_end: FrontEnd = WESPEAKER, *, default: int
) -> list[int]:
    """Return the chunk sizes that fill up least, for recordings of these lengths.

    The `default` one is in the race anyway.
    """

    def padding(size: int) -> float:
        policy = ChunkPolicy(size, front_end)
        return sum(map(policy.padded_samples, num_samples)) / sum(num_samples)

    others = [size for size in SIZES if size != default]
    return sorted(sorted(others, key=lambda size: (padding(size), -size))[:MOST_SIZES])


def distance(cell: Cell, default: Cell) -> tuple[bool, ...]:
    """Return in what a cell differs from the default, the gravest first.

    Of configurations that cannot be told apart, the one that differs least is named.
    """
    return (
        cell.precision != FLOAT32,
        cell.chunk_samples != default.chunk_samples,
        cell.batch != 1,
        cell.engine_label != default.engine_label,
        cell.form != default.form,
        cell.threads != default.threads,
    )


def label(cell: Cell) -> str:
    """Write a configuration in a line: openvino:int8 dynamic, 32000 samples, 2 jobs × 1 thread."""
    size = "whole" if cell.chunk_samples < 0 else f"{cell.chunk_samples} samples"
    jobs, threads = counted(cell.jobs, "job"), counted(cell.threads, "thread")
    batch = f", batch {cell.batch}" if cell.batch > 1 else ""
    return f"{cell.engine_label} {cell.form}, {size}, {jobs} × {threads}{batch}"
