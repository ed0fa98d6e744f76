"""Runs of many hosts as one table: a line a ratio and host (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtfbench.base.values import grouped
from rtfbench.report import figures
from rtfbench.report.compare import comparisons, conditions, rows_of, setting, side
from rtfbench.report.hosts import MEANINGS, Line, against
from rtfbench.report.html import read, template
from rtfbench.results.host import Environment, Host, widest_vectors
from rtfbench.results.rows import CellSummary, Ratio, Summary

#: The table's columns: name, heading, whether one is of numbers, and whether rows are chosen by it.
COLUMNS = (
    ("model", "Model", False, True),
    ("engine", "engine", False, True),
    ("ratio", "× reference (95 %)", True, False),
    ("host", "host", False, True),
    ("setting", "setting", False, True),
    ("hosts", "on all hosts", False, True),
    ("reference", "reference", False, True),
    ("precision", "precision", False, True),
    ("checked", "checked", False, True),
)


@dataclass(frozen=True)
class CollectedRun:
    """A run of the collection: what `check` says of it, and where in the site its files are."""

    #: Its folder in the site, with slashes.
    path: str
    summary: Summary
    answer: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class Entry:
    """A ratio on one host: texts by column, what the ratio is sorted by, and its run."""

    texts: dict[str, str]
    ratio: float
    run: CollectedRun


@dataclass(frozen=True)
class _Found:
    """A ratio of one run, and the row whose speed it is."""

    ratio: Ratio
    row: CellSummary
    host: str
    run: CollectedRun


def render(runs: Sequence[CollectedRun]) -> str:
    """Return the first page of the site.

    Raises:
        ImportError: jinja2 is not installed.
    """
    hosts = host_names([run.summary.environment for run in runs])
    found = entries(runs, hosts)
    return template("collection.html.j2").render(
        title=f"{len(set(hosts))} hosts, {len(runs)} runs",
        columns=COLUMNS,
        choices={
            name: list(dict.fromkeys(each.texts[name] for each in found))
            for name, _, _, chosen in COLUMNS
            if chosen
        },
        entries=found,
        meanings=MEANINGS.items(),
        runs=list(zip(hosts, runs, strict=True)),
        style=read("report.css"),
        script=read("report.js"),
    )


def entries(runs: Sequence[CollectedRun], hosts: Sequence[str]) -> list[Entry]:
    """Return every ratio of every run, whose hosts are named; first those that most hosts have.

    Those of one question stand together, host by host.
    """
    groups = grouped(
        (each.ratio.question, each)
        for run, host in zip(runs, hosts, strict=True)
        for each in _ratios(run, host)
    )

    def place(group: Sequence[_Found]) -> tuple[int, str]:
        return -len({each.host for each in group}), group[0].row.title

    return [entry for group in sorted(groups.values(), key=place) for entry in _entries(group)]


def _ratios(run: CollectedRun, host: str) -> Iterator[_Found]:
    for where in conditions(run.summary):
        rows = {side(row): row for row in rows_of(run.summary, where)}
        for ratio in comparisons(run.summary, where):
            if ratio.left in rows:
                yield _Found(ratio, rows[ratio.left], host, run)


def _entries(group: Sequence[_Found]) -> Iterator[Entry]:
    """Yield the lines of one question, with what holds on all hosts that may answer it.

    A host counts once, with its last run; a run that is not what its records say does not count.
    """
    counted = {each.host: each.ratio for each in group if each.run.answer != "differs"}
    where, left, right = group[0].ratio.question
    verdict = Line(group[0].row.title, where, left, right, tuple(counted.values())).verdict
    engine, _, reference = against(left, right).partition(" / ")
    for each in group:
        texts = {
            "model": each.row.title,
            "engine": engine,
            "reference": reference,
            "precision": each.row.precision,
            "setting": setting(where),
            "host": each.host,
            "ratio": figures.ratio(each.ratio.ratio, each.ratio.ci95)
            + " *" * each.ratio.provisional,
            "hosts": verdict,
            "checked": each.run.answer,
        }
        yield Entry(texts, each.ratio.ratio, each.run)


def host_names(environments: Sequence[Environment]) -> list[str]:
    """Name each run's host: its micro-architecture, and its vectors where some show others.

    A hypervisor can hide some of a processor's vectors, which makes another host of it.
    """
    hosts = [each.host or Host() for each in environments]
    shown = grouped((host.microarchitecture, widest_vectors(host)) for host in hosts)
    names = []
    for environment, host in zip(environments, hosts, strict=True):
        kind, widest = host.microarchitecture, widest_vectors(host)
        several = len(set(shown[kind])) > 1
        name = f"{kind}, {widest}" if several and widest else kind
        names.append(name if kind else environment.cpu_kind)
    return names
