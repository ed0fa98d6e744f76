"""The first slower version of a runtime: halving, by comparisons of pairs.

Each comparison is a gate's own: both versions in the same blocks, until the interval of the ratio
lies on one side of the limit. The oldest version is what all others are held against, so drift from
one hour to the next moves no answer. At the end the two neighbours are held against each other.
Versions are those of pip's index, or as a user writes them.
"""

import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

from packaging.version import InvalidVersion, Version

from rtfbench.base.child import Interpreter
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.pace import Progress
from rtfbench.engines import processes, registry
from rtfbench.engines.protocol import EngineError, EngineSpec
from rtfbench.gate.baseline import GateOptions, parse_side
from rtfbench.gate.held import hold
from rtfbench.gate.measure import Held
from rtfbench.gate.sides import interpreter_for
from rtfbench.gate.verdict import Answer, Ruling, overall
from rtfbench.report import figures

SPAN = re.compile(r"(?P<first>[^.\s][^\s]*?)\.\.(?P<last>[^.\s][^\s]*)")
TIMEOUT_S = 120.0
AVAILABLE = re.compile(r"^Available versions: (.*)$", re.MULTILINE)


def between(span: str, released: Sequence[str]) -> list[str]:
    """Return the versions of a span such as `1.20..1.32`, from old to new, both ends included.

    An end of fewer parts stands for all that begin with it: `1.32` takes 1.32.1 too. Pre-releases
    are left out.

    Raises:
        InputError: it is no span, ends before it begins, or holds fewer than two versions.
    """
    match = SPAN.fullmatch(span)
    if match is None:
        raise InputError(f"{span!r}: write the first and the last version as FIRST..LAST")
    first, last = (_version(match[name]) for name in ("first", "last"))
    known = sorted(version for version in map(_version, released) if not version.is_prerelease)
    parts = len(last.release)
    if first.release[:parts] > last.release:
        raise InputError(f"{span}: ends before it begins; write {match['last']}..{match['first']}")
    found = [each for each in known if first <= each and each.release[:parts] <= last.release]
    if len(found) < 2:
        ends = f"{known[0]} to {known[-1]}" if known else "none"
        raise InputError(f"{span}: holds fewer than two versions; there are {ends}")
    return list(map(str, found))


def listed(text: str) -> list[str]:
    """Return versions that are separated by commas, from old to new.

    Raises:
        InputError: one is no version, or there are fewer than two.
    """
    found = sorted(_version(each.strip()) for each in text.split(","))
    if len(set(found)) < 2:
        raise InputError(f"--versions {text}: name two or more, separated by commas")
    return list(dict.fromkeys(map(str, found)))


