"""Gates on machines whose cores are taken away in bursts, by the real turns, times and judge.

A session is its chunks in the order of its turns. What is planted stands between them: a burst
stops whoever is at work, for as long as it lasts, and then the work goes on where it was. Of bursts
of the hypervisor the kernel knows nothing. A neighbour on the same core halves its speed while it
is busy, and the kernel counts how long whoever is at work waits for the core.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtfbench.gate.baseline import MARGIN, MAX_REGRESSION
from rtfbench.gate.measure import take_turns
from rtfbench.gate.verdict import Answer, Evidence, Pair, criteria, judge, overall
from rtfbench.measure import schedule
from rtfbench.results.cells import GHOST, Cell
from rtfbench.results.lines import SLOTS, Declaration
from rtfbench.results.records import Record
from rtfbench.results.store import CellData
from tests.validation.trial import Tried

Floats = npt.NDArray[np.float64]

#: Bursts last between these, evenly on the log scale.
SHORTEST_S, LONGEST_S = 0.005, 0.2
MEAN_S = (LONGEST_S - SHORTEST_S) / math.log(LONGEST_S / SHORTEST_S)
#: A neighbour is busy and idle for so long, evenly; it takes so much of the caches too.
BUSY_S, CACHES = (0.2, 1.5), 0.03
BUDGET_S = 60.0
RTF = tuple(each for each in criteria(margin=MARGIN, max_regression=MAX_REGRESSION) if each.counts)
#: Chunks of the recordings that a gate measures, and what is no chunk: front end and hand-over.
CHUNKS = {"a": 2, "b": 3, "c": 3, "d": 4}
FRONT_END_S, SWITCH_S = 0.0008, 0.003


@dataclass(frozen=True)
class Host:
    """A machine and a model: shares of the time are taken away, the rest is on the log scale."""

    name: str
    chunk_s: float
    load_s: float
    taken: float = 0.0
    neighbour: bool = False
    luck: float = 0.006
    noise: float = 0.012
    drift: float = 0.003


@dataclass(frozen=True)
class Side:
    """The candidate: so many times as slow, and stalls of its own in a share of its chunks.

    `idle` is the share by which it takes longer without computing.
    """

    ratio: float = 1.0
    stalls: float = 0.0
    stall: float = 1.0
    idle: float = 0.0


def _cell(replica: str) -> CellData:
    cell = Cell(
        model="m", engine="e", form="dynamic", threads=1, chunk_samples=32000, protocol="steady",
        replica=replica,
    )  # fmt: skip
    return CellData(Declaration(cell_id=replica or "candidate", cell=cell, title="M"))


@dataclass
class SimulatedCell:
    """A pair whose sessions are simulated."""

    host: Host
    side: Side
    rng: np.random.Generator
    name: str = "cell"
    failed: bool = False
    session_s: float = 0.0
    sessions: int = 0
    spent_s: float = 0.0
    data: list[CellData] = field(
        default_factory=lambda: [_cell(""), _cell("baseline"), _cell(GHOST)]
    )

    def measure_session(self) -> None:
        """Simulate the turns of one session."""
        host, rng = self.host, self.rng
        portions = schedule.portions(CHUNKS, wanted=schedule.short_slot_chunks(host.chunk_s))
        turn_s = (sum(CHUNKS.values()) / len(portions) + 1) * host.chunk_s
        blocks = schedule.blocks_beside(host.load_s, cycle_s=SLOTS * len(self.data) * turn_s)
        turns = [
            (block, position, int(cell), name)
            for block in range(blocks)
            for position, cell in enumerate(
                schedule.block_turns(
                    [*map(str, range(len(self.data)))], block=block, seed=int(rng.integers(10**6))
                )
            )
            for name in portions[(self.sessions * blocks + block) % len(portions)]
        ]
        # Of each utterance its front end and its chunks, and before a slot's first one an untimed
        # chunk and a hand-over.
        work: list[float] = []
        idle: list[float] = []
        timed: list[int] = []
        luck = rng.normal(0, host.luck, len(self.data))
        before = None
        for block, position, cell, name in turns:
            if before != (block, position):
                work.append(host.chunk_s + SWITCH_S)
                idle.append(0.0)
            before = block, position
            side = self.side if cell == 0 else Side()
            timed.append(len(work))
            chunks = (
                host.chunk_s
                * side.ratio
                * np.exp(luck[cell] + rng.normal(0, host.noise, CHUNKS[name]))
            )
            chunks *= 1 + side.stall * (rng.random(CHUNKS[name]) < side.stalls)
            work += [CHUNKS[name] * FRONT_END_S * math.exp(rng.normal(0, 0.05)), *chunks]
            idle += [0.0, *(side.idle * chunks)]
        cpu_s = self._drifted(np.array(work))
        waited_s, cpu_s = self._beside(cpu_s) if host.neighbour else (0.0 * cpu_s, cpu_s)
        wall_s = self._disturbed(cpu_s + waited_s + idle)
        for (block, position, cell, name), first in zip(turns, timed, strict=True):
            pieces = slice(first, first + CHUNKS[name] + 1)
            front, *chunk_ns = (round(1e9 * s) for s in wall_s[pieces])
            self.data[cell].records.append(
                Record.model_construct(
                    session=self.sessions, block=block, position=position, utterance=name,
                    frontend_ns=front, engine_ns=sum(chunk_ns), chunk_ns=tuple(chunk_ns),
                    processing_ns=front + sum(chunk_ns),
                    cpu_ns=round(1e9 * cpu_s[pieces].sum()),
                    waited_ns=round(1e9 * waited_s[pieces].sum()),
                )
            )  # fmt: skip
        self.session_s = host.load_s / (1 - host.taken) + float(wall_s.sum())
        self.spent_s += self.session_s
        self.sessions += 1

    def _drifted(self, work: Floats) -> Floats:
        """Return what pieces of work take on a machine that drifts."""
        drift = np.cumsum(self.rng.normal(0, self.host.drift, len(work)))
        return np.asarray(work * np.exp(drift), np.float64)

    def _beside(self, work: Floats) -> tuple[Floats, Floats]:
        """Return how long each piece waits for a neighbour, and what it takes beside one."""
        busy, left_s = bool(self.rng.integers(2)), self.rng.uniform(0, BUSY_S[1])
        waited, took = np.zeros(len(work)), np.zeros(len(work))
        for index, piece in enumerate(work):
            todo = piece
            while todo > 0:
                slower = 1 + CACHES if busy else 1.0
                # Beside a neighbour, as long as a piece computes it waits.
                now = min(todo, left_s / (2 * slower if busy else 1.0))
                took[index] += now * slower
                waited[index] += now * slower if busy else 0.0
                left_s -= now * (2 * slower if busy else 1.0)
                todo -= now
                if left_s <= 1e-12:
                    busy, left_s = not busy, self.rng.uniform(*BUSY_S)
        return waited, took

    def _disturbed(self, took: Floats) -> Floats:
        """Return what pieces take with bursts between them."""
        host, rng = self.host, self.rng
        took = took.copy()
        ends = np.cumsum(took)
        if host.taken:
            pause_s = MEAN_S * (1 - host.taken) / host.taken
            bursts = rng.poisson(ends[-1] / pause_s)
            lasts = np.exp(rng.uniform(math.log(SHORTEST_S), math.log(LONGEST_S), bursts))
            np.add.at(took, np.searchsorted(ends, rng.uniform(0, ends[-1], bursts)), lasts)
        return np.asarray(took, np.float64)

    def seen(self) -> Evidence:
        """Return what the judge sees."""
        candidate, baseline, ghost = self.data
        return Pair(self.name, candidate, baseline, ghost, self.session_s).seen(RTF)


@dataclass(frozen=True)
class Gated:
    """What a gate said, and after how long."""

    answer: Answer
    seconds: float


def gate(host: Host, side: Side, rng: np.random.Generator) -> Gated:
    """Simulate a gate."""
    cell = SimulatedCell(host, side, rng)
    rulings = take_turns(
        [cell],
        lambda final: judge([cell.seen()], RTF, budget_s=BUDGET_S, final=final),
        budget_s=BUDGET_S,
        spent_s=lambda: cell.spent_s,
    )
    return Gated(overall(rulings), cell.spent_s)


#: Chunks of XVEC, ECAPA-TDNN and ResNet-34, in seconds, and what the start of a session takes.
MODELS = (("12 ms", 0.012, 0.8), ("27 ms", 0.027, 1.0), ("45 ms", 0.045, 1.5))
TAKEN = (0.0, 0.05, 0.15, 0.3)
SLOWED = (
    (Side(1.0), "pass", "identical sides pass in 90 %", (0.9, 1.0)),
    (Side(1.0), "regression", "false alarms in at most 1 %", (0.0, 0.01)),
    (Side(1.05), "regression", "5 % called in 80 %", (0.8, 1.0)),
    (Side(1.2), "regression", "20 % called in 99 %", (0.99, 1.0)),
    (Side(stalls=0.2, stall=1.0), "pass", "20 % of own chunks stall: passes in at most 10 %",
     (0.0, 0.1)),
    (Side(idle=0.2), "pass", "20 % longer without computing: passes in at most 1 %", (0.0, 0.01)),
)  # fmt: skip


def try_stolen(trials: int, seed: int) -> list[Tried]:
    """Gates of a minute at most, on quiet machines and on those that lose a share of their time."""
    rows = []
    for chunk, chunk_s, load_s in MODELS:
        hosts = [
            *(Host(f"{taken:.0%} taken away", chunk_s, load_s, taken) for taken in TAKEN),
            Host("beside a neighbour", chunk_s, load_s, neighbour=True),
        ]
        for host in hosts:
            found: dict[Side, list[Gated]] = {}
            for side, answer, nominal, aim in SLOWED:
                if side not in found:
                    key = round(100 * host.taken) + 1000 * host.neighbour
                    rng = np.random.default_rng((seed, round(1e4 * chunk_s), key))
                    found[side] = [gate(host, side, rng) for _ in range(trials)]
                right = sum(each.answer == answer for each in found[side])
                took_s = float(np.median([each.seconds for each in found[side]]))
                name = f"chunks of {chunk}, {host.name}: {took_s:.0f} s"
                rows.append(Tried("gate", name, nominal, trials, right, aim))
    return rows
