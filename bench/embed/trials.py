"""Trial lists: which pairs of utterances are compared, and whether one speaker said both."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import InputError
from bench.base.inputs import read_text
from bench.embed.scoring import P_TARGET, eer, min_dcf

LABELS = {"target": True, "nontarget": False, "1": True, "0": False}
VOXCELEB_LABELS = {"1": True, "0": False}


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
    """Read lines of `enroll test [label]`, Kaldi's, or of `label enroll test`, VoxCeleb's.

    Args:
        path: the list; its first line tells which of the two it is.
        labels: whether every trial must have a label.

    Raises:
        InputError: the list is missing, empty, or has a line that is no trial.
    """
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    numbered = [(n, line.split()) for n, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InputError(f"{path}: names no trial; write lines: ENROLL TEST [target|nontarget]")
    label_first = _is_voxceleb(numbered[0][1])
    return [_trial(path, number, fields, labels, label_first) for number, fields in numbered]


def _is_voxceleb(fields: Sequence[str]) -> bool:
    return len(fields) == 3 and fields[0] in VOXCELEB_LABELS and fields[2] not in LABELS


def _trial(
    path: Path, number: int, fields: Sequence[str], labels: bool, label_first: bool
) -> Trial:
    """Return the trial of a line.

    Raises:
        InputError: it is none.
    """
    form = "1|0 ENROLL TEST" if label_first else "ENROLL TEST [target|nontarget]"
    cure = f"write: {form}" + (", as in line 1" if label_first else "")
    if len(fields) == 2 and not (labels or label_first):
        return Trial(fields[0], fields[1], None)
    if len(fields) == 2 and not label_first:
        raise InputError(f"{path}: line {number} has no label; {cure}, or leave --labels out")
    if len(fields) != 3:
        raise InputError(f"{path}: line {number} is no trial; {cure}")
    label, names = (fields[0], fields[1:]) if label_first else (fields[2], fields[:2])
    known = VOXCELEB_LABELS if label_first else LABELS
    if label not in known:
        listed = ", ".join(known)
        raise InputError(f"{path}: line {number}: label {label!r} is none of {listed}; {cure}")
    return Trial(names[0], names[1], known[label])


def names_of(trials: Iterable[Trial]) -> list[str]:
    """Return every utterance of the trials once."""
    return list(dict.fromkeys(name for trial in trials for name in trial[:2]))


def rates(
    trials: Sequence[Trial], scores: Sequence[float | None], *, p_target: float = P_TARGET
) -> Rates | None:
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
        min_dcf=min_dcf(values, labels, p_target=p_target),
        targets=sum(labels),
        nontargets=len(labels) - sum(labels),
    )


def read_spk2utt(path: Path) -> dict[str, list[str]]:
    """Read Kaldi's lines of `speaker utterance...`.

    Raises:
        InputError: the list cannot be read, a line has no utterance, or a speaker two lines.
    """
    found: dict[str, list[str]] = {}
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason})") from error
    for number, line in enumerate(lines, start=1):
        speaker, *names = line.split() or [""]
        if not speaker:
            continue
        if not names:
            raise InputError(
                f"{path}: line {number} has no utterance; write: SPEAKER UTT1 UTT2 ..."
            )
        if speaker in found:
            raise InputError(f"{path}: line {number} is a second one of {speaker!r}; join the two")
        found[speaker] = names
    if not found:
        raise InputError(f"{path}: names no speaker; write lines: SPEAKER UTT1 UTT2 ...")
    return found
