"""From embeddings to scores as the field does it: mean subtraction, enrolment, cosine, S-norm.

All arithmetic is in float64. Symmetric and adaptive normalisation: Matějka et al., "Analysis of
score normalization in multilingual speaker recognition", Interspeech 2017.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtfbench.embed.trials import Scores, Trial, Trials
from rtfbench.engines.protocol import FloatArray

Floats = npt.NDArray[np.float64]

#: So many trials, or embeddings against a cohort, are computed at a time.
BATCH = 4096
_TINY = float(np.finfo(np.float32).eps)


class Cohort(NamedTuple):
    """Whom every utterance is compared with: directions float64 [K, D].

    The `top_n` most alike count, or all of them.
    """

    units_KD: Floats
    top_n: int | None = None


def mean_of(embeddings: Mapping[str, FloatArray]) -> Floats:
    """Return the mean of embeddings, float64 [D]."""
    summed = np.zeros(len(next(iter(embeddings.values()))))
    for embedding_D in embeddings.values():
        summed += embedding_D
    mean_D: Floats = summed / len(embeddings)
    return mean_D


def enroll(
    embeddings: Mapping[str, FloatArray], utterances: Mapping[str, Sequence[str]]
) -> dict[str, FloatArray]:
    """Return each speaker's mean over those of the utterances that have an embedding.

    The mean is that of the embeddings as they are, like Kaldi's `ivector-mean`.
    """
    found: dict[str, FloatArray] = {}
    for speaker, names in utterances.items():
        own = [embeddings[name] for name in names if name in embeddings]
        if own:
            mean_D = np.asarray(own, np.float64).mean(axis=0)
            found[speaker] = np.asarray(mean_D, np.float32)
    return found


def units(embeddings: Sequence[FloatArray], mean_D: Floats | None = None) -> Floats:
    """Return the directions of embeddings, less a mean: float64 [N, D] of length 1.

    One that is zero stays zero.
    """
    if not len(embeddings):
        return np.empty((0, 0 if mean_D is None else len(mean_D)))
    values_ND = np.asarray(embeddings, np.float64)
    if mean_D is not None:
        values_ND = values_ND - mean_D
    lengths_N1 = np.linalg.norm(values_ND, axis=1, keepdims=True)
    directions_ND: Floats = values_ND / np.maximum(lengths_N1, _TINY)
    return directions_ND


def score(
    trials: Iterable[Trial],
    enrolled: Mapping[str, FloatArray],
    tests: Mapping[str, FloatArray],
    *,
    mean_D: Floats | None = None,
    cohort: Cohort | None = None,
) -> Scores:
    """Return the score of each trial, float64 [N], NaN where an embedding is missing.

    It is the cosine; with a cohort, the mean of the cosine's distances to both sides' cohort
    scores, each in that side's standard deviations.

    Args:
        trials: which utterances are compared.
        enrolled: embeddings [D] of the trials' first names.
        tests: embeddings [D] of the second ones.
        mean_D: is subtracted from every embedding.
        cohort: directions less the same mean.
    """
    columns = Trials.of(trials)
    if enrolled is tests:
        both = np.union1d(columns.enroll_N, columns.test_N)
        first = second = _TrialSide(columns.names, both, enrolled, mean_D, cohort)
    else:
        first = _TrialSide(columns.names, np.unique(columns.enroll_N), enrolled, mean_D, cohort)
        second = _TrialSide(columns.names, np.unique(columns.test_N), tests, mean_D, cohort)
    found = np.full(len(columns), np.nan)
    for begin in range(0, len(columns), BATCH):
        batch = slice(begin, begin + BATCH)
        a, b = first.rows[columns.enroll_N[batch]], second.rows[columns.test_N[batch]]
        known = (a >= 0) & (b >= 0)
        a, b = a[known], b[known]
        scores = np.einsum("nd,nd->n", first.units_ND[a], second.units_ND[b])
        if cohort is not None:
            scores = (first.standard(scores, a) + second.standard(scores, b)) / 2
        found[batch][known] = scores
    return found


class _TrialSide:
    """One side of the trials: its directions once each, and where each name finds its own."""

    def __init__(
        self,
        names: Sequence[str],
        places: npt.NDArray[np.int32],
        embeddings: Mapping[str, FloatArray],
        mean_D: Floats | None,
        cohort: Cohort | None,
    ) -> None:
        used = [place for place in places.tolist() if names[place] in embeddings]
        self.rows = np.full(len(names), -1)
        self.rows[used] = np.arange(len(used))
        self.units_ND = units([embeddings[names[place]] for place in used], mean_D)
        if cohort is not None:
            stats = list(_cohort_stats(self.units_ND, cohort))
            self._mean, self._std = np.concatenate(stats, axis=1) if stats else np.ones((2, 0))

    def standard(self, scores: Floats, rows: npt.NDArray[np.int64]) -> Floats:
        """Return how far scores are from this side's cohort, in standard deviations."""
        distances: Floats = (scores - self._mean[rows]) / self._std[rows]
        return distances


def _cohort_stats(units_ND: Floats, cohort: Cohort) -> Iterator[Floats]:
    """Yield mean and standard deviation of cohort scores, [2, N] a batch."""
    for begin in range(0, len(units_ND), BATCH):
        scores_NK = units_ND[begin : begin + BATCH] @ cohort.units_KD.T
        if cohort.top_n is not None and cohort.top_n < scores_NK.shape[1]:
            scores_NK = np.partition(scores_NK, -cohort.top_n, axis=1)[:, -cohort.top_n :]
        yield np.stack([scores_NK.mean(axis=1), np.maximum(scores_NK.std(axis=1), _TINY)])
