"""`rtfbench score`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.outputs import check_outputs, writing_to
from bench.commands import scored
from bench.commands.scored import System
from bench.embed import backend
from bench.embed.trials import Trial, names_of, read_spk2utt, read_trials
from engines.protocol import FloatArray

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
    means: Sequence[Path] = ()
    cohorts: Sequence[Path] = ()
    cohort_spk2utt: Path | None = None
    adaptive: bool = True
    top_n: int | None = None
    p_target: float = 0.01
    target_fpr: float | None = None
    resamples: int = 1000
    det: Path | None = None

    @property
    def inputs(self) -> list[Path | None]:
        """Every file that is read besides trials and embeddings."""
        return [self.spk2utt, self.cohort_spk2utt, *self.means, *self.cohorts]

    def check(self, systems: int) -> None:
        """Refuse options that do not go together.

        Raises:
            InputError: which, and what would.
        """
        for name, paths in (("--subtract-mean", self.means), ("--cohort", self.cohorts)):
            if len(paths) not in (0, systems):
                raise InputError(
                    f"{name}: named {len(paths)} times, --embeddings {systems} times; each file "
                    "of embeddings needs its own, computed with the same model"
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
    """Score every trial with every file of embeddings and return the exit status."""
    options.check(len(paths))
    outputs = [path for path in (out, options.det) if path is not None]
    check_outputs(outputs, [trials_path, *paths, *options.inputs])
    wants_labels = options.labels or options.target_fpr is not None or options.det is not None
    trials = read_trials(trials_path, labels=wants_labels)
    spk2utt = read_spk2utt(options.spk2utt) if options.spk2utt else None
    scores, missing = [], 0
    for number, path in enumerate(paths):
        found, lost = _scores(trials, path, spk2utt, number, options)
        scores.append(found)
        for line in lost:
            print(f"rtfbench: {line}", file=sys.stderr)
        missing += len(lost)
    systems = [System(path, found) for path, found in zip(paths, scores, strict=True)]
    told = list(
        scored.verdict(
            trials,
            systems,
            p_target=options.p_target,
            target_fpr=options.target_fpr,
            resamples=options.resamples,
            cosines=not options.cohorts and not options.means and spk2utt is None,
        )
    )
    lines = _lines(trials, scores)
    if out is None:
        sys.stdout.writelines(lines)
    else:
        _write(out, "".join(lines).encode())
    # Beside scores on standard output, what they amount to would be in the way.
    for line in told:
        print(line, file=sys.stderr if out is None else sys.stdout)
    if options.det is not None:
        picture = scored.det_picture(trials, systems)
        _write(options.det, picture.svg if options.det.suffix.lower() == ".svg" else picture.png)
    return SOME_MISSING if missing else OK


def _scores(
    trials: Sequence[Trial],
    path: Path,
    spk2utt: Mapping[str, Sequence[str]] | None,
    number: int,
    options: ScoreOptions,
) -> tuple[list[float | None], list[str]]:
    """Return a file's scores of the trials, and a line for each name that has no embedding."""
    if spk2utt is None:
        wanted = names_of(trials)
        lost: list[str] = []
    else:
        speakers = dict.fromkeys(trial.enroll for trial in trials)
        unknown = [name for name in speakers if name not in spk2utt]
        lost = [f"{options.spk2utt}: no speaker {name!r}" for name in unknown]
        enrolled = [name for speaker in speakers for name in spk2utt.get(speaker, ())]
        wanted = list(dict.fromkeys([*enrolled, *(trial.test for trial in trials)]))
    stored = scored.load(path, frozenset(wanted))
    lost += [f"{path}: no embedding of {name!r}" for name in wanted if name not in stored]
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
    enrolled_by_name = stored if spk2utt is None else backend.enroll(stored, spk2utt)
    found = backend.score(trials, enrolled_by_name, stored, mean_D=mean_D, cohort=cohort)
    return found, lost


def _all_of(path: Path, dim: int) -> dict[str, FloatArray]:
    """Return all embeddings of a file that serves those of another.

    Raises:
        InputError: there are none, or of another length.
    """
    found = scored.load(path)
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


def _lines(trials: Sequence[Trial], scores: Sequence[Sequence[float | None]]) -> Iterator[str]:
    for trial, *values in zip(trials, *scores, strict=True):
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            label = {True: " target", False: " nontarget", None: ""}[trial.label]
            text = " ".join(f"{value:.6f}" for value in known)
            yield f"{trial.enroll} {trial.test} {text}{label}\n"
