"""Protocols: what the clock includes, and what follows from that for records, rows and tables.

A protocol is a frozen value, told by its name in plans and in stored runs. Those of this repository
are in `BUILT_IN`; a package that declares

    [project.entry-points."rtfbench.protocols"]
    mine = "my_package.protocol:MINE"

brings another as soon as it is installed.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rtfbench.base.values import Interval, NamedValues
from rtfbench.results.load import Load, Traffic
from rtfbench.results.records import Record

#: Name -> `module:attribute` of the value, in the order in which texts list them.
BUILT_IN: Mapping[str, str] = {
    "published": "rtfbench.results.protocols:PUBLISHED",
    "steady": "rtfbench.results.protocols:STEADY",
    "throughput": "rtfbench.results.server:THROUGHPUT",
    "server": "rtfbench.results.server:SERVER",
    "streams": "rtfbench.results.server:STREAMS",
}
#: MLPerf LoadGen's names of scenarios, as plans may write them, where a protocol has another.
SCENARIOS: Mapping[str, str] = {
    "single-stream": "steady",
    "multi-stream": "streams",
    "offline": "throughput",
}


@dataclass(frozen=True)
class Figure:
    """A number that rows of one protocol have, and its column in tables.

    Attributes:
        name: of the row's field, with the unit; what is no field of every row is among its `own`.
        heading: what stands above the column.
        meaning: what it is, for those who read a table.
        of: gives it of a cell's records and RTF; None where they do not tell.
        unit: empty for a count or a ratio.
        detail: whether it stands among the details, and not beside the RTF.
        interval: where it lies, of 95 %; None where a figure has no interval.
    """

    name: str
    heading: str
    meaning: str
    of: Callable[[Sequence[Record], float], float | None]
    unit: str = ""
    detail: bool = False
    interval: Callable[[Sequence[Record]], Interval | None] | None = None


@dataclass(frozen=True)
class Protocol:
    """What the clock includes; what it showed is a record's `processing_ns`.

    A row's level and a pair's contrasts are made of that time. `procedure` is `module:attribute` of
    the `rtfbench.measure.procedures.Procedure` that measures its cells: a text, so that reading a
    run imports nothing that measures.
    """

    name: str
    #: What the clock includes, in a few words, for the heading of a table.
    clock: str
    procedure: str
    #: Each utterance gets a session of its own, opened before the clock starts; its first run, with
    #: what a runtime prepares in it, is timed.
    fresh_session: bool = False
    #: The ratio of two engines depends on the utterance, so that a contrast takes as many blocks as
    #: hold all of them; else each block is one.
    contrast_takes_all: bool = False
    #: A record is one pass over a queue of utterances, at which `jobs` processes work at once.
    queued: bool = False
    #: The loads of a plan's traffic, one a condition; None where no requests arrive.
    loads: Callable[[Traffic], tuple[Load, ...]] | None = None
    #: What MLPerf's LoadGen calls such a load; empty where it has none.
    scenario: str = ""
    #: The chunk that `rtfbench explain` takes apart, and how its sentences name it; None where it
    #: has nothing to say.
    explained: tuple[str, str] | None = None
    #: What of a plan's traffic it takes, by the names of its fields.
    takes: tuple[str, ...] = ()
    #: What its rows tell that others do not.
    figures: tuple[Figure, ...] = ()
    #: Says why a cell's records tell nothing, and nothing where they do.
    invalid: Callable[[Sequence[Record]], str] | None = None
    #: `module:attribute` of a function from a `Summary` to the findings that only it has.
    findings: str = ""

    @property
    def title(self) -> str:
        """The heading of its tables."""
        return f"{self.name} protocol: {self.clock}"

    @property
    def offered(self) -> bool:
        """Whether requests arrive, at a rate that the condition names."""
        return self.loads is not None

    @property
    def meaning(self) -> str:
        """What its name means, for those who read a table."""
        scenario = f" (LoadGen's {self.scenario})" if self.scenario else ""
        return f"{self.name}{scenario}: {self.clock}"


#: What the WeSpeaker runtime times.
PUBLISHED = Protocol(
    name="published",
    clock="a fresh session for every utterance, its first run timed",
    procedure="rtfbench.measure.procedures:FreshSessions",
    fresh_session=True,
    contrast_takes_all=True,
    explained=("the first chunk of a fresh session; loading is not in it", "for the first chunk"),
    findings="rtfbench.report.protocol_findings:protocol_findings",
)
#: What a server sees.
STEADY = Protocol(
    name="steady",
    clock="one session, warmed",
    scenario="single-stream",
    procedure="rtfbench.measure.procedures:KeptSession",
    explained=("a chunk of a warmed session", "a chunk"),
)


_KNOWN = NamedValues(Protocol, group="rtfbench.protocols", built_in=BUILT_IN)


def named(name: str) -> Protocol:
    """Return the protocol of a name, or of LoadGen's name of a scenario.

    Raises:
        UnknownNameError: there is none.
    """
    return _KNOWN.named(SCENARIOS.get(name, name))


class _UnderProtocol(typing.Protocol):
    """A cell, a condition, a row: what names its protocol."""

    @property
    def protocol(self) -> str: ...


Under = TypeVar("Under", bound=_UnderProtocol)


def steady_first(rows: Sequence[Under]) -> list[Under]:
    """Return the rows of the steady protocol, which tells most of an engine; else all."""
    return [row for row in rows if row.protocol == STEADY.name] or list(rows)
