"""Who takes turns when, and for how long (pure, seeded).

A *session* is a set of fresh processes, one a cell. In it, cells take turns in *slots*: one untimed
chunk, then a portion of the utterances. A *block* is a palindrome of slots: a random order of the
cells, then the same order reversed. Every cell then has the same mean position in the block, so a
drift that is linear over the block cancels exactly. *Looks*, the moments at which the intervals'
width is judged, are declared before measuring begins.
"""

import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtfbench.results.stats import ALPHA_PER_LOOK

#: A slot this long is short against the drift of a shared machine, and long against a switch.
SLOT_S = 0.3
#: A slot has at least this many chunks to the one untimed chunk that begins it.
CHUNKS_PER_SLOT = 10
#: Chunks of this many seconds are large; of those, a short slot has this many.
LARGE_CHUNK_S, SHORT_SLOT = 0.03, 4.0
#: A queue has at least so many chunks for each process that works on it, so that those that find it
#: empty while others still work do not weigh much.
QUEUED_CHUNKS = 12
#: A session that takes long to start has this many cycles of blocks at most.
MOST_CYCLES = 8
#: Looks come at the first number of sessions and at its doublings, this many in all at most.
MOST_LOOKS = 3
#: Further looks are declared when their sessions can have this many blocks each.
BLOCKS_PER_SESSION = 4
#: Where few sessions are asked for, so much of the time is kept for those that turn out to differ
#: most.
KEPT_FOR_THE_WIDEST = 0.4
#: Stopping early at fewer sessions than this cannot be paid for.
SESSIONS_FOR_LOOKS = 6


def draw_seed() -> int:
    """Return a seed for a run that was given none: what an order favours averages out over runs."""
    return random.SystemRandom().randrange(10**6)


def block_turns(cell_ids: Sequence[str], *, block: int, seed: int, session: int = 0) -> list[str]:
    """Return whose turns a block has, in order; the same arguments give the same."""
    order = list(cell_ids)
    random.Random(f"{seed}/{session}/{block}").shuffle(order)
    return order + order[::-1]


def slot_chunks(chunk_s: float) -> float:
    """Return how many chunks a slot should have, of so many seconds each."""
    return max(SLOT_S / chunk_s, CHUNKS_PER_SLOT)


def short_slot_chunks(chunk_s: float) -> float:
    """Return the same where answers are wanted soon: a few large chunks outweigh a switch."""
    return SHORT_SLOT if chunk_s >= LARGE_CHUNK_S else slot_chunks(chunk_s)


def blocks_beside(loading_s: float, *, cycle_s: float) -> int:
    """Return how many cycles of blocks a session should have, given what it costs to start it.

    Blocks average out the noise within a session, sessions the luck between them. With about as
    much of either, the time is spent best when both cost about the same.
    """
    return max(1, min(MOST_CYCLES, round(loading_s / cycle_s)))


def portions(chunks: Mapping[str, int], *, wanted: float) -> list[tuple[str, ...]]:
    """Split utterances into portions of as many chunks as a slot should have.

    They are as even as whole utterances allow; `chunks` are those of each utterance.
    """
    count = max(1, min(len(chunks), round(sum(chunks.values()) / wanted)))
    filled: list[list[str]] = [[] for _ in range(count)]
    emptiest = [(0, place) for place in range(count)]
    # Longest first, each into the emptiest portion.
    for name in sorted(chunks, key=lambda name: (-chunks[name], name)):
        size, place = emptiest[0]
        filled[place].append(name)
        heapq.heapreplace(emptiest, (size + chunks[name], place))
    return [tuple(part) for part in filled]


def queues(
    chunks: Mapping[str, int], *, wanted: float, jobs: int, batch: int = 1
) -> list[tuple[str, ...]]:
    """Split utterances into portions that keep several processes busy for a slot each.

    Where there are too few of them, a portion has each of its utterances several times.

    Args:
        chunks: utterance -> number of chunks.
        wanted: how many chunks a slot should have for each process.
        jobs: how many processes there are.
        batch: how many chunks each of them runs together.
    """
    least = jobs * max(QUEUED_CHUNKS, 2 * batch)
    found = []
    for portion in portions(chunks, wanted=max(jobs * wanted, least)):
        times = -(-least // sum(chunks[name] for name in portion))
        found.append(portion * times)
    return found


@dataclass(frozen=True)
class Schedule:
    """A group's measuring, declared beforehand.

    `looks` are the numbers of sessions after which the width is judged; the last one ends the
    measuring. `blocks` is for each session up to the first look; later ones may have more.
    """

    looks: tuple[int, ...]
    blocks: int

    @property
    def alpha(self) -> float:
        """How often an interval may miss at each look."""
        return ALPHA_PER_LOOK[len(self.looks)]


def plan_course(
    *,
    budget_s: float,
    block_s: float,
    sessions: int,
    cycle: int = 1,
    longest_s: float | None = None,
) -> Schedule:
    """Declare sessions, blocks and looks that fit a budget; one block at least.

    Args:
        budget_s: seconds of measuring.
        block_s: how long one block takes, all slots of it.
        sessions: wanted before the first look; fewer when the budget is too short for them.
        cycle: a session has a multiple of this many blocks.
        longest_s: seconds that there may be in all, when others leave some of theirs.
    """
    cycles = max(1, int(budget_s / (block_s * cycle)))
    most_cycles = max(cycles, int((longest_s or 0.0) / (block_s * cycle)))
    sessions = min(sessions, cycles)
    enough = -(-BLOCKS_PER_SESSION // cycle)
    looks = 1
    if sessions >= SESSIONS_FOR_LOOKS:
        while looks < MOST_LOOKS and most_cycles >= sessions * 2**looks * enough:
            looks += 1
    counts = tuple(sessions * 2**index for index in range(looks))
    # Time is kept for later looks once the sessions of the first have enough.
    each = min(cycles // sessions, max(enough, cycles // counts[-1]))
    return Schedule(looks=counts, blocks=each * cycle)


def blocks_for(*, budget_s: float, block_s: float, sessions: int, cycle: int = 1) -> int:
    """Return how many blocks each of the coming sessions may have, 0 when there is no time left."""
    return max(int(budget_s / (block_s * cycle * sessions)), 0) * cycle
