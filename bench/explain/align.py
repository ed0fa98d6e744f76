"""From operators of a runtime's graph to nodes of the source graph (pure).

Names survive most conversions, of nodes, of the tensors that they compute or of weights. What an
operator was fused from has no name left; it is found along the graph's edges.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rtfbench.engines.profiling import OperatorTime
from rtfbench.explain import read_graph as kinds
from rtfbench.explain.read_graph import Graph, Node

#: The block of operators that belong to no node.
NOT_MAPPED, INPUT_AND_OUTPUT = "not mapped to the model", "input and output"


@dataclass(frozen=True)
class Aligned:
    """An operator with the nodes that it computes, and what it is grouped by."""

    operator: OperatorTime
    nodes: tuple[Node, ...]
    kind: str
    block: str
    macs: int | None


def align(graph: Graph, operators: Sequence[OperatorTime]) -> list[Aligned]:
    """Return every operator with its nodes; a node's multiplications count in one operator."""
    found = _Alignment(graph)
    claims = [found.named(operator.sources) for operator in operators]
    for operator, claim in zip(operators, claims, strict=True):
        if kinds.multiplies(operator.kind):
            claim |= found.fused_before(claim)
    found.take_rest(operators, claims)
    counted = _counted(graph, operators, claims)
    modules = _modules(graph)
    return [
        _aligned(graph, operator, sorted(claim), [i for i in claim if counted.get(i) == n], modules)
        for n, (operator, claim) in enumerate(zip(operators, claims, strict=True))
    ]


class _Alignment:
    """Which nodes are claimed; nodes are known by their place in the graph."""

    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.nodes
        self._by_name: dict[str, int] = {}
        self._maker: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            for name in (*node.weights, *node.outputs, node.name):
                self._by_name[name] = index
            self._maker |= dict.fromkeys(node.outputs, index)
        self._claimed: set[int] = set()

    def named(self, names: Iterable[str]) -> set[int]:
        """Return the nodes that an operator names."""
        found = {self._by_name[name] for name in names if name in self._by_name}
        self._claimed |= found
        return found

    def fused_before(self, claim: set[int]) -> set[int]:
        """Return the way back to the multiplying node that bears no name any more.

        An operator that multiplies may be named after the activation that it was fused with.
        """
        if any(self._nodes[index].macs for index in claim):
            return set()
        ways = [(index, frozenset({index})) for index in sorted(claim, reverse=True)]
        while ways:
            index, way = ways.pop(0)
            for before in self._free_before(index):
                if self._nodes[before].macs:
                    self._claimed |= way | {before}
                    return {*way, before}
                ways.append((before, way | {before}))
        return set()

    def take_rest(self, operators: Sequence[OperatorTime], claims: Sequence[set[int]]) -> None:
        """Give nodes that compute no products to the operator that their input comes from."""
        owner: dict[int, int] = {}
        for number, (operator, claim) in enumerate(zip(operators, claims, strict=True)):
            if not kinds.moves(operator.kind):
                owner |= {index: owner.get(index, number) for index in claim}
        for index, node in enumerate(self._nodes):
            if index in self._claimed or node.macs:
                continue
            # What was computed last is what it was fused with; the rest are shortcuts.
            before = max(
                (self._maker[name] for name in node.inputs if name in self._maker), default=-1
            )
            taker = owner.get(before)
            if taker is not None:
                owner[index] = taker
                claims[taker].add(index)

    def _free_before(self, index: int) -> list[int]:
        """Return the unclaimed nodes that a node's inputs come from."""
        makers = (self._maker.get(name) for name in self._nodes[index].inputs)
        return [each for each in makers if each is not None and each not in self._claimed]


def _counted(
    graph: Graph, operators: Sequence[OperatorTime], claims: Sequence[set[int]]
) -> dict[int, int]:
    """Return node -> the operator where its multiplications count: that with most of the time."""
    rank = [(kinds.multiplies(each.kind), each.ns) for each in operators]
    best: dict[int, int] = {}
    for number, claim in enumerate(claims):
        for index in filter(lambda index: graph.nodes[index].macs, claim):
            best[index] = max(best.get(index, number), number, key=rank.__getitem__)
    return best


def _modules(graph: Graph) -> dict[str, str]:
    """Return every module that has weights -> its block."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        for weight in node.weights:
            found |= {module: found.get(module, node.block) for module in _around(weight)}
    return found


def _around(weight: str) -> Iterator[str]:
    """Yield the modules that a weight is in, the innermost first."""
    while "." in weight:
        weight = weight.rpartition(".")[0]
        yield weight


def _neighbours(names: Iterable[str], modules: Mapping[str, str]) -> str:
    """Return the block of the module that an operator's weights are in.

    A normalisation that the exporter folded away has no node, and its module has others.
    """
    return next(
        (modules[each] for name in names for each in _around(name) if each in modules), NOT_MAPPED
    )


def _aligned(
    graph: Graph,
    operator: OperatorTime,
    claim: Sequence[int],
    counted: Sequence[int],
    modules: Mapping[str, str],
) -> Aligned:
    """Return an operator with its groups, those of what multiplies most in it."""
    nodes = tuple(graph.nodes[index] for index in claim)
    macs = [(graph.nodes[index].macs or 0, graph.nodes[index]) for index in counted]
    main = max(macs, key=lambda each: each[0])[1] if macs else (nodes[0] if nodes else None)
    own = kinds.kind_of(operator.kind)
    if own == kinds.PREPARATION:
        block = kinds.PREPARATION
    elif main is not None:
        block = main.block
    elif operator.sources:
        block = _neighbours(operator.sources, modules)
    else:
        block = INPUT_AND_OUTPUT
    return Aligned(
        operator=operator,
        nodes=nodes,
        kind=own if main is None or kinds.moves(operator.kind) else main.kind,
        block=block,
        macs=sum(each for each, _ in macs) or None,
    )
