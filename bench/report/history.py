"""A history: each host's ratios in the order of time, where they moved, and what changed (pure).

Never across hosts: which engine is faster depends on the processor, so a step between two hosts
would say nothing of the engines. It becomes a document and JSON; its sentences are those of the
pictures too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from rtfbench.base.values import Interval, grouped
from rtfbench.report import document as doc
from rtfbench.report import figures
from rtfbench.report.compare import ends, setting, versions
from rtfbench.report.hosts import against
from rtfbench.results import change_points
from rtfbench.results.cells import Condition
from rtfbench.results.change_points import FEWEST_A_LEVEL, FEWEST_RUNS, MeasuredRatio, Plateau
from rtfbench.results.host import BETWEEN_HOURS, Environment, differences, one_host
from rtfbench.results.rows import CellSummary, EngineForm, Ratio, Summary

#: So many digits of a file's SHA-256 tell it from others.
DIGEST_DIGITS = 12


@dataclass(frozen=True)
class StoredRun:
    """A finished run, and the folder that it is in."""

    folder: str
    summary: Summary

    @property
    def environment(self) -> Environment:
        """Host, software and input of the run."""
        return self.summary.environment

    @property
    def day(self) -> str:
        """The day that it began: 2026-03-04."""
        return self.environment.started_utc[:10]

    @property
    def name(self) -> str:
        """Its day, and its commit or else its folder."""
        return f"{self.day} {self.environment.commit or self.folder}"

    @property
    def disturbed(self) -> bool:
        """Whether its own noise floor says that something else was running."""
        return self.summary.noise is not None and self.summary.noise.contaminated


@dataclass(frozen=True)
class Point:
    """A ratio in a run."""

    run: StoredRun
    ratio: Ratio


@dataclass(frozen=True)
class Change:
    """A step of a ratio: the levels before and after, and between which runs it lies for sure.

    It was found at `first_after`, and is `exact` where the runs leave no other place. `changed` is
    what those two runs record otherwise.
    """

    before: float
    after: float
    factor: float
    ci95: Interval
    first_after: StoredRun
    surely_before: StoredRun
    surely_after: StoredRun
    exact: bool
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One ratio of one host over time.

    `levels` are of the points that have an interval; empty where none were looked for. Those that
    stand `alone` are of no level; `newest_is_off` is how many times the last level the newest run
    is, where it stands alone. A `trend` is how many times the first run the newest is, where the
    ratio drifts and does not step.
    """

    where: Condition
    title: str
    left: EngineForm
    right: EngineForm
    points: tuple[Point, ...]
    levels: tuple[Plateau, ...] = ()
    changes: tuple[Change, ...] = ()
    alone: tuple[Point, ...] = ()
    newest_is_off: float | None = None
    trend: tuple[float, Interval] | None = None

    @property
    def name(self) -> str:
        """What is measured, in words."""
        return f"{self.title}, {against(self.left, self.right)}, {setting(self.where)}"

    @property
    def searched(self) -> tuple[Point, ...]:
        """The points that have an interval, without which a run says nothing of a change."""
        return tuple(point for point in self.points if point.ratio.ci95 is not None)


@dataclass(frozen=True)
class HostHistory:
    """The runs of one host, oldest first, and its ratios.

    `differs` tells it from an earlier host of the same name, as facts with their values there and
    here.
    """

    name: str
    runs: tuple[StoredRun, ...]
    series: tuple[Series, ...]
    differs: tuple[tuple[str, str, str], ...] = ()

    @property
    def changes(self) -> list[tuple[Series, Change]]:
        """Every change with its ratio, the newest first."""
        found = [(each, change) for each in self.series for change in each.changes]
        return sorted(found, key=lambda pair: pair[1].first_after.environment.started_utc)[::-1]


