"""What may be the answer, in heats: engines, chunk sizes, then how cores are shared (pure).

Each heat varies what the one before left in the race, so that a few dozen configurations are looked
at in place of every combination.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rtfbench.engines.protocol import FLOAT32, Form, Precision
from rtfbench.engines.spec import EngineSpec
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ, WHOLE_UTTERANCE, ChunkPolicy
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.results.server import THROUGHPUT

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


@dataclass(frozen=True)
class Choice:
    """An engine with its settings, in a precision and a form."""

    engine: str
    settings: dict[str, str]
    precision: Precision
    form: Form

    @property
    def label(self) -> str:
        """As it is written on the command line."""
        return str(EngineSpec(self.engine, self.settings, self.precision))


def alone(goal: Goal, choice: Choice, *, model: str, cores: int, chunk_samples: int) -> Cell:
    """Return a choice as its first heat runs it: in one process, on one core.

    For latency it has all cores at once: with one recording there is nothing else to do with them.
    """
    threads = cores if goal == "latency" else 1
    return _cell(choice, model=model, threads=threads, chunk_samples=chunk_samples)


def untuned(goal: Goal, choice: Choice, *, model: str, cores: int, chunk_samples: int) -> Cell:
    """Return what runs without tuning: threads of one, a chunk at a time, a job a core.

    For latency, it is one process.
    """
    cell = _cell(choice, model=model, threads=1, chunk_samples=chunk_samples)
    return cell if goal == "latency" else on_all_cores(cell, cores=cores)


def on_all_cores(cell: Cell, *, cores: int) -> Cell:
    """Return a cell of one core, run by a job on each."""
    return cell.model_copy(update={"jobs": cores})


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
    found = [on_all_cores(cell, cores=cores) for cell in with_static(finalists)]
    first = found[0]
    for threads in (*SHARES[1:], cores):
        if cores % threads == 0:
            found.append(first.model_copy(update={"jobs": cores // threads, "threads": threads}))
    # Static models take no batches.
    batches = batches if first.form == "dynamic" else ()
    found += [first.model_copy(update={"batch": batch}) for batch in batches]
    return list(unique(found))


def arriving(cell: Cell, protocol: str, load: Load) -> Cell:
    """Return a cell at which requests arrive.

    Args:
        cell: how they are served.
        protocol: under which they arrive.
        load: how they arrive at each process.
    """
    load = load.at(load.rate_per_s * cell.jobs)
    update = {"protocol": protocol, "load": load, "rate_per_s": load.rate_per_s}
    return cell.model_copy(update=update)


def with_threads(finalists: Sequence[Cell], *, cores: int) -> list[Cell]:
    """Return the finalists with as many threads as there are cores, and fewer."""
    counts = sorted({cores, cores // 2, 1} - {0}, reverse=True)
    found = with_static(finalists)
    return list(unique(cell.model_copy(update={"threads": n}) for cell in found for n in counts))


def with_static(finalists: Sequence[Cell]) -> list[Cell]:
    """Return the finalists, and the first of them as static models of their chunk sizes too."""
    static = [
        cell.model_copy(update={"form": "static"})
        for cell in finalists[:MOST_STATIC]
        if cell.chunk_samples != WHOLE_UTTERANCE
    ]
    return list(unique([*finalists, *static]))


def unique(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Yield every cell once."""
    yield from {cell.model_dump_json(): cell for cell in cells}.values()


def sizes_for(
    num_samples: Sequence[int], front_end: FrontEnd = WESPEAKER, *, default: int
) -> list[int]:
    """Return the chunk sizes that fill up least, for recordings of these lengths.

    Args:
        num_samples: of each recording.
        front_end: what the model is fed.
        default: the size that is in the race anyway.
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
    jobs = f"{cell.jobs} {'job' if cell.jobs == 1 else 'jobs'}"
    threads = f"{cell.threads} {'thread' if cell.threads == 1 else 'threads'}"
    batch = f", batch {cell.batch}" if cell.batch > 1 else ""
    return f"{cell.engine_label} {cell.form}, {size}, {jobs} × {threads}{batch}"


def _cell(choice: Choice, *, model: str, threads: int, chunk_samples: int) -> Cell:
    # With one job, the throughput protocol is the steady one, and tells of every recording.
    return Cell(
        model=model,
        engine=choice.engine,
        settings=choice.settings,
        precision=choice.precision,
        form=choice.form,
        threads=threads,
        chunk_samples=chunk_samples,
        protocol=THROUGHPUT.name,
    )
