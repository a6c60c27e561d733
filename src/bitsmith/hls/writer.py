"""Writes a core program as a C++ project: a function per layer, a top function, a test bench and a bridge.

``firmware/<top>.cpp`` and ``.h``, ``firmware/types.h``, ``firmware/weights/<function>.h`` (and ``<constant>.txt``, the same
as decimal numbers), ``firmware/bitsmith/`` with the kernels, ``<top>_test.cpp`` (reads and writes ``tb_data/``),
``<top>_bridge.cpp`` (exact values as 64-bit words), and the vendor's scripts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitsmith.hls.assembly import Parts, assembled, namespace
from bitsmith.hls.bench import BENCH_NAMES
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.kernels import FunctionWriter
from bitsmith.hls.names import comment, identifier
from bitsmith.hls.project import HlsProject, HlsTarget, Port
from bitsmith.hls.runs import Run, runs
from bitsmith.hls.scalar import common_format
from bitsmith.hls.scope import Scope, Variable
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.scaling import rescale
from bitsmith.rtl.names import Names

_UNNAMED = "network"


def write(program: Program, dialect: Dialect, target: HlsTarget) -> HlsProject:
    """The project of ``program`` for the compiler of ``dialect``.

    Raises:
        RangeError: elements of one tensor that have no common format of a reasonable width.
        UnsupportedError: a cast that wraps in a range that is no number format.
    """
    return _Writer(program, dialect, target).project()


@dataclass(slots=True)
class _Function:
    run: Run
    name: str
    layer: str
    texts: list[str]

    def documented(self) -> list[str]:
        """The texts, the layer's name in front of each: those before the last are steps of its recurrences."""
        layer = comment(repr(self.layer))
        *steps, whole = self.texts
        return [*(f"/// A step of layer {layer}.\n{step}" for step in steps), f"/// Layer {layer}.\n{whole}"]


class _Writer:
    def __init__(self, program: Program, dialect: Dialect, target: HlsTarget) -> None:
        self._program = program
        self._dialect = dialect
        self._target = target
        self._top = identifier(target.top)
        self._space = namespace(self._top)
        self._scope = Scope(dialect)
        self._locals = Names()
        for taken in (self._top, *BENCH_NAMES):
            self._locals.unique(taken)
        self._values: dict[int, Variable] = {}
        self._functions: list[_Function] = []
        self._inputs = self._declare_inputs()
        for run in runs(program):
            self._function(run)
        self._outputs: list[Variable] = []
        self._body: list[str] = []
        self._compose()

    def project(self) -> HlsProject:
        """All files."""
        dialect, variables = self._dialect, (*self._inputs, *self._outputs)
        parameters = [f"const {variable.declaration}" for variable in self._inputs]
        parameters += [variable.declaration for variable in self._outputs]
        parts = Parts(
            top=self._top,
            space=self._space,
            scope=self._scope,
            functions=tuple(text for function in self._functions for text in function.documented()),
            parameters=tuple(parameters),
            before_top=dialect.before_top,
            head=(*dialect.in_top, *dialect.arrays.head(tuple(v.name for v in variables))),
            body=tuple(self._body),
            inputs=tuple(map(_port, self._inputs)),
            outputs=tuple(map(_port, self._outputs)),
            unrolled=True,
        )
        return assembled(parts, self._target)

    def _declare_inputs(self) -> list[Variable]:
        variables = []
        for index in self._program.inputs:
            node = self._program.nodes[index]
            if not isinstance(node.op, ops.Input):
                continue
            name, scalar = identifier(node.op.name), common_format(node.type)
            type_name = self._scope.typedef(f"{name}_t", scalar)
            variable = Variable(self._locals.unique(name), f"{self._space}::{type_name}", scalar, node.type.shape)
            variables.append(variable)
            self._values[index] = variable
        return variables

    def _function(self, run: Run) -> None:
        name = self._scope.names.unique(identifier(run.layer or _UNNAMED))
        inside = {
            index: Variable(v.name, v.type_name.removeprefix(f"{self._space}::"), v.scalar, v.shape)
            for index, v in self._values.items()
        }
        writer = FunctionWriter(self._program, run, name, self._scope, inside)
        for index, result in zip(run.results, writer.results, strict=True):
            local = self._locals.unique(f"{name}_result")
            self._values[index] = Variable(local, f"{self._space}::{result.type_name}", result.scalar, result.shape)
        self._functions.append(_Function(run, name, run.layer, writer.texts))

    def _compose(self) -> None:
        """The body of the top function: declarations, calls, and copies into the outputs."""
        for function in self._functions:
            results = [self._values[index] for index in function.run.results]
            for result in results:
                self._body += self._scope.declared(result)
            arguments = [self._values[index].name for index in function.run.operands] + [v.name for v in results]
            self._body.append(f"{self._space}::{function.name}({', '.join(arguments)});")
        used = {arg for function in self._functions for arg in function.run.operands}
        used.update(output.node for output in self._program.outputs)
        for index in self._program.inputs:
            if index not in used:
                self._body.append(f"(void){self._values[index].name};")
        for output in self._program.outputs:
            node = self._program.nodes[output.node]
            value = self._values.get(output.node) or self._constant(output.node)
            name = self._locals.unique(identifier(output.name))
            result = Variable(name, value.type_name, value.scalar, node.type.shape)
            self._outputs.append(result)
            self._body.append(f"kernels::copy<{result.size}>({value.name}, {result.name});")

    def _constant(self, index: int) -> Variable:
        """An output that depends on no input."""
        node = self._program.nodes[index]
        assert isinstance(node.op, ops.Const)
        scalar = common_format(node.type)
        type_name = self._scope.typedef("constant_t", scalar)
        variable = Variable(self._locals.unique("constant"), f"{self._space}::{type_name}", scalar, node.type.shape)
        raw = rescale(np.broadcast_to(node.op.raw, node.type.shape), node.op.frac, np.asarray(scalar.frac))
        values = self._scope.array("constants", "values", raw, scalar.frac)
        self._body += self._scope.declared(variable)
        self._body.append(f"kernels::constant<{variable.size}>({self._space}::{values}, {variable.name});")
        self._values[index] = variable
        return variable


def _port(variable: Variable) -> Port:
    return Port(variable.name, variable.size, variable.scalar, variable.type_name)
