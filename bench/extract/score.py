"""Trials scored with files of embeddings."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError, complain
from rtfbench.base.files import check_outputs, writing_to
from rtfbench.embed import backend
from rtfbench.embed.trials import (
    Scores,
    Trials,
    names_of,
    read_spk2utt,
    read_trials,
    read_utt2spk,
)
from rtfbench.engines.protocol import FloatArray
from rtfbench.extract import score_report
from rtfbench.extract.report import while_reading
from rtfbench.extract.score_report import System

OK, SOME_MISSING = 0, 1
#: Of a cohort in adaptive normalisation, where nothing else is asked for: WeSpeaker's.
TOP_N = 300
PICTURES = (".png", ".svg")


@dataclass(frozen=True)
class ScoreOptions:
    """How trials become scores, and what is told of them.

    Means and cohorts are files of embeddings, one for each file that is scored. `adaptive` takes of
    a cohort the `top_n` most alike.
    """

    labels: bool = False
    spk2utt: Path | None = None
    utt2spk: Path | None = None
    means: Sequence[Path] = ()
    cohorts: Sequence[Path] = ()
    cohort_spk2utt: Path | None = None
    adaptive: bool = True
    top_n: int | None = None
    p_target: float = 0.01
    target_fpr: float | None = None
    resamples: int = 1000
    det: Path | None = None
    #: Enrolment by the first file and test by the second, beside each of them alone.
    mixed: tuple[Path, Path] | None = None

    @property
    def inputs(self) -> list[Path | None]:
        """Every file that is read besides trials and embeddings."""
        return [self.spk2utt, self.utt2spk, self.cohort_spk2utt, *self.means, *self.cohorts]

    def check(self, systems: int) -> None:
        """Refuse options that do not go together.

        Raises:
            InputError: which, and what would.
        """
        for name, paths in (("--subtract-mean", self.means), ("--cohort", self.cohorts)):
            if len(paths) not in (0, systems):
                raise InputError(
                    f"{name}: named {len(paths)} times for {systems} files of embeddings; each "
                    "needs its own, computed with the same model"
                )
        if self.mixed and self.cohorts:
            raise InputError(
                "--cohort: normalises each side's scores by its own embeddings, which hides what "
                "mixing them does; leave it out with --enrol-with and --test-with"
            )
        if not self.cohorts and (self.cohort_spk2utt or self.top_n or not self.adaptive):
            raise InputError("--norm, --top-n and --cohort-spk2utt need --cohort")
        if self.top_n and not self.adaptive:
            raise InputError(
                "--top-n: s-norm takes the whole cohort; leave it out, or --norm as-norm"
            )
        if self.det is not None and self.det.suffix.lower() not in PICTURES:
            raise InputError(f"--det {self.det}: name a file that ends in {' or '.join(PICTURES)}")
        if self.det is not None and find_spec("matplotlib") is None:
            raise InputError(
                "--det: matplotlib is not installed; install it with: pip install 'rtfbench[plot]'"
            )


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
    lost: list[str] = []
    if options.mixed:
        systems = _mixed(trials, options.mixed, spk2utt, options, lost)
    else:
        systems = [
            System(str(path), _scores(trials, path, spk2utt, number, options, lost), path)
            for number, path in enumerate(paths)
        ]
    for line in dict.fromkeys(lost):
        complain(line)
    told = list(
        score_report.verdict(
            trials,
            systems,
            p_target=options.p_target,
            target_fpr=options.target_fpr,
            resamples=options.resamples,
            cosines=not options.cohorts and not options.means and spk2utt is None,
            utt2spk=utt2spk,
            mixed=options.mixed is not None,
        )
    )
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
        _write(options.det, picture.svg if options.det.suffix.lower() == ".svg" else picture.png)
    return SOME_MISSING if lost else OK


def _scores(
    trials: Trials,
    path: Path,
    spk2utt: Mapping[str, Sequence[str]] | None,
    number: int,
    options: ScoreOptions,
    lost: list[str],
) -> Scores:
    """Return a file's scores of the trials; `lost` gets a line for each name that it lacks."""
    stored = _stored(trials, path, spk2utt, options, lost)
    dim = len(next(iter(stored.values()))) if stored else 0
    mean_D = None
    if options.means:
        mean_D = backend.mean_of(_all_of(options.means[number], dim))
    cohort = None
    if options.cohorts:
        members = _all_of(options.cohorts[number], dim)
        if options.cohort_spk2utt:
            members = backend.enroll(members, read_spk2utt(options.cohort_spk2utt))
        top_n = _top_n(options, len(members))
        cohort = backend.Cohort(backend.units(list(members.values()), mean_D), top_n)
    enrolled = _enrolled(stored, spk2utt)
    return backend.score(trials, enrolled, stored, mean_D=mean_D, cohort=cohort)


