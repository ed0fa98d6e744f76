"""The answer of a run in at most six lines: it stands on top of every report (pure)."""

import shlex
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.engines.protocol import FLOAT32
from rtfbench.report import figures, libraries
from rtfbench.report.compare import (
    conditions,
    ends,
    engine_names,
    listed,
    paired_ratio,
    rows_of,
    side,
)
from rtfbench.report.precision_findings import fastest, gain, keeping_accuracy, price
from rtfbench.results import protocols
from rtfbench.results.cells import INTERRUPTED, Condition
from rtfbench.results.noise import NOISY_SHARE, SEEN
from rtfbench.results.protocols import STEADY
from rtfbench.results.rows import (
    PROVISIONAL_SESSIONS,
    CellSummary,
    EngineForm,
    Noise,
    Ratio,
    Summary,
    excludes_one,
)
from rtfbench.results.stats import relative_half_width

#: Rows of which less than this share is known are not told apart yet, and no tie.
WIDE = 0.10
#: A host of which more blocks than this were disturbed is to be looked at first.
MUCH_NOISE = 0.20
#: So many models have a line each; of more, one line counts who leads.
MOST_MODELS = 3


@dataclass(frozen=True)
class Ranking:
    """The fastest row of a condition, and how the others compare with it.

    `tied` and `slower` are how many times as long others take as `best`; `unknown` are those of
    which no interval tells.
    """

    best: CellSummary
    tied: tuple[Ratio, ...]
    slower: tuple[Ratio, ...]
    unknown: tuple[EngineForm, ...]

    @property
    def alone(self) -> bool:
        """Whether it is surely faster than every other row."""
        return bool(self.slower) and not self.tied and not self.unknown


def ranking(summary: Summary, rows: Sequence[CellSummary]) -> Ranking | None:
    """Return how the rows of one condition stand; None where none has an RTF.

    Rows that were measured in turns are ordered by their ratios, others by their RTFs.
    """
    known = [row for row in rows if row.rtf is not None]
    if not known:
        return None
    best = min(known, key=lambda row: row.rtf or 0.0)
    for _ in known:  # where a ratio contradicts the RTFs, the ratio holds
        against = [paired_ratio(summary, row.condition, side(row), side(best)) for row in known]
        ahead = [each for each in against if each and each.differs and each.ratio < 1]
        if not ahead:
            break
        first = min(ahead, key=lambda each: each.ratio).left
        best = next(row for row in known if side(row) == first)
    others = [row for row in known if row is not best]
    found = [paired_ratio(summary, best.condition, side(row), side(best)) for row in others]
    certain = sorted((each for each in found if each and each.ci95), key=lambda each: each.ratio)
    known_sides = {each.left for each in certain}
    return Ranking(
        best,
        tied=tuple(each for each in certain if not each.differs),
        slower=tuple(each for each in certain if each.differs),
        unknown=tuple(side(row) for row in others if side(row) not in known_sides),
    )


def answer(summary: Summary) -> list[str]:
    """Return the lines: the fastest, what ties with it, where, how quiet it was, what is next."""
    summary = libraries.named(summary)
    wheres = _told(summary)
    if not wheres:
        return ["No cell has an RTF; the reasons are below.", _next(summary, [])]
    if len(wheres) > MOST_MODELS:
        first = [_count(summary, wheres)]
    elif len(wheres) > 1:
        first = [next(_of_model(summary, where, brief=True)) for where in wheres]
    else:
        first = [*_of_model(summary, wheres[0], brief=False), *_elsewhere(summary, wheres[0])]
    return [*first[:3], _where(summary, wheres[0]), _host(summary), _next(summary, wheres)]


def _told(summary: Summary) -> list[Condition]:
    """Return the condition of each model that the answer is of."""
    best: dict[str, Condition] = {}

    def rank(where: Condition) -> tuple[object, ...]:
        return (
            len(rows_of(summary, where)) < 2,
            where.protocol != STEADY.name,
            protocols.named(where.protocol).queued,
            where.chunk_samples != PUBLISHED_CHUNK_SAMPLES,
            where.threads,
            where.jobs,
            where.batch,
            # What keeps up with many requests keeps up with few.
            -where.rate_per_s,
        )

    for where in conditions(summary):
        if rows_of(summary, where):
            best[where.model] = min(best.get(where.model, where), where, key=rank)
    return list(best.values())


