"""TensorFlow Lite models: ``.tflite`` files, or their content.

The way: ``graph.py`` opens, the tables of ``operators.py`` translate one operator each, and this module gives names and
collects what cannot be translated.

An operator works on codes, with the arithmetic of its kernel, or on numbers, as in any other framework, by what its operands and
results are. Weights that are quantized alone are the numbers that they stand for.

The samples lie along the first axis of each input. A quantized input takes codes, and a quantized output gives codes, as those
who call an interpreter know them; inputs and outputs of floating point have the quantization beside them in the model.
"""

import contextlib
from collections.abc import Set
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, product

import numpy as np

from bitsmith.errors import BitsmithError, ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.known import Known, value_of
from bitsmith.frontends.builder.names import UniqueNames, printable
from bitsmith.frontends.builder.refusals import Refusal, Refusals
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.tflite.call import Call, Entry, Results, Translation, kind_of, zero_point
from bitsmith.frontends.tflite.computed import constants
from bitsmith.frontends.tflite.graph import Graph, Operator, read_graph
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.frontends.tflite.operators import OPERATORS, translation, why_unknown
from bitsmith.frontends.tflite.requantize import Kernels
from bitsmith.frontends.tflite.states import with_states
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.quantization.quantizer import Quantizer

__all__ = ["TfliteModel", "read_tflite"]

_MOST_TRIED = 16
"""Choices of axes of samples that are tried for one operator."""

_DYNAMIC = (
    "Weights that are quantized alone are exactly the numbers that their codes stand for. Activations are not quantized: the "
    "interpreter's kernels do that at run time, and differ from this model by it."
)
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
    return _Reading(with_states(read_graph(source)), Kernels(rounding)).network()


