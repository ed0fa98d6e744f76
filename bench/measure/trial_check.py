"""Whether engines tell speakers apart alike: the EER of each cell's embeddings on a trial list."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from rtfbench.base.errors import InputError
from rtfbench.base.limits import MAX_EER_LOSS
from rtfbench.base.values import Value
from rtfbench.embed import embeddings
from rtfbench.embed.backend import score
from rtfbench.embed.intervals import Losses, losses, speakers
from rtfbench.embed.trials import Scores, Trials, names_of, rates, read_trials
from rtfbench.engines.protocol import FLOAT32
from rtfbench.measure.plan import Plan
from rtfbench.results.rows import SPEEDS, CellSummary, Summary, TrialsOfRun
from rtfbench.results.store import SUMMARY, TRIAL_OPTIONS, TRIALS, RunFolder

#: Trials of unseen synthetic speakers that come with the package, and their name for `--trials`.
HELDOUT = Path(__file__).parent / "heldout"
HELDOUT_NAME = "heldout"
POINTS = 100
#: What is known of a row by its embeddings on trials.
RATES = ("eer", "eer_loss", "min_dcf_loss")


class TrialOptions(Value):
    """What a run was asked of its trials; `max_eer_loss` is in points, 0.1 for 0.1 % absolute."""

    max_eer_loss: Annotated[float, Field(ge=0)] = MAX_EER_LOSS


def with_heldout(plan: Plan) -> Plan:
    """Return a plan with the package's trials and their recordings where it names those."""
    if plan.trials is None or str(plan.trials) != HELDOUT_NAME or plan.trials.exists():
        return plan
    return plan.model_copy(
        update={"trials": HELDOUT / "trials", "trial_audio": (*plan.trial_audio, HELDOUT)}
    )


def check_covered(trials: Path, utterances: Collection[str]) -> Trials:
    """Return the trials of a file; those that the run's audio cannot answer are refused.

    Raises:
        InputError: the list cannot be used, lacks labels of either kind, or names an utterance
            that is not there.
    """
    read = read_trials(trials, labels=True)
    missing = [name for name in names_of(read) if name not in utterances]
    if missing:
        raise InputError(
            f"{trials}: names {missing[0]!r} ({len(missing)} in all), which --audio does not "
            "hold, nor --trial-audio; add its recording, or leave the trial out"
        )
    if len(set(read.labels_N.tolist())) < 2:
        raise InputError(f"{trials}: an EER takes target and nontarget trials; add the other kind")
    return read


def with_eer(summary: Summary, cell_ids: Sequence[str], folder: RunFolder) -> Summary:
    """Return a summary with the error rates of every cell that is ok, if its run had trials.

    A cell that surely loses more than was allowed against float32 becomes wrong output. The ids are
    in the order of the summary's cells.
    """
    path = folder.path / TRIALS
    if not path.exists():
        return summary
    trials, options = read_trials(path), _options(folder)
    allowed = options.max_eer_loss / POINTS
    of_run = TrialsOfRun(
        trials=len(trials), speakers=speakers(trials).count, max_eer_loss=options.max_eer_loss
    )
    summary = summary.model_copy(update={"trials": of_run})
    if not folder.embeddings.is_dir():
        return _as_stored(summary, folder, allowed)
    scores = [
        scores_of(trials, folder.embeddings / f"{cell_id}.npz") if row.status == "ok" else None
        for cell_id, row in zip(cell_ids, summary.cells, strict=True)
    ]
    exact: dict[str, Scores] = {}
    rows = list(zip(summary.cells, scores, strict=True))
    for row, own in rows:
        if row.precision == FLOAT32 and own is not None:
            exact.setdefault(row.model, own)
    # The same embeddings under another protocol or number of threads lose the same.
    known: dict[tuple[str, str, str], Losses | None] = {}
    cells = []
    for row, own in rows:
        if own is None:
            cells.append(row)
            continue
        lost, key = None, (row.model, row.engine_label, row.form)
        if row.precision != FLOAT32 and row.model in exact:
            if key not in known:
                known[key] = losses(trials, exact[row.model], own)
            lost = known[key]
        found = rates(trials, own)
        told = (found and found.eer, lost and lost.eer, lost and lost.min_dcf)
        changed = dict(zip(RATES, told, strict=True))
        cells.append(_judged(row.model_copy(update=changed), allowed))
    return _of_right_rows(summary, cells)


def _as_stored(summary: Summary, folder: RunFolder, allowed: float) -> Summary:
    """Return a summary with the error rates of the stored one: its run's embeddings are gone."""
    try:
        text = (folder.path / SUMMARY).read_text(encoding="utf-8")
        stored = Summary.model_validate_json(text).cells
    except (OSError, ValidationError):
        return summary
    known = {(row.condition, row.engine_label, row.form): row for row in stored}
    cells = []
    for row in summary.cells:
        found = known.get((row.condition, row.engine_label, row.form))
        rates = {name: getattr(found, name) for name in RATES} if found else {}
        cells.append(_judged(row.model_copy(update=rates), allowed))
    return _of_right_rows(summary, cells)


def _judged(row: CellSummary, allowed: float) -> CellSummary:
    """Return a row, as wrong output where it surely loses more than is allowed."""
    if row.eer_loss is None or row.eer_loss[1] <= allowed:
        return row
    loss, low, high = (POINTS * value for value in row.eer_loss)
    reason = (
        f"EER {loss:+.2f} points against float32 ({low:+.2f} to {high:+.2f}), and "
        f"{POINTS * allowed:g} are allowed (--max-eer-loss)"
    )
    wrong = {**dict.fromkeys(SPEEDS), "status": "wrong_output", "reason": reason}
    return row.model_copy(update=wrong)


def _of_right_rows(summary: Summary, cells: Sequence[CellSummary]) -> Summary:
    """Return a summary of other rows, without the ratios of those that became wrong."""
    wrong = {(row.condition, row.engine_label, row.form) for row in cells if row.status != "ok"}
    ratios = tuple(
        each for each in summary.ratios if (each.condition, each.engine, each.form) not in wrong
    )
    return summary.model_copy(update={"cells": tuple(cells), "ratios": ratios})


def _options(folder: RunFolder) -> TrialOptions:
    try:
        text = (folder.path / TRIAL_OPTIONS).read_text(encoding="utf-8")
        return TrialOptions.model_validate_json(text)
    except (OSError, ValidationError):
        return TrialOptions()  # its file is gone or damaged


def scores_of(trials: Trials, path: Path) -> Scores | None:
    """Return the score of every trial, None where the embeddings of one are missing."""
    if not path.exists():
        return None
    stored = dict(embeddings.read_embeddings(path))
    found = score(trials, stored, stored)
    return None if np.isnan(found).any() else found
