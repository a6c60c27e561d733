"""The part of a program that a layer became, between its operands and its result, by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats

CUTTING = frozenset({Rounding.TRN, Rounding.TRN_ZERO})
"""Roundings that may cost a whole step."""

_MOVES = ops.Reshape | ops.Broadcast | ops.Transpose
_SUMS = ops.Add | ops.Sub | ops.Neg | ops.Shift | _MOVES


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A program whose inputs are the operands of a layer, and its result before the last casts, each of which may round.

    Attributes:
        whole: with the last casts.
        inner: without these.
        rounding: the most that they round off.
        casts: those of them that may saturate or wrap.
    """

    whole: Program
    inner: Program
    rounding: float
    casts: tuple[ops.Cast, ...]

    @staticmethod
    def of(program: Program, operands: Sequence[int], result: int) -> Lowered | None:
        """The part of ``program`` from ``operands`` to ``result``; None if it depends on other things."""
        wanted, stops = {result}, {*operands}
        for index in reversed(range(result + 1)):
            if index in wanted and index not in stops:
                wanted.update(program.nodes[index].args)
                if isinstance(program.nodes[index].op, ops.Input | ops.Parameter | ops.Scan):
                    return None
        nodes, at = list[Node](), dict[int, int]()
        for number, index in enumerate(dict.fromkeys(operands)):
            kind = program.nodes[index].type
            entry = ops.Input(f"x{number}", kind.shape, kind.frac, kind.lo, kind.hi, Rounding.RND, Overflow.SAT, ())
            at[index] = len(nodes)
            nodes.append(Node(entry, (), kind))
        for index in sorted(wanted - stops):
            at[index] = len(nodes)
            nodes.append(replace(program.nodes[index], args=tuple(at[arg] for arg in program.nodes[index].args)))
        last, rounding, open_ = at[result], 0.0, list[ops.Cast]()
        while isinstance(op := nodes[last].op, ops.Cast | _MOVES):
            operand = nodes[last].args[0]
            if isinstance(op, ops.Cast):
                rounding += _rounded_off(op, nodes[operand])
                open_ += [] if _fits(op, nodes[operand]) else [op]
            last = operand
        whole, inner = (Program(tuple(nodes), (Output("y", node),)) for node in (at[result], last))
        return Lowered(whole, inner, rounding, tuple(open_))

    def holds(self, least: Floats, most: Floats) -> bool:
        """True if no last cast wraps a result from ``least`` to ``most``; what it saturates comes nearer to the right value."""
        return all(
            op.overflow is Overflow.SAT
            or bool(
                np.min(least) >= np.max(np.ldexp(op.lo.astype(np.float64), -op.frac))
                and np.max(most) <= np.min(np.ldexp(op.hi.astype(np.float64), -op.frac))
            )
            for op in self.casts
        )

    @property
    def is_exact(self) -> bool:
        """True if nothing is lost before the last casts, and nothing looked up."""
        return not any(isinstance(self.inner.nodes[index].op, ops.Table) for index in self._reached) and all(
            self._is_lossless(index) for index in self._reached
        )

    @property
    def is_linear(self) -> bool:
        """True if the result before the last casts is, of two operands, linear in the first one."""
        nodes, varying = self.inner.nodes, {0}
        if len(self.inner.inputs) != 2:
            return False
        for index, node in enumerate(nodes):
            if index in self._reached and varying.intersection(node.args):
                match node.op:
                    case ops.Mul():
                        linear = len(varying.intersection(node.args)) == 1 and node.args[0] != node.args[1]
                    case ops.Select():
                        linear = node.args[0] not in varying
                    case ops.Cast():
                        linear = self._is_lossless(index)
                    case other:
                        linear = isinstance(other, _SUMS)
                if not linear:
                    return False
                varying.add(index)
        return self.inner.outputs[0].node in varying

    @property
    def _reached(self) -> set[int]:
        return self.inner.ancestors([self.inner.outputs[0].node])

    def _is_lossless(self, index: int) -> bool:
        node = self.inner.nodes[index]
        if not isinstance(node.op, ops.Cast):
            return True
        operand = self.inner.nodes[node.args[0]]
        return _rounded_off(node.op, operand) == 0.0 and _fits(node.op, operand)

    def codes(self, operand: int, least: float = -np.inf, most: float = np.inf) -> int:
        """The number of codes of an operand, from ``least`` to ``most``."""
        return len(self._range(operand, least, most))

    def run_codes(self, least: float, most: float) -> tuple[Floats, Floats]:
        """The codes of the one operand from ``least`` to ``most``, as real numbers, and the circuit's results for them."""
        codes = self._all_codes(0, least, most)
        return codes, Emulator(self.whole, 1).run([codes.reshape(-1, *self.whole.nodes[0].type.shape)])[0].reshape(-1)

    def off_corners(self, reference: Callable[[Sequence[Floats]], Floats]) -> float:
        """The greatest error before the last casts at corners of what operands may be, for layers that are affine in each."""
        kinds = [self.inner.nodes[index].type for index in self.inner.inputs]
        corners = [
            *product(*([np.ldexp(end.astype(np.float64), -kind.frac) for end in (kind.lo, kind.hi)] for kind in kinds))
        ]
        batches = [
            np.stack([np.broadcast_to(corner[number], kind.shape) for corner in corners])
            for number, kind in enumerate(kinds)
        ]
        return float(np.max(self._off(reference, batches)))

    def off_codes(self, reference: Callable[[Sequence[Floats]], Floats]) -> tuple[Floats, Floats]:
        """The codes of the second operand, and the greatest error before the last casts for each, at both ends of the first."""
        codes = self._all_codes(1)
        x, y = (self.inner.nodes[index].type for index in self.inner.inputs)
        batches = ([np.full((len(codes), *x.shape), end), codes.reshape(-1, *y.shape)] for end in x.real_range())
        return codes, np.maximum(*(self._off(reference, batch).ravel() for batch in batches))

    def _range(self, operand: int, least: float, most: float) -> range:
        span = self.whole.nodes[operand].type.span
        low = span.lo if math.isinf(least) else min(max(math.floor(math.ldexp(least, span.frac)), span.lo), span.hi)
        high = span.hi if math.isinf(most) else max(min(math.ceil(math.ldexp(most, span.frac)), span.hi), span.lo)
        return range(low, high + 1)

    def _all_codes(self, operand: int, least: float = -np.inf, most: float = np.inf) -> Floats:
        codes = self._range(operand, least, most)
        return np.ldexp(
            np.arange(codes.start, codes.stop).astype(np.float64), -self.whole.nodes[operand].type.span.frac
        )

    def _off(self, reference: Callable[[Sequence[Floats]], Floats], batches: Sequence[Floats]) -> Floats:
        return np.abs(Emulator(self.inner, 1).run(batches)[0] - reference(batches))


def _rounded_off(op: ops.Cast, operand: Node) -> float:
    if bool(np.all(operand.type.frac <= op.frac)):
        return 0.0
    return float(np.max(np.ldexp(1.0 if op.rounding in CUTTING else 0.5, -op.frac)))


def _fits(op: ops.Cast, operand: Node) -> bool:
    """True if the cast never changes what it has rounded."""
    least, most = operand.type.real_range()
    if isinstance(operand.op, ops.Mul) and operand.args[0] == operand.args[1]:
        least = 0.0
    lowest, highest = (np.ldexp(end.astype(np.float64), -op.frac) for end in (op.lo, op.hi))
    return bool(np.all(least >= lowest) and np.all(most <= highest))
