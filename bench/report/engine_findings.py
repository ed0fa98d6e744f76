"""Which engine is faster, configuration by configuration; of many models, in one sentence.

Their matrix says who wins where: a row a model, a column an engine, each with how much longer it
takes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rtfbench.engines.protocol import FLOAT32
from rtfbench.report import compare, figures
from rtfbench.results import protocols
from rtfbench.results.cells import MAX_REL_ERR, Condition
from rtfbench.results.protocols import steady_first
from rtfbench.results.rows import CellSummary, Ratio, Summary

#: From so many models on, one sentence and a matrix tell what a sentence each would.
MANY_MODELS = 4


def best_findings(summary: Summary) -> Iterator[compare.Finding]:
    """Name the configuration with the smallest RTF of each model, in steady state if measured.

    Where requests arrive at a rate, the time of a row is what its processes were at work: more of
    them are no faster for it, and a rate is no configuration.
    """
    models = list(dict.fromkeys(row.model for row in summary.cells))
    for model in models if len(models) < MANY_MODELS else ():
        every = [row for row in summary.cells if row.model == model and row.rtf is not None]
        every = [row for row in every if not protocols.named(row.protocol).offered]
        ok = [row for row in every if row.precision == FLOAT32]
        rows = steady_first(ok)
        certain = [row for row in rows if row.rtf_ci95 is not None]
        if len(rows) < 2 or not certain:
            continue
        best = min(certain, key=lambda row: row.rtf or 0.0)
        if best.rtf != min(row.rtf for row in rows if row.rtf is not None) or not best.rtf_ci95:
            continue
        low, high = (figures.rtf(end) for end in best.rtf_ci95)
        limit = figures.error(MAX_REL_ERR) + " in float32" * (len(ok) < len(every))
        where = figures.setting(*best.setting)
        text = (
            f"Best configuration for {best.title} on this machine within parity {limit} "
            f"({best.protocol}): {best.engine_label}, {best.form}, {where}: "
            f"RTF {figures.rtf(best.rtf)} ({low} to {high})"
        )
        found = compare.to_reference(summary, best)
        if found is not None and found.differs and found.ratio < 1:
            behind = found.inverted()
            text += (
                f"; {behind.left.engine} takes {figures.factor(behind.ratio)} times as long there "
                f"({compare.ends(behind.ci95)})"
            )
            reference = (best.condition, behind.left)
            rows = [row for row in rows if (row.condition, compare.side(row)) != reference]
        text += _rivals(summary, best, rows)
        yield compare.Finding("best", f"{text}.")


def _rivals(summary: Summary, best: CellSummary, rows: Sequence[CellSummary]) -> str:
    """Name other configurations that the best is not surely faster than."""
    near = [
        row for row in rows if row is not best and not compare.surely_faster(summary, best, row)
    ]
    if not near:
        return ""
    texts = [f"{row.engine_label} {row.form}, {figures.setting(*row.setting)}" for row in near[:2]]
    more = f" and {len(near) - 2} more" if len(near) > 2 else ""
    return f". Not surely ahead of {'; '.join(texts)}{more}"


def engine_findings(summary: Summary) -> Iterator[compare.Finding]:
    """Compare the engines, a sentence a model, protocol and thread count, or one for many models.

    Where there are many models, `matrices` has their figures.
    """
    groups: dict[tuple[object, ...], dict[str, list[Condition]]] = {}
    for where in compare.conditions(summary):
        same = (where.protocol, *where.setting[1:])
        by_model = groups.setdefault(same, {})
        by_model.setdefault(where.model, []).append(where)
    for by_model in groups.values():
        if len(by_model) >= MANY_MODELS:
            yield from _many(summary, by_model)
        else:
            for wheres in by_model.values():
                yield from _of_model(summary, wheres)


def _of_model(summary: Summary, wheres: Sequence[Condition]) -> Iterator[compare.Finding]:
    for size in compare.stated_first([where.chunk_samples for where in wheres]):
        where = next(each for each in wheres if each.chunk_samples == size)
        rows = compare.rows_of(summary, where)
        told = [text for row in rows if (text := _engine(summary, row, wheres))]
        if told:
            row = rows[0]
            yield compare.Finding(
                "engine", f"{row.title}, {compare.setting(row)}: {'; '.join(told)}."
            )
            return


def _many(summary: Summary, by_model: dict[str, list[Condition]]) -> Iterator[compare.Finding]:
    """Count on how many models which engines lead, and by how much."""
    wheres = [
        next(each for each in found if each.chunk_samples == size)
        for found in by_model.values()
        for size in compare.stated_first([each.chunk_samples for each in found])[:1]
    ]
    wins: Counter[str] = Counter()
    factors: dict[str, list[float]] = {}
    known = 0
    for where in wheres:
        rows = compare.rows_of(summary, where)
        found = compare.lead(summary, where)
        known += len({row.engine_label for row in rows}) > 1
        if found is not None and found.behind:
            name = compare.group_name(found, compare.engine_names(rows))
            wins[name] += 1
            factors.setdefault(name, []).extend(found.by)
    if not known:
        return
    told = [
        f"{name} lead{'s' * (' and ' not in name)} on {count} (the others take "
        f"{compare.span((min(factors[name]), max(factors[name])))} times as long)"
        for name, count in wins.most_common()
    ]
    open_ = known - wins.total()
    told += [f"on {open_} nobody is ahead of all others"] if open_ else []
    yield compare.Finding(
        "engine",
        f"{known} models, {compare.setting(wheres[0])}: "
        f"{compare.listed(told) if len(told) < 3 else '; '.join(told)}.",
    )


def _engine(summary: Summary, row: CellSummary, wheres: Sequence[Condition]) -> str:
    """Say how a row compares with the reference; nothing where no interval was measured."""
    comparison = compare.to_reference(summary, row)
    if comparison is None or comparison.ci95 is None or comparison.left == comparison.right:
        return ""
    named = compare.engine_names([r for where in wheres for r in compare.rows_of(summary, where)])
    if comparison.right not in named:
        return ""
    text = compare.sentence(comparison, named)
    if not (comparison.decided or comparison.differs):
        text += ", an interval wider than was asked for"
    if comparison.provisional:
        sessions = comparison.sessions
        text += f", provisional: from {'one session' if sessions == 1 else f'{sessions} sessions'}"
    elsewhere = [
        other
        for where in wheres
        if where != row.condition
        and (other := compare.paired_ratio(summary, where, comparison.left, comparison.right))
        and other.ci95 is not None
    ]
    return text + _elsewhere(comparison, elsewhere)


def _elsewhere(comparison: Ratio, others: Sequence[Ratio]) -> str:
    """Give the range of the same ratio over the other chunk sizes, turned the same way."""
    if not others:
        return ""
    turn = comparison.differs and comparison.ratio < 1
    ratios = [(other.inverted() if turn else other).ratio for other in others]
    sizes = "size" if len(others) == 1 else "sizes"
    return f" ({compare.span((min(ratios), max(ratios)))} at {len(others)} other chunk {sizes})"


EXPLAINED = (
    "How many times as long as the fastest, with 95 % intervals; rows that cannot be told from the "
    "fastest are the fastest too. Words say how a row ended that has no time."
)
FASTEST = "fastest"


class Matrix(NamedTuple):
    """The models of one setting: the engines' names, and a line of texts for each model."""

    title: str
    engines: list[str]
    models: list[list[str]]