def _of_model(summary: Summary, where: Condition, *, brief: bool) -> Iterator[str]:
    """Say who is fastest and what ties with it; in one line where that is to be brief."""
    rows = rows_of(summary, where)
    exact = [row for row in rows if row.precision == FLOAT32] or rows
    fewer = [row for row in rows if row.precision != FLOAT32 and row not in exact]
    found = ranking(summary, exact)
    assert found is not None
    named = engine_names(rows)
    lossy = _fewer_bits(summary, exact, fewer)
    if lossy and brief:
        yield f"{found.best.title}: {lossy}"
        return
    float32 = " in float32" * bool(fewer)
    yield f"{found.best.title}{float32}: {_fastest(found, rows)}."
    if found.tied and not brief:
        best = named[side(found.best)]
        texts = [
            f"{named[each.left]} ({figures.factor(each.ratio)} times as long, {ends(each.ci95)})"
            for each in found.tied[:3]
        ]
        how = "Tied with" if _is_narrow(found.tied) else "Not told apart yet from"
        yield f"{how} {best}: {'; '.join(texts)}{_more(found.tied)}."
    if not brief and (late := _late(rows)):
        yield late
    if lossy:
        yield f"In fewer bits: {lossy}"


def _late(rows: Sequence[CellSummary]) -> str:
    """Say which share of the requests each row answers late; empty where none has a limit."""
    named = engine_names(rows)
    shares = {
        named[side(row)]: share for row in rows if (share := row.figure("late_share")) is not None
    }
    if not shares or rows[0].load is None:
        return ""
    told = listed([f"{100 * share:.1f} % on {name}" for name, share in shares.items()])
    limit = f"{rows[0].load.latency_ms:g} ms"
    return f"At {rows[0].load}, later than {limit}: {told}."


def _is_narrow(tied: Sequence[Ratio]) -> bool:
    """Say whether rows tie, and not only for want of measuring."""
    return all(relative_half_width(each.ci95) <= WIDE for each in tied)


def _more(tied: Sequence[Ratio]) -> str:
    return f" and {len(tied) - 3} more" if len(tied) > 3 else ""


def _fastest(found: Ranking, rows: Sequence[CellSummary]) -> str:
    named = engine_names(rows)
    rtfs = {side(row): figures.rtf(row.rtf) for row in rows}
    group = [side(found.best), *(each.left for each in found.tied[:3])]
    names = [f"{named[each]} (RTF {rtfs[each]})" for each in group]
    best = named[group[0]]
    told = listed(names) if not _more(found.tied) else ", ".join(names) + _more(found.tied)
    if found.slower:
        nearest, *rest = found.slower
        text = f"{told} {'are' if found.tied else 'is'} fastest; "
        text += f"{named[nearest.left]} takes {figures.factor(nearest.ratio)} times as long"
        text += f" as {best}" * bool(found.tied) + f" ({ends(nearest.ci95)})"
        text += f", others up to {figures.factor(rest[-1].ratio)} times" if rest else ""
        unknown = [named[each] for each in found.unknown]
        return text + (f"; no interval tells of {listed(unknown)}" if unknown else "")
    if found.tied:
        how = "are tied" if _is_narrow(found.tied) else "cannot be told apart yet"
        return f"no engine is measurably faster: {told} {how}"
    if found.unknown:
        others = listed([named[each] for each in found.unknown])
        return f"{told} has the smallest RTF, but no interval tells it from {others}"
    return f"only {told} was measured"


def _fewer_bits(
    summary: Summary, exact: Sequence[CellSummary], fewer: Sequence[CellSummary]
) -> str:
    """Say what fewer bits bring and cost; empty where they bring nothing."""
    if not fewer:
        return ""
    against = fastest(exact)
    for rows in (keeping_accuracy(summary, fewer), fewer):
        best = fastest(rows) if rows else against
        found = gain(summary, best.condition, best, against)
        if found is not None:
            pairs = [
                (row, paired_ratio(summary, best.condition, side(row), side(best)))
                for row in rows
                if row is not best
            ]
            tied = [row.engine_label for row, each in pairs if each and not each.differs]
            return (
                f"{best.engine_label} is {figures.factor(found.ratio)} times as fast as "
                f"{against.engine_label} in float32 ({ends(found.ci95)}); {price(summary, best)}"
                + (f". Tied with it: {listed(tied)}" if tied else "")
                + "."
            )
    return ""


def _elsewhere(summary: Summary, told: Condition) -> Iterator[str]:
    """Say who is fastest under the other protocol, for the same model and setting."""
    for protocol in dict.fromkeys(row.protocol for row in summary.cells):
        where = told.model_copy(update={"protocol": protocol})
        rows = [row for row in rows_of(summary, where) if row.precision == FLOAT32]
        found = ranking(summary, rows) if len(rows) > 1 else None
        if protocol != told.protocol and found is not None:
            yield f"Under the {meant(protocol)}: {_fastest(found, rows)}."


