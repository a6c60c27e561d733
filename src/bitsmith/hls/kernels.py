"""The statements of one function: a kernel call per node, and the types and constants that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError, UnsupportedError
from bitsmith.hls.assembly import indented
from bitsmith.hls.runs import Run, body
from bitsmith.hls.scalar import Scalar, accumulator, common_format, common_raw, scalar_of
from bitsmith.hls.scope import Scope, Variable
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Program
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Fracs, Ints, Overflow, TensorType, compact, objects, width_of
from bitsmith.rtl.names import Names


@dataclass(frozen=True, slots=True)
class Function:
    """Texts of a function, of which it is the last, and the parameters that are its results."""

    texts: list[str]
    results: list[Variable]


def write_function(program: Program, run: Run, name: str, scope: Scope, parameters: dict[int, Variable]) -> Function:
    """The function called ``name`` that computes ``run``.

    ``parameters`` has the types of operands, which are already declared elsewhere.
    """
    return _FunctionWriter(program, run, name, scope).write(parameters)


class _FunctionWriter:
    def __init__(self, program: Program, run: Run, name: str, scope: Scope) -> None:
        self._texts: list[str] = []
        self._program = program
        self._run = run
        self._name = name
        self._scope = scope
        self._locals = Names()
        self._lines: list[str] = []
        self._head: list[str] = []
        self._values: dict[int, Variable] = {}

    def write(self, parameters: dict[int, Variable]) -> Function:
        """Declare parameters, write the nodes, and put the function together."""
        run, nodes = self._run, self._program.nodes
        operands = [self._operand(index, parameters[index]) for index in run.operands]
        results = [self._declare("result", nodes[index].type) for index in run.results]
        copied = self._place(results)
        returned = set(self._values) - set(run.operands)
        for index in run.nodes:
            self._node(index, nodes[index], returned)
        for index, variable in copied:
            self._call("copy", [variable.size], [self._variable(index).name, variable.name])
        used = {arg for index in run.nodes for arg in nodes[index].args} | {index for index, _ in copied}
        unused = [self._values[index].name for index in run.operands if index not in used]
        self._lines += [f"(void){name};" for name in unused]
        return Function([*self._texts, self._function(operands, results)], results)

    def _operand(self, index: int, given: Variable) -> Variable:
        """A parameter for the value of a node."""
        self._values[index] = Variable(self._locals.unique("x"), given.type_name, given.scalar, given.shape)
        return self._values[index]

    def _place(self, results: Sequence[Variable]) -> list[tuple[int, Variable]]:
        """Let nodes compute straight into the results; returns those into which a value must be copied."""
        copied: list[tuple[int, Variable]] = []
        for index, variable in zip(self._run.results, results, strict=True):
            if index in self._run.nodes and index not in self._values:
                self._values[index] = variable
            else:
                copied.append((index, variable))
        return copied

    def _function(self, operands: Sequence[Variable], results: Sequence[Variable]) -> str:
        """The text of the function around its lines."""
        arguments = [*(f"const {variable.declaration}" for variable in operands), *(v.declaration for v in results)]
        dialect = self._scope.dialect
        pragmas = [*dialect.in_layer, *self._head]
        head = [*self._documentation(operands, results), f"void {self._name}({', '.join(arguments)}) {{"]
        return "\n".join([*head, *pragmas, *map(indented, self._lines), "}\n"])

    def _documentation(self, operands: Sequence[Variable], results: Sequence[Variable]) -> list[str]:
        steps = [
            f"{type(self._program.nodes[index].op).__name__.lower()} -> {self._program.nodes[index].type}"
            for index in self._run.nodes
        ]
        head = ", ".join(f"{v.name} {_shape(v.shape)}" for v in operands) or "constants"
        return [
            f"/// {head} to {', '.join(f'{v.name} {_shape(v.shape)}' for v in results)}:",
            *(f"///   {step}" for step in steps),
        ]

    def _declare(self, role: str, kind: TensorType) -> Variable:
        scalar = common_format(kind)
        type_name = self._scope.typedef(f"{self._name}_{role}_t", scalar)
        return Variable(self._locals.unique(role), type_name, scalar, kind.shape)

    def _local(self, role: str, kind: TensorType) -> Variable:
        """A new local array."""
        variable = self._declare(role, kind)
        self._lines += self._scope.declared(variable)
        return variable

    def _variable(self, index: int) -> Variable:
        """The array that holds the value of a node."""
        if index not in self._values:
            node = self._program.nodes[index]
            if not isinstance(node.op, ops.Const):
                raise ProgramError(f"node %{index} is used before it is computed", where=self._name)
            variable = self._local("constant", node.type)
            raw = rescale(np.broadcast_to(node.op.raw, node.type.shape), node.op.frac, np.asarray(variable.scalar.frac))
            self._call("constant", [variable.size], [self._array("constant", raw, variable.scalar.frac), variable.name])
            self._values[index] = variable
        return self._values[index]

    def _array(self, name: str, values: Ints | Fracs, frac: int | None = None) -> str:
        return self._scope.array(self._name, name, values, frac)

    def _call(self, kernel: str, template: Sequence[str | int], arguments: Sequence[str]) -> None:
        chosen = ", ".join(map(str, template))
        self._lines.append(f"kernels::{kernel}<{chosen}>({', '.join(arguments)});")

    def _node(self, index: int, node: Node, returned: set[int]) -> None:
        role = type(node.op).__name__.lower()
        operands = [self._variable(arg) for arg in node.args]
        if index not in returned:
            self._values[index] = self._local(role, node.type)
        self._op(node.op, node, operands, self._values[index])

    def _op(self, op: Op, node: Node, operands: Sequence[Variable], result: Variable) -> None:
        match op:
            case ops.Input() | ops.Const() | ops.Parameter():
                raise ProgramError("inputs and constants are not computed", where=self._name)
            case ops.Reshape():
                self._call("copy", [result.size], [operands[0].name, result.name])
            case ops.Transpose() | ops.Slice() | ops.Pad() | ops.Gather() | ops.Broadcast() | ops.Window():
                self._wire(operands[0], moved(op, operands[0].shape), result)
            case ops.Concat():
                self._concat(op, operands, result)
            case ops.Linear():
                self._linear(op, operands[0], result)
            case ops.MatMul():
                self._matmul(node, operands, result)
            case ops.Add() | ops.Sub() | ops.Mul():
                self._pairwise(type(op).__name__.lower(), result.type_name, operands, result)
            case ops.Max() | ops.Min():
                self._pairwise(type(op).__name__.lower(), self._common(node), operands, result)
            case ops.Compare():
                self._pairwise(f"holds<kernels::{op.relation.name}>", self._common(node), operands, result)
            case ops.Select():
                self._elementwise("select", [], operands, result)
            case ops.Neg():
                self._call("neg", [result.size], [operands[0].name, result.name])
            case ops.Abs():
                kind = self._program.nodes[node.args[0]].type
                both = common_format(kind, TensorType.of(kind.shape, kind.frac, -kind.hi, -kind.lo))
                name = self._scope.typedef(f"{self._name}_signed_t", both)
                self._call("abs", [name, result.size], [operands[0].name, result.name])
            case ops.Shift():
                amount = repeated(op.amount, result.shape)
                names = [operands[0].name, self._array("amount", amount), result.name]
                self._call("shift", [result.size, amount.size], names)
            case ops.Sum() | ops.AMax():
                self._reduce(op, node, operands[0], result)
            case ops.Table():
                self._table(op, node, operands[0], result)
            case ops.Cast():
                self._cast(op, node, operands[0], result)
            case ops.Scan():
                self._scan(op, operands, result)
            case _:
                assert_never(op)

    def _common(self, node: Node) -> str:
        """A type that holds every value of all operands."""
        return self._scope.typedef(f"{self._name}_common_t", common_format(*self._program.types(node.args)))

    def _wire(self, x: Variable, source: npt.NDArray[np.int64], result: Variable) -> None:
        self._call("wire", [result.size], [x.name, self._array("source", source), result.name])

    def _arranged(self, x: Variable, source: npt.NDArray[np.int64], shape: tuple[int, ...]) -> Variable:
        """The elements ``source`` of ``x`` in a local array of the same type; ``x`` itself if they are all in order."""
        if source.size == x.size and bool(np.all(source.reshape(-1) == np.arange(x.size))):
            return Variable(x.name, x.type_name, x.scalar, shape)
        variable = Variable(self._locals.unique("arranged"), x.type_name, x.scalar, shape)
        self._lines += self._scope.declared(variable)
        self._wire(x, source, variable)
        return variable

    def _repeating(self, x: Variable, shape: tuple[int, ...]) -> Variable:
        """``x`` such that element ``i`` of a tensor of ``shape`` meets its element ``i % x.size``."""
        if suffix(x.shape, shape):
            return x
        return self._arranged(x, np.broadcast_to(_positions(x.shape), shape), shape)

    def _pairwise(self, name: str, held: str, operands: Sequence[Variable], result: Variable) -> None:
        self._elementwise("pairwise", [f"kernels::{name}", held], operands, result)

    def _elementwise(
        self, kernel: str, template: Sequence[str], operands: Sequence[Variable], result: Variable
    ) -> None:
        fitted = [self._repeating(x, result.shape) for x in operands]
        sizes = [result.size, *(x.size for x in fitted)]
        self._call(kernel, [*template, *sizes], [*(x.name for x in fitted), result.name])

    def _concat(self, op: ops.Concat, operands: Sequence[Variable], result: Variable) -> None:
        rows = int(np.prod(result.shape[: op.axis], dtype=np.int64))
        offset = 0
        for x in operands:
            self._call("concat", [rows, x.size // rows, result.size // rows, offset], [x.name, result.name])
            offset += x.size // rows

    def _accumulator(self, result: Variable, frac: int) -> str:
        return self._scope.typedef(f"{self._name}_sum_t", accumulator(result.scalar, [frac]))

    def _linear(self, op: ops.Linear, x: Variable, result: Variable) -> None:
        raw, scalar = common_raw(op.weights, op.frac)
        weights_t = self._scope.typedef(f"{self._name}_weights_t", scalar)
        sum_t = self._accumulator(result, x.scalar.frac + scalar.frac)
        rows, columns = op.weights.shape
        weights = self._array("weights", raw, scalar.frac)
        self._call("linear", [weights_t, sum_t, x.size // rows, rows, columns], [x.name, weights, result.name])

    def _matmul(self, node: Node, operands: Sequence[Variable], result: Variable) -> None:
        x, y = operands
        leading = result.shape[:-2]
        x, y = (
            self._arranged(v, np.broadcast_to(_positions(v.shape), shape), shape)
            for v, shape in ((x, (*leading, *x.shape[-2:])), (y, (*leading, *y.shape[-2:])))
        )
        sum_t = self._accumulator(result, x.scalar.frac + y.scalar.frac)
        n, k = x.shape[-2:]
        batch = int(np.prod(leading, dtype=np.int64))
        self._call("matmul", [sum_t, batch, n, k, y.shape[-1]], [x.name, y.name, result.name])

    def _reduce(self, op: ops.Sum | ops.AMax, node: Node, x: Variable, result: Variable) -> None:
        kept = [axis for axis in range(len(x.shape)) if axis not in op.axes]
        source = _positions(x.shape).transpose([*kept, *op.axes])
        rows = self._arranged(x, source, source.shape)
        sizes = [result.size, x.size // result.size]
        of = ("add", self._accumulator(result, x.scalar.frac)) if isinstance(op, ops.Sum) else ("max", x.type_name)
        self._call("reduce", [f"kernels::{of[0]}", of[1], *sizes], [rows.name, result.name])

    def _table(self, op: ops.Table, node: Node, x: Variable, result: Variable) -> None:
        kind = self._program.nodes[node.args[0]].type
        frac = op.frac.reshape((1,) * (len(x.shape) - op.frac.ndim) + op.frac.shape)
        scaled = objects(op.values) << objects(result.scalar.frac - frac)[..., None]
        entries = scaled.shape[-1]
        tables = repeated(objects(_positions(scaled.shape[:-1])), x.shape)
        values = scaled.reshape(-1, entries)[tables.reshape(-1).astype(np.int64)]
        drop = repeated(x.scalar.frac - kind.frac, x.shape)
        table = self._scope.tables(self._name, "table", objects(values), result.size // len(values))
        self._head += self._scope.dialect.roms.tables(table, *values.shape)
        names = [
            x.name,
            self._array("drop", drop),
            table,
            self._scope.number(self._name, "first", op.first),
            result.name,
        ]
        self._call("table", [result.size, len(values), entries, drop.size], names)

    def _cast(self, op: ops.Cast, node: Node, x: Variable, result: Variable) -> None:
        kind = self._program.nodes[node.args[0]].type
        frac = objects(compact(objects(op.frac)))
        least, most = rounded_range(kind, op.frac, op.rounding)
        floor = objects(np.maximum(op.lo, -op.hi)) if op.overflow is Overflow.SAT_SYM else op.lo
        safe = np.asarray((least >= floor) & (most <= op.hi), dtype=np.bool_)
        lo, hi = (objects(compact(objects(part))) for part in (op.lo, op.hi))
        plain, overflow = None, op.overflow
        if frac.size == 1 and bool(np.all(safe)):
            plain, overflow = result.scalar, Overflow.WRAP
        elif frac.size == lo.size == hi.size == 1:
            plain = _format(int(frac.item()), int(lo.item()), int(hi.item()))
        # The vendor's own conversion refuses to drop more bits than there are.
        if plain is not None and x.scalar.frac - plain.frac < x.scalar.width:
            name = self._scope.typedef(f"{self._name}_cast_t", plain, (op.rounding, overflow))
            self._call("cast", [name, result.size], [x.name, result.name])
            return
        mode = op.overflow.value
        if op.overflow is Overflow.WRAP:
            span = objects(op.hi - op.lo + 1)
            if not bool(np.all(safe | _powers_of_two(span))) and bool(
                np.all((least >= op.lo - span) & (most <= op.hi + span))
            ):
                mode = "WRAP_ONCE"
            else:
                hi = self._wrapping(lo, hi, safe)
        self._cast_within(op, mode, (frac, lo, hi), x, result)

    def _wrapping(self, lo: Ints, hi: Ints, safe: npt.NDArray[np.bool_]) -> Ints:
        """``hi`` such that each range has a power of two of values, which elements that never wrap do not notice."""
        odd = ~_powers_of_two(objects(hi - lo + 1))
        if bool(np.any(odd & ~safe)):
            raise UnsupportedError(
                "a cast that wraps in a range that is not that of a number format",
                where=self._name,
                remedy="use SAT, or a range of a power of two of values",
            )
        whole = objects(lo + objects(_next_powers(objects(hi - lo + 1))) - 1)
        return objects(np.where(odd, whole, hi))

    def _cast_within(
        self, op: ops.Cast, mode: str, parts: tuple[Ints, Ints, Ints], x: Variable, result: Variable
    ) -> None:
        frac, lo, hi = (repeated(part, x.shape) for part in parts)
        left = max(0, int(frac.max()) - x.scalar.frac)
        bits = x.scalar.width + 1 + left
        # Beyond all bits of the operand it no longer matters how many are dropped.
        drop = np.minimum(x.scalar.frac + left - frac, bits + 2)
        width = 3 + max(bits, result.scalar.width, width_of(min(-1, int(lo.min())), max(0, int(hi.max()))))
        arrays = [
            self._array("drop", drop),
            self._array("lo", lo),
            self._array("hi", hi),
            self._array("up", objects(result.scalar.frac - frac)),
        ]
        modes = [f"kernels::{op.rounding.value}", f"kernels::{mode}"]
        sizes = [width, left, result.size, drop.size, lo.size, hi.size, frac.size]
        self._call("cast_within", [*modes, *sizes], [x.name, *arrays, result.name])

    def _scan(self, op: ops.Scan, operands: Sequence[Variable], result: Variable) -> None:
        run = body(op.body)
        name = self._scope.names.unique(f"{self._name}_step")
        inputs = {}
        for index in run.operands:
            kind = op.body.nodes[index].type
            type_name = self._scope.typedef(f"{name}_in_t", common_format(kind))
            inputs[index] = Variable(self._locals.unique("step_in"), type_name, common_format(kind), kind.shape)
        step = write_function(op.body, run, name, self._scope, inputs)
        self._texts += step.texts
        variables = list(inputs.values())
        outs = [Variable(self._locals.unique("step_out"), out.type_name, out.scalar, out.shape) for out in step.results]
        steps = operands[op.states].shape[0]
        for variable in (*variables, *outs):
            self._lines += self._scope.declared(variable)
        for state, first in zip(variables[: op.states], operands[: op.states], strict=True):
            self._call("copy", [state.size], [first.name, state.name])
        self._lines.append(f"for (int step = 0; step < {steps}; step++) {{")
        start = len(self._lines)
        for item, sequence in zip(variables[op.states :], operands[op.states :], strict=True):
            self._call("copy", [item.size], [f"{sequence.name} + step * {item.size}", item.name])
        self._lines.append(f"{name}({', '.join(v.name for v in (*variables, *outs))});")
        for state, following in zip(variables[: op.states], outs[:-1], strict=True):
            self._call("copy", [state.size], [following.name, state.name])
        self._call("copy", [outs[-1].size], [outs[-1].name, f"{result.name} + step * {outs[-1].size}"])
        self._lines[start:] = [indented(line) for line in self._lines[start:]]
        self._lines.append("}")


def _positions(shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Row-major positions of a tensor's elements."""
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)