def released(distribution: str) -> list[str]:
    """Ask pip's index which versions of a distribution it has for this Python.

    Raises:
        InputError: it does not answer, or knows none.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", "--only-binary", ":all:"]
    try:
        done = processes.run(
            [*command, "--disable-pip-version-check", distribution], timeout_s=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{distribution}: pip's index gave no answer within {TIMEOUT_S:g} s; name the versions "
            "with --versions"
        ) from None
    match = AVAILABLE.search(done.stdout.decode(errors="replace"))
    if match is None:
        raise InputError(
            f"{distribution}: pip's index lists no versions; name them with --versions"
        )
    return [each.strip() for each in match[1].split(",")]


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise InputError(f"{text!r}: not a version, such as 1.20 or 3.6.1") from None


SearchEnd = Literal["found", "none", "cannot be told"]
#: The whole span before, and the two neighbours after.
BESIDES = 2


@dataclass(frozen=True)
class Halving:
    """What one comparison said; `why` has its ratio, or how a side ended."""

    base: str
    candidate: str
    answer: Answer
    why: str
    #: Whether times of both were compared.
    measured: bool = True


@dataclass(frozen=True)
class Bisected:
    """The first slower or wrong version and the last good one; None where none was found."""

    outcome: SearchEnd
    steps: tuple[Halving, ...]
    last_good: str | None = None
    first_bad: str | None = None


def most_comparisons(versions: int) -> int:
    """Return how many comparisons a search takes at most, where each version can be told."""
    return math.ceil(math.log2(max(versions - 1, 1))) + BESIDES


def bisect(versions: Sequence[str], judge: Callable[[str, str], Halving]) -> Bisected:
    """Find the first version that is slower, or wrong, than the first of all.

    A version that cannot be told from the first is left out; where the answer lies beside it, the
    versions around are named. There are two or more versions, from old to new, of which the first
    is taken for good; `judge` holds a candidate, its second argument, against a base.
    """
    steps: list[Halving] = []

    def is_bad(base: str, candidate: str) -> bool | None:
        steps.append(judge(base, candidate))
        answer = steps[-1].answer
        return None if answer == "inconclusive" else answer == "regression"

    low, high = 0, len(versions) - 1
    bad = is_bad(versions[low], versions[high])
    if not bad:
        return Bisected("cannot be told" if bad is None else "none", tuple(steps))
    untold: set[int] = set()
    while open_ := [each for each in range(low + 1, high) if each not in untold]:
        middle = open_[len(open_) // 2]
        bad = is_bad(versions[0], versions[middle])
        if bad is None:
            untold.add(middle)
        else:
            low, high = (low, middle) if bad else (middle, high)
    # Where the oldest is a neighbour, the pair was compared already.
    told = high - low == 1 and (low == 0 or is_bad(versions[low], versions[high]))
    end: SearchEnd = "found" if told else "cannot be told"
    return Bisected(end, tuple(steps), versions[low], versions[high])


@dataclass(frozen=True)
class Versions:
    """Versions of an engine's runtime, and how one is held against another."""

    engine: EngineSpec
    chosen: Sequence[str]
    options: GateOptions
    watch: Callable[[], AbstractContextManager[Progress]]
    #: How two sides are held against each other.
    compare: Callable[[str, str, GateOptions, Progress], Held] = hold

    def at(self, version: str) -> str:
        """Return a version as one side of a comparison."""
        return f"{self.engine}@{version}"

    def python_of(self, version: str, phase: Callable[[str], None]) -> Interpreter:
        """Return the Python that has a version; the environment is there, or is made.

        Raises:
            InputError: it cannot be had.
        """
        side = parse_side(self.at(version))
        return interpreter_for(side.packages, None, phase=phase) or Interpreter()

    def hold(self, base: str, candidate: str) -> Halving:
        """Hold one version against another, where the machine cannot tell for twice the budget.

        One between the ends that cannot be had is inconclusive.

        Raises:
            InputError: the oldest or the newest cannot be had, or the model.
        """
        try:
            found = self._hold(base, candidate, self.options)
            if found.answer == "inconclusive" and found.measured:
                longer = replace(self.options, budget_s=2 * self.options.budget_s)
                found = self._hold(base, candidate, longer)
        except InputError as error:
            if candidate == self.chosen[-1]:
                raise
            return Halving(base, candidate, "inconclusive", str(error), measured=False)
        return found

    def _hold(self, base: str, candidate: str, options: GateOptions) -> Halving:
        with self.watch() as progress:
            held = self.compare(self.at(base), self.at(candidate), options, progress)
        if held.interrupted:
            raise KeyboardInterrupt
        rulings = [each for each in held.rulings if each.counts]
        told = "; ".join(map(_told, rulings))
        measured = not rulings or any(each.sessions is not None for each in rulings)
        return Halving(base, candidate, overall(rulings), told, measured)


def distribution_of(engine: EngineSpec) -> str:
    """Return the package that an engine's runtime comes from.

    Raises:
        InputError: it is not known.
    """
    with as_input(EngineError):
        found = registry.get(engine.name).distribution
    if found is None:
        raise InputError(f"{engine.name}: which package it comes from is not known")
    return found


def _told(ruling: Ruling) -> str:
    if ruling.ratio is None:
        return ruling.why
    return f"{ruling.criterion} {figures.ratio(ruling.ratio, ruling.interval)}"


def answer(asked: Versions, found: Bisected) -> str:
    """Return what was found, and what tells the reason."""
    versions = asked.chosen
    low, high = found.last_good or versions[0], found.first_bad or versions[-1]
    if found.outcome == "none":
        limit = figures.percent(asked.options.limit())
        between = "; those in between were not compared" if len(versions) > 2 else ""
        return f"{versions[-1]} is not slower: within {limit} of {versions[0]}{between}"
    if found.outcome == "cannot be told":
        last = found.steps[-1]
        if not last.measured:
            return (
                f"cannot be told between {low} and {high}: {last.candidate} against {last.base} "
                "gave no times; name versions that run, with --versions"
            )
        return (
            f"cannot be told between {low} and {high}: a larger --budget may tell, and a quieter "
            "machine"
        )
    front_end = asked.options.reading.front_end
    return (
        f"{high} is the first that is slower or wrong; {low} is the last good one. To measure both "
        f"again: rtfbench compare {asked.at(low)} {asked.at(high)} --model {asked.options.model}"
        + (f" --front-end {front_end}" if front_end else "")
    )