def histories(runs: Iterable[StoredRun], *, search: bool = True) -> list[HostHistory]:
    """Return the history of each host; a run that is there twice counts once.

    Raises:
        ImportError: change points are looked for, and ruptures is not installed.
    """
    once: dict[str, StoredRun] = {}
    for run in sorted(runs, key=lambda run: run.environment.started_utc):
        once.setdefault(run.summary.model_dump_json(), run)
    groups: list[list[StoredRun]] = []
    for run in once.values():
        for group in groups:
            if one_host([each.environment for each in group], run.environment):
                group.append(run)
                break
        else:
            groups.append([run])
    found = []
    for index, group in enumerate(groups):
        own = group[0].environment
        before = (each[0].environment for each in groups[:index])
        alike = (each for each in before if each.cpu_kind == own.cpu_kind)
        differs = next((tuple(differences(each, own)) for each in alike), ())
        series = list(_series(group))
        if search:
            count = sum(len(each.searched) >= FEWEST_RUNS for each in series)
            series = [_searched(each, count) for each in series]
        name = f"Host {index + 1}: {own.cpu_kind}"
        found.append(HostHistory(name, tuple(group), tuple(series), differs))
    return found


def _series(runs: Sequence[StoredRun]) -> Iterator[Series]:
    """Yield every ratio in the order in which the runs met them."""
    points = grouped(
        (each.question, Point(run, each)) for run in runs for each in run.summary.ratios
    )
    for (where, left, right), found in points.items():
        row = _row(found[-1].run, where, left)
        yield Series(where, row.title if row else where.model, left, right, tuple(found))


def _searched(series: Series, count: int) -> Series:
    """Return a ratio with its levels; as it is where there are too few runs."""
    points = series.searched
    if len(points) < FEWEST_RUNS:
        return series
    measured = [MeasuredRatio(each.ratio.ratio, each.ratio.ci95 or (1.0, 1.0)) for each in points]
    found = change_points.search(measured, series=count)
    newest, last = measured[-1], found.levels[-1] if found.levels else None
    off = newest.ratio / last.ratio if last and len(points) - 1 in found.alone else None
    return replace(
        series,
        levels=found.levels,
        changes=tuple(_change(series, measured, *pair) for pair in pairwise(found.levels)),
        alone=tuple(points[place] for place in found.alone),
        newest_is_off=off,
        trend=found.trend,
    )


def _change(
    series: Series, measured: Sequence[MeasuredRatio], before: Plateau, after: Plateau
) -> Change:
    factor, ci95 = change_points.step(before, after)
    runs = [point.run for point in series.searched]
    around = change_points.around(measured, before, after)
    last, first = (runs[place] for place in around)
    # An engine's version is told by its row and by its package.
    changed = tuple({text.lower(): text for text in _changed(last, first, series)}.values())
    found, exact = runs[after.runs[0]], around == (before.runs[-1], after.runs[0])
    return Change(before.ratio, after.ratio, factor, ci95, found, last, first, exact, changed)


def _changed(before: StoredRun, after: StoredRun, series: Series) -> Iterator[str]:
    """Say what two runs record otherwise: engines, the model file, the harness, then the rest."""
    sides = (series.left, series.right)
    for side in dict.fromkeys(sides):
        old, new = (_row(run, series.where, side) for run in (before, after))
        if old is None or new is None:
            continue
        yield from _step(side.engine, old.version, new.version)
        yield from _step(f"build of {side.engine}", old.build, new.build)
        yield from _step(f"{side.engine}'s model file", _file(old, new), _file(new, old))
        yield from _step(f"{side.engine}'s recipe", old.recipe, new.recipe)
    old_host, new_host = before.environment, after.environment
    yield from _step("commit", old_host.commit, new_host.commit)
    yield from _step("rtfbench", old_host.rtfbench, new_host.rtfbench)
    yield from _step("Python", old_host.python, new_host.python)
    yield from _step("system", old_host.os, new_host.os)
    for name in dict.fromkeys([*old_host.packages, *new_host.packages]):
        yield from _step(name, old_host.packages.get(name, ""), new_host.packages.get(name, ""))
    yield from _step("audio", _audio(old_host), _audio(new_host))


