"""Which part of the model a node belongs to, by the names of weights (pure).

Exporters keep the names that weights have in the model: `layer1.0.conv1.weight`. A node without
weights belongs where its input comes from; what reduces over frames, and all that follows from it,
belongs to what takes it up: the gate of a squeeze-and-excitation, or the pooling.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from bench.explain.graph import EMBEDDING, POOLING

#: More blocks than these make no table: numbered layers are then one block each.
MOST_BLOCKS = 24


@dataclass(frozen=True)
class Placed:
    """What is known of a node's place.

    Attributes:
        inputs: tensors that it takes, stored ones left out.
        outputs: tensors that it computes.
        weight: a stored tensor that it alone takes, empty where there is none.
        reduces: whether it is a pooling or a reduction.
        over_frames: whether it has weights, and computes a value a frame.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight: str = ""
    reduces: bool = False
    over_frames: bool = False


def blocks(nodes: Sequence[Placed]) -> list[str]:
    """Return the block of every node, given in the order in which they are computed."""
    own = _own_blocks(nodes)
    first = next((name for name in own if name), "")
    reduced = _reduced(nodes, own)
    later = _taken_up_by(nodes, own)
    found: list[str] = []
    made: dict[str, str] = {}
    for index, node in enumerate(nodes):
        earlier = next((made[name] for name in node.inputs if name in made), first)
        name = own[index] or ((later[index] or earlier) if reduced[index] else earlier)
        found.append(name or "model")
        made |= dict.fromkeys(node.outputs, name)
    return found


def _own_blocks(nodes: Sequence[Placed]) -> list[str]:
    """Return the block that a node's weight names, empty without one."""
    last = max((index for index, node in enumerate(nodes) if node.over_frames), default=-1)
    paths = [_path(node.weight) for node in nodes]
    shared = _shared([path for path in paths if path])
    names = [_name(path[shared:], whole=True) for path in paths]
    if len(set(names)) > MOST_BLOCKS:
        names = [_name(path[shared:], whole=False) for path in paths]
    return [
        EMBEDDING if name and last >= 0 and index > last and name != POOLING else name
        for index, name in enumerate(names)
    ]


def _path(weight: str) -> tuple[str, ...]:
    """Return the modules that a weight is in."""
    return tuple(re.split(r"[./]+", weight.strip("./")))[:-1] if weight else ()


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """Return how many modules all weights are in."""
    if len(paths) < 2:
        return 0
    columns = zip(*paths, strict=False)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    return min(shared, min(map(len, paths)) - 1)


def _name(path: tuple[str, ...], *, whole: bool) -> str:
    """Return a block's name: modules up to the first that is numbered, `layer1` or `blocks.1`.

    Where the `whole` is wanted, the number of a layer within comes to it: `layer1.0`.
    """
    if not path:
        return ""
    if "pool" in path[0].lower():
        return POOLING
    numbered = (index for index, module in enumerate(path) if module[-1:].isdigit())
    end = next(numbered, 0) + 1
    if whole and len(path) > end and path[end].isdigit():
        end += 1
    return ".".join(path[:end])


def _reduced(nodes: Sequence[Placed], own: Sequence[str]) -> list[bool]:
    """Say of nodes without weights whether they follow from a reduction that has none between."""
    found: list[bool] = []
    tensors: set[str] = set()
    for node, name in zip(nodes, own, strict=True):
        follows = not name and (node.reduces or any(each in tensors for each in node.inputs))
        found.append(follows)
        tensors |= set(node.outputs) if follows else set()
    return found


def _taken_up_by(nodes: Sequence[Placed], own: Sequence[str]) -> list[str]:
    """Return the block of the first node with weights that each node's outputs lead to.

    Those that lead to the embedding, which no layer takes up before, are the pooling.
    """
    wants: dict[str, str] = {}
    found = [""] * len(nodes)
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        leads = next((wants[name] for name in node.outputs if wants.get(name)), "")
        found[index] = own[index] or (POOLING if leads == EMBEDDING else leads)
        wants |= dict.fromkeys(node.inputs, own[index] or leads)
    return found
