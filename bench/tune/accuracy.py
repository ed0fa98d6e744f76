"""What a configuration in fewer bits, or of another chunk size, loses of its EER."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench.embed.audio_input import Source
from bench.embed.losses import Loss, losses
from bench.embed.trial_check import POINTS, scores_of
from bench.embed.trials import read_trials
from bench.measure.context import RunContext
from bench.measure.job import Job
from bench.measure.session import MeasuringSession
from bench.results.cells import Cell
from engines.protocol import FLOAT32


@dataclass(frozen=True)
class TrialSet:
    """Labelled pairs, their recordings, and the points of EER that may be lost for sure."""

    path: Path
    recordings: tuple[Source, ...]
    most_loss: float


class Computed(NamedTuple):
    """What an embedding depends on: in float32, engines agree."""

    how: str
    chunk_samples: int


def computed(cell: Cell) -> Computed:
    """Return what a cell's embeddings depend on."""
    how = FLOAT32 if cell.precision == FLOAT32 else cell.engine_label
    return Computed(how, cell.chunk_samples)


def too_much(loss: Loss, most_loss: float) -> str:
    """Say that a loss is surely more than is allowed, nothing where it may not be.

    Args:
        loss: of the EER, a share.
        most_loss: in points.
    """
    if POINTS * loss.low <= most_loss:
        return ""
    points, low, high = (POINTS * value for value in loss)
    return f"EER {points:+.2f} points ({low:+.2f} to {high:+.2f}), and {most_loss:g} are allowed"


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
        job.cell_id: losses(read, before, own).eer
        for job, own in zip(others, after, strict=True)
        if own is not None
    }
