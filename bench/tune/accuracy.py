"""What a configuration in fewer bits, or of another chunk size, loses of its EER."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rtfbench.embed.audio_input import Source
from rtfbench.embed.intervals import Loss, losses, unresolved
from rtfbench.embed.trials import read_trials
from rtfbench.engines.protocol import FLOAT32
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.session import MeasuringSession
from rtfbench.measure.trial_check import POINTS, scores_of
from rtfbench.results.cells import Cell


@dataclass(frozen=True)
class TrialSet:
    """Labelled pairs, their recordings, how many there are, and the points of EER to lose."""

    path: Path
    recordings: tuple[Source, ...]
    count: int
    most_loss: float


class EmbeddingKey(NamedTuple):
    """What an embedding depends on: in float32, engines agree."""

    how: str
    chunk_samples: int


def computed(cell: Cell) -> EmbeddingKey:
    """Return what a cell's embeddings depend on."""
    how = FLOAT32 if cell.precision == FLOAT32 else cell.engine_label
    return EmbeddingKey(how, cell.chunk_samples)


def too_much(loss: Loss, trials: TrialSet) -> str:
    """Say that a loss is more than is allowed, or not known to be less; nothing where it is.

    Args:
        loss: of the EER, a share.
        trials: that told it.
    """
    points, low, high = (POINTS * value for value in loss)
    most = trials.most_loss
    if high <= most:
        return ""
    text = f"EER {points:+.2f} points ({low:+.2f} to {high:+.2f})"
    if low > most:
        return f"{text}, and {most:g} are allowed"
    told = unresolved(loss, allowed=most / POINTS, trials=trials.count)
    return f"{text}: {told} (or a larger --max-eer-loss)"


def eer_losses(
    exact: Job, others: Sequence[Job], trials: TrialSet, context: RunContext
) -> dict[str, Loss]:
    """Return what configurations lose against the exact one, by their names.

    Each embeds the recordings of the trials once, in a process of its own; nothing is timed. One
    that fails, or whose embeddings are not complete, is left out.
    """
    # Fresh jobs: only its first session has a process embed what is scored.
    jobs = [Job.of(each.prepared) for each in (exact, *others)]
    with ExitStack() as stack:
        session = MeasuringSession(0, replace(context, scored=trials.recordings), stack)
        session.start(jobs)
        session.finish()
    read = read_trials(trials.path, labels=True)
    before, *after = (
        scores_of(read, context.folder.embeddings / f"{job.cell_id}.npz") for job in jobs
    )
    if before is None:
        return {}
    return {
        job.cell_id: found.eer
        for job, own in zip(others, after, strict=True)
        if own is not None
        for found in [losses(read, before, own)]
        if found is not None
    }
