"""Parts of an ONNX graph: a tensor with what computes it, from the input or from other tensors.

A graph is cut at tensors in float32 that depend on the input. Shapes and other whole numbers are
computed anew in every part.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, shape_inference

from rtfbench.base.errors import InputError

Shape = tuple[int | str, ...]  # a name where a size is open
Array = npt.NDArray[Any]
#: What onnxruntime logs: its other lines are told as errors.
FATAL = 4
#: A runtime fuses so many operators into the one before them.
MOST_FUSED = 3


class SourceGraph:
    """A model from features to an embedding, and its tensors in the order of computing."""

    def __init__(self, model: ModelProto, input_name: str, output_name: str) -> None:
        self.model, self.input_name, self.output_name = model, input_name, output_name
        self._nodes = list(model.graph.node)
        self._makers = {name: i for i, node in enumerate(self._nodes) for name in node.output}
        self._stored = {tensor.name for tensor in model.graph.initializer}
        self._users: dict[str, list[int]] = {}
        for place, node in enumerate(self._nodes):
            for name in set(_taken(node)):
                self._users.setdefault(name, []).append(place)
        self.tensors = self._cuttable()

    def _cuttable(self) -> tuple[str, ...]:
        """Return the tensors that the graph can be cut at; the embedding is the last one."""
        inferred = shape_inference.infer_shapes(self.model).graph
        known = [*inferred.value_info, *inferred.output]
        self._described = {value.name: value for value in known}
        types = {value.name: value.type.tensor_type.elem_type for value in known}
        moving = {self.input_name}
        found: list[str] = []
        for index in self.needed(self.output_name):
            node = self._nodes[index]
            if moving.intersection(_taken(node)):
                moving.update(filter(None, node.output))
                found += (name for name in node.output if types.get(name) == TensorProto.FLOAT)
        return (*(name for name in found if name != self.output_name), self.output_name)

    def maker(self, tensor: str) -> NodeProto:
        """Return the node that computes a tensor."""
        node: NodeProto = self._nodes[self._makers[tensor]]
        return node

    def needed(self, tensor: str, given: Collection[str] = ()) -> list[int]:
        """Return the places of the nodes that compute a tensor from `given` and the input."""
        found: set[int] = set()
        waiting = [tensor]
        while waiting:
            name = waiting.pop()
            place = self._makers.get(name)
            if place is not None and place not in found and name not in given:
                found.add(place)
                waiting += _taken(self._nodes[place])
        return sorted(found)

    def operators(self, tensor: str, given: Collection[str]) -> tuple[NodeProto, ...]:
        """Return the nodes that compute a tensor from `given` and the input."""
        return tuple(self._nodes[place] for place in self.needed(tensor, given))

    def weights(self, node: NodeProto) -> tuple[str, ...]:
        """Return the stored tensors that a node takes."""
        return tuple(name for name in node.input if name in self._stored)

    def sources(self, tensor: str, lost: Collection[str] = ()) -> tuple[str, ...]:
        """Return the nearest tensors that one is computed from, the lost ones passed over."""
        whole = set(self.tensors).difference(lost) | {self.input_name}
        found: set[str] = set()
        seen: set[str] = set()
        waiting = _taken(self.maker(tensor))
        while waiting:
            name = waiting.pop()
            if name in whole:
                found.add(name)
            elif name in self._makers and name not in seen:
                seen.add(name)
                waiting += _taken(self.maker(name))
        return tuple(sorted(found, key=lambda name: self._makers.get(name, -1)))

    def followers(self, tensor: str) -> tuple[str, ...]:
        """Return a tensor and those after it that a runtime may fuse with it: all have one user."""
        found = [tensor]
        while len(found) <= MOST_FUSED:
            users = self._users.get(found[-1], [])
            made = self._nodes[users[0]].output[0] if len(users) == 1 else ""
            if made not in self.tensors:
                break
            found.append(made)
        return tuple(found)

    def part(self, outputs: Sequence[str], given: Mapping[str, Shape] | None = None) -> ModelProto:
        """Return the model that computes tensors from others and, where it has to, the input.

        `given` are tensors in float32 that become inputs, with their shapes.
        """
        given = given or {}
        places = sorted({place for name in outputs for place in self.needed(name, given)})
        nodes = [self._nodes[place] for place in places]
        taken = {name for node in nodes for name in _taken(node)}
        graph = self.model.graph
        inputs = [value for value in graph.input if value.name in taken and value.name not in given]
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in given.items()
            if name in taken
        ]
        cut = helper.make_graph(
            nodes,
            "part",
            inputs,
            [self._described[name] for name in outputs],
            [tensor for tensor in graph.initializer if tensor.name in taken],
        )
        return helper.make_model(
            cut,
            opset_imports=self.model.opset_import,
            ir_version=self.model.ir_version,
            functions=self.model.functions,
        )


def compute(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Return a model's outputs: onnxruntime on the graph as it is, without optimisations.

    Raises:
        InputError: onnxruntime cannot compute them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = FATAL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        taken = {port.name: feeds[port.name] for port in session.get_inputs()}
        names = [port.name for port in session.get_outputs()]
        found = session.run(names, taken)
    except Exception as error:  # the binding's exceptions share no public base class
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"the graph: onnxruntime, the reference, cannot run it ({said})"
        ) from error
    return dict(zip(names, map(np.asarray, found), strict=True))


def _taken(node: NodeProto) -> list[str]:
    """Return what a node takes; what its branches and loop bodies take from outside too."""
    return list(filter(None, _taken_anywhere([node])))


def _taken_anywhere(nodes: Iterable[NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _taken_anywhere(attribute.g.node)
