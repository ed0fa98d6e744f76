"""Who wins where: a row a model, a column an engine, each with how much longer it takes."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bench.report import figures
from bench.report.compare import conditions, engine_names, paired_ratio, rows_of, side
from bench.report.engine_findings import MANY_MODELS
from bench.report.lead import lead
from bench.results.cells import Condition
from bench.results.rows import Summary

EXPLAINED = (
    "How many times as long as the fastest, with 95 % intervals; rows that cannot be told from the "
    "fastest are the fastest too."
)
FASTEST = "fastest"


class Matrix(NamedTuple):
    """The models of one setting: the engines' names, and a line of texts for each model."""

    title: str
    engines: list[str]
    models: list[list[str]]


def matrices(summary: Summary) -> Iterator[Matrix]:
    """Yield a matrix for each setting in which many models were measured."""

    def setting(where: Condition) -> tuple[str, int, int, int, int]:
        return (where.protocol, where.threads, where.chunk_samples, where.jobs, where.batch)

    # Sorting keeps the models' order within a setting.
    ordered = sorted(conditions(summary), key=setting)
    for (protocol, *_), found in groupby(ordered, key=setting):
        wheres = list(found)
        if len(wheres) >= MANY_MODELS:
            where = figures.setting(*wheres[0].setting)
            title = f"Who is ahead: {protocol} protocol, {where}"
            yield _matrix(title, summary, wheres)


def _matrix(title: str, summary: Summary, wheres: Sequence[Condition]) -> Matrix:
    named = engine_names([row for where in wheres for row in rows_of(summary, where)])
    lines = []
    for where in wheres:
        rows = {side(row): row for row in rows_of(summary, where)}
        if not rows:
            continue
        ahead = lead(summary, where)
        best = min(rows, key=lambda each: rows[each].rtf or 0.0)
        texts = []
        for each in named:
            if each not in rows:
                texts.append(figures.MISSING)
            elif ahead is not None and ahead.behind and each in ahead.group:
                texts.append(FASTEST)
            elif each == best:
                texts.append(figures.factor(1.0))
            else:
                found = paired_ratio(summary, where, each, best)
                texts.append(figures.ratio(found.ratio, found.ci95) if found else figures.MISSING)
        lines.append([next(iter(rows.values())).title, *texts])
    return Matrix(title, list(named.values()), lines)