def _step(name: str, old: str, new: str) -> Iterator[str]:
    if old != new:
        yield f"{name} {old or 'not told'} → {new or 'not told'}"


def _row(run: StoredRun, where: Condition, side: EngineForm) -> CellSummary | None:
    rows = (row for row in run.summary.cells if row.condition == where)
    return next((r for r in rows if (r.engine_label, r.form) == (side.engine, side.form)), None)


def _file(row: CellSummary, other: CellSummary) -> str:
    """Name a model file as well as both runs can: by its digest, else by its size."""
    if row.artifact_sha256 and other.artifact_sha256:
        return row.artifact_sha256[:DIGEST_DIGITS]
    return "" if row.artifact_bytes is None else f"of {row.artifact_bytes:,} bytes"


def _audio(environment: Environment) -> str:
    return f"of {len(environment.audio)} utterances and {environment.audio_s:.1f} s"


SCHEMA = 1
#: A picture's name -> its title.
Pictures = Mapping[str, str]
EXPLAINED = (
    "A ratio says how many times as long the first engine takes as the second, both measured in "
    "turns in one run, with the 95 % interval of that run. Runs of one host alone stand together."
)
METHOD = (
    f"A change is a level that at least {FEWEST_A_LEVEL} runs share, further from the one before "
    "than runs of this host scatter: by their intervals and by what hours make of a ratio "
    f"({100 * BETWEEN_HOURS:g} %), or more where the steps from run to run are larger. A single "
    "run stands alone. In a host's history without any change, one is seen in about 5 % of cases, "
    "if the hours of its runs are independent; where they resemble each other, more often. A ratio "
    "that drifts along a straight line has a trend and no change. "
    f"Of fewer than {FEWEST_RUNS} runs none is looked for."
)
#: What JSON has of a change as it is.
TOLD_OF_CHANGE = ("before", "after", "factor", "ci95", "changed")
NOT_SEARCHED = "Changes were not looked for"


def sentence(series: Series, change: Change) -> str:
    """Say of a change where, since when, by how much and what else changed."""
    return (
        f"{series.name}: {figures.factor(change.factor)} times what it was "
        f"({ends(change.ci95)}) since {change.first_after.name}{_about(change)}; "
        f"{change.before:.3f} before, {change.after:.3f} after. {between(change)}"
    )


def between(change: Change) -> str:
    """Say what the run surely after a change has other than the one surely before."""
    last = change.surely_before.name
    if not change.changed:
        return f"Since the last run surely before, {last}, nothing changed that a run records."
    return f"Changed since the last run surely before, {last}: {'; '.join(change.changed)}."


def _about(change: Change) -> str:
    """Say between which runs a change lies, where these leave more than one place."""
    if change.exact:
        return ""
    return f" (surely between {change.surely_before.name} and {change.surely_after.name})"


def state(series: Series) -> str:
    """Say in a few words how a ratio changed."""
    count = len(series.searched)
    if count < FEWEST_RUNS:
        return f"too few runs to say: {count} of {FEWEST_RUNS}"
    if not series.levels:
        return "not looked for"
    days = ", ".join(change.first_after.day for change in series.changes)
    parts = [f"changed on {days}" if days else f"none in {count} runs"]
    if series.trend is not None:
        factor, ci95 = series.trend
        parts = [
            f"drifts: over {count} runs to {figures.factor(factor)} times what it was "
            f"({ends(ci95)}), with no step"
        ]
    earlier = [each.run.day for each in series.alone if each is not series.searched[-1]]
    if earlier:
        parts.append(f"alone: {', '.join(earlier)}")
    if series.newest_is_off is not None:
        parts.append(
            f"the newest run is {figures.factor(series.newest_is_off)} times the level before: "
            "one run is no change, measure again"
        )
    return "; ".join(parts)


def nothing(host: HostHistory) -> str:
    """Say of a host without a change how much that says."""
    searched = [each for each in host.series if each.levels]
    if not searched:
        return f"no change was looked for: no ratio has {FEWEST_RUNS} runs"
    drifting = sum(each.trend is not None for each in searched)
    told = f"no change in {figures.counted(len(searched), 'ratio')}"
    return f"{told}, of which {drifting} drift" if drifting else told


