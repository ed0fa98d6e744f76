"""A tuning's answer as a document, and the race as a picture: a panel a heat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtfbench.base.errors import as_input
from rtfbench.report import figures
from rtfbench.report.capacity import what_is_held
from rtfbench.report.compare import ends, listed
from rtfbench.report.document import (
    Block,
    Code,
    Document,
    Heading,
    Paragraph,
    Table,
    bullets,
    document,
    table,
)
from rtfbench.report.palette import BLUE, GREEN, INK, MUTED, PALE_GREY
from rtfbench.report.plots.style import Picture, Sheet, dress, plain_log_ticks
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.tune import saved
from rtfbench.tune.answer import Answer, Contender, Fate, Gain
from rtfbench.tune.racing import NO_TIME
from rtfbench.tune.space import Goal

if TYPE_CHECKING:
    from matplotlib.axes import Axes


GOALS: dict[Goal, str] = {
    "throughput": "most audio a second, on all cores",
    "latency": "one recording at a time, soonest",
    "server": "most requests a second, 99 of 100 answered in time",
    "streams": "most live streams, 99 of 100 windows answered in time",
}


#: What tells configurations apart, as columns of the race.
SETTINGS: dict[str, Callable[[Cell], str]] = {
    "engine": lambda cell: cell.engine_label,
    "form": lambda cell: cell.form,
    "chunk": lambda cell: "whole" if cell.chunk_samples < 0 else str(cell.chunk_samples),
    "jobs × threads": lambda cell: f"{cell.jobs} × {cell.threads}",
    "batch": lambda cell: str(cell.batch),
}
#: Columns that leave a narrow screen, group by group.
GIVE_WAY = ({"p95 ms", "MB"}, {"sessions"}, {"× real time"})
HELD = (
    ' "Behind the leader": on one core, time over the leader\'s; on all cores, what the leader '
    "holds over what others do."
)


def headline(found: Answer) -> str:
    """Say the answer in a sentence."""
    cores = figures.counted(found.cores, "core")
    if found.named is None:
        return f"{found.title} on {cores}: {_why_none(found)}"
    gained = "that is the default, or nothing told it from that"
    if found.against_default is not None:
        gained = f"{_times(found, found.against_default)} the default"
    return f"{found.title} on {cores}: {found.named.configuration}; {gained}."


def of_tuning(
    found: Answer, *, commands: Iterable[str], in_python: str, decide: str = ""
) -> Document:
    """Return the whole answer.

    The commands and the lines for the runtime's own API use what is named, or what is safe until
    then; `decide` is the command that would probably name one.
    """
    return document(
        Heading(headline(found), 1),
        bullets(sentences(found)),
        Paragraph("It would probably be decided by:") if decide else None,
        Code(decide, "sh") if decide else None,
        _use("\n".join(commands), in_python) if found.safe is not None or found.named else (),
        Heading("The race"),
        f"Goal: {found.goal} ({GOALS[found.goal]}). {found.host}.{HELD if found.load else ''}",
        f"All rows: {', '.join(map(' '.join, same.items()))}." if (same := _same(found)) else None,
        _race(found),
        bullets([*found.notes, *_refused(found), *_not_measured(found)]),
    )


def stored(folder: Path) -> Document | None:
    """Return the answer in a search's folder, as a document; None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    path, config = folder / saved.JSON, folder / saved.SAVED
    if not path.is_file():
        return None
    with as_input(ValueError, before=f"{path}: "):
        found = Answer.model_validate_json(path.read_text(encoding="utf-8"))
    commands = saved.commands(str(config)) if config.is_file() else ()
    return of_tuning(found, commands=commands, in_python="")


def _use(commands: str, in_python: str) -> Iterator[Block]:
    if commands:
        yield Heading("Use it")
        yield Code(commands, "sh")
    if in_python:
        yield Paragraph("The same with the runtime's own API:")
        yield Code(in_python, "python")