@dataclass(slots=True)
class _Reading:
    """The translation of a graph."""

    graph: Graph
    kernels: Kernels
    refusals: Refusals = field(default_factory=Refusals)
    draft: Draft = field(default_factory=Draft)
    names: UniqueNames = field(default_factory=UniqueNames)
    values: dict[int, Value | Known] = field(default_factory=dict)
    constants: dict[tuple[int, bool], Value] = field(default_factory=dict)

    def network(self) -> Network:
        """The network.

        Raises:
            UnsupportedError: what cannot be translated.
        """
        inputs = [self._input(tensor) for tensor in self.graph.inputs]
        self._settle(0)
        for operator in self.graph.operators:
            self._translate(operator)
        if self.refusals.found:
            codes = any(operator.on_codes for operator in self.graph.operators)
            known = (kind for kind, entry in OPERATORS.items() if (entry.codes if codes else entry.numbers) is not None)
            raise self.refusals.error(self.graph.where, sorted(known))
        count = len(self.draft.nodes)
        outputs: list[int] = []
        for tensor in self.graph.outputs:
            outputs.append(self._output(tensor, {*inputs, *outputs}))
        self._settle(count)
        names = self.draft.named(self.draft.needed([*inputs, *outputs]), self.names)
        return self.draft.network(names, inputs, outputs, self.graph.name, self._notes())

    def _notes(self) -> tuple[str, ...]:
        """Return notes on graphs that are left out, the rounding of operators, weights that are quantized alone, and states."""
        notes = []
        if self.graph.beside:
            listed = ", ".join(map(repr, self.graph.beside))
            notes.append(f"Only the first graph of the file is read, without the signatures {listed} of others.")
        if any(map(_rounds, self.graph.operators)):
            notes.append(f"Fully connected layers {_SAID[self.kernels]}; all other operators round twice.")
        if any(map(_has_quantized_weights, self.graph.operators)):
            notes.append(_DYNAMIC)
        if self.graph.states:
            listed = ", ".join(f"{name} ({first})" for name, first in self.graph.states.items())
            notes.append(
                f"The states {listed} are the last inputs and outputs, in this order: give each call what the one before gave."
            )
        if any(tensor is not None and tensor.is_variable for one in self.graph.operators for tensor in one.inputs):
            notes.append(
                "The states of recurrent layers are 0 at the first step of each sample: no call depends on another."
            )
        return tuple(notes)

    def _builder(self, name: str, kind: str, where: str) -> Builder:
        return Builder(self.draft, self.draft.begin(name, kind), where, samples=None if self.open else 1)

    def _input(self, tensor: Tensor) -> int:
        """The node of an input, which takes codes if it is quantized."""
        if not tensor.is_numeric:
            raise UnsupportedError(f"an input of {tensor.dtype}", where=tensor.where, accepted="numbers")
        if any(size is None for size in tensor.sizes[1:]):
            raise UnsupportedError(
                f"an input of sizes {tensor.sizes}",
                where=tensor.where,
                accepted="one open size, that of the batch, along the first axis",
            )
        if tensor.sizes and tensor.sizes[0] not in (None, 1):
            raise UnsupportedError(
                f"an input of shape {tensor.shape}, whose first axis is not that of one sample",
                where=tensor.where,
                accepted="shapes that begin with 1, or with an open size",
                remedy="convert the model with a batch of size 1; what chooses a shape must be a constant of the model",
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

    def _output(self, tensor: Tensor, taken: Set[int]) -> int:
        """The node of an output, which is none of those ``taken``: codes, if it is quantized."""
        value = self.values.get(tensor.number)
        if not isinstance(value, Value) or value.constant is not None:
            raise UnsupportedError(
                f"the output {tensor.name[:100]!r} does not depend on any input", where=self.graph.where
            )
        zero = zero_point(tensor)
        if not zero and isinstance(value.node, int) and value.node not in taken:
            return value.node
        build = self._builder(self.names.take(f"{_name_of(tensor)}_codes"), "", tensor.where)
        kind = kind_of(tensor)
        found = build.affine(value, constant(1.0), constant(float(zero)), "" if zero else "result", kind=kind)
        assert isinstance(found.node, int)
        return found.node

    def _value(self, tensor: Tensor | None, on_codes: bool) -> Value | Known | None:
        """The value of a tensor, of a quantized constant its codes or the numbers that these stand for.

        None if it is left out, or that of an operator that was refused.
        """
        if tensor is None:
            return None
        if tensor.data is None:
            return self.values.get(tensor.number)
        key = tensor.number, on_codes and tensor.is_quantized
        if key not in self.constants:
            self.constants[key] = _constant(tensor, on_codes=on_codes)
        return self.constants[key]

    def _translate(self, operator: Operator) -> None:
        first = operator.outputs[0] if operator.outputs else None
        name = self.names.take((first and _name_of(first)) or operator.kind)
        with self.refusals.collected(name, operator.kind):
            translated = translation(operator)
            if translated is None or first is None:
                self.refusals.add(Refusal(name, operator.kind, *why_unknown(operator)))
                return
            values = tuple(self._value(tensor, operator.on_codes) for tensor in operator.inputs)
            if any(
                value is None and tensor is not None and not tensor.is_variable
                for value, tensor in zip(values, operator.inputs, strict=True)
            ):
                return  # what it reads was refused
            build = self._builder(name, operator.kind, operator.where)
            before = len(self.draft.nodes)
            call = Call(operator, values, build, self.kernels)
            results = constants(translated, call)
            results = self._results(translated, call) if results is None else results
            operator.check_options()
            if isinstance(results, Value):
                results = build.named(results, before)
            listed = results if isinstance(results, tuple) else (results,)
            if operator.on_codes:
                self._settle(before)
            for tensor, result in zip(operator.outputs, listed, strict=False):
                value = value_of(result, build.counts) if isinstance(result, Known) and result.fixed else result
                if isinstance(value, Value) and not _fits(value, tensor):
                    raise UnsupportedError(
                        f"a result of axes {value.dims} that the file says to be {tensor.sizes}",
                        accepted="a batch of size 1, along the first axis",
                    )
                self.values[tensor.number] = value

    def _results(self, translated: Translation, call: Call) -> Results:
        """Return the results of an operator.

        In a model for one sample an axis of size 1 is like any other, so that what would work along that of the samples is tried
        with these along another one.
        """
        before = len(self.draft.nodes)
        try:
            return translated.read(call)
        except UnsupportedError:
            if self.open:
                raise
            rank = max((one.rank for one in call.values if isinstance(one, Value) and one.constant is None), default=0)
            for others in islice(product(*(_shapes(value, rank) for value in call.values)), 1, _MOST_TRIED):
                self.draft.back_to(before)
                values = tuple(map(partial(_viewed, call.build), call.values, others))
                with contextlib.suppress(BitsmithError):
                    return translated.read(replace(call, values=values))
            self.draft.back_to(before)
            raise

    @property
    def open(self) -> bool:
        """True of a model for any number of samples; any other is for exactly one."""
        return any(tensor.sizes[:1] == (None,) for tensor in self.graph.inputs)

    def _settle(self, before: int) -> None:
        """Give all trained tensors from a node on the grid that they are on: of what works on codes nothing is rounded."""
        for number in range(before, len(self.draft.nodes)):
            node = self.draft.nodes[number]
            found = {name: Quantizer.holding(values) for name, values in node.layer.weights().items()}
            if found:
                self.draft.nodes[number] = replace(node, quantizers={**found, **node.quantizers})


def _fits(value: Value, tensor: Tensor) -> bool:
    """Return True if a value has the sizes that the file says, as far as it does."""
    pairs = zip(value.dims, tensor.sizes, strict=False)
    return value.rank == len(tensor.sizes) and all(size in (None, found) for found, size in pairs)


def _shapes(value: Value | Known | None, rank: int) -> list[tuple[Shape, Batch] | None]:
    """The axes that a computed value of one sample may have as well: the samples along another one of size 1.

    One that broadcasts to so many axes may have a first one for them. The first is None, which leaves the value as it is.
    """
    if not isinstance(value, Value) or value.batch is None or value.constant is not None:
        return [None]
    thin = [Batch(axis) for axis, size in enumerate(value.dims) if size == 1 and value.batch != Batch(axis)]
    first: list[tuple[Shape, Batch] | None] = [((1, *value.dims), Batch(0))] if value.rank < rank else []
    return [None, *((value.dims, batch) for batch in thin), *first]


def _viewed(build: Builder, value: Value | Known | None, other: tuple[Shape, Batch] | None) -> Value | Known | None:
    """``value`` with other axes, one of which has the samples."""
    return value if not isinstance(value, Value) or other is None else build.viewed(value, *other, "sample")


def _constant(tensor: Tensor, *, on_codes: bool) -> Value:
    """A constant; codes without their zero points, or the numbers that they stand for."""
    values = tensor.array()
    if tensor.quantization is None:
        return constant(as_weights(values.astype(np.float64)), tensor.name, kind_of(tensor))
    if tensor.is_quantized and not on_codes:
        return constant(as_weights(tensor.quantization.real(values)), tensor.name)
    return constant(as_weights(values.astype(np.float64) - zero_point(tensor)), tensor.name)


def _rounds(operator: Operator) -> bool:
    """Return True of an operator whose results are codes that it computes, not only moves."""
    entry = OPERATORS.get(operator.kind, Entry())
    return any(one.is_quantized for one in operator.outputs) and entry.codes is not entry.numbers


def _has_quantized_weights(operator: Operator) -> bool:
    """Return True of an operator on numbers with quantized weights, whose kernel quantizes activations, too."""
    return (
        not operator.on_codes
        and operator.kind != "DEQUANTIZE"
        and any(one is not None and one.is_quantized for one in operator.inputs)
    )


def _name_of(tensor: Tensor) -> str:
    """Return the name of a tensor's operator: the first of the names that a converter joined."""
    return printable(tensor.name.split(";")[0].removesuffix(":0")[:200]) or f"tensor_{tensor.number}"
