"""Writes a core program as a C++ project: a function per layer, a top function, a test bench and a bridge.

``firmware/<top>.cpp`` and ``.h``, ``firmware/types.h``, ``firmware/weights/<function>.h`` (and ``<constant>.txt``, the same
as decimal numbers), ``firmware/bitsmith/`` with the kernels, ``<top>_test.cpp`` (reads and writes ``tb_data/``),
``<top>_bridge.cpp`` (exact values as 64-bit words), and the vendor's scripts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.hls.assembly import TopFunction, assembled, namespace
from bitsmith.hls.bench import BENCH_NAMES
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.kernels import write_function
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
        UnsupportedError: a cast that wraps in a range that is not that of a number format.
    """
    return _Writer(program, dialect, target).project()


@dataclass(slots=True)
class _Function:
    run: Run
    name: str
    layer: str
    texts: list[str]

    def documented(self) -> list[str]:
        """The texts, the layer's name before each: those before the last are steps of its recurrences."""
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
        self._body: list[str] = []

    def project(self) -> HlsProject:
        """All files."""
        inputs = self._declare_inputs()
        functions = [self._function(run) for run in runs(self._program)]
        outputs = self._compose(functions)
        dialect, variables = self._dialect, (*inputs, *outputs)
        top = TopFunction(
            self._top,
            (*(f"const {variable.declaration}" for variable in inputs), *(v.declaration for v in outputs)),
            dialect.before_top,
            (*dialect.in_top, *dialect.arrays.head(tuple(v.name for v in variables))),
            tuple(self._body),
            unrolled=True,
        )
        texts = [text for function in functions for text in function.documented()]
        return assembled(self._target, self._scope, texts, top, tuple(map(_port, inputs)), tuple(map(_port, outputs)))

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

    def _function(self, run: Run) -> _Function:
        name = self._scope.names.unique(identifier(run.layer or _UNNAMED))
        inside = {
            index: Variable(v.name, v.type_name.removeprefix(f"{self._space}::"), v.scalar, v.shape)
            for index, v in self._values.items()
        }
        function = write_function(self._program, run, name, self._scope, inside)
        for index, result in zip(run.results, function.results, strict=True):
            local = self._locals.unique(f"{name}_result")
            self._values[index] = Variable(local, f"{self._space}::{result.type_name}", result.scalar, result.shape)
        return _Function(run, name, run.layer, function.texts)

    def _compose(self, functions: Sequence[_Function]) -> list[Variable]:
        """Write the body of the top function: declarations, calls, and copies into the outputs, which are returned."""
        for function in functions:
            results = [self._values[index] for index in function.run.results]
            for result in results:
                self._body += self._scope.declared(result)
            arguments = [self._values[index].name for index in function.run.operands] + [v.name for v in results]
            self._body.append(f"{self._space}::{function.name}({', '.join(arguments)});")
        used = {arg for function in functions for arg in function.run.operands}
        used.update(output.node for output in self._program.outputs)
        for index in self._program.inputs:
            if index not in used:
                self._body.append(f"(void){self._values[index].name};")
        outputs: list[Variable] = []
        for output in self._program.outputs:
            node = self._program.nodes[output.node]
            value = self._values.get(output.node) or self._constant(output.node)
            name = self._locals.unique(identifier(output.name))
            result = Variable(name, value.type_name, value.scalar, node.type.shape)
            outputs.append(result)
            self._body.append(f"kernels::copy<{result.size}>({value.name}, {result.name});")
        return outputs

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
