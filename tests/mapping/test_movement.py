"""Elements that are moved between products in parts of tokens: the processes compute what the program does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Interleave, Sweep
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from tests.mapping.test_partition import assert_same
from tests.properties import few

ROWS, COLUMNS, CHANNELS = 2, 3, 4

MOVES: Mapping[str, Callable[[ProgramBuilder, Value, Value], Value]] = {
    "rows repeated": lambda build, x, _: build.gather(x, np.repeat(np.arange(ROWS), 2), 0),
    "columns repeated": lambda build, x, _: build.gather(x, np.repeat(np.arange(COLUMNS), 3), 1),
    "columns in another order": lambda build, x, _: build.gather(x, [2, 0, 1, 1], 1),
    "columns again from the first": lambda build, x, _: build.gather(x, np.tile(np.arange(COLUMNS), 2), 1),
    "rows repeated unequally": lambda build, x, _: build.gather(x, [0, 0, 1], 0),
    "channels repeated": lambda build, x, _: build.gather(x, np.repeat(np.arange(CHANNELS), 2), 2),
    "channels turned around": lambda build, x, _: build.gather(x, np.arange(CHANNELS)[::-1], 2),
    "rows and columns exchanged": lambda build, x, _: build.transpose(x, (1, 0, 2)),
    "columns and channels exchanged": lambda build, x, _: build.transpose(x, (0, 2, 1)),
    "all axes exchanged": lambda build, x, _: build.transpose(x, (2, 1, 0)),
    "channels first": lambda build, x, _: build.transpose(x, (2, 0, 1)),
    "a part": lambda build, x, _: build.slice(x, (0, 1, 1), (2, 3, 4)),
    "every other": lambda build, x, _: build.slice(x, (0, 0, 0), (2, 3, 4), (1, 2, 2)),
    "zeros around": lambda build, x, _: build.pad(x, (1, 0, 0), (0, 1, 0)),
    "zeros beside channels": lambda build, x, _: build.pad(x, (0, 0, 1), (0, 0, 1)),
    "another shape": lambda build, x, _: build.reshape(x, (3, 2, 4)),
    "channels as columns": lambda build, x, _: build.reshape(x, (2, 6, 2)),
    "joined channels": lambda build, x, y: build.concat([x, y], 2),
    "joined columns": lambda build, x, y: build.concat([y, x], 1),
    "joined rows": lambda build, x, y: build.concat([x, y], 0),
    "joined with fewer channels": lambda build, x, y: build.concat([x, build.slice(y, (0, 0, 0), (2, 3, 2))], 2),
}


def between_products(move: Callable[[ProgramBuilder, Value, Value], Value]) -> Program:
    """A product of channels, a move of its result, and another product."""
    rng, build = np.random.default_rng(2), ProgramBuilder()
    kind = FixedFormat(True, 6, 3)
    x = build.input("x", (ROWS, COLUMNS, 3), kind)
    with build.layer("first"):
        y = build.cast(build.linear(x, rng.integers(-7, 8, (3, CHANNELS)), 2), kind)
    with build.layer("beside"):
        z = build.cast(build.linear(x, rng.integers(-7, 8, (3, CHANNELS)), 1), FixedFormat(True, 6, 2))
    with build.layer("move"):
        moved = build.unify(move(build, y, z))
    with build.layer("last"):
        result = build.linear(moved, rng.integers(-7, 8, (moved.shape[-1], 2)))
    return build.program([("y", result)])


SHARED = dict.fromkeys(("first", "beside", "last"), MultiplierStyle.SHARED)
DEMANDS = [(1, 1), (12, 64), (12, 2), (3, 12)]


@few("first, others", DEMANDS, fast=2, judged=True)
@pytest.mark.parametrize("name", MOVES)
def test_moves_between_products(name: str, first: int, others: int) -> None:
    """With one multiplier, several, and one for each weight; also several positions at once."""
    program = between_products(MOVES[name])
    for positions in (1, 3):
        reuse = {"first": first, "beside": first, "move": others, "last": others}
        assert_same(program, Directives(reuse, False, SHARED, dict.fromkeys(reuse, positions)), first)


@pytest.mark.parametrize(("name", "kind"), [("rows repeated", Sweep), ("joined channels", Interleave)])
def test_what_is_made_in_parts_is_moved_in_parts(name: str, kind: type) -> None:
    """If there are enough cycles for the tokens that become more."""
    for cycles, wanted in ((64, True), (1, False)):
        reuse = {"first": 12, "beside": 12, "move": cycles, "last": 64}
        processes = assert_same(between_products(MOVES[name]), Directives(reuse, False, SHARED)).processes
        narrow = [each for each in processes if isinstance(each.kind, kind) and each.results[0].token.size < CHANNELS]
        assert bool(narrow) is wanted
        assert all(each.kind.times == 2 for each in narrow if isinstance(each.kind, Sweep))


@pytest.mark.parametrize("name", MOVES)
def test_what_is_made_in_pairs_of_channels_is_moved(name: str) -> None:
    """Pairs stay together where no move comes between them."""
    reuse = {"first": 6, "beside": 6, "move": 64, "last": 64}
    processes = assert_same(between_products(MOVES[name]), Directives(reuse, False, SHARED)).processes
    pairs = [each for each in processes if isinstance(each.kind, Sweep) and each.results[0].token.size == 2]
    assert bool(pairs) == (name in {"rows repeated", "columns repeated", "rows and columns exchanged"})
