"""Operators of the user's own in ONNX models, by the user's translations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.frontends.custom.call import Operator, Table, Translate, operator_call, translated
from bitsmith.frontends.custom.tensor import Tensor
from bitsmith.frontends.onnx.call import Call as Use
from bitsmith.frontends.onnx.call import Results, Translation
from bitsmith.frontends.onnx.graph import Node, with_nested
from bitsmith.frontends.outputs import Numbers

if TYPE_CHECKING:
    import onnx
    from onnx.reference.op_run import OpRun


def custom_translation(node: Node, table: Table) -> Translation | None:
    """Return the user's translation of an operator; None if it is not among the user's."""
    translate = table.named(f"{node.domain}::{node.operator}", node.operator)
    return (
        None if translate is None else Translation(lambda use: _read(translate, use), "what the user says", valued=True)
    )


def _read(translate: Translate, use: Use) -> Results:
    inputs = tuple(Tensor(use.build, use.value(one)) for one in use.operands if one is not None)
    call = operator_call(inputs, use.attributes.plain(), use.build, "an ONNX operator", use.name)
    return translated(translate, call, use.name)


def operator_classes(model: onnx.ModelProto, table: Table) -> list[type[OpRun]]:
    """The operators of a model of which the user's table has a reference, as classes of onnx's reference."""
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    found = {(node.domain, node.op_type) for body in bodies for node in with_nested(body, model.graph.name)}
    entries = {key: table.named("::".join(key), key[1]) for key in sorted(found)}
    return [_class_of(*key, one.reference) for key, one in entries.items() if isinstance(one, Operator)]


def _class_of(domain: str, name: str, reference: Callable[..., object]) -> type[OpRun]:
    from onnx.reference.op_run import OpRun

    def run(self: OpRun, *operands: Numbers, **_: object) -> tuple[Numbers, ...]:
        result = reference(*operands, **{one.name: _attribute(one) for one in self.onnx_node.attribute})
        return tuple(map(np.asarray, result if isinstance(result, tuple) else (result,)))

    return type(name, (OpRun,), {"op_domain": domain, "_run": run})


def _attribute(proto: onnx.AttributeProto) -> object:
    from onnx import TensorProto, helper, numpy_helper

    value = helper.get_attribute_value(proto)
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else _words(value)


def _words(value: object) -> object:
    """The value of an attribute, whose texts are bytes there."""
    if isinstance(value, list):
        return tuple(map(_words, value))
    return value.decode() if isinstance(value, bytes) else value
