"""Programs of several samples at once: each tensor that depends on an input has one more leading axis, that of the samples.

Before: ``linear(x)`` of ``x`` (784,). After: ``linear(x)`` of ``x`` (16, 784). All positions are treated alike, so that weights
serve all samples. The raw values of each are those of the program of one.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import assert_never

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.passes.program.rewrite import Rewriter, moved


def in_batches(program: Program, samples: int) -> Program:
    """``program`` of so many samples.

    Raises:
        UnsupportedError: a recurrence, whose steps are in turn already; names the layer.
        ProgramError: tensors that are larger than supported.
    """
    batched, place, many = _Batched(samples), list[int](), set[int]()
    for index, node in enumerate(program.nodes):
        args = tuple(place[arg] for arg in node.args)
        if not isinstance(node.op, ops.Input) and many.isdisjoint(node.args):
            batched.keep(node.op, args, node.type)
            place.append(batched.append(node.op, args, node.layer))
            continue
        many.add(index)
        wide = [arg in many for arg in node.args]
        place.append(batched.added(node, args, wide, [program.nodes[arg].type.shape for arg in node.args]))
    for end in {one.node for one in (*program.outputs, *program.probes)} - many:
        place[end] = batched.repeated(place[end], program.nodes[end].layer)
    return moved(program, tuple(batched.nodes), place)


def require_turns(program: Program, samples: int, in_turn: Collection[str]) -> None:
    """Check that an engine, whose windows have two axes, takes the layers ``in_turn`` for several samples, too.

    Raises:
        UnsupportedError: windows over two axes of a sample, which the samples would make three; names the layer.
    """
    for node in program.nodes if samples > 1 else ():
        if isinstance(node.op, ops.Window) and len(node.op.size) > 1 and node.layer in in_turn:
            raise UnsupportedError(
                f"strategy 'shared' for windows over {len(node.op.size)} axes, and a batch of {samples} samples",
                where=f"layer {node.layer!r}",
                accepted="windows over one axis, and dense layers",
                remedy="leave Batch out, or give this layer another Strategy",
            )


class _Batched(Rewriter):
    """The program of so many samples under construction."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self._samples = samples

    def repeated(self, index: int, layer: str) -> int:
        """A value that is the same for all samples, once for each."""
        return self.append(ops.Broadcast((self._samples, *self.type(index).shape)), (index,), layer)

    def added(self, node: Node, args: Sequence[int], wide: Sequence[bool], shapes: Sequence[tuple[int, ...]]) -> int:
        """The node for new operands, those that are ``wide`` with samples; ``shapes`` are those of one."""
        op, layer, operands = node.op, node.layer, list(zip(args, wide, shapes, strict=True))
        match op:
            case ops.Input():
                op = replace(op, shape=(self._samples, *op.shape))
            case ops.Const() | ops.Parameter():
                raise AssertionError(f"{op} depends on an input")
            case (
                ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Compare() | ops.Select() | ops.MatMul()
            ):
                rank = max(map(len, shapes))
                args = [self._raised(arg, shape, rank, layer) if many else arg for arg, many, shape in operands]
            case ops.Concat():
                args = [arg if many else self.repeated(arg, layer) for arg, many, _ in operands]
                op = replace(op, axis=op.axis + 1)
            case ops.Neg() | ops.Abs() | ops.Shift() | ops.Table() | ops.Cast() | ops.Linear():
                pass
            case ops.Sum() | ops.AMax():
                op = replace(op, axes=tuple(axis + 1 for axis in op.axes))
            case ops.Scan():
                raise UnsupportedError(
                    f"a batch of {self._samples} samples for a recurrence",
                    where=f"layer {layer!r}",
                    accepted="layers without states: dense ones, convolutions, pooling, attention and others",
                    remedy="leave Batch out",
                )
            case _ if isinstance(op, ops.Movement):
                return self._moved(op, args[0], shapes[0], node)
            case _:
                assert_never(op)
        return self.append(op, tuple(args), layer)

    def _raised(self, index: int, shape: tuple[int, ...], rank: int, layer: str) -> int:
        """A value of ``shape`` for each sample, with axes of size 1 before it up to ``rank``."""
        if len(shape) == rank:
            return index
        return self.append(ops.Reshape((self._samples, *(1,) * (rank - len(shape)), *shape)), (index,), layer)

    def _moved(self, op: ops.Movement, arg: int, shape: tuple[int, ...], node: Node) -> int:
        """The elements of each sample as ``op`` moves them."""
        match op:
            case ops.Reshape() | ops.Broadcast():
                if isinstance(op, ops.Broadcast):
                    arg = self._raised(arg, shape, len(op.shape), node.layer)
                op = replace(op, shape=(self._samples, *op.shape))
            case ops.Transpose():
                op = ops.Transpose((0, *(axis + 1 for axis in op.perm)))
            case ops.Slice():
                op = ops.Slice((0, *op.start), (self._samples, *op.stop), (1, *op.step))
            case ops.Pad():
                op = ops.Pad((0, *op.before), (0, *op.after))
            case ops.Gather():
                op = replace(op, axis=op.axis + 1)
            case ops.Window():
                padding = ((0, 0), *op.padding)
                op = ops.Window((1, *op.size), (1, *op.stride), (1, *op.dilation), padding)
                slid = self.append(op, (arg,), node.layer)
                return self.append(ops.Reshape((self._samples, *node.type.shape)), (slid,), node.layer)
            case ops.Concat():
                raise AssertionError("handled with its several operands")
            case _:
                assert_never(op)
        return self.append(op, (arg,), node.layer)
