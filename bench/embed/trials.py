"""Trial lists: which pairs of utterances are compared, and whether one speaker said both."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import InputError
from bench.embed.scoring import cosine, eer, min_dcf
from engines.protocol import FloatArray

LABELS = {"target": True, "nontarget": False, "1": True, "0": False}


class Trial(NamedTuple):
    """Two utterances by name; the label is None where it is not known."""

    enroll: str
    test: str
    label: bool | None


class Rates(NamedTuple):
    """What labelled trials amount to; both are shares, 0.05 for 5 %."""

    eer: float
    min_dcf: float
    targets: int
    nontargets: int


def read_trials(path: Path, *, labels: bool = False) -> list[Trial]:
    """Read lines of `enroll test [label]`.

    Args:
        path: the list.
        labels: whether every trial must have a label.

    Raises:
        InputError: the list is missing, empty, or has a line that is no trial.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    trials = [
        _trial(path, number, line.split(), labels)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not trials:
        raise InputError(f"{path}: names no trial; write lines: ENROLL TEST [target|nontarget]")
    return trials


def _trial(path: Path, number: int, fields: Sequence[str], labels: bool) -> Trial:
    cure = "write: ENROLL TEST [target|nontarget]"
    if len(fields) == 2 and not labels:
        return Trial(fields[0], fields[1], None)
    if len(fields) == 2:
        raise InputError(f"{path}: line {number} has no label; {cure}, or leave --labels out")
    if len(fields) != 3:
        raise InputError(f"{path}: line {number} is no trial; {cure}")
    if fields[2] not in LABELS:
        known = ", ".join(LABELS)
        raise InputError(f"{path}: line {number}: label {fields[2]!r} is none of {known}; {cure}")
    return Trial(fields[0], fields[1], LABELS[fields[2]])


def names_of(trials: Iterable[Trial]) -> list[str]:
    """Return every utterance of the trials once."""
    return list(dict.fromkeys(name for trial in trials for name in trial[:2]))


def score(trials: Iterable[Trial], embeddings: Mapping[str, FloatArray]) -> list[float | None]:
    """Return the cosine of each trial, None where an embedding is missing.

    Raises:
        ValueError: two embeddings have different lengths.
    """
    return [
        cosine(embeddings[trial.enroll], embeddings[trial.test])
        if trial.enroll in embeddings and trial.test in embeddings
        else None
        for trial in trials
    ]


def rates(trials: Sequence[Trial], scores: Sequence[float | None]) -> Rates | None:
    """Return what the trials with a label and a score amount to, None without both kinds."""
    known = [
        (value, trial.label)
        for trial, value in zip(trials, scores, strict=True)
        if trial.label is not None and value is not None
    ]
    values, labels = [value for value, _ in known], [label for _, label in known]
    if all(labels) or not any(labels):
        return None
    return Rates(
        eer=eer(values, labels),
        min_dcf=min_dcf(values, labels),
        targets=sum(labels),
        nontargets=len(labels) - sum(labels),
    )
