"""What a result says, in sentences: each has its figure and interval, none stands without them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.report import figures
from bench.report.compare import (
    PairedRatio,
    conditions,
    engine_names,
    paired_ratio,
    rows_of,
    sentence,
    side,
    times,
    to_reference,
)
from bench.report.defects import cause
from bench.results.cells import MAX_REL_ERR, Condition
from bench.results.rows import CellSummary, Summary
from engines.protocol import FIRST_RUN
from frontends.chunking import WHOLE_UTTERANCE

Kind = Literal["warning", "defect", "protocol", "engine", "best", "threads", "padding"]


@dataclass(frozen=True)
class Finding:
    """One sentence."""

    kind: Kind
    text: str


def findings(summary: Summary) -> list[Finding]:
    """Return every sentence that the numbers carry, the most important first."""
    return [
        *_warnings(summary),
        *_defects(summary),
        *_protocols(summary),
        *_best(summary),
        *_engines(summary),
        *_threads(summary),
        *_padding(summary),
    ]


def _warnings(summary: Summary) -> Iterator[Finding]:
    if summary.noise is not None and summary.noise.contaminated:
        yield Finding("warning", f"The machine was not quiet: {summary.noise.sentence}")
    measured = sum(row.rtf is not None for row in summary.cells)
    if measured > 1 and not any(ratio.ci95 for ratio in summary.ratios):
        yield Finding(
            "warning",
            "No engine is called faster: this run has no intervals of paired ratios; "
            "a larger --budget gives them.",
        )


def _defects(summary: Summary) -> Iterator[Finding]:
    """Tell of every row whose embedding is not the reference's; those of one model in one."""
    wrong: dict[tuple[str, str], list[CellSummary]] = {}
    for row in summary.cells:
        if row.status == "wrong_output":
            alike = [each for each in summary.cells if each.engine_label == row.engine_label]
            title = row.title
            models = {each.title for each in alike}
            if len(models) > 1 and all(each.status != "ok" for each in alike):
                title = "Every model"
            wrong.setdefault((title, row.engine_label), []).append(row)
    for (title, engine), rows in wrong.items():
        forms = " and ".join(dict.fromkeys(row.form for row in rows))
        text = f"{title}: {engine} ({forms}) computes another embedding than the reference"
        errors = [row.parity.max_rel_err for row in rows if row.parity]
        if errors:
            text += f": largest error {max(errors):.1e} of the largest value"
        text += _right_forms(summary, rows[0])
        if known := cause(rows[0]):
            text += f"; {known}"
        yield Finding("defect", f"{text}. Its time is not shown.")


def _right_forms(summary: Summary, wrong: CellSummary) -> str:
    """Say which other form of the same model is right on that engine's runtime."""
    for row in summary.cells:
        same = (row.model, row.engine_label) == (wrong.model, wrong.engine_label)
        if same and row.form != wrong.form and row.parity and row.parity.ok:
            return f"; the {row.form} form is right to {row.parity.max_rel_err:.0e}"
    return ""


def _protocols(summary: Summary) -> Iterator[Finding]:
    """Compare what the published timing says of two engines with what remains in steady state."""
    for model, threads in dict.fromkeys((row.model, row.threads) for row in summary.cells):
        sizes = [
            each.chunk_samples
            for each in conditions(summary)
            if (each.model, each.threads, each.protocol) == (model, threads, "steady")
        ]
        for size in _stated_first(sizes):
            published = Condition(
                model=model, threads=threads, chunk_samples=size, protocol="published"
            )
            found = list(_protocol_pairs(summary, published))
            if found:
                yield from found
                break


def _protocol_pairs(summary: Summary, published: Condition) -> Iterator[Finding]:
    steady = published.model_copy(update={"protocol": "steady"})
    rows = rows_of(summary, published)
    named = engine_names(rows)
    for first, second in combinations(rows, 2):
        before = paired_ratio(summary, published, side(first), side(second))
        if before is None or not before.differs:
            continue
        before = before.slower_first()
        after = paired_ratio(summary, steady, before.left, before.right)
        if after is None or after.ci95 is None or before.ci95 is None:
            continue
        if after.ci95[1] >= before.ci95[0]:  # the protocols do not disagree
            continue
        slow, fast = (first, second) if before.left == side(first) else (second, first)
        text = (
            f"{slow.title}, {figures.setting(slow.chunk_samples, slow.threads)}: under the "
            f"published protocol {named[before.left]} is {times(before.ratio, before.ci95)} "
            f"slower than {named[before.right]}; in steady state {times(after.ratio, after.ci95)}"
        )
        yield Finding("protocol", f"{text}{_preparation(summary, slow, fast, steady)}.")


