"""Trials scored with files of embeddings."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtfbench.base.cache import replacing, write_whole
from rtfbench.base.errors import InputError, complain
from rtfbench.base.files import check_outputs, writing_to
from rtfbench.embed import backend
from rtfbench.embed.trials import Scores, Trials, names_of, read_spk2utt, read_trials, read_utt2spk
from rtfbench.engines.protocol import FloatArray
from rtfbench.extract import score_report
from rtfbench.extract.report import while_reading
from rtfbench.extract.score_report import ScoreOptions, System

OK, SOME_MISSING = 0, 1


def score(
    trials_path: Path, paths: Sequence[Path], options: ScoreOptions, *, out: Path | None
) -> int:
    """Score every trial with every file of embeddings and return the exit status.

    With `options.mixed`, `paths` are the two files.
    """
    options.check(len(paths))
    outputs = [path for path in (out, options.det) if path is not None]
    check_outputs(outputs, [trials_path, *paths, *options.inputs])
    wants_labels = options.labels or options.target_fpr is not None or options.det is not None
    with while_reading(trials_path):
        trials = read_trials(trials_path, labels=wants_labels)
    spk2utt = read_spk2utt(options.spk2utt) if options.spk2utt else None
    utt2spk = _whose(trials, options.utt2spk) if options.utt2spk else None
    scorer = _Scorer(trials, options, spk2utt)
    if options.mixed:
        systems = scorer.mixed(options.mixed)
    else:
        systems = [
            System(str(path), scorer.scores(path, number), path)
            for number, path in enumerate(paths)
        ]
    for line in dict.fromkeys(scorer.lost):
        complain(line)
    told, refused = list[str](), None
    try:
        told.extend(score_report.verdict(trials, systems, options, utt2spk))
    except InputError as error:  # which takes neither the scores nor what was told before it
        refused = error
    lines = _lines(trials, [each.scores for each in systems])
    if out is None:
        sys.stdout.writelines(lines)
    else:
        with writing_to(out), replacing(out) as part, part.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    # Beside scores on standard output, what they amount to would be in the way.
    for line in told:
        print(line, file=sys.stderr if out is None else sys.stdout)
    if options.det is not None:
        picture = score_report.det_picture(trials, systems)
        is_svg = options.det.suffix.lower() == ".svg"
        with writing_to(options.det):
            write_whole(options.det, picture.svg if is_svg else picture.png)
    if refused is not None:
        raise refused
    return SOME_MISSING if scorer.lost else OK


@dataclass(frozen=True)
class _Scorer:
    """Scores trials with files of embeddings; `lost` gets a line for each name that one lacks."""

    trials: Trials
    options: ScoreOptions
    spk2utt: Mapping[str, Sequence[str]] | None
    lost: list[str] = field(default_factory=list)

    def scores(self, path: Path, number: int) -> Scores:
        """Return the scores of the n-th file."""
        options, stored = self.options, self._stored(path)
        dim = len(next(iter(stored.values()), ()))
        mean_D = self._mean(number, dim) if options.means else None
        cohort = None
        if options.cohorts:
            members = _all_of(options.cohorts[number], dim)
            if options.cohort_spk2utt:
                members = backend.enroll(members, read_spk2utt(options.cohort_spk2utt))
            top_n = options.of_cohort(len(members))
            cohort = backend.Cohort(backend.units(list(members.values()), mean_D), top_n)
        return backend.score(
            self.trials, self._enrolled(stored), stored, mean_D=mean_D, cohort=cohort
        )

    def mixed(self, paths: tuple[Path, Path]) -> list[System]:
        """Return the scores of each file alone, and between them of enrolment by the first.

        Raises:
            InputError: embeddings of two lengths.
        """
        tests = []
        for number, path in enumerate(paths):
            stored = self._stored(path)
            if self.options.means and stored:
                mean_D = self._mean(number, len(next(iter(stored.values()))))
                stored = {n: np.asarray(one_D - mean_D, np.float32) for n, one_D in stored.items()}
            tests.append(stored)
        dims = [len(next(iter(each.values()), ())) for each in tests]
        if all(dims) and dims[0] != dims[1]:
            raise InputError(
                f"{paths[1]}: embeddings of {dims[1]} values, and {paths[0]} has {dims[0]}: two "
                "models cannot be mixed"
            )
        return mixed(self.trials, paths, tests, list(map(self._enrolled, tests)))

    def _mean(self, number: int, dim: int) -> backend.Floats:
        return backend.mean_of(_all_of(self.options.means[number], dim))

    def _stored(self, path: Path) -> dict[str, FloatArray]:
        """Return a file's embeddings of the trials."""
        trials, spk2utt, lost = self.trials, self.spk2utt, self.lost
        if spk2utt is None:
            wanted = names_of(trials)
        else:
            speakers, tests = (
                [trials.names[place] for place in np.unique(each).tolist()]
                for each in (trials.enroll_N, trials.test_N)
            )
            unknown = [name for name in speakers if name not in spk2utt]
            lost += [f"{self.options.spk2utt}: no speaker {name!r}" for name in unknown]
            spoken = [name for speaker in speakers for name in spk2utt.get(speaker, ())]
            wanted = list(dict.fromkeys([*spoken, *tests]))
        stored = score_report.load(path, frozenset(wanted))
        lost += [f"{path}: no embedding of {name!r}" for name in wanted if name not in stored]
        return stored

    def _enrolled(self, stored: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Return embeddings by the names that trials have for their enrolment."""
        return stored if self.spk2utt is None else backend.enroll(stored, self.spk2utt)


def mixed(
    trials: Trials,
    names: Sequence[str | Path],
    tests: Sequence[Mapping[str, FloatArray]],
    enrolled: Sequence[Mapping[str, FloatArray]],
) -> list[System]:
    """Return the scores of two systems, and between them of enrolment by the first alone.

    Each has a name, which is a path where a card may stand beside it, embeddings [D] of the trials'
    second names, and those that are enrolled, of the first names.
    """
    sides = []
    for name, mine, theirs in zip(names, enrolled, tests, strict=True):
        path = name if isinstance(name, Path) else None
        sides.append(System(str(name), backend.score(trials, mine, theirs), path))
    told = f"enrolled with {names[0]}, tested with {names[1]}"
    sides.insert(1, System(told, backend.score(trials, enrolled[0], tests[1])))
    return sides


def _all_of(path: Path, dim: int) -> dict[str, FloatArray]:
    """Return all embeddings of a file that serves those of another.

    Raises:
        InputError: there are none, or of another length.
    """
    found = score_report.load(path)
    if not found:
        raise InputError(f"{path}: holds no embeddings")
    length = len(next(iter(found.values())))
    if dim not in (0, length):
        raise InputError(f"{path}: has embeddings of {length} values, those to score have {dim}")
    return found


def _lines(trials: Trials, scores: Sequence[Scores]) -> Iterator[str]:
    """Yield a line for each trial that every file has a score of."""
    known = ~np.any([np.isnan(each) for each in scores], axis=0)
    for place in map(int, np.flatnonzero(known)):
        trial = trials[place]
        label = {True: " target", False: " nontarget", None: ""}[trial.label]
        text = " ".join(f"{each[place]:.6f}" for each in scores)
        yield f"{trial.enroll} {trial.test} {text}{label}\n"


def _whose(trials: Trials, path: Path) -> dict[str, str]:
    """Return whose the trials' utterances are; that the list lacks one is an InputError."""
    found = read_utt2spk(path)
    if missing := [name for name in trials.names if name not in found]:
        raise InputError(f"{path}: does not say whose {missing[0]!r} is ({len(missing)} in all)")
    return found