def sentences(found: Answer) -> Iterator[str]:
    """Yield what is to be known of the answer, each with its figure; six at most."""
    named = found.named
    if named is not None:
        yield from _of_named(found, named)
    else:
        yield from _of_none(found)
    tied = [entry.configuration for entry in found.entries if entry.fate in ("tied", "leads")]
    if named is not None and tied:
        share = figures.percent(found.margin)
        worse, best = ("slower", "fastest") if found.load is None else ("worse", "best")
        more = f" and {len(tied) - 3} more" if len(tied) > 3 else ""
        yield (
            f"Tied with it, none surely more than {share} {worse} than the leader: "
            f"{'; '.join(tied[:3])}{more}. Of those that may be the {best}, the one "
            "nearest to the default is named."
        )
    cut = found.load is not None and found.load.streams
    rests = (
        f"It rests on {figures.counted(found.recordings, 'window' if cut else 'recording')} of "
        f"{found.recordings_s:.0f} s together"
    )
    took = {
        "measuring": found.spent_s,
        "embedding the trials": found.trials_s,
        "starting processes": found.loading_s,
    }
    parts = [f"{seconds:.0f} s of {what}" for what, seconds in took.items() if seconds]
    yield f"{rests}, and took {listed(parts or ['0 s of measuring'])}."


def _of_none(found: Answer) -> Iterator[str]:
    """Say what to use where nothing is named, and what would name one."""
    if found.safe is not None:
        best = "fastest" if found.load is None else "best"
        what = "leads" if found.safe.fate == "leads" else f"may be the {best}"
        if found.load is not None and found.safe.held is not None:
            what += f", and holds {_holds(found.load, found.safe)}"
        yield f"Safe until it is decided: {found.safe.configuration}, which {what}."
        if found.needed_s is None:
            yield "More of the same would not decide it; a wider --margin would."
    if found.needed_s is not None:
        budget = f"this one was {found.budget_s:.0f}"
        yield f"Decided probably by --budget {found.needed_s:.0f}; {budget}."


def _of_named(found: Answer, named: Contender) -> Iterator[str]:
    parts = [f"{figures.number(named.times_real_time)} times real time"]
    if found.load is not None:
        parts = [_holds(found.load, named)]
    if named.p95_ms is not None:
        parts.append(f"95 of 100 recordings take less than {figures.number(named.p95_ms)} ms each")
    parts.append(f"its processes hold {figures.number(named.memory_mb)} MB")
    yield f"{named.configuration}: {'; '.join(parts)}."
    for what, gain in (("default", found.against_default), ("next one", found.against_runner_up)):
        if gain is not None:
            yield f"{_times(found, gain)} the {what}, {gain.other}."
    if named.eer_loss is not None and named.eer_loss_points is not None:
        low, high = named.eer_loss
        yield (
            f"Its EER is {named.eer_loss_points:+.2f} points ({low:+.2f} to {high:+.2f}) "
            "against float32 with the default chunk size, on the trials."
        )


def _race(found: Answer) -> Table | None:
    """Return every configuration that was measured: how it did, and why it is out."""
    if not _measured(found):
        return None
    heads = [*SETTINGS, "heat", "time against the leader", "× real time", "p95 ms", "MB"]
    heads += ["sessions", "outcome"]
    if found.load is not None:
        heads[-6], heads[-4] = "behind the leader", what_is_held(found.load)[0]
    rows = [_line(found, each) for each in _measured(found)]
    same = _same(found)
    told = [
        at
        for at, head in enumerate(heads)
        if head not in same and any(row[at] != figures.MISSING for row in rows)
    ]
    return table(
        [heads[at] for at in told],
        [[row[at] for at in told] for row in rows],
        "".join("llrrrlrrrrrl"[at] for at in told),
        give_way=GIVE_WAY,
    )


