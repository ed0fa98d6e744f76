"""Several hosts' results side by side: which conclusions hold on all of them, and which turn."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rtfbench.report import figures
from rtfbench.report.about import machine
from rtfbench.report.compare import conditions, rows_of, setting, side
from rtfbench.report.document import Document, Heading, bullets, document, table
from rtfbench.results.cells import Condition
from rtfbench.results.host import widest_vectors
from rtfbench.results.rows import CellSummary, EngineForm, Ratio, Summary

Verdict = Literal["holds", "another factor", "turns", "on some", "one host"]
#: What a verdict means, below the table.
MEANINGS: dict[Verdict, str] = {
    "holds": "the hosts' intervals share a ratio",
    "another factor": "the same engine is faster on all hosts, by factors that surely differ",
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

    title: str
    where: Condition
    left: EngineForm
    right: EngineForm
    ratios: tuple[Ratio | None, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether what one host says holds on the others."""
        known = [each for each in self.ratios if each is not None]
        if len(known) < 2:
            return "one host"
        sides = {(each.ratio > 1) if each.differs else None for each in known}
        if {True, False} <= sides:
            return "turns"
        if len(sides) > 1:
            return "on some"
        ends = [each.ci95 for each in known if each.ci95 is not None]
        shared = max(low for low, _ in ends) <= min(high for _, high in ends) if ends else True
        return "holds" if shared else "another factor"


def named(runs: Sequence[tuple[str, Summary]]) -> list[NamedRun]:
    """Name runs, folder and result, by the shortest of these that no other run has.

    That is their micro-architecture, the same with the widest vectors that it shows (a hypervisor
    can hide some), or with the folder.
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
    titles: dict[tuple[Condition, EngineForm, EngineForm], str] = {}
    for run in runs:
        known = {row.condition: row.title for row in reversed(run.summary.cells)}
        for each in run.summary.ratios:
            if each.condition in known:
                titles.setdefault(each.question, known[each.condition])
    found = [{each.question: each for each in reversed(run.summary.ratios)} for run in runs]
    return [
        Line(title, *question, tuple(own.get(question) for own in found))
        for question, title in titles.items()
    ]


def conclusion(found: Sequence[Line]) -> str:
    """Say in one sentence how many ratios carry from host to host."""
    known = [line for line in found if line.verdict != "one host"]
    if not known:
        return "No ratio was measured on two of these hosts."
    counts = Counter(line.verdict for line in known)
    others: dict[Verdict, str] = {
        "another factor": "the same engine is faster, by another factor",
        "turns": "the faster engine turns",
        "on some": "the engines differ on some hosts only",
    }
    parts = [f"{counts['holds']} of {len(known)} ratios are the same on all hosts"]
    parts += [f"in {counts[each]} {text}" for each, text in others.items() if counts[each]]
    return "; ".join(parts) + "."


def of_hosts(runs: Sequence[NamedRun]) -> Document:
    """Return the whole comparison."""
    found = lines(runs)
    used = dict.fromkeys(line.verdict for line in found)
    names = [run.name for run in runs]
    setting_heads, right = ["Model", "setting", "engine"], "r" * len(runs)
    return document(
        Heading("Ratios on each host"),
        f"How many times as long as the reference, with 95 % intervals. {conclusion(found)}",
        table([*setting_heads, *names, "on all hosts"], map(_ratios, found), f"lll{right}l"),
        bullets(f"{verdict}: {MEANINGS[verdict]}" for verdict in used),
        Heading("RTF on each host"),
        "Each with half of its 95 % interval, of its own host and hour: a difference between two "
        "columns is not one of the engines.",
        table([*setting_heads, *names], _rtfs(runs), f"lll{right}"),
        Heading("The hosts"),
        bullets("\n".join(_host(run)) for run in runs),
    )


def _ratios(line: Line) -> list[str]:
    texts = [
        figures.ratio(each.ratio, each.ci95) + " provisional" * each.provisional
        if each
        else figures.MISSING
        for each in line.ratios
    ]
    engines = against(line.left, line.right)
    return [line.title, setting(line.where), engines, *texts, line.verdict]


def _rtfs(runs: Sequence[NamedRun]) -> Iterator[list[str]]:
    keys: dict[tuple[Condition, EngineForm], str] = {}
    found: list[dict[tuple[Condition, EngineForm], str]] = []
    for run in runs:
        rows = [row for where in conditions(run.summary) for row in rows_of(run.summary, where)]
        keys |= {(row.condition, side(row)): row.title for row in rows}
        asked = len(run.summary.environment.audio)
        found.append({(row.condition, side(row)): _rtf(row, asked) for row in rows})
    for (where, each), title in keys.items():
        texts = [of_run.get((where, each), figures.MISSING) for of_run in found]
        yield [title, setting(where), f"{each.engine} {each.form}", *texts]


def _rtf(row: CellSummary, asked: int) -> str:
    """Write an RTF with its interval, and of how many utterances it is where that is not all."""
    half = figures.plus_minus(row.rtf_ci95) if row.rtf_ci95 else "one session"
    covered = row.utterances is None or row.utterances == asked
    return f"{figures.rtf(row.rtf)} ({half}{'' if covered else f'; {row.utterances} of {asked}'})"


def against(left: EngineForm, right: EngineForm) -> str:
    """Name both sides of a ratio."""
    forms = (f" {left.form}", f" {right.form}") if left.form != right.form else ("", "")
    return f"{left.engine}{forms[0]} / {right.engine}{forms[1]}"


def _host(run: NamedRun) -> Iterator[str]:
    environment = run.summary.environment
    yield (
        f"{run.name}: {environment.cpu_kind}, {environment.core_count} cores usable, "
        f"started {environment.started_utc}."
    )
    if run.summary.noise is not None:
        yield f"  {run.summary.noise.sentence.partition(';')[0]}"
    if environment.host is not None:
        yield from (f"  {line}" for line in machine(environment.host))