def described(host: HostHistory) -> str:
    """Say of how many runs and days a host's history is, and which other host it is not."""
    days = dict.fromkeys((host.runs[0].day, host.runs[-1].day))
    text = f"{figures.counted(len(host.runs), 'run')}, {' to '.join(days)}."
    if host.differs:
        facts = (f"{name} {theirs} there, {ours} here" for name, theirs, ours in host.differs)
        text += f" Not the earlier host of that name: {'; '.join(facts)}."
    return text


def _run_lines(host: HostHistory) -> Iterator[list[str]]:
    """Yield a host's runs, the newest first."""
    for run in reversed(host.runs):
        environment = run.environment
        yield [
            environment.started_utc,
            environment.commit or figures.MISSING,
            run.folder,
            environment.rtfbench,
            ", ".join(versions(run.summary.cells)),
            "disturbed" if run.disturbed else "",
        ]


def of_history(
    hosts: Sequence[HostHistory], left_out: Sequence[str], pictures: Sequence[Pictures]
) -> doc.Document:
    """Return the history as a document: each host's with its pictures, and what is not in it."""
    of_hosts = (_of_host(*each) for each in zip(hosts, pictures, strict=True))
    return doc.document(
        doc.Heading("History", 1), EXPLAINED, doc.bullets(left_out, "warning"), *of_hosts, METHOD
    )


def _of_host(host: HostHistory, pictures: Pictures) -> Iterator[doc.Block]:
    yield doc.Heading(host.name)
    yield doc.Paragraph(described(host))
    yield from doc.bullets((sentence(*each) for each in host.changes), "warning")
    yield from (doc.Image(title, path) for path, title in pictures.items())
    lines = []
    for each in host.series:
        ends = (point.ratio for point in (each.points[0], each.points[-1]))
        told = [figures.ratio(ratio.ratio, ratio.ci95) for ratio in ends]
        lines.append([each.name, str(len(each.points)), *told, state(each)])
    if lines:
        yield doc.table(["Ratio", "Runs", "First", "Newest", "Change"], lines, "lrrrl")
    heads = ["Began", "Commit", "Folder", "rtfbench", "Engines", "Noise"]
    yield doc.table(heads, _run_lines(host), "llllll")


def content(hosts: Sequence[HostHistory], left_out: Sequence[str]) -> dict[str, Any]:
    """Return the history for other programs; fields may be added, none may go."""
    return {"schema": SCHEMA, "left_out": list(left_out), "hosts": list(map(_host, hosts))}


def _host(host: HostHistory) -> dict[str, Any]:
    runs = [
        {
            "folder": run.folder,
            "started_utc": run.environment.started_utc,
            "commit": run.environment.commit,
            "rtfbench": run.environment.rtfbench,
            "engines": versions(run.summary.cells),
            "disturbed": run.disturbed,
        }
        for run in host.runs
    ]
    return {
        "name": host.name,
        "runs": runs,
        "series": [_series_content(host, s) for s in host.series],
    }


def _series_content(host: HostHistory, series: Series) -> dict[str, Any]:
    place = {id(run): index for index, run in enumerate(host.runs)}
    return {
        **series.where.model_dump(),
        "engine": series.left.engine,
        "form": series.left.form,
        "reference": series.right.engine,
        "reference_form": series.right.form,
        "points": [
            {"run": place[id(p.run)], "ratio": p.ratio.ratio, "ci95": p.ratio.ci95}
            for p in series.points
        ],
        "changes": [
            {
                "first_run_after": place[id(change.first_after)],
                "surely_before": place[id(change.surely_before)],
                "surely_after": place[id(change.surely_after)],
                **{name: getattr(change, name) for name in TOLD_OF_CHANGE},
            }
            for change in series.changes
        ],
        "alone": [place[id(point.run)] for point in series.alone],
        "newest_is_off": series.newest_is_off,
        "state": state(series),
    }