def _measured(found: Answer) -> list[Contender]:
    return [each for each in found.entries if each.sessions and each.why != NO_TIME]


def _same(found: Answer) -> dict[str, str]:
    """Return the settings that are the same in all rows, which a column need not repeat."""
    told = {name: {of(each.cell) for each in _measured(found)} for name, of in SETTINGS.items()}
    return {
        name: next(iter(values))
        for name, values in told.items()
        if len(values) == 1 and name != "engine"
    }


def _refused(found: Answer) -> Iterator[str]:
    """Name those that could not be measured, and why."""
    for entry in found.entries:
        if not entry.sessions and entry.why not in ("", NO_TIME):
            yield f"Not raced: {entry.configuration}: {entry.why}."


def _not_measured(found: Answer) -> Iterator[str]:
    """Name those that no time was left for."""
    names = [entry.configuration for entry in found.entries if entry.why == NO_TIME]
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"Not measured, since the budget was used up: {'; '.join(names[:3])}{more}."


def _holds(load: Load, entry: Contender) -> str:
    """Write the same with the latency that is kept."""
    what, _ = what_is_held(load)
    return f"{_held(load, entry)} {what}, 99 of 100 within {load.latency_ms:g} ms"


def _held(load: Load, entry: Contender) -> str:
    """Write how many requests a second, or live streams, a configuration holds."""
    if entry.held is None:
        return figures.MISSING
    _, factor = what_is_held(load)
    text = figures.number(entry.held * factor)
    if entry.held_interval is None:
        return text
    low, high = (figures.number(end * factor) for end in entry.held_interval)
    return f"{text} ({low} to {high})"


def _line(found: Answer, entry: Contender) -> list[str]:
    interval = f" ({ends(entry.interval)})" if entry.interval else ""
    wait = figures.number(entry.p95_ms)
    if found.load is not None:
        wait = _held(found.load, entry)
    what = entry.why if entry.fate == "out" else entry.fate
    if entry.ratio is not None:  # which says by how much
        what = what.partition(": ")[0]
    if entry.eer_loss_points is not None and entry.fate != "named":
        what += f"; EER {entry.eer_loss_points:+.2f} points"
    return [
        *(of(entry.cell) for of in SETTINGS.values()),
        entry.heat,
        figures.MISSING if entry.ratio is None else f"{entry.ratio:.3f}{interval}",
        figures.number(entry.times_real_time),
        wait,
        figures.number(entry.memory_mb),
        str(entry.sessions),
        what,
    ]


def _times(found: Answer, gain: Gain) -> str:
    how = "fast" if found.load is None else "many"
    return f"{figures.factor(gain.factor)} times as {how} ({ends(gain.interval)}) as"


def _why_none(found: Answer) -> str:
    left = [entry for entry in found.entries if entry.fate in ("leads", "open", "tied")]
    if not left:
        return "no configuration that was raced keeps all limits"
    missing = sum(entry.why == NO_TIME for entry in found.entries)
    unmeasured = f"; the budget had no time for {missing} more" if missing else ""
    if len(left) == 1:
        what = "leads what was measured" if missing else "is left, and it is not sure yet"
        return f"{'' if missing else 'only '}{left[0].configuration} {what}{unmeasured}"
    first = "; ".join(entry.configuration for entry in left[:3])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    best = "fastest" if found.load is None else "best"
    return f"cannot tell which is {best} of {first}{more}{unmeasured}"


COLORS: dict[Fate, str] = {
    "named": GREEN,
    "leads": BLUE,
    "tied": BLUE,
    "open": BLUE,
    "out": PALE_GREY,
}
ROW_IN, HEAT_IN = 0.2, 0.35
#: What a letter of a configuration's name takes, one in bold among them.
LETTER_IN = 0.058
#: Slower ones are drawn at the edge.
MOST_RATIO = 4.0
NAME = "race"
AXIS = "time against the leader of the heat"
AXIS_OF_HELD = "how far behind the leader of the heat"


