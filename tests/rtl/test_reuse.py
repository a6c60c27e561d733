"""Reuse factors of one layer in hardware: results and cycles as planned, and area that never grows with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bitsmith import circuits
from bitsmith.build import compare, stimuli
from bitsmith.emulate import Emulator
from bitsmith.flows import yosys
from bitsmith.plan.delay import delay_model
from bitsmith.plan.demand import Demand
from bitsmith.plan.devices import Family
from bitsmith.plan.estimate import estimate_layout
from bitsmith.plan.folding import Products
from bitsmith.rtl.writer import Title
from tests.plan.test_folding import dense

ROWS, COLUMNS = 8, 6
ALL = range(1, ROWS * COLUMNS + 1)
FEW = (1, 8, 16, 48)
PRODUCT_LUTS = 8 * 9
"""What a product of 8 by 8 bits takes without a multiplier block."""


@cache
def area(reuse: int, products: Products, folder: Path) -> float:
    """Look-up tables and multiplier blocks of the layer, simulated and synthesised."""
    program = dense(ROWS, COLUMNS)
    demand = Demand({"dense": reuse}, True, {"dense": products})
    made = circuits.circuit(program, demand, delay_model(Family.ECP5), 8.0, "net", Title("test", ""))
    root, paths = folder / f"{products.value}{reuse}", []
    for name, text in made.sources.items():
        paths.append(root / "rtl" / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_text(text)
    emulator = Emulator(program)
    raws = [raw[:50] for raw in stimuli(emulator, program, None)]
    run = made.simulate(root, paths, raws, None)
    compare(emulator, program, run.outputs, raws)
    assert (run.latency, run.interval) == made.cycles
    assert run.interval <= reuse
    found = yosys.synthesise(root, made.top, paths, Family.ECP5)
    expected = estimate_layout(program, demand, Family.ECP5)
    assert found.lut / 1.5 < expected.lut < found.lut * 1.5
    assert found.dsp == expected.dsp
    return found.lut + PRODUCT_LUTS * found.dsp


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reuse")


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.parametrize("products", [Products.CHEAPEST, Products.SHARED])
@pytest.mark.parametrize(
    "factors", [pytest.param(FEW, id="few", marks=pytest.mark.ci), pytest.param(tuple(ALL), id="all")]
)
def test_area_never_grows(factors: tuple[int, ...], products: Products, folder: Path) -> None:
    # Sharing as such may cost more than adder graphs: what is shared is compared among itself.
    areas = [area(reuse, products, folder) for reuse in factors if products is Products.CHEAPEST or reuse > 1]
    least = areas[0]
    for reuse, found in zip(factors[-len(areas) :], areas, strict=True):
        assert found <= 1.02 * least, f"{found} at reuse factor {reuse}, {least} before"
        least = min(least, found)