def _preparation(summary: Summary, slow: CellSummary, fast: CellSummary, steady: Condition) -> str:
    """Say how much of a difference is what a dynamic model does in its first chunk."""
    warm = slow.chunk_ms or next(
        (row.chunk_ms for row in rows_of(summary, steady) if side(row) == side(slow)), None
    )
    if slow.form != "dynamic" or warm is None or not slow.first_chunk_ms:
        return ""
    assert slow.rtf is not None
    assert fast.rtf is not None
    environment = summary.environment
    extra_ms = slow.first_chunk_ms - warm
    if extra_ms <= 0 or slow.rtf <= fast.rtf or not environment.audio_s:
        return ""
    extra_rtf = extra_ms / 1000 * len(environment.audio) / environment.audio_s
    what = slow.effective.get(FIRST_RUN, "preparation")
    return (
        f": {figures.number(extra_ms)} ms of {what} at the first resize of each session explain "
        f"{figures.percent(extra_rtf / (slow.rtf - fast.rtf))} of the difference"
    )


def _best(summary: Summary) -> Iterator[Finding]:
    """Name the configuration with the smallest RTF of each model, in steady state if measured."""
    for model in dict.fromkeys(row.model for row in summary.cells):
        ok = [row for row in summary.cells if row.model == model and row.rtf is not None]
        rows = [row for row in ok if row.protocol == "steady"] or ok
        certain = [row for row in rows if row.rtf_ci95 is not None]
        if len(rows) < 2 or not certain:
            continue
        best = min(certain, key=lambda row: row.rtf or 0.0)
        if best.rtf != min(row.rtf for row in rows if row.rtf is not None) or not best.rtf_ci95:
            continue
        low, high = (figures.rtf(end) for end in best.rtf_ci95)
        limit = figures.error(MAX_REL_ERR)
        where = figures.setting(best.chunk_samples, best.threads)
        text = (
            f"Best configuration for {best.title} on this machine within parity {limit} "
            f"({best.protocol}): {best.engine_label}, {best.form}, {where}: "
            f"RTF {figures.rtf(best.rtf)} ({low} to {high})"
        )
        yield Finding("best", f"{text}{_against_reference(summary, best)}{_rivals(best, rows)}.")


def _against_reference(summary: Summary, best: CellSummary) -> str:
    """Say how much faster the best is than the reference engine of its setting."""
    found = to_reference(summary, best)
    if found is None or not found.differs or found.ratio >= 1:
        return ""
    other = found.inverted()
    return f"; {times(other.ratio, other.ci95)} faster than {other.left.engine}"


def _rivals(best: CellSummary, rows: Sequence[CellSummary]) -> str:
    """Name how many other configurations the intervals do not tell from the best."""
    assert best.rtf_ci95 is not None
    near = [
        row
        for row in rows
        if row is not best
        and (row.rtf_ci95[0] if row.rtf_ci95 else row.rtf or 0.0) <= best.rtf_ci95[1]
    ]
    if not near:
        return ""
    listed = [
        f"{row.engine_label} {row.form}, {figures.setting(row.chunk_samples, row.threads)}"
        for row in near[:2]
    ]
    more = f" and {len(near) - 2} more" if len(near) > 2 else ""
    return f". Its interval does not exclude {'; '.join(listed)}{more}"


def _engines(summary: Summary) -> Iterator[Finding]:
    """Compare each engine with the reference engine, one finding a model, protocol and threads."""
    groups: dict[tuple[str, int, str], list[Condition]] = {}
    for where in conditions(summary):
        groups.setdefault((where.model, where.threads, where.protocol), []).append(where)
    for wheres in groups.values():
        for size in _stated_first([where.chunk_samples for where in wheres]):
            where = next(each for each in wheres if each.chunk_samples == size)
            rows = rows_of(summary, where)
            told = [text for row in rows for text in [_engine(summary, row, wheres)] if text]
            if told:
                row = rows[0]
                yield Finding(
                    "engine",
                    f"{row.title}, {row.protocol}, {figures.setting(size, row.threads)}: "
                    f"{'; '.join(told)}.",
                )
                break


