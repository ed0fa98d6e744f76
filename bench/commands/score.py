"""`rtfbench score`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.outputs import check_outputs
from bench.embed import embeddings
from bench.embed.trials import Rates, Trial, names_of, rates, read_trials
from bench.embed.trials import score as score_trials
from bench.extract.options import SEEDED
from bench.extract.result import read_card
from bench.report import figures
from engines.protocol import FloatArray

OK, SOME_MISSING = 0, 1


def score(trials_path: Path, paths: Sequence[Path], *, labels: bool, out: Path | None) -> int:
    """Score every trial with every file of embeddings and return the exit status."""
    if out is not None:
        check_outputs([out], [trials_path, *paths])
    trials = read_trials(trials_path, labels=labels)
    wanted = frozenset(names_of(trials))
    missing = 0
    scores: list[list[float | None]] = []
    for path in paths:
        found = _load(path, wanted)
        for name in (name for name in names_of(trials) if name not in found):
            print(f"rtfbench: {path}: no embedding of {name!r}", file=sys.stderr)
            missing += 1
        scores.append(score_trials(trials, found))
    lines = _lines(trials, scores)
    if out is None:
        sys.stdout.writelines(lines)
    else:
        try:
            with replacing(out) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            raise InputError(f"{out}: cannot write here ({error.strerror})") from error
    # Beside scores on standard output, what they amount to would be in the way.
    for line in _verdict(trials, paths, scores):
        print(line, file=sys.stderr if out is None else sys.stdout)
    return SOME_MISSING if missing else OK


def _load(path: Path, wanted: frozenset[str]) -> dict[str, FloatArray]:
    """Return the embeddings that are wanted; those of one file have one length."""
    found: dict[str, FloatArray] = {}
    dim = 0
    for name, embedding_D in embeddings.read_embeddings(path):
        dim = dim or len(embedding_D)
        if len(embedding_D) != dim:
            raise InputError(
                f"{path}: {name!r} has {len(embedding_D)} values, those before it {dim}"
            )
        if name in found:
            raise InputError(f"{path}: holds {name!r} twice; delete one of them")
        if name in wanted:
            found[name] = embedding_D
    return found


def _lines(trials: Sequence[Trial], scores: Sequence[Sequence[float | None]]) -> Iterator[str]:
    for trial, *values in zip(trials, *scores, strict=True):
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            label = {True: " target", False: " nontarget", None: ""}[trial.label]
            text = " ".join(f"{value:.6f}" for value in known)
            yield f"{trial.enroll} {trial.test} {text}{label}\n"


def _verdict(
    trials: Sequence[Trial], paths: Sequence[Path], scores: Sequence[Sequence[float | None]]
) -> Iterator[str]:
    """Say EER and minDCF of each file, and how far they are from the first one's."""
    for path in paths:
        card = read_card(path)
        if card is not None and card.seeded_weights:
            yield f"{path}: {SEEDED}"
    first: Rates | None = None
    for path, values in zip(paths, scores, strict=True):
        found = rates(trials, values)
        if found is None:
            yield f"{path}: no EER: it takes scored trials of both labels"
            continue
        line = (
            f"{path}: EER {100 * found.eer:.4f} %, minDCF {found.min_dcf:.4f} (p_target 0.01), "
            f"{found.targets} target and {found.nontargets} nontarget trials"
        )
        if first is not None:
            line += f"; EER {100 * (found.eer - first.eer):+.4f} points against {paths[0]}"
        yield line
        if path == paths[0]:
            first = found
    for path, values in list(zip(paths, scores, strict=True))[1:]:
        pairs = zip(scores[0], values, strict=True)
        gaps = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        if gaps:
            yield f"{path}: scores differ by at most {figures.number(max(gaps), 2)}"
