"""Operators of the user's own in ONNX models, by the user's translations."""

from __future__ import annotations

from collections.abc import Sequence

from bitsmith.errors import ConfigError
from bitsmith.frontends.custom.call import Call, Table, Translate, translated
from bitsmith.frontends.custom.tensor import Tensor
from bitsmith.frontends.onnx.call import Call as Use
from bitsmith.frontends.onnx.call import Results, Translation
from bitsmith.frontends.onnx.graph import Node
from bitsmith.layers.layer import Floats


def custom_translation(node: Node, table: Table) -> Translation | None:
    """How the user has an operator translated; None if it is not among the user's."""
    translate = table.named(f"{node.domain}::{node.operator}", node.operator)
    return (
        None if translate is None else Translation(lambda use: _read(translate, use), "what the user says", valued=True)
    )


def _read(translate: Translate, use: Use) -> Results:
    build = use.build
    inputs = tuple(Tensor(build, use.value(one)) for one in use.operands if one is not None)

    def stored(parts: Sequence[str]) -> tuple[Floats, ...]:
        if parts:
            raise _no_part(use.name)
        return tuple(x.array for x in inputs if x.array is not None)

    def part(name: str, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        raise _no_part(use.name)

    call = Call(inputs, use.attributes.plain(), None, build, stored, part)
    return translated(translate, call, use.name)


def _no_part(where: str) -> ConfigError:
    return ConfigError("a sub-layer of an ONNX operator", where=where, accepted="those of live layers of Keras")