def _powers_of_two(spans: Ints) -> npt.NDArray[np.bool_]:
    return np.asarray((spans & (spans - 1)) == 0, dtype=np.bool_)


_next_powers = np.frompyfunc(lambda span: 1 << (int(span) - 1).bit_length(), 1, 1)


def _format(frac: int, lo: int, hi: int) -> Scalar | None:
    """The number format whose raw values are ``lo..hi``; None if there is none (or it has a sign bit only)."""
    if hi < 1:
        return None
    plain = scalar_of(lo, hi, frac)
    least, most = (-(hi + 1), hi) if plain.signed else (0, (1 << plain.width) - 1)
    return plain if (lo, hi) == (least, most) and not hi & (hi + 1) else None


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def suffix(shape: tuple[int, ...], of: tuple[int, ...]) -> bool:
    """Return True if a tensor of ``shape`` broadcasts to shape ``of`` by repeating itself in row-major order."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return not shape or of[-len(shape) :] == shape


def repeated(
    values: npt.NDArray[np.object_] | npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.object_]:
    """The smallest array that repeats along a tensor of ``shape`` as broadcasting ``values`` to it would."""
    small = objects(compact(objects(values)))
    return small if suffix(small.shape, shape) else objects(np.broadcast_to(small, shape).astype(np.object_))
