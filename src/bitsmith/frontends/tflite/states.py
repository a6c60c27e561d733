"""States that an interpreter keeps between calls, as inputs and outputs of the model, after its own.

Before: operators that read and assign variables, and operators with a variable tensor. After: a tensor that is an input for what
a variable holds at first, and one that is an output for what it holds at last. A call depends on nothing but its inputs then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.tflite.graph import Graph, Operator
from bitsmith.frontends.tflite.tensors import Tensor

RECURRENT = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_VARIABLES = {"SVDF": (4,), RECURRENT: (18, 19)}
_NAMES = {4: "state", 18: "state", 19: "cell"}
"""Operators with variable tensors, and which of the operands these are; results follow the operator's own in the same order."""


def with_states(graph: Graph) -> Graph:
    """``graph`` whose states are inputs and outputs.

    Raises:
        ModelFileError: a variable that is used, but not made, or differs from what it is assigned.
        UnsupportedError: one tensor that is the state of several operators.
    """
    found = _States(graph)
    for operator in graph.operators:
        found.take(operator)
    return found.graph_with_states()


def is_streaming(operator: Operator) -> bool:
    """Return True if an operator needs what it kept of the call before: a recurrent layer of several steps begins again."""
    if operator.kind not in _VARIABLES or operator.inputs[:1] in ((), (None,)):
        return False
    x = operator.inputs[0]
    time = 0 if operator.kind == RECURRENT and operator.options.flag("time_major") else 1
    return operator.kind != RECURRENT or (x is not None and x.sizes[time : time + 1] == (1,))


@dataclass(slots=True)
class _States:
    """The operators so far. Variables have names; ``current`` is the tensor that each holds."""

    source: Graph
    operators: list[Operator] = field(default_factory=list)
    handles: dict[int, str] = field(default_factory=dict)
    current: dict[str, Tensor] = field(default_factory=dict)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    aliases: dict[int, Tensor] = field(default_factory=dict)

    def take(self, operator: Operator) -> None:
        """Add an operator, or what it does to a variable."""
        if operator.kind == "CALL_ONCE":
            return
        if operator.kind == "VAR_HANDLE":
            for one in operator.outputs:
                self.handles[one.number] = operator.options.text("shared_name") or f"variable {one.number}"
        elif operator.kind == "READ_VARIABLE" and len(operator.outputs) == 1:
            self._read(self._variable(operator), operator.outputs[0])
        elif operator.kind == "ASSIGN_VARIABLE" and len(operator.inputs) == 2:
            self._assign(self._variable(operator), operator)
        else:
            inputs = tuple(None if one is None else self.aliases.get(one.number, one) for one in operator.inputs)
            operator = replace(operator, inputs=inputs)
            self.operators.append(self._own(operator) if is_streaming(operator) else operator)

    def _variable(self, operator: Operator) -> str:
        handle = operator.inputs[0] if operator.inputs else None
        if handle is None or handle.number not in self.handles:
            raise ModelFileError("a variable that nothing makes", where=operator.where)
        return self.handles[handle.number]

    def _read(self, name: str, result: Tensor) -> None:
        if name not in self.current:
            self.current[name] = self.inputs[name] = replace(result, name=name)
            return
        _check_alike(self.current[name], result, name)
        self.aliases[result.number] = self.current[name]

    def _assign(self, name: str, operator: Operator) -> None:
        value = operator.inputs[1]
        if value is None:
            raise ModelFileError(f"the variable {shown(name)} without a value", where=operator.where)
        value = self.aliases.get(value.number, value)
        if name in self.inputs:
            _check_alike(value, self.inputs[name], name)
        self.current[name] = value

    def _own(self, operator: Operator) -> Operator:
        """An operator whose variable tensors are operands, and results as they are afterwards."""
        inputs, outputs = list(operator.inputs), list(operator.outputs)
        for place in _VARIABLES[operator.kind]:
            state = inputs[place] if place < len(inputs) else None
            if state is None or not state.is_variable or not operator.outputs:
                raise ModelFileError("an operator without its state", where=operator.where)
            first = operator.outputs[0]
            name = f"{first.name.split(';')[0] or f'tensor_{first.number}'}_{_NAMES[place]}"
            if any(one.number == state.number for one in self.inputs.values()) or name in self.inputs:
                raise UnsupportedError("one state of several operators", where=operator.where, accepted="one for each")
            inputs[place] = self.inputs[name] = replace(state, name=name, is_variable=False)
            self.current[name] = replace(state, number=-len(self.inputs), name=f"{name}_next", is_variable=False)
            outputs.append(self.current[name])
        return replace(operator, inputs=tuple(inputs), outputs=tuple(outputs))

    def graph_with_states(self) -> Graph:
        """The whole graph. What a variable without an assignment holds is a constant."""
        graph, own = self.source, {one.number for one in self.source.inputs}
        for name, state in list(self.inputs.items()):
            if state.number in own:
                raise ModelFileError(f"the variable {shown(name)} that is an input, too", where=graph.where)
            if self.current[name] is state:
                del self.inputs[name]
                self._make_constant(name, state)
        outputs = (*(self.aliases.get(one.number, one) for one in graph.outputs), *map(self.current.get, self.inputs))
        return replace(
            graph,
            inputs=(*graph.inputs, *self.inputs.values()),
            outputs=tuple(one for one in outputs if one is not None),
            operators=tuple(self.operators),
            states={name: _first(state, graph.initial.get(name)) for name, state in self.inputs.items()},
        )

    def _make_constant(self, name: str, state: Tensor) -> None:
        initial = self.source.initial.get(name)
        if initial is None:
            raise UnsupportedError(
                f"the variable {shown(name)}, of which nothing says what it holds", where=self.source.where
            )
        _check_alike(initial, state, name)
        self.operators = [replace(one, inputs=_exchanged(one.inputs, state.number, initial)) for one in self.operators]


def _exchanged(tensors: Iterable[Tensor | None], number: int, other: Tensor) -> tuple[Tensor | None, ...]:
    """The tensors with ``other`` in the place of one; it keeps that one's number, since it is of another graph."""
    return tuple(replace(other, number=number) if one is not None and one.number == number else one for one in tensors)


def _check_alike(tensor: Tensor, other: Tensor, name: str) -> None:
    """Refuse tensors that do not hold the same."""
    quantized = [
        None if each is None else (each.scales.tolist(), each.zero_points.tolist())
        for each in (tensor.quantization, other.quantization)
    ]
    if tensor.dtype != other.dtype or tensor.shape != other.shape or quantized[0] != quantized[1]:
        raise ModelFileError(
            f"the variable {shown(name)} of {other.dtype}{list(other.shape)} and of {tensor.dtype}{list(tensor.shape)}",
            where=tensor.where,
            accepted="one shape, type and scale",
        )


def _first(state: Tensor, initial: Tensor | None) -> str:
    """Return the first value of a state, in words."""
    values = np.unique(initial.array()) if initial is not None and initial.data is not None else np.zeros(1)
    zero = state.quantization.zero_point if initial is None and state.quantization is not None else 0
    return f"{values[0] + zero:g} at first" if values.size == 1 else "at first as in the file"
