"""What is measured: a record of each measurement, and the machine's health during each block."""

from typing import Literal

from pydantic import Field, PositiveInt

from rtfbench.base.values import Value


class Record(Value):
    """One utterance through one session of one cell.

    `processing_ns` is the time from the waveform to the averaged embedding, front end and
    chunking included, loading excluded; `chunk_ns` are the engine's calls, the first of which is
    the session's first ever under the published protocol. `copy_ns` is the part of them that a
    session spent on shapes and copies, None where its runtime does not tell.

    Under the throughput protocol it is one pass over a queue: `queued` are its utterances,
    `utterance_ns` what each took from when a process began with it (and with those of its batch) to
    its embedding. `processing_ns` is the wall time of the pass; the times of parts are those of all
    processes, divided by their number, so that what is left of it is waiting.

    `waited_ns` is how long threads of its process were ready to run and had no core, all of them
    together; None where the kernel does not tell it.

    `own` is what only the record's protocol measures, by name with the unit. `energy_uj` is what
    the device's counters rose by within `energy_ns`, which begin just before the record's time and
    end just after it; None where none can be read.
    """

    kind: Literal["record"] = "record"
    cell_id: str
    session: int
    block: int
    position: int
    utterance: str
    audio_ns: PositiveInt
    padded_audio_ns: PositiveInt
    load_ns: int
    first_chunk_ns: int
    frontend_ns: int
    engine_ns: int
    processing_ns: PositiveInt
    chunk_ns: tuple[int, ...]
    cpu_ns: int
    peak_rss_bytes: int = 0
    copy_ns: int | None = None
    waited_ns: int | None = None
    energy_uj: int | None = None
    energy_ns: int | None = None
    queued: tuple[str, ...] = ()
    utterance_ns: tuple[int, ...] = ()
    own: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class Health(Value):
    """What else went on in the machine during one block; None where the host does not tell.

    Shares are of the block's wall time: `steal` and `other_cpu` in cores, `pressure` that of tasks
    waiting for a core (PSI, some), `throttled` that of a cgroup's limit. `involuntary` counts the
    workers' involuntary context switches a second. `peak_gflops` is what single-precision
    multiply-adds on registers reached on the cell's threads right after the block. `idle_uj` is
    what each device's counters rose by within `idle_ns` then, while nothing of the run ran.
    """

    kind: Literal["health"] = "health"
    cell_id: str
    session: int
    block: int
    wall_ns: int
    steal: float | None = None
    pressure: float | None = None
    involuntary: float | None = None
    other_cpu: float | None = None
    frequency_mhz: float | None = None
    throttled: float | None = None
    load_average_1min: float | None = None
    peak_gflops: float | None = None
    idle_ns: int | None = None
    idle_uj: dict[str, int] = Field(default_factory=dict)
