"""torch's operators, timed one by one while the exported program is interpreted."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from engines.profiling import OperatorTime, Profiler
from engines.protocol import Session

#: What computes; the other nodes of a program name inputs and weights.
COMPUTES = ("call_function", "call_method", "call_module")


class Interpreted:
    """A program that is computed node by node, in the order in which torch would."""

    def __init__(self, interpreter: Any) -> None:
        """Take the place of an exported module.

        Args:
            interpreter: a `torch.fx.Interpreter` of it.
        """
        self._interpreter, self._run_node = interpreter, interpreter.run_node
        interpreter.run_node = self._timed
        self.run: list[OperatorTime] = []

    def __call__(self, features_BTM: Any) -> Any:
        """Compute the embeddings."""
        self.run = []
        return self._interpreter.run(features_BTM)

    def _timed(self, node: Any) -> Any:
        before = time.perf_counter_ns()
        found = self._run_node(node)
        took_ns = time.perf_counter_ns() - before
        if node.op in COMPUTES:
            self.run.append(
                OperatorTime(node.name, operator_of(node.target), took_ns, tuple(_sources(node)))
            )
        return found


def operator_of(target: Any) -> str:
    """Return an operator's name: `conv2d` of `aten.conv2d.default`."""
    packet = getattr(target, "overloadpacket", target)
    return str(getattr(packet, "__name__", packet)).strip("_")


def _sources(node: Any) -> Iterator[str]:
    """Yield a node's name and those of the weights that it takes."""
    yield node.name
    for each in node.all_input_nodes:
        if each.op == "get_attr":
            yield str(each.target)


class InterpretedSession(Session, Protocol):
    """A session whose program is interpreted."""

    def interpret(self) -> Interpreted:
        """Compute node by node from now on."""
        ...


class TorchProfiler(Profiler):
    """A session that is interpreted."""

    def __init__(self, session: InterpretedSession) -> None:
        super().__init__(session)
        self._program = session.interpret()
        self._runs: list[tuple[OperatorTime, ...]] = []

    def after_run(self) -> None:
        """Take the operators."""
        self._runs.append(tuple(self._program.run))

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Return what was taken."""
        return self._runs
