"""Two products in one multiplier block: results, cycles, and blocks as planned, with packing and without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.dataflow.processes import Network, Process
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.size import estimate_network
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.multipliers import Multipliers, Pairs, multipliers, packed
from bitsmith.mapping.partition import partition
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.flows.runs import synthesize
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
    assert packed((-7, 7), (0, 9), block) == (7, 11)  # products from -63 to 63, and -64: all that 7 bits hold


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=(slow, ci) if k in (0, 4) else slow)
        for k, case in enumerate(case for case in CASES if case.family is ECP5)
    ],
    ids=str,
)
def test_results_and_cycles(case: Case, tmp_path: Path) -> None:
    assert_streams(case.program(), case.directives, tmp_path)


def made_with(case: Case, chain: int) -> Multipliers:
    """The multipliers of a case in blocks that add up as many products."""
    _, process, kind = case.fold()
    block = case.family.block
    assert block is not None
    return multipliers(kind, process.takes[0].token, process.results[0].token, replace(block, chain=chain))


@pytest.mark.parametrize(
    ("n", "longest", "chain", "sums"), [(32, 4, 4, 2), (20, 4, 3, 2), (4, 4, 1, 1), (28, 4, 4, 2), (28, 1, 1, 7)]
)
def test_chains_are_of_about_the_same_length(n: int, longest: int, chain: int, sums: int) -> None:
    made = made_with(Case(n, 4, 9, True, 9, 16, Pairs.NONE, family=XILINX_7), longest)
    assert (made.chain, made.sums) == (chain, sums)


def test_packed_products_are_added_up_where_they_fit() -> None:
    """The lower products of a chain take more bits, so that fewer bits are left for the upper factor."""
    case = Case(32, 4, 8, True, 7, 16, Pairs.COLUMNS, family=XILINX_7)
    made, alone = made_with(case, 4), made_with(case, 1)
    assert (made.pairs, made.blocks) == (alone.pairs, alone.blocks) == (Pairs.COLUMNS, 4)
    assert (made.chain, made.product, made.packed) == (4, 17, 25)
    assert (alone.product, alone.packed) == (15, 23)
    wider = made_with(replace(case, weight=8), 4)
    assert (wider.pairs, wider.chain, wider.packed) == (Pairs.COLUMNS, 1, 25)


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE_PLUS], ids=lambda family: family.name)
def test_chains_are_blocks_without_adders(family: Family, tmp_path: Path) -> None:
    """Yosys puts a chain with its registers into cascaded blocks of the 7 series, and takes the cells of UltraScale+."""
    case = Case(16, 4, 8, True, 9, 8, Pairs.NONE, family=family)
    network, process, _ = case.fold()
    block, results = case.family.block, process.results[0].token.size
    assert block is not None
    found = []
    for chain in (block.chain, 1):
        delays = replace(case.family.delays, block=replace(block, chain=chain))
        folder = tmp_path / str(chain)
        design = lay_out(network, delays, 8.0, "dut", Title("test", "0"))
        found.append(synthesize(folder, "dut", written(design, folder), case.family))
    chained, alone = found
    assert chained.dsp == alone.dsp
    made, bits = made_with(case, block.chain), case.operand + case.weight
    assert alone.lut - chained.lut > 0.8 * results * (made.chain - 1) * made.sums * bits - results * bits


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
    assert shared.dsp == estimate_network(network, case.directives, case.family).dsp
    assert (shared.dsp < alone.dsp) == (case.pairs is not Pairs.NONE)
    if case.pairs is not Pairs.NONE:
        product = min(case.operand, case.weight) * (max(case.operand, case.weight) + 1)
        assert shared.lut - alone.lut < product * (alone.dsp - shared.dsp)