def _engine(summary: Summary, row: CellSummary, wheres: Sequence[Condition]) -> str:
    """Say how a row compares with the reference; nothing where no interval was measured."""
    comparison = to_reference(summary, row)
    if comparison is None or comparison.ci95 is None or comparison.left == comparison.right:
        return ""
    named = engine_names([r for where in wheres for r in rows_of(summary, where)])
    if comparison.right not in named:
        return ""
    text = sentence(comparison, named)
    if not (comparison.decided or comparison.differs):
        text += ", an interval wider than was asked for"
    if comparison.provisional:
        counted = "one session" if comparison.sessions == 1 else f"{comparison.sessions} sessions"
        text += f", provisional: from {counted}"
    elsewhere = [
        other
        for where in wheres
        if where != row.condition
        for other in [paired_ratio(summary, where, comparison.left, comparison.right)]
        if other is not None and other.ci95 is not None
    ]
    return text + _elsewhere(comparison, elsewhere)


def _elsewhere(comparison: PairedRatio, others: Sequence[PairedRatio]) -> str:
    """Give the range of the same ratio over the other chunk sizes, turned the same way."""
    if not others:
        return ""
    turn = comparison.differs and comparison.ratio < 1
    intervals = [
        each.ci95
        for other in others
        for each in [other.inverted() if turn else other]
        if each.ci95 is not None
    ]
    low, high = min(low for low, _ in intervals), max(high for _, high in intervals)
    return (
        f" (at {len(others)} other chunk size{'s' * (len(others) > 1)} within "
        f"{figures.times(low).removesuffix('×')} to {figures.times(high)})"
    )


def _threads(summary: Summary) -> Iterator[Finding]:
    """Say what further threads bring, where both counts have intervals of their RTF."""
    told: dict[str, list[str]] = {}
    for row in summary.cells:
        alone = _with_one_thread(summary, row)
        if alone is None or None in (row.rtf, row.rtf_ci95, alone.rtf, alone.rtf_ci95):
            continue
        assert row.rtf
        assert alone.rtf
        assert row.rtf_ci95
        assert alone.rtf_ci95
        ratio = alone.rtf / row.rtf
        ci95 = (alone.rtf_ci95[0] / row.rtf_ci95[1], alone.rtf_ci95[1] / row.rtf_ci95[0])
        head = (
            f"{row.title}, {row.protocol}, {figures.setting(row.chunk_samples, row.threads)} "
            "against one"
        )
        told.setdefault(head, []).append(
            f"{row.engine_label} {row.form} {times(ratio, ci95)} as fast, "
            f"{figures.percent(ratio / row.threads)} efficiency"
        )
    for head, sentences in told.items():
        yield Finding("threads", f"{head}: {'; '.join(sentences)}.")


def _with_one_thread(summary: Summary, row: CellSummary) -> CellSummary | None:
    def but_threads(each: CellSummary) -> tuple[object, ...]:
        return (each.model, side(each), each.protocol, each.chunk_samples)

    if row.threads == 1:
        return None
    alone = [r for r in summary.cells if r.threads == 1 and but_threads(r) == but_threads(row)]
    return alone[0] if alone else None


def _padding(summary: Summary) -> Iterator[Finding]:
    """Say what filling up the last chunk costs; exact, since it follows from the durations."""
    shares: dict[int, float] = {}
    for row in summary.cells:
        if row.rtf and row.rtf_padded and row.chunk_samples != WHOLE_UTTERANCE:
            shares[row.chunk_samples] = row.rtf / row.rtf_padded - 1
    if not shares:
        return
    each = [f"{figures.percent(share)} at {size}" for size, share in sorted(shares.items())]
    yield Finding(
        "padding",
        "Filling up the last chunk adds audio that is computed and not counted in the duration: "
        f"{', '.join(each)} samples (exact for these utterances).",
    )


def _stated_first(sizes: Sequence[int]) -> list[int]:
    return sorted(sizes, key=lambda size: (size != PUBLISHED_CHUNK_SAMPLES, size))
