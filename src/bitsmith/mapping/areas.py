"""About how many look-up tables ops and processes take: what one layout of a few ops is compared with another by."""

import math
from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.dataflow import kinds
from bitsmith.dataflow.storage import weight_bits
from bitsmith.devices.parts import YARDSTICK as _AREA
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.ir.types import Overflow, TensorType
from bitsmith.mapping.builder import DataflowBuilder, Step, StepId
from bitsmith.mapping.folding import SWEEP_LUTS, area_of_regrouping, divisors, product_luts, rom_area
from bitsmith.netlist import csd


def area_of_op(op: ops.Op, args: Sequence[TensorType], result: TensorType) -> float:
    """Look-up tables of an op on all its elements; of a multiplier what it would take without multiplier blocks."""
    match op:
        case ops.Linear():
            positions = result.size // result.shape[-1]
            widths = float(args[0].width.mean()), float(result.width.mean())
            return positions * csd.estimate(op.weights) * csd.adder_width(*widths)
        case ops.Mul():
            return result.size * product_luts(*(kind.max_width for kind in args))
        case ops.Table():
            return result.size * rom_area(op.values.shape[-1], result.max_width)
        case ops.Cast(overflow=Overflow.WRAP) | ops.Shift() | ops.Input() | ops.Const() | ops.Parameter():
            return 0.0
        case ops.MatMul() | ops.Sum() | ops.AMax() | ops.Scan():
            return 0.0  # as steps, too
    if isinstance(op, ops.Elementwise):
        return result.size * float(result.width.mean())
    return 0.0 if isinstance(op, ops.Movement) else assert_never(op)


def area_of_steps(builder: DataflowBuilder, first: int, result: StepId) -> float:
    """Look-up tables of the steps from number ``first`` on that ``result`` needs."""
    live = reached([result], lambda number: {arg for arg in builder.steps[number].args if arg >= first})
    return sum(_area_of_step(builder, builder.steps[number]) for number in live)


def _area_of_step(builder: DataflowBuilder, step: Step) -> float:
    takes, kind = [builder.stream(arg) for arg in step.args], step.kind
    if isinstance(kind, ops.Op):
        return area_of_op(kind, [stream.token for stream in takes], step.stream.token)
    luts = sum(_AREA.memory_luts * stream.bits + _AREA.control_luts for stream in takes)
    match kind:
        case kinds.FoldedProduct():
            (n, m), lanes = kind.tile, takes[0].token.shape[0]
            weight = weight_bits(kind.weights)
            luts += n * m * lanes * product_luts(takes[0].token.max_width, weight) + step.stream.bits * n
            return luts + rom_area(kind.groups * kind.steps, kind.weights[0, 0].size * weight)
        case kinds.Sweep():
            return luts + SWEEP_LUTS + _AREA.memory_luts * step.stream.bits
        case _:
            return luts + _AREA.select_luts * max(step.stream.bits, *(stream.bits for stream in takes), 0)


def followers(builder: DataflowBuilder, node: Node) -> Iterator[Node]:
    """The ops that take elements of ``node`` one by one, before anything needs several of them."""
    seen, left = {id(node)}, [node]
    while left:
        for reader in builder.readers[id(left.pop())]:
            alike = isinstance(reader.op, ops.Elementwise | ops.Reshape) and reader.type.size == node.type.size
            if alike and id(reader) not in seen:
                seen.add(id(reader))
                left.append(reader)
                yield reader


def size_of_parts(builder: DataflowBuilder, node: Node, size: int, cycles: int) -> int:
    """Elements that come at once, of ``size`` of a token of ``node``, so that multiplications of each share ``cycles``.

    All of them if there are none, or if sharing them and the ops beside them saves nothing.
    """
    part = next(part for part in divisors(size) if part * cycles >= size)
    after = list(followers(builder, node)) if part < size else []
    if not any(isinstance(follower.op, ops.Mul) for follower in after):
        return size
    saved = 0.0
    for follower in after:
        factors = [builder.program.nodes[arg] for arg in follower.args]
        own = area_of_op(follower.op, [factor.type for factor in factors], follower.type) / follower.type.size
        saved += min(own, _area_of_adders(builder, follower, factors)) * size - own * part
    return part if saved > 2 * area_of_regrouping(size, part, node.type.max_width) else size


def _area_of_adders(builder: DataflowBuilder, node: Node, factors: Sequence[Node]) -> float:
    """Look-up tables of the adders that multiply an element by its constant beside others; infinite where nothing does so."""
    blocks = builder.directives.block_layers
    constants = [factor.op for factor in factors if isinstance(factor.op, ops.Const)]
    if not isinstance(node.op, ops.Mul) or not constants or (blocks is not None and node.layer in blocks.layers):
        return math.inf
    return float(np.maximum(csd.count_digits(constants[0].raw) - 1, 0).mean()) * node.type.max_width
