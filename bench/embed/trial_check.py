"""Whether engines tell speakers apart alike: the EER of each cell's embeddings on a trial list."""

from collections.abc import Collection, Sequence
from pathlib import Path

from bench.base.errors import InputError
from bench.embed import embeddings
from bench.embed.trials import Trial, names_of, rates, read_trials, score
from bench.results.rows import Summary
from bench.results.store import TRIALS, RunFolder


def check_covered(trials: Path, utterances: Collection[str]) -> None:
    """Refuse trials that the run's audio cannot answer.

    Raises:
        InputError: the list cannot be used, lacks labels of either kind, or names an utterance
            that is not there.
    """
    read = read_trials(trials, labels=True)
    missing = [name for name in names_of(read) if name not in utterances]
    if missing:
        raise InputError(
            f"{trials}: names {missing[0]!r} ({len(missing)} in all), which --audio does not "
            "hold; add its recording, or leave the trial out"
        )
    if len({trial.label for trial in read}) < 2:
        raise InputError(f"{trials}: an EER takes target and nontarget trials; add the other kind")


def with_eer(summary: Summary, cell_ids: Sequence[str], folder: RunFolder) -> Summary:
    """Return a summary with the EER of every cell that is ok, when its run was given trials.

    Args:
        summary: its cells are in the order of their ids.
        cell_ids: the cells' ids.
        folder: with the trials and the cells' embeddings.
    """
    path = folder.path / TRIALS
    if not path.exists():
        return summary
    trials = read_trials(path)
    cells = [
        row.model_copy(update={"eer": _eer(trials, folder.embeddings / f"{cell_id}.npz")})
        if row.status == "ok"
        else row
        for cell_id, row in zip(cell_ids, summary.cells, strict=True)
    ]
    return summary.model_copy(update={"cells": tuple(cells)})


def _eer(trials: Sequence[Trial], path: Path) -> float | None:
    if not path.exists():
        return None
    found = rates(trials, score(trials, dict(embeddings.read_embeddings(path))))
    return found.eer if found else None
