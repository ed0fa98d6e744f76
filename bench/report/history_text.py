"""A history as a document and as JSON; its sentences are those of the pictures too (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rtfbench.report import figures
from rtfbench.report.compare import ends
from rtfbench.report.document import (
    Block,
    Document,
    Heading,
    Image,
    Paragraph,
    bullets,
    document,
    table,
)
from rtfbench.report.history import Change, HostHistory, Point, Series, StoredRun
from rtfbench.results.change_points import FEWEST_A_LEVEL, FEWEST_RUNS
from rtfbench.results.same_host import BETWEEN_HOURS

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


def _ratio_lines(host: HostHistory) -> Iterator[list[str]]:
    for each in host.series:
        first, newest = (_ratio(point) for point in (each.points[0], each.points[-1]))
        yield [each.name, str(len(each.points)), first, newest, state(each)]


def _run_lines(host: HostHistory) -> Iterator[list[str]]:
    """Yield a host's runs, the newest first."""
    for run in reversed(host.runs):
        environment = run.environment
        yield [
            environment.started_utc,
            environment.commit or figures.MISSING,
            run.folder,
            environment.rtfbench,
            ", ".join(_engines(run)),
            "disturbed" if run.disturbed else "",
        ]


def of_history(
    hosts: Sequence[HostHistory], left_out: Sequence[str], pictures: Sequence[Pictures]
) -> Document:
    """Return the history as a document.

    Args:
        hosts: their histories.
        left_out: what is not in it, a sentence each.
        pictures: those of each host, by the path at which they stand.
    """
    of_hosts = (_of_host(*each) for each in zip(hosts, pictures, strict=True))
    return document(
        Heading("History", 1), EXPLAINED, bullets(left_out, "warning"), *of_hosts, METHOD
    )


def _of_host(host: HostHistory, pictures: Pictures) -> Iterator[Block]:
    yield Heading(host.name)
    yield Paragraph(described(host))
    yield from bullets((sentence(*each) for each in host.changes), "warning")
    yield from (Image(title, path) for path, title in pictures.items())
    if host.series:
        yield table(["Ratio", "Runs", "First", "Newest", "Change"], _ratio_lines(host), "lrrrl")
    heads = ["Began", "Commit", "Folder", "rtfbench", "Engines", "Noise"]
    yield table(heads, _run_lines(host), "llllll")


def content(hosts: Sequence[HostHistory], left_out: Sequence[str]) -> dict[str, Any]:
    """Return the history for other programs; fields may be added, none may go."""
    return {"schema": SCHEMA, "left_out": list(left_out), "hosts": list(map(_host, hosts))}


def _ratio(point: Point) -> str:
    return figures.ratio(point.ratio.ratio, point.ratio.ci95)


def _engines(run: StoredRun) -> Iterator[str]:
    yield from dict.fromkeys(f"{r.engine} {r.version}" for r in run.summary.cells if r.version)


def _host(host: HostHistory) -> dict[str, Any]:
    runs = [
        {
            "folder": run.folder,
            "started_utc": run.environment.started_utc,
            "commit": run.environment.commit,
            "rtfbench": run.environment.rtfbench,
            "engines": list(_engines(run)),
            "disturbed": run.disturbed,
        }
        for run in host.runs
    ]
    return {"name": host.name, "runs": runs, "series": [_series(host, s) for s in host.series]}


def _series(host: HostHistory, series: Series) -> dict[str, Any]:
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
                "before": change.before,
                "after": change.after,
                "factor": change.factor,
                "ci95": change.ci95,
                "changed": change.changed,
            }
            for change in series.changes
        ],
        "alone": [place[id(point.run)] for point in series.alone],
        "newest_is_off": series.newest_is_off,
        "state": state(series),
    }