def _count(summary: Summary, wheres: Sequence[Condition]) -> str:
    """Count on how many models which engines are the fastest, or tie with it."""
    among, alone = Counter[str](), Counter[str]()
    for where in wheres:
        rows = rows_of(summary, where)
        found = ranking(summary, rows)
        named = engine_names(rows)
        if found is not None:
            among.update({named[side(found.best)], *(named[each.left] for each in found.tied)})
            alone.update([named[side(found.best)]] * found.alone)
    parts = [
        f"{name} on {count}" + (f" (alone on {alone[name]})" if alone[name] else "")
        for name, count in sorted(among.items(), key=lambda each: (-each[1], each[0]))[:3]
    ]
    return f"Among the fastest of {len(wheres)} models: {listed(parts)}."


def meant(protocol: str) -> str:
    """Say what a reader has to know of a protocol to read a figure."""
    return f"{protocol} protocol ({protocols.named(protocol).clock})"


def _where(summary: Summary, where: Condition) -> str:
    environment = summary.environment
    setting = figures.setting(*where.setting).replace(" samples,", " samples a chunk,")
    audio = figures.counted(len(environment.audio), "utterance")
    in_all = f"{environment.audio_s:.0f} s"
    reached = [row.utterances for row in rows_of(summary, where) if row.utterances is not None]
    if reached and min(reached) < len(environment.audio):
        audio = f"{min(reached)} of the {audio}"
        in_all += " in all; a larger --budget reaches them"
    return f"Measured under the {meant(where.protocol)}, {setting}, {audio} ({in_all})."


def _host(summary: Summary) -> str:
    """Say which host it was, how quiet, and which differences it can tell."""
    environment, noise = summary.environment, summary.noise
    host = f"Host: {environment.cpu_kind}, {figures.counted(environment.core_count, 'core')}"
    if noise is None or noise.disturbed_share is None:
        return f"{host}; how quiet it was is not known."
    if noise.contaminated:
        return f"{host}, disturbed: the reference differs from itself; trust no small difference."
    share = f"{figures.percent(noise.disturbed_share)} of blocks disturbed"
    widths = [relative_half_width(each.ci95) for each in summary.ratios if each.ci95]
    if is_noisy(noise):
        text = f"{host}, noisy ({share})"
    elif widths and statistics.median(widths) > WIDE:
        # Not called quiet: a neighbour on the same core takes time that no kernel counts.
        text = f"{host}, {share}"
    else:
        text = f"{host}, quiet ({share})"
    if not widths:
        return f"{text}."
    half = f" in half of the {len(widths)} pairs" if len(widths) > 1 else ""
    least = figures.number(100 * SEEN * statistics.median(widths), 2)
    return f"{text}; differences above {least} % are detectable{half}."


def is_noisy(noise: Noise | None) -> bool:
    """Say whether much of a run was disturbed, or the reference differs from itself."""
    if noise is None:
        return False
    return noise.contaminated or (noise.disturbed_share or 0.0) > NOISY_SHARE


def _is_open(ratio: Ratio) -> bool:
    """Say whether more sessions may tell another thing: of few, or where neither is surely faster.

    An interval that is wider than asked for, and leaves out 1, says who is faster all the same.
    """
    decided = ratio.decided or excludes_one(ratio.ci95)
    return ratio.sessions <= PROVISIONAL_SESSIONS or not decided


def _next(summary: Summary, wheres: Sequence[Condition]) -> str:
    """Say what to do next."""
    if any(row.reason == INTERRUPTED for row in summary.cells):
        return "Next: the same command with --out and --resume measures what was interrupted."
    noise = summary.noise
    much = noise is not None and (noise.disturbed_share or 0.0) > MUCH_NOISE
    if noise is not None and (noise.contaminated or much):
        return "Next: `rtfbench doctor` says what disturbs this host; then measure again."
    told = [each for each in summary.ratios if each.condition in wheres]
    open_ = [each for each in told if _is_open(each)]
    rows = [row for where in wheres for row in rows_of(summary, where)]
    if any(row.precision != FLOAT32 and row.eer_loss is None for row in rows):
        return "Next: `--trials heldout`, or trials of your own, tell what fewer bits cost."
    if open_:
        some = "all" if len(open_) == len(told) else f"{len(open_)} of {len(told)}"
        which = f"{some} ratios here are" if len(told) > 1 else "the ratio here is"
        return f"Next: a larger --budget or --thorough: {which} provisional or undecided."
    if any(row.status == "wrong_output" for row in summary.cells):
        return "Next: `rtfbench explain --where-wrong` names the operator whose output is wrong."
    if not wheres:
        return "Next: mend what the reasons name; `rtfbench engines` lists what runs here."
    model = next(iter(summary.cells)).model
    # A name with a line's end in it would end the line.
    named = shlex.quote(model) if model.isprintable() else "MODEL"
    return f"Next: `rtfbench tune --model {named}` finds the fastest configuration of this host."