def draw(found: Answer) -> Picture | None:
    """Return the picture of a race, None where nothing was measured."""
    heats = list(dict.fromkeys(entry.heat for entry in reversed(found.entries)))
    groups = [
        [each for each in found.entries if each.heat == heat and each.ratio is not None]
        for heat in heats
    ]
    groups = [group for group in groups if group]
    if not groups:
        return None
    never = sum(entry.ratio is None for entry in found.entries)
    remarks = [
        found.host,
        f"goal: {found.goal}",
        f"right is {'slower' if found.load is None else 'worse'}; bars: 95 % interval",
        "green: named; blue: left in the race; grey: dropped",
        *([f"beyond {MOST_RATIO:g} at the edge"] if _is_cut(groups) else []),
        *([f"{never} were not measured, see the table"] if never else []),
    ]
    rows = sum(map(len, groups))
    longest = max(len(entry.configuration) for group in groups for entry in group)
    height_in = rows * ROW_IN + HEAT_IN * len(groups)
    title = re.sub(r" (?=×|jobs?|thread)|(?<=×) ", "\N{NO-BREAK SPACE}", headline(found))
    with Sheet(title=title, caption=" · ".join(remarks), height_in=height_in) as sheet:
        panels = sheet.figure.subplots(
            len(groups),
            1,
            squeeze=False,
            sharex=True,
            gridspec_kw={
                **sheet.margins(left_in=0.2 + LETTER_IN * longest),
                "height_ratios": [len(group) + 1 for group in groups],
                "hspace": 0.35,
            },
        )[:, 0]
        limits = _limits(groups)
        for axes, group in zip(panels, groups, strict=True):
            axes.set(xscale="log", xlim=limits)
            _panel(axes, group)
        panels[-1].set_xlabel(AXIS if found.load is None else AXIS_OF_HELD)
        return sheet.finish(NAME)


def _ends(groups: Iterable[Sequence[Contender]]) -> list[float]:
    """Return all ratios and the ends of their intervals."""
    entries = [entry for group in groups for entry in group if entry.ratio is not None]
    return [end for each in entries for end in (each.ratio or 1.0, *(each.interval or ()))]


def _is_cut(groups: Iterable[Sequence[Contender]]) -> bool:
    return max(_ends(groups)) > MOST_RATIO


def _limits(groups: Iterable[Sequence[Contender]]) -> tuple[float, float]:
    """Return the ends of the axis: all is in between, but what is drawn at the edge."""
    ends = _ends(groups)
    return max(min(ends), 1 / MOST_RATIO) / 1.05, min(max(1.1, *ends), MOST_RATIO) * 1.05


def _panel(axes: Axes, group: Sequence[Contender]) -> None:
    axes.set(ylim=(len(group) - 0.4, -0.6))
    for row, entry in enumerate(group):
        assert entry.ratio is not None
        at = min(entry.ratio, MOST_RATIO)
        color = COLORS[entry.fate]
        if entry.interval is not None:
            low, high = (min(max(end, 1 / MOST_RATIO), MOST_RATIO) for end in entry.interval)
            axes.plot([low, high], [row, row], color=color, linewidth=1.6, zorder=2)
        beyond = entry.ratio > MOST_RATIO
        axes.plot([at], [row], marker=">" if beyond else "o", color=color, markersize=5, zorder=3)
    axes.set_yticks(range(len(group)), [entry.configuration for entry in group], fontsize=7.5)
    for tick, entry in zip(axes.get_yticklabels(), group, strict=True):
        tick.set_color(MUTED if entry.fate == "out" else INK)
        tick.set_fontweight("bold" if entry.fate == "named" else "normal")
    axes.set_title(group[0].heat, loc="left", fontsize=9, color=INK, pad=3)
    dress(axes)
    axes.axvline(1.0, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    plain_log_ticks(axes.xaxis)
