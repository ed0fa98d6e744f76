"""Trial lists: which pairs of utterances are compared, and whether one speaker said both."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, held_in_memory, reading_from
from rtfbench.embed.scoring import P_TARGET, Detection

LABELS = {"target": True, "nontarget": False, "1": True, "0": False}
VOXCELEB_LABELS = {"1": True, "0": False}

Places = npt.NDArray[np.int32]
Labels = npt.NDArray[np.int8]
Scores = npt.NDArray[np.float64]


class Trial(NamedTuple):
    """Two utterances by name; the label is None where it is not known."""

    enroll: str
    test: str
    label: bool | None


@dataclass(eq=False)
class Trials:
    """Trials of any number: 9 bytes each, and every name once.

    Attributes:
        names: in the order in which they come first.
        enroll_N, test_N: places among the names, int32.
        labels_N: 1 for a target trial, 0 for a nontarget one, -1 where nobody knows; int8.
    """

    names: Sequence[str]
    enroll_N: Places
    test_N: Places
    labels_N: Labels

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Trials":
        """Return trials in columns, as they are if they are that already."""
        if isinstance(trials, Trials):
            return trials
        places: dict[str, int] = {}
        enroll, test, labels = array("i"), array("i"), array("b")
        for each in trials:
            enroll.append(places.setdefault(each.enroll, len(places)))
            test.append(places.setdefault(each.test, len(places)))
            labels.append(-1 if each.label is None else each.label)
        return cls(
            list(places),
            np.frombuffer(enroll, np.int32),
            np.frombuffer(test, np.int32),
            np.frombuffer(labels, np.int8),
        )

    def __len__(self) -> int:
        return len(self.labels_N)

    def __iter__(self) -> Iterator[Trial]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, place: int) -> Trial:
        label = int(self.labels_N[place])
        names = (self.names[self.enroll_N[place]], self.names[self.test_N[place]])
        return Trial(*names, None if label < 0 else bool(label))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterable) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, wanted: "npt.NDArray[np.bool_]") -> "Trials":
        """Return some of the trials, of the same names."""
        return Trials(self.names, self.enroll_N[wanted], self.test_N[wanted], self.labels_N[wanted])


class Rates(NamedTuple):
    """What labelled trials amount to; both are shares, 0.05 for 5 %."""

    eer: float
    min_dcf: float
    targets: int
    nontargets: int


def read_trials(path: Path, *, labels: bool = False) -> Trials:
    """Read lines of `enroll test [label]`, Kaldi's, or of `label enroll test`, VoxCeleb's.

    The first line tells which of the two it is. With `labels`, every trial must have one.

    Raises:
        InputError: the list is missing, empty, or has a line that is no trial.
    """
    try:
        with reading_from(path), held_in_memory(path):
            check_readable(path)
            with path.open(encoding="utf-8-sig") as lines:
                found = Trials.of(_trials(path, lines, labels))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    if not found:
        raise InputError(f"{path}: names no trial; write lines: ENROLL TEST [target|nontarget]")
    return found


def _trials(path: Path, lines: Iterable[str], labels: bool) -> Iterator[Trial]:
    label_first: bool | None = None
    for number, line in enumerate(lines, start=1):
        if fields := line.split():
            if label_first is None:
                label_first = (
                    len(fields) == 3 and fields[0] in VOXCELEB_LABELS and fields[2] not in LABELS
                )
            yield _trial(path, number, fields, labels, label_first)


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
    found = Trials.of(trials)
    used = np.union1d(found.enroll_N, found.test_N)
    return [found.names[place] for place in used.tolist()]


def known(
    trials: Iterable[Trial], scores: Sequence[float | None] | Scores
) -> tuple[Trials, Scores]:
    """Return the trials that have a label and a score, and the scores."""
    found, values_N = Trials.of(trials), np.asarray(scores, np.float64)
    wanted = (found.labels_N >= 0) & ~np.isnan(values_N)
    return (found, values_N) if wanted.all() else (found.take(wanted), values_N[wanted])


def rates(
    trials: Iterable[Trial], scores: Sequence[float | None] | Scores, *, p_target: float = P_TARGET
) -> Rates | None:
    """Return what the trials with a label and a score amount to, None without both kinds."""
    of_label, values_N = known(trials, scores)
    is_target_N = of_label.labels_N == 1
    targets = int(is_target_N.sum())
    if targets in (0, len(of_label)):
        return None
    found = Detection(values_N, is_target_N).figures(p_target=p_target)
    assert found is not None
    return Rates(*found, targets, len(of_label) - targets)


def read_utt2spk(path: Path) -> dict[str, str]:
    """Read Kaldi's lines of `utterance speaker`.

    Raises:
        InputError: the list cannot be read, or a line is none of these, or an utterance has two.
    """
    found: dict[str, str] = {}
    with held_in_memory(path):
        for number, words in _words(path):
            if len(words) != 2:
                raise InputError(f"{path}: line {number} is no pair; write: UTTERANCE SPEAKER")
            if found.setdefault(*words) != words[1]:
                raise InputError(f"{path}: line {number}: {words[0]!r} has another speaker")
    return found


def read_spk2utt(path: Path) -> dict[str, list[str]]:
    """Read Kaldi's lines of `speaker utterance...`.

    Raises:
        InputError: the list cannot be read, a line has no utterance, or a speaker two lines.
    """
    found: dict[str, list[str]] = {}
    with held_in_memory(path):
        for number, (speaker, *names) in _words(path):
            if not names:
                raise InputError(
                    f"{path}: line {number} has no utterance; write: SPEAKER UTT1 UTT2 ..."
                )
            if found.setdefault(speaker, names) is not names:
                raise InputError(
                    f"{path}: line {number} is a second one of {speaker!r}; join the two"
                )
    if not found:
        raise InputError(f"{path}: names no speaker; write lines: SPEAKER UTT1 UTT2 ...")
    return found


def _words(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that is not blank."""
    try:
        check_readable(path)
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if words := line.split():
                    yield number, words
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason})") from error
