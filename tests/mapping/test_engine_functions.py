"""Functions of single numbers whose ways fork and meet again, on engines: rectifiers with slopes, tables beside lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.devices.parts import resolve_part
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from tests.mapping.test_engines import FORMAT, engines, shared
from tests.mapping.test_partition import assert_same


def with_functions() -> Program:
    """Convolutions and a dense layer with functions after them whose ways fork: with slopes, limits, and tables in a part."""
    builder, rng = ProgramBuilder(), np.random.default_rng(7)
    x = builder.input("x", (4, 4, 3), FORMAT)
    values = objects(rng.integers(-40, 40, 32))
    for number, slopes in enumerate((4, 3, rng.integers(1, 9, 4))):
        with builder.layer(f"slope{number}"):
            x = builder.linear(x, rng.integers(-15, 16, (x.shape[-1], 4)), 5)
            x = builder.add(x, builder.const(rng.integers(-9, 9, 4), 3))
            is_above = builder.compare(x, ops.Relation.GT, builder.const(0))
            kept = builder.min(x, builder.const(6)) if number else x
            x = builder.cast(builder.select(is_above, kept, builder.mul(x, builder.const(slopes, 5))), FORMAT)
    for number in range(2):
        with builder.layer(f"bent{number}"):
            x = builder.linear(x, rng.integers(-15, 16, (4, 4)), 5)
            near = builder.cast(x, FixedFormat(True, 5, number + 1, Rounding.RND, Overflow.SAT))
            bend = builder.apply(ops.Table(-16, values, np.array([4])), near)
            x = builder.cast(builder.add(builder.max(x, builder.const(0)), bend), FORMAT)
    return builder.program([("y", x)])


def test_functions_whose_ways_fork_belong_to_the_product_before() -> None:
    program = with_functions()
    network = assert_same(program, shared(program, 100))
    (engine,) = engines(network)
    names = [layer.name for layer in engine.layers]
    assert names == ["slope0", "slope1", "slope2", "bent0", "bent1"]


def test_a_function_whose_ways_fork_before_a_product_is_a_layer() -> None:
    """It is read beside a sum with what it is of."""
    builder, rng = ProgramBuilder(), np.random.default_rng(7)
    x = builder.input("x", (4, 4, 3), FORMAT)
    with builder.layer("stem"):
        x = builder.cast(builder.linear(x, rng.integers(-15, 16, (3, 3)), 5), FORMAT)
    with builder.layer("slope"):
        is_above = builder.compare(x, ops.Relation.GT, builder.const(0))
        y = builder.select(is_above, x, builder.cast(builder.shift(x, -3), FORMAT))
    with builder.layer("product"):
        y = builder.cast(builder.linear(y, rng.integers(-15, 16, (3, 3)), 5), FORMAT)
    with builder.layer("sum"):
        y = builder.cast(builder.add(x, y), FORMAT)
    program = builder.program([("y", y)])
    (engine,) = engines(assert_same(program, shared(program, 100)))
    assert [layer.name for layer in engine.layers] == ["stem", "slope", "product", "sum"]


def test_single_numbers_belong_to_no_engine() -> None:
    """Sums of all numbers, as those of trees, have no channels for an engine."""
    builder = ProgramBuilder()
    with builder.layer("sums"):
        total = builder.sum(builder.input("x", (4,), FORMAT), [-1])
        less = builder.max(builder.sub(total, builder.const(1)), builder.const(0))
    program = builder.program([("y", builder.mul(less, less))])
    assert not engines(assert_same(program, shared(program, 100)))


def scaled(seed: int, bits: int = 18) -> Program:
    """Dense layers, each with another function of what factors of its channels make of its sums."""
    builder, rng = ProgramBuilder(), np.random.default_rng(seed)
    x = builder.input("x", (6,), FORMAT)
    for place in range(3):
        with builder.layer(f"dense{place}"):
            x = builder.linear(x, rng.integers(-15, 16, (x.shape[-1], 5)), 5)
            x = builder.add(x, builder.const(rng.integers(-9, 9, 5), 3))
            x = builder.max(x, builder.const(0)) if place == 1 else x
            factors = rng.integers(-1 << bits + place, 1 << bits + place, 5)
            x = builder.mul(x, builder.const(factors, bits - place))
            x = builder.cast(builder.abs(x) if place == 2 else x, FORMAT)
    return builder.program([("y", x)])


def products(program: Program, directives: Directives) -> int:
    """Products with factors of the choice, on the engine for a program, which computes the same."""
    (engine,) = engines(assert_same(program, directives))
    of_engine = engine.program
    arguments = [
        of_engine.nodes[arg].op for node in of_engine.nodes if isinstance(node.op, ops.Mul) for arg in node.args
    ]
    return sum(not isinstance(arg, ops.Const) for arg in arguments) // 2


def test_functions_share_a_multiplier_where_a_part_has_too_few() -> None:
    """A part without blocks has look-up tables for several, unless it is small."""
    for seed in range(3):
        program, numbers = scaled(seed), list[int]()
        for name in ("iCE40UP5K-SG48", "LFE5U-25F-6BG256C", "iCE40HX8K-CT256", "iCE40HX1K-TQ144"):
            numbers.append(products(program, replace(shared(program, 100), part=resolve_part(name))))
        assert products(program, shared(program, 100)) == 3
        assert numbers == [1, 3, 3, 1]
