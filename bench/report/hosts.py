"""Several hosts' results side by side: which conclusions hold on all of them, and which turn."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.report import figures
from bench.report.compare import EngineForm, PairedRatio, comparisons, conditions, rows_of, side
from bench.report.grid import grid
from bench.report.markdown import machine
from bench.results.cells import Condition
from bench.results.host import widest_vectors
from bench.results.rows import Summary

Verdict = Literal["holds", "turns", "on some", "one host"]
#: What a verdict means, below the table.
MEANINGS: dict[Verdict, str] = {
    "holds": "the same engine is faster on all hosts, or nowhere do they differ",
    "turns": "the faster engine on one host is the slower one on another",
    "on some": "on some hosts the engines differ, on others they cannot be told apart",
    "one host": "measured on one host only",
}


@dataclass(frozen=True)
class NamedRun:
    """A run with the name of its host."""

    name: str
    summary: Summary


@dataclass(frozen=True)
class Line:
    """A ratio on every host, None where it was not measured."""

    where: Condition
    title: str
    left: EngineForm
    right: EngineForm
    ratios: tuple[PairedRatio | None, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether what one host says holds on the others."""
        known = [each for each in self.ratios if each is not None]
        if len(known) < 2:
            return "one host"
        sides = {(each.ratio > 1) if each.differs else None for each in known}
        if {True, False} <= sides:
            return "turns"
        return "holds" if len(sides) == 1 else "on some"


def named(runs: Sequence[tuple[str, Summary]]) -> list[NamedRun]:
    """Name runs by the shortest of these that no other run has.

    That is their micro-architecture, the same with the widest vectors that it shows (a hypervisor
    can hide some), or with the folder.

    Args:
        runs: the folder's name, and the result.
    """
    candidates = [_names(folder, summary) for folder, summary in runs]
    taken = Counter(each for names in candidates for each in set(names))
    return [
        NamedRun(next((each for each in names if taken[each] == 1), names[-1]), summary)
        for names, (_, summary) in zip(candidates, runs, strict=True)
    ]


def _names(folder: str, summary: Summary) -> list[str]:
    """Return what a run may be called, the shortest first."""
    host = summary.environment.host
    if host is None or not host.microarchitecture:
        return [folder]
    kind, vectors = host.microarchitecture, widest_vectors(host)
    told = [f"{kind}, {vectors}"] if vectors else []
    return [kind, *told, f"{kind} {folder}"]


def lines(runs: Sequence[NamedRun]) -> list[Line]:
    """Return every ratio that any of the runs has, in the order in which they met it."""
    keys: dict[tuple[Condition, EngineForm, EngineForm], str] = {}
    for run in runs:
        for where in conditions(run.summary):
            titles = [row.title for row in run.summary.cells if row.condition == where]
            for each in comparisons(run.summary, where):
                keys.setdefault((where, each.left, each.right), titles[0])
    return [
        Line(
            where,
            title,
            left,
            right,
            tuple(_ratio(run.summary, where, left, right) for run in runs),
        )
        for (where, left, right), title in keys.items()
    ]


def _ratio(
    summary: Summary, where: Condition, left: EngineForm, right: EngineForm
) -> PairedRatio | None:
    found = (
        each for each in comparisons(summary, where) if (each.left, each.right) == (left, right)
    )
    return next(found, None)


def conclusion(found: Sequence[Line]) -> str:
    """Say in one sentence how many ratios carry from host to host."""
    known = [line for line in found if line.verdict != "one host"]
    if not known:
        return "No ratio was measured on two of these hosts."
    counts = {verdict: sum(line.verdict == verdict for line in known) for verdict in MEANINGS}
    parts = [f"{counts['holds']} of {len(known)} ratios say the same on all hosts"]
    if counts["turns"]:
        parts.append(f"in {counts['turns']} the faster engine turns")
    if counts["on some"]:
        parts.append(f"in {counts['on some']} the engines differ on some hosts only")
    return "; ".join(parts) + "."


def render(runs: Sequence[NamedRun]) -> str:
    """Return the whole comparison as markdown."""
    found = lines(runs)
    used = dict.fromkeys(line.verdict for line in found)
    meanings = [f"- {verdict}: {MEANINGS[verdict]}" for verdict in used]
    return "\n".join(
        [
            "## Ratios on each host",
            "",
            f"How many times as long as the reference, with 95 % intervals. {conclusion(found)}",
            "",
            grid(list(_ratio_table(runs, found)), [False] * 3 + [True] * len(runs) + [False]),
            "",
            *meanings,
            "",
            "## RTF on each host",
            "",
            grid(list(_rtf_table(runs)), [False] * 3 + [True] * len(runs)),
            "",
            "## The hosts",
            "",
            *(line for run in runs for line in _host(run)),
            "",
        ]
    )


def _ratio_table(runs: Sequence[NamedRun], found: Sequence[Line]) -> Iterator[list[str]]:
    yield ["Model", "setting", "engine", *(run.name for run in runs), "on all hosts"]
    for line in found:
        texts = [
            figures.MISSING if each is None else figures.ratio(each.ratio, each.ci95)
            for each in line.ratios
        ]
        yield [
            line.title,
            setting(line.where),
            against(line.left, line.right),
            *texts,
            line.verdict,
        ]


def _rtf_table(runs: Sequence[NamedRun]) -> Iterator[list[str]]:
    yield ["Model", "setting", "engine", *(run.name for run in runs)]
    keys: dict[tuple[Condition, EngineForm], str] = {}
    found: list[dict[tuple[Condition, EngineForm], float | None]] = []
    for run in runs:
        rows = [row for where in conditions(run.summary) for row in rows_of(run.summary, where)]
        keys |= {(row.condition, side(row)): row.title for row in rows}
        found.append({(row.condition, side(row)): row.rtf for row in rows})
    for (where, each), title in keys.items():
        texts = [figures.rtf(of_run.get((where, each))) for of_run in found]
        yield [title, setting(where), f"{each.engine} {each.form}", *texts]


def setting(where: Condition) -> str:
    """Say under which setting something was measured."""
    return f"{where.protocol}, {figures.setting(*where.setting)}"


def against(left: EngineForm, right: EngineForm) -> str:
    """Name both sides of a ratio."""
    forms = (f" {left.form}", f" {right.form}") if left.form != right.form else ("", "")
    return f"{left.engine}{forms[0]} / {right.engine}{forms[1]}"


def _host(run: NamedRun) -> Iterator[str]:
    environment = run.summary.environment
    yield (
        f"- {run.name}: {environment.cpu_kind}, {environment.core_count} cores usable, "
        f"started {environment.started_utc}."
    )
    if environment.host is not None:
        yield from (f"  {line}" for line in machine(environment.host))
