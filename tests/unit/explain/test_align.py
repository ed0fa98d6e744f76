"""Operators find their nodes by names and along edges, and every product counts once."""

import pytest

from rtfbench.engines.profiling import PASSING, PREPARING, OperatorTime
from rtfbench.explain import read_graph
from rtfbench.explain.align import INPUT_AND_OUTPUT, NOT_MAPPED, Aligned, align
from rtfbench.explain.read_graph import Graph, Node

CONV = read_graph.convolutions((3, 3), (1, 1), (1, 1), 1)


def node(name: str, inputs: str, output: str, *, kind: str, macs: int | None = None) -> Node:
    """Return a node of the block that its name begins with."""
    return Node(
        name=name,
        kind=kind,
        block=name.partition("_")[0],
        inputs=tuple(inputs.split()),
        outputs=(output,),
        weights=(f"{name}.weight",) if macs else (),
        macs=macs,
    )


#: conv, relu, conv + residual add, relu.
GRAPH = Graph(
    nodes=(
        node("one_conv", "x", "a", kind=CONV, macs=100),
        node("one_relu", "a", "b", kind=read_graph.ACTIVATION),
        node("two_conv", "b", "c", kind=CONV, macs=200),
        node("two_add", "c b", "d", kind=read_graph.ELEMENTWISE),
        node("two_relu", "d", "e", kind=read_graph.ACTIVATION),
    )
)


def operator(name: str, kind: str, ns: int = 10, *sources: str) -> OperatorTime:
    """Return an operator that is named after a tensor, unless sources say otherwise."""
    return OperatorTime(name, kind, ns, sources or (name,))


def names(found: Aligned) -> list[str]:
    """Return the nodes of an operator by name."""
    return [each.name for each in found.nodes]


def test_an_operator_named_after_its_activation_has_its_convolution() -> None:
    """Onnxruntime names a fused operator after the last node: the way back has the products."""
    first, second = align(GRAPH, [operator("b", "Conv"), operator("e", "FusedConv")])
    assert (names(first), first.macs, first.kind) == (["one_conv", "one_relu"], 100, CONV)
    assert (names(second), second.macs, second.block) == (
        ["two_conv", "two_add", "two_relu"],
        200,
        "two",
    )


def test_an_operator_named_after_its_convolution_takes_what_follows() -> None:
    """MNN keeps the convolution's name: nodes that nobody else names were fused into it."""
    found = align(
        GRAPH, [operator("a", "Convolution"), operator("c", "Convolution"), operator("d", "Add")]
    )
    assert [names(each) for each in found] == [
        ["one_conv", "one_relu"],
        ["two_conv"],
        ["two_add", "two_relu"],
    ]
    assert [each.kind for each in found] == [CONV, CONV, read_graph.ELEMENTWISE]


def test_weights_and_nodes_are_names_too() -> None:
    """Torch knows modules and OpenVINO nodes; either finds the same."""
    by_weight, by_node = align(
        GRAPH, [operator("x1", "conv2d", 1, "one_conv.weight"), operator("two_conv", "Convolution")]
    )
    assert (by_weight.macs, by_node.macs) == (100, 200)


def test_products_count_once_where_most_time_is_spent() -> None:
    """Of several operators that one node became, the one that multiplies has its products."""
    found = align(
        GRAPH, [operator("a", "Raster", 99), operator("a", "Convolution", 5), operator("a", "Mul")]
    )
    assert [each.macs for each in found] == [None, 100, None]
    assert [each.kind for each in found] == [read_graph.COPIES, CONV, CONV]
    assert {each.block for each in found} == {"one"}


@pytest.mark.parametrize(
    ("name", "kind", "sources", "block", "group"),
    [
        ("Reorder_1", "ReorderOutput", ("Reorder_1",), NOT_MAPPED, read_graph.COPIES),
        ("mystery", "Mystery", ("mystery",), NOT_MAPPED, read_graph.OTHER),
        ("input and output", PASSING, (), INPUT_AND_OUTPUT, read_graph.COPIES),
        ("resize", PREPARING, (), read_graph.PREPARATION, read_graph.PREPARATION),
    ],
)
def test_what_belongs_to_no_node_is_a_line_of_its_own(
    name: str, kind: str, sources: tuple[str, ...], block: str, group: str
) -> None:
    """Nothing is forced onto a node that it does not name."""
    (found,) = align(GRAPH, [OperatorTime(name, kind, 5, sources)])
    assert (found.block, found.kind, found.macs, found.nodes) == (block, group, None, ())


def test_a_product_without_a_name_is_not_given_to_the_next_operator() -> None:
    """An activation of its own does not take the products of a convolution that was renamed."""
    renamed, activation = align(GRAPH, [operator("conv_17", "Conv"), operator("b", "Relu")])
    assert renamed.macs is None
    assert (names(activation), activation.macs) == (["one_relu"], None)


def test_a_folded_normalisation_is_in_its_module() -> None:
    """What has no node of its own is in the block of the weights beside its own."""
    (found,) = align(GRAPH, [operator("bn", "batch_norm", 1, "two_conv.bn.weight")])
    assert (found.block, found.nodes, found.kind) == ("two", (), read_graph.NORMALISATION)