def matrices(summary: Summary) -> Iterator[Matrix]:
    """Yield a matrix for each setting in which many models were measured."""

    def setting(where: Condition) -> tuple[str, int, int, int, int, str]:
        return (where.protocol, *where.setting[:4], str(where.load or ""))

    # Sorting keeps the models' order within a setting.
    ordered = sorted(compare.conditions(summary), key=setting)
    for (protocol, *_), found in groupby(ordered, key=setting):
        wheres = list(found)
        if len(wheres) >= MANY_MODELS:
            where = figures.setting(*wheres[0].setting)
            title = f"Who is ahead: {protocol} protocol, {where}"
            yield _matrix(title, summary, wheres)


def _matrix(title: str, summary: Summary, wheres: Sequence[Condition]) -> Matrix:
    every = [row for row in summary.cells if row.condition in wheres]
    named = compare.engine_names(every)
    lines = []
    for where in wheres:
        rows = {compare.side(row): row for row in compare.rows_of(summary, where)}
        if not rows:
            continue
        ended = {compare.side(row): row.ended for row in every if row.condition == where}
        ahead = compare.lead(summary, where)
        best = min(rows, key=lambda each: rows[each].rtf or 0.0)
        texts = []
        for each in named:
            if each not in rows:
                texts.append(ended.get(each, figures.MISSING))
            elif ahead is not None and ahead.behind and each in ahead.group:
                texts.append(FASTEST)
            elif each == best:
                texts.append(figures.factor(1.0))
            else:
                found = compare.paired_ratio(summary, where, each, best)
                texts.append(figures.ratio(found.ratio, found.ci95) if found else figures.MISSING)
        lines.append([next(iter(rows.values())).title, *texts])
    return Matrix(title, list(named.values()), lines)
