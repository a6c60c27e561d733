"""TensorFlow Lite models: quantized ``.tflite`` files, or their content.

The way: ``graph.py`` opens, the tables of ``operators.py`` translate one operator each, and this module gives names and
collects what cannot be translated.

The samples lie along the first axis of each input. A quantized input takes codes, and a quantized output gives codes, as those
who call an interpreter know them; inputs and outputs of floating point have the quantization beside them in the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.names import UniqueNames, printable
from bitsmith.frontends.builder.refusals import Refusal, Refusals
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.tflite.call import Call, kind_of, zero_point
from bitsmith.frontends.tflite.graph import Graph, Operator, Tensor, read_graph
from bitsmith.frontends.tflite.live import TfliteModel, is_tflite
from bitsmith.frontends.tflite.operators import OPERATORS, why_unknown
from bitsmith.frontends.tflite.requantize import Kernels
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.quantizer import Quantizer

__all__ = ["TfliteModel", "is_tflite", "read_tflite"]

_SAID = {
    Kernels.SINGLE: "round once, as the reference kernels of today's interpreter (ai-edge-litert) do",
    Kernels.DOUBLE: "round twice, as those of TensorFlow 2.19 and older do",
}


def read_tflite(source: TfliteModel, rounding: str = "single") -> Network:
    """The network of a TensorFlow Lite model, with the names of its operators' first results.

    Args:
        source: a file, or its content.
        rounding: of fully connected layers: ``single``, as today's interpreter does, or ``double``, as TensorFlow 2.19 and
            older do.

    Raises:
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: operators that cannot be translated, all of them in one message.
        ConfigError: another rounding.
    """
    if rounding not in set(Kernels):
        raise ConfigError(f"{rounding!r}", where="rounding", accepted=", ".join(Kernels))
    return _Reading(read_graph(source), Kernels(rounding)).network()


@dataclass(slots=True)
class _Reading:
    """The translation of a graph."""

    graph: Graph
    kernels: Kernels
    refusals: Refusals = field(default_factory=Refusals)
    draft: Draft = field(default_factory=Draft)
    names: UniqueNames = field(default_factory=UniqueNames)
    values: dict[int, Value] = field(default_factory=dict)

    def network(self) -> Network:
        """The network.

        Raises:
            UnsupportedError: what cannot be translated.
        """
        inputs = [self._input(tensor) for tensor in self.graph.inputs]
        for operator in self.graph.operators:
            self._translate(operator)
        if self.refusals.found:
            raise self.refusals.error(self.graph.where, sorted(OPERATORS))
        outputs = [self._output(tensor) for tensor in self.graph.outputs]
        self._settle(0)
        names = self.draft.named(self.draft.needed([*inputs, *outputs]), self.names)
        note = f"Fully connected layers {_SAID[self.kernels]}; all other operators round twice."
        return self.draft.network(names, inputs, outputs, self.graph.name, (note,))

    def _builder(self, name: str, kind: str, where: str) -> Builder:
        return Builder(self.draft, self.draft.begin(name, kind), where, samples=1)

    def _input(self, tensor: Tensor) -> int:
        """The node of an input, which takes codes if it is quantized."""
        if any(size is None for size in tensor.sizes[1:]):
            raise UnsupportedError(
                f"an input of sizes {tensor.sizes}",
                where=tensor.where,
                accepted="one open size, that of the batch, along the first axis",
            )
        if tensor.sizes and tensor.sizes[0] not in (None, 1):
            raise UnsupportedError(
                f"an input for {tensor.sizes[0]} samples at once",
                where=tensor.where,
                accepted="one sample",
                remedy="convert the model with a batch of size 1",
            )
        if 0 in tensor.shape:
            raise ModelFileError(
                f"an input of shape {tensor.shape}", where=tensor.where, accepted="one element or more"
            )
        name = self.names.take(_name_of(tensor))
        build = self._builder(name, "Input", tensor.where)
        batch = Batch(0) if tensor.shape else None
        value = build.input((1, *tensor.shape[1:]) if tensor.shape else (), batch, kind_of(tensor))
        self.values[tensor.number] = self._without_zero_point(build, value, tensor)
        assert isinstance(value.node, int)
        return value.node

    def _without_zero_point(self, build: Builder, value: Value, tensor: Tensor) -> Value:
        zero = zero_point(tensor)
        if zero:
            value = build.affine(value, constant(1.0), constant(-float(zero)), "zero_point")
        return replace(value, kind=Kind.REAL) if tensor.quantization is not None else value

    def _output(self, tensor: Tensor) -> int:
        """The node of an output: codes, if it is quantized."""
        value = self.values.get(tensor.number)
        if value is None or value.constant is not None:
            raise UnsupportedError(
                f"the output {tensor.name[:100]!r} does not depend on any input", where=self.graph.where
            )
        zero = zero_point(tensor)
        if not zero:
            return int(value.node) if isinstance(value.node, int) else 0
        build = self._builder(self.names.take(f"{_name_of(tensor)}_codes"), "", tensor.where)
        kind = kind_of(tensor)
        found = build.affine(value, constant(1.0), constant(float(zero)), kind=kind)
        assert isinstance(found.node, int)
        return found.node

    def _value(self, tensor: Tensor | None) -> Value | None:
        """The value of a tensor; None if it is left out, or that of an operator that was refused."""
        if tensor is None:
            return None
        if tensor.number not in self.values and tensor.data is not None:
            self.values[tensor.number] = _constant(tensor)
        return self.values.get(tensor.number)

    def _translate(self, operator: Operator) -> None:
        first = operator.outputs[0] if operator.outputs else None
        name = self.names.take((first and _name_of(first)) or operator.kind)
        with self.refusals.collected(name, operator.kind):
            entry = OPERATORS.get(operator.kind)
            if entry is None or first is None:
                self.refusals.add(Refusal(name, operator.kind, *why_unknown(operator.kind)))
                return
            values = tuple(self._value(tensor) for tensor in operator.inputs)
            if any(
                value is None and tensor is not None and not tensor.is_variable
                for value, tensor in zip(values, operator.inputs, strict=True)
            ):
                return  # what it reads was refused
            build = self._builder(name, operator.kind, operator.where)
            before = len(self.draft.nodes)
            results = entry.read(Call(operator, values, build, self.kernels))
            listed = results if isinstance(results, tuple) else (build.named(results, before),)
            for tensor, value in zip(operator.outputs, listed, strict=False):
                if value.dims != tensor.shape:
                    raise UnsupportedError(
                        f"a result of axes {value.dims} that the file says to be {tensor.shape}",
                        accepted="a batch of size 1, along the first axis",
                    )
                self.values[tensor.number] = value

    def _settle(self, before: int) -> None:
        """Give all trained tensors the grid that they are on: nothing of them is rounded."""
        for number in range(before, len(self.draft.nodes)):
            node = self.draft.nodes[number]
            found = {name: Quantizer.holding(values) for name, values in node.layer.weights().items()}
            if found:
                self.draft.nodes[number] = replace(node, quantizers=found)


def _constant(tensor: Tensor) -> Value:
    """A constant; codes without their zero points."""
    values = tensor.array().astype(np.float64)
    if tensor.quantization is None:
        return constant(as_weights(values), tensor.name, kind_of(tensor))
    return constant(as_weights(values - zero_point(tensor)), tensor.name)


def _name_of(tensor: Tensor) -> str:
    """What a tensor's operator is called: the first of the names that a converter joined."""
    return printable(tensor.name.split(";")[0].removesuffix(":0")[:200]) or f"tensor_{tensor.number}"
