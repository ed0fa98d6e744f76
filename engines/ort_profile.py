"""onnxruntime's own profile: a JSON file of events, one an operator and run."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.engines.profiling import OperatorTime, Profiler
from rtfbench.engines.protocol import EngineError

#: What is left of an event's name is the node's.
ENDING = "_kernel_time"
#: What optimisations and the quantiser add to the name of a node or tensor.
ADDED = re.compile(r"^fused |_nchwc$|/duplicated.*$|_(De)?[qQ]uantize(Linear|d)?.*$")
#: Ends the events of a run.
RUN = "model_run"


class OnnxRuntimeProfiler(Profiler):
    """A session that writes its profile into a folder of its own."""

    def __init__(self, open_session: Callable[[Callable[[Any], None]], Any]) -> None:
        """Open a session, given what is to be changed in the runtime's options before."""
        self._folder = TemporaryDirectory(prefix="rtfbench-")
        self._graph = Path(self._folder.name) / "optimised.onnx"
        super().__init__(open_session(self._set))

    def _set(self, options: Any) -> None:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._folder.name) / "profile")
        options.optimized_model_filepath = str(self._graph)
        options.log_severity_level = 3  # it warns that the graph is for this machine

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Read the file."""
        events = json.loads(self._session.end_profiling().read_text(encoding="utf-8"))
        made = made_by(self._graph)
        self._folder.cleanup()
        runs = list(read_runs(events, made))
        if len(runs) != len(self._wall_ns):
            raise EngineError(
                f"onnxruntime's profile has {len(runs)} runs, and {len(self._wall_ns)} were made"
            )
        return runs


def made_by(graph_path: Path) -> dict[str, tuple[str, ...]]:
    """Return node -> tensors that it computes and weights that it takes, of the optimised graph."""
    import onnx

    graph = onnx.load(str(graph_path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    return {
        node.name: (*node.output, *(name for name in node.input if name in weights))
        for node in graph.node
    }


def read_runs(
    events: Iterable[dict[str, Any]], made: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[OperatorTime, ...]]:
    """Yield each run's operators from a profile's events, which are in microseconds."""
    run: list[OperatorTime] = []
    end_us = 0
    # An operator's event comes after those of the graphs inside of it, and begins before them.
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        if event["cat"] == "Session" and event["name"] == RUN:
            if run:
                yield tuple(run)
            run, end_us = [], event["ts"]
        elif event["cat"] == "Node" and event["name"].endswith(ENDING) and event["ts"] >= end_us:
            end_us = event["ts"] + event["dur"]
            name = event["name"].removesuffix(ENDING)
            run.append(
                OperatorTime(
                    name=name,
                    kind=event["args"].get("op_name", ""),
                    ns=event["dur"] * 1000,
                    sources=tuple(_plain((name, *made.get(name, ())))),
                )
            )
    if run:
        yield tuple(run)


def _plain(names: Iterable[str]) -> Iterator[str]:
    """Yield names as the model has them."""
    for name in names:
        yield name
        yield ADDED.sub("", name)
