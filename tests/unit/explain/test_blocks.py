"""Nodes belong to the part of the model whose weights they have, or come from, or lead to."""

from rtfbench.explain.read_graph import PlacedNode, blocks


def node(inputs: str, output: str, weight: str = "", **facts: bool) -> PlacedNode:
    """Return a node; a convolution over frames where it has a weight."""
    over_frames = facts.get("over_frames", bool(weight))
    reduces = facts.get("reduces", False)
    return PlacedNode(tuple(inputs.split()), (output,), weight, reduces, over_frames)


RESIDUAL = [
    node("feats", "image"),
    node("image", "a", "conv1.weight"),
    node("a", "b"),
    node("b", "c", "layer1.0.conv1.weight"),
    node("c", "d"),
    node("d b", "e"),
    node("e", "f", "layer1.1.conv2.weight"),
    node("f", "g"),
    node("g", "mean", reduces=True),
    node("g mean", "apart"),
    node("apart", "variance", reduces=True),
    node("mean variance", "both"),
    node("both", "embs", "seg_1.weight", over_frames=False),
]


def test_a_residual_network_has_its_layers_pooling_and_embedding() -> None:
    """What has no weights stays with its input; the statistics before the last layer pool."""
    assert blocks(RESIDUAL) == [
        *("conv1", "conv1", "conv1", "layer1.0", "layer1.0", "layer1.0", "layer1.1", "layer1.1"),
        *("pooling", "pooling", "pooling", "pooling", "embedding"),
    ]


def test_a_gate_belongs_to_its_layer() -> None:
    """The mean before a squeeze-and-excitation is no pooling, and the layer goes on after it."""
    found = blocks(
        [
            node("x", "a", "layer1.conv.weight"),
            node("a", "m", reduces=True),
            node("m", "s", "layer2.se.weight", over_frames=False),
            node("s a", "y"),
            node("y", "b", "layer3.conv.weight"),
            node("b", "p", reduces=True),
            node("p", "e", "linear.weight", over_frames=False),
        ]
    )
    assert found == [
        *("layer1", "layer2", "layer2", "layer2", "layer3", "pooling", "embedding"),
    ]


def test_a_pooling_with_weights_is_the_pooling() -> None:
    """Attention over frames is named after the module that it is in."""
    found = blocks(
        [
            node("x", "a", "layer1.conv.weight"),
            node("a", "b", "pool.linear1.weight"),
            node("b", "c", "pool.linear2.weight"),
            node("c a", "d", reduces=True),
            node("d", "e", "linear.weight", over_frames=False),
        ]
    )
    assert found == ["layer1", "pooling", "pooling", "pooling", "embedding"]


def test_modules_that_all_weights_are_in_are_left_out() -> None:
    """A wrapped model has the blocks of what it wraps."""
    found = blocks(
        [node("x", "a", "model.front.conv.weight"), node("a", "b", "model.layer2.3.conv.weight")]
    )
    assert found == ["front", "layer2.3"]


def test_many_layers_are_one_block_each_stage() -> None:
    """A table of a hundred blocks would be none."""
    found = blocks(
        [node(f"x{n}", f"x{n + 1}", f"layer{n // 50}.{n % 50}.conv.weight") for n in range(100)]
    )
    assert set(found) == {"layer0", "layer1"}


def test_a_graph_without_names_is_one_block() -> None:
    """Nothing is invented where nothing is known."""
    assert blocks([node("x", "a"), node("a", "b", reduces=True)]) == ["model", "model"]