def _mixed(
    trials: Trials,
    paths: tuple[Path, Path],
    spk2utt: Mapping[str, Sequence[str]] | None,
    options: ScoreOptions,
    lost: list[str],
) -> list[System]:
    """Return the scores of each file alone, and between them those of the first's enrolment.

    Raises:
        InputError: embeddings of two lengths.
    """
    tests = []
    for number, path in enumerate(paths):
        stored = _stored(trials, path, spk2utt, options, lost)
        if options.means and stored:
            dim = len(next(iter(stored.values())))
            mean_D = backend.mean_of(_all_of(options.means[number], dim))
            stored = {n: np.asarray(each_D - mean_D, np.float32) for n, each_D in stored.items()}
        tests.append(stored)
    dims = [len(next(iter(each.values()), ())) for each in tests]
    if all(dims) and dims[0] != dims[1]:
        raise InputError(
            f"{paths[1]}: embeddings of {dims[1]} values, and {paths[0]} has {dims[0]}: two models "
            "cannot be mixed"
        )
    return mixed(trials, paths, tests, [_enrolled(each, spk2utt) for each in tests])


def mixed(
    trials: Trials,
    names: Sequence[str | Path],
    tests: Sequence[Mapping[str, FloatArray]],
    enrolled: Sequence[Mapping[str, FloatArray]],
) -> list[System]:
    """Return the scores of two systems, and between them of enrolment by the first alone.

    Args:
        trials: which utterances are compared.
        names: of the two; a path where a card may stand beside it.
        tests: embeddings [D] of the trials' second names, by each.
        enrolled: of the first names.
    """
    sides = []
    for name, mine, theirs in zip(names, enrolled, tests, strict=True):
        path = name if isinstance(name, Path) else None
        sides.append(System(str(name), backend.score(trials, mine, theirs), path))
    told = f"enrolled with {names[0]}, tested with {names[1]}"
    sides.insert(1, System(told, backend.score(trials, enrolled[0], tests[1])))
    return sides


def _stored(
    trials: Trials,
    path: Path,
    spk2utt: Mapping[str, Sequence[str]] | None,
    options: ScoreOptions,
    lost: list[str],
) -> dict[str, FloatArray]:
    """Return a file's embeddings of the trials; `lost` gets a line for each that it lacks."""
    if spk2utt is None:
        wanted = names_of(trials)
    else:
        speakers, tests = (
            [trials.names[place] for place in np.unique(each).tolist()]
            for each in (trials.enroll_N, trials.test_N)
        )
        unknown = [name for name in speakers if name not in spk2utt]
        lost += [f"{options.spk2utt}: no speaker {name!r}" for name in unknown]
        spoken = [name for speaker in speakers for name in spk2utt.get(speaker, ())]
        wanted = list(dict.fromkeys([*spoken, *tests]))
    stored = score_report.load(path, frozenset(wanted))
    lost += [f"{path}: no embedding of {name!r}" for name in wanted if name not in stored]
    return stored


def _enrolled(
    stored: dict[str, FloatArray], spk2utt: Mapping[str, Sequence[str]] | None
) -> dict[str, FloatArray]:
    """Return embeddings by the names that trials have for their enrolment."""
    return stored if spk2utt is None else backend.enroll(stored, spk2utt)


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


def _top_n(options: ScoreOptions, members: int) -> int | None:
    """Return how many of a cohort count, None for all.

    Raises:
        InputError: it has not so many.
    """
    if members < 2:
        raise InputError("--cohort: needs two speakers or more, better some hundreds")
    if not options.adaptive:
        return None
    if options.top_n is not None and options.top_n > members:
        raise InputError(f"--top-n {options.top_n}: the cohort has {members}")
    return min(options.top_n or TOP_N, members)


def _write(path: Path, content: bytes) -> None:
    with writing_to(path), replacing(path) as part:
        part.write_bytes(content)


def _lines(trials: Trials, scores: Sequence[Scores]) -> Iterator[str]:
    """Yield a line for each trial that every file has a score of."""
    known = ~np.any([np.isnan(each) for each in scores], axis=0)
    for place in map(int, np.flatnonzero(known)):
        trial = trials[place]
        label = {True: " target", False: " nontarget", None: ""}[trial.label]
        text = " ".join(f"{each[place]:.6f}" for each in scores)
        yield f"{trial.enroll} {trial.test} {text}{label}\n"


def _whose(trials: Trials, path: Path) -> dict[str, str]:
    """Return whose the trials' utterances are.

    Raises:
        InputError: the list cannot be used, or lacks one.
    """
    found = read_utt2spk(path)
    if missing := [name for name in trials.names if name not in found]:
        raise InputError(f"{path}: does not say whose {missing[0]!r} is ({len(missing)} in all)")
    return found
