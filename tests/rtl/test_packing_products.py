"""Two products in one multiplier block: results, cycles, and blocks as planned, with packing and without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.processes import FoldedProduct, Network, Process
from bitsmith.devices import ECP5, ICE40, ULTRASCALE_PLUS, XILINX_7, Family
from bitsmith.estimate.size import estimate_network
from bitsmith.flows.yosys import synthesize
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.multipliers import Pairs, multipliers, packed
from bitsmith.mapping.partition import partition
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.rtl.streaming import assert_streams, written

slow = pytest.mark.slow
ci = pytest.mark.ci


@dataclass(frozen=True)
class Case:
    """A layer that multiplies at ``positions`` positions, and what becomes of it."""

    n: int
    m: int
    operand: int
    signed: bool
    weight: int
    reuse: int
    pairs: Pairs
    positions: int = 1
    family: Family = ECP5

    def program(self) -> Program:
        """The layer alone, with all weights that it may have."""
        rng = np.random.default_rng(0)
        half = 1 << (self.weight - 1)
        builder = ProgramBuilder()
        x = builder.input("x", (self.positions, self.n), FixedFormat(self.signed, self.operand, 2))
        with builder.layer("dense"):
            y = builder.linear(x, rng.integers(-half, half, (self.n, self.m)), 0)
        return builder.program([("y", y)])

    @property
    def directives(self) -> Directives:
        """The layer in tokens of all its positions."""
        products = {"dense": MultiplierStyle.SHARED}
        return Directives({"dense": self.reuse}, True, products, block=self.family.block)

    def fold(self) -> tuple[Network, Process, FoldedProduct]:
        """The network, and the process that multiplies."""
        network = partition(self.program(), self.directives)
        ((process, kind),) = ((one, one.kind) for one in network.processes if isinstance(one.kind, FoldedProduct))
        return network, process, kind


CASES = [
    Case(12, 6, 4, True, 4, 6, Pairs.COLUMNS),
    Case(12, 5, 8, False, 4, 4, Pairs.COLUMNS),
    Case(6, 3, 5, False, 5, 2, Pairs.COLUMNS),
    Case(6, 4, 6, True, 6, 4, Pairs.NONE),
    Case(12, 3, 4, False, 7, 4, Pairs.LANES, positions=2),
    Case(6, 1, 4, True, 7, 2, Pairs.LANES, positions=3),
    Case(6, 4, 8, True, 8, 4, Pairs.NONE),
    Case(12, 9, 8, True, 8, 4, Pairs.COLUMNS, family=ULTRASCALE_PLUS),
    Case(6, 4, 8, False, 8, 4, Pairs.COLUMNS, family=XILINX_7),
    Case(6, 4, 4, True, 4, 4, Pairs.NONE, family=ULTRASCALE_PLUS),
    Case(6, 4, 4, True, 4, 4, Pairs.NONE, family=ICE40),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_packed(case: Case) -> None:
    _, process, kind = case.fold()
    x, y = process.takes[0].token, process.results[0].token
    made = multipliers(kind, x, y, case.family.block)
    assert made.pairs is case.pairs
    alone = multipliers(kind, x, y, None)
    assert alone.pairs is Pairs.NONE and alone.blocks == 0
    if made.pairs is not Pairs.NONE:
        lanes, (_, _, n, m) = x.shape[0], kind.weights.shape
        assert made.blocks == n * (lanes * ((m + 1) // 2) if made.pairs is Pairs.COLUMNS else (lanes + 1) // 2 * m)


def test_the_upper_product_may_be_one_less() -> None:
    block = ECP5.block
    assert block is not None
    assert packed((-8, 7), (0, 16), block) == (9, 14)  # products from -128 to 112, and -129
    assert packed((-7, 7), (0, 16), block) == (8, 12)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if k == 0 else (slow, ci) if k == 4 else slow)
        for k, case in enumerate(case for case in CASES if case.family is ECP5)
    ],
    ids=str,
)
def test_results_and_cycles(case: Case, tmp_path: Path) -> None:
    assert_streams(case.program(), case.directives, tmp_path)


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=ci if k == 1 else ()) for k, case in enumerate(CASES) if case.family is not ICE40],
    ids=str,
)
def test_blocks_are_those_of_synthesis(case: Case, tmp_path: Path) -> None:
    network, _, _ = case.fold()
    delays = case.family.delays
    found = []
    for name, each in (("packed", delays), ("alone", replace(delays, block=None))):
        design = lay_out(network, each, 8.0, "dut", Title("test", "0"))
        found.append(synthesize(tmp_path / name, "dut", written(design, tmp_path / name), case.family))
    shared, alone = found
    assert shared.dsp == estimate_network(network, case.family).dsp
    assert (shared.dsp < alone.dsp) == (case.pairs is not Pairs.NONE)
    if case.pairs is not Pairs.NONE:
        product = min(case.operand, case.weight) * (max(case.operand, case.weight) + 1)
        assert shared.lut - alone.lut < product * (alone.dsp - shared.dsp)
