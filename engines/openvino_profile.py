"""OpenVINO's counters: the mean time of every layer over all runs of a compiled model."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engines.profiling import OperatorTime, Profiler
from engines.protocol import Session

#: Of a layer whose bias was made one of its own.
SPLIT = "/WithoutBiases"
#: Between the names of the layers that a change of layout is from and for.
LAYOUTS = re.compile(r"_[a-eA-E\d]+_[a-eA-E\d]+_")


class CountingSession(Session, Protocol):
    """A session whose model was compiled with counters."""

    def counters(self) -> tuple[Sequence[Any], Mapping[str, str]]:
        """Return the counters, and layer -> the names of what it was fused from, by commas."""
        ...


class OpenVinoProfiler(Profiler):
    """A session with counters; it has one mean for all runs, those that nobody times among them."""

    def __init__(self, session: CountingSession) -> None:
        super().__init__(session)
        self._counting = session

    def took_ns(self) -> Sequence[int]:
        """Return the mean of all runs, as the counters are."""
        mean = sum(self._wall_ns) / max(len(self._wall_ns), 1)
        return [round(mean)] * len(self._wall_ns)

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Read the counters."""
        counters, fused = self._counting.counters()
        mean = tuple(
            OperatorTime(
                name=each.node_name,
                kind=each.node_type,
                ns=round(each.real_time.total_seconds() * 1e9),
                sources=_sources(each.node_name, fused.get(each.node_name, "")),
                implementation=each.exec_type,
            )
            for each in counters
            if each.status.name == "EXECUTED"
        )
        return [mean] * len(self._wall_ns)


def _sources(name: str, fused: str) -> tuple[str, ...]:
    """Return the names of what a layer was made from; a change of layout is its taker's."""
    taker = LAYOUTS.split(name)[-1]
    names = (each.removesuffix(SPLIT) for each in (taker, *filter(None, fused.split(","))))
    return tuple(dict.fromkeys(names))
