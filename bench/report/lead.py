"""Which engines are ahead under a condition, and by how much; rows that tie lead together."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.report import figures
from bench.report.compare import EngineForm, PairedRatio, paired_ratio, rows_of, side
from bench.results.cells import Condition
from bench.results.rows import Summary


@dataclass(frozen=True)
class Lead:
    """The fastest row and those that cannot be told from it, and all others against them.

    `behind` are how many times as long the others take, each against each of the group. Without
    others, everything ties. The same engine in its other form is no rival.
    """

    group: tuple[EngineForm, ...]
    behind: tuple[PairedRatio, ...]

    @property
    def by(self) -> tuple[float, float]:
        """How many times as long the others take, from the least to the most."""
        ratios = [each.ratio for each in self.behind]
        return min(ratios), max(ratios)


def lead(summary: Summary, where: Condition) -> Lead | None:
    """Return who is ahead, None where no group is ahead of all others or intervals are missing."""
    rows = sorted(rows_of(summary, where), key=lambda row: row.rtf or 0.0)
    sides = [side(row) for row in rows]
    if len({each.engine for each in sides}) < 2:
        return None
    best = sides[0]
    against = {each: paired_ratio(summary, where, each, best) for each in sides[1:]}
    if any(found is None or found.ci95 is None for found in against.values()):
        return None
    group = [best, *(each for each, found in against.items() if found and not found.differs)]
    engines = {each.engine for each in group}
    behind = []
    for each in sides:
        for member in group if each not in group and each.engine not in engines else ():
            found = paired_ratio(summary, where, each, member)
            if found is None or not found.differs or found.ratio <= 1:
                return None
            behind.append(found)
    return Lead(tuple(group), tuple(behind))


def group_name(found: Lead, named: Mapping[EngineForm, str]) -> str:
    """Name the rows that lead together, in the order in which all are named."""
    return listed([name for each, name in named.items() if each in found.group])


def told(found: Lead, named: Mapping[EngineForm, str]) -> str:
    """Say who leads and by how much, or that nobody does."""
    if not found.behind:
        return "no engine can be told from the others"
    names = group_name(found, named)
    verb = "is" if len(found.group) == 1 else "are"
    others = list(dict.fromkeys(named[each.left] for each in found.behind))
    what = others[0] if len(others) == 1 else "the others"
    return f"{names} {verb} {span(found.by)} times as fast as {what}"


def span(ends: tuple[float, float]) -> str:
    """Write the range of a factor; one figure where both ends are written alike."""
    low, high = (figures.factor(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def listed(names: list[str]) -> str:
    """Write names as a list in words."""
    names = list(dict.fromkeys(names))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
