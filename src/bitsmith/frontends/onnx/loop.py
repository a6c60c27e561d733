"""Loops of a fixed number of steps, which tf2onnx makes of recurrent layers, as so many copies of their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

MAX_STEPS = 10_000

MAX_COPIES = 50_000
"""Most nodes that a loop may become."""


def unrolled(graph: onnx.GraphProto, opset: int) -> tuple[onnx.GraphProto, tuple[str, ...]]:
    """``graph`` without its loops whose number of steps is a constant.

    Returns:
        The graph, and the names of values which must be known to be true, because a loop would end early otherwise.
    """
    if all(node.op_type != "Loop" for node in graph.node):
        return graph, ()
    import onnx

    known = {tensor.name: tensor for tensor in graph.initializer}
    opened = onnx.GraphProto(name=graph.name, input=graph.input, output=graph.output, initializer=graph.initializer)
    opened.sparse_initializer.extend(graph.sparse_initializer)
    conditions: list[str] = []
    for node in graph.node:
        steps = _steps(node, known)
        if steps is None:
            opened.node.append(node)
        else:
            conditions += _open(node, steps, opened, opset)
    return opened, tuple(conditions)


def _steps(node: onnx.NodeProto, known: Mapping[str, onnx.TensorProto]) -> int | None:
    """The number of steps of a loop that can be opened."""
    from onnx import AttributeProto, TensorProto, numpy_helper

    if node.op_type != "Loop" or node.domain not in ("", "ai.onnx") or len(node.input) < 2:
        return None
    tensor, body = known.get(node.input[0]), _body(node)
    if tensor is None or tensor.data_type != TensorProto.INT64 or tensor.data_location == TensorProto.EXTERNAL:
        return None
    names = [value.name for values in (body.input, body.output, body.initializer) for value in values]
    names += [name for inner in body.node for name in (inner.name, *inner.input, *inner.output)]
    nested = any(
        entry.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for inner in body.node for entry in inner.attribute
    )
    carried = len(node.input) - 2
    fits = len(body.input) == carried + 2 and carried + 1 <= len(body.output) and len(node.output) < len(body.output)
    if nested or not fits or not all(isinstance(name, str) for name in names):
        return None
    try:
        steps = int(numpy_helper.to_array(tensor).reshape(()))
    except (ValueError, TypeError):
        return None
    limit = min(MAX_STEPS, MAX_COPIES // max(len(body.node), 1))
    held = any(value.name in known for value in body.initializer)
    return steps if 0 < steps <= limit and not held else None


def _body(node: onnx.NodeProto) -> onnx.GraphProto:
    """The body of a loop; an empty one if there is none."""
    from onnx import GraphProto

    return next((entry.g for entry in node.attribute if entry.name == "body"), GraphProto())


def _open(node: onnx.NodeProto, steps: int, opened: onnx.GraphProto, opset: int) -> list[str]:
    """Append the steps of a loop to ``opened``; the values that must be true."""
    from onnx import TensorProto, helper

    body, carried = _body(node), len(node.input) - 2
    called = node.name or node.output[0]
    opened.initializer.extend(body.initializer)
    front = f"{called}_axis"
    opened.initializer.append(helper.make_tensor(front, TensorProto.INT64, [1], [0]))
    state, conditions = list(node.input[1:]), [node.input[1]]
    if not state[0]:
        state[0] = f"{called}_begin"
        conditions = []
        opened.initializer.append(helper.make_tensor(state[0], TensorProto.BOOL, [], [True]))
    rows: list[list[str]] = [[] for _ in body.output[carried + 1 :]]
    for step in range(steps):
        number = f"{called}_number{step}"
        opened.initializer.append(helper.make_tensor(number, TensorProto.INT64, [], [step]))
        names = dict(zip([value.name for value in body.input], [number, *state], strict=True))
        names |= {name: f"{name}_step{step}" for inner in body.node for name in inner.output if name}
        for inner in body.node:
            copy = opened.node.add()
            copy.CopyFrom(inner)
            copy.name = f"{inner.name or inner.op_type}_step{step}"
            for wires in (copy.input, copy.output):
                wires[:] = [names.get(name, name) for name in wires]
        results = [names.get(value.name, value.name) for value in body.output]
        state = results[: carried + 1]
        conditions += state[:1] if step + 1 < steps else []
        for row, result in zip(rows, results[carried + 1 :], strict=True):
            row.append(f"{result}_row{step}")
            if opset >= 13:
                thin = helper.make_node("Unsqueeze", [result, front], [row[-1]], name=row[-1])
            else:
                thin = helper.make_node("Unsqueeze", [result], [row[-1]], name=row[-1], axes=[0])
            opened.node.append(thin)
    for output, final in zip(node.output, state[1:], strict=False):
        opened.node.append(helper.make_node("Identity", [final], [output], name=f"{called}_{output}"))
    for output, row in zip(node.output[carried:], rows, strict=False):
        opened.node.append(helper.make_node("Concat", row, [output], name=f"{called}_{output}", axis=0))
    return conditions
