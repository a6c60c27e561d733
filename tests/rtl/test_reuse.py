"""All reuse factors of one layer in hardware: results and cycles as planned, and area that never grows with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bitsmith.building import design
from bitsmith.building.verification import compare, random_stimuli
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.estimate.figures import Size
from bitsmith.estimate.size import estimate_layout
from bitsmith.flows.yosys import Resources
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.rtl.writer import Title
from tests.flows import runs
from tests.flows.runs import execute
from tests.mapping.test_folding import convolution, dense

PRODUCT_LUTS = 8 * 9
"""What a product of 8 by 8 bits takes without a multiplier block."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and its reuse factors.

    Args:
        parallel: tensors come whole.
        most, few: the greatest reuse factor, and those of the fixed share of tests.
        tokens: of a frame, each of which has the cycles of the reuse factor.
        least: cycles for a frame that a window takes, padding included.
    """

    program: Program
    parallel: bool
    most: int
    few: tuple[int, ...]
    tokens: int = 1
    least: int = 1


LAYERS: Mapping[str, Layer] = {
    "dense": Layer(dense(8, 6), True, 48, (1, 8, 16, 48)),
    "convolution": Layer(convolution(4), False, 72, (1, 9, 72), tokens=4 * 4, least=6 * 6),
    "whole convolution": Layer(convolution(3), True, 648, (1, 36, 648)),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A circuit: interval as simulated, and what Yosys makes of it."""

    interval: int
    found: Resources

    @property
    def area(self) -> int:
        """Look-up tables, and those that the products in multiplier blocks would take."""
        return self.found.lut + PRODUCT_LUTS * self.found.dsp


class Workshop:
    """Builds circuits in ``folder``; what several reuse factors share is built once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[tuple[str, str], ...], Measured] = {}

    def built(self, layer: Layer, reuse: int, products: MultiplierStyle) -> tuple[Measured, Size]:
        """The circuit with a reuse factor, simulated and synthesized, and its estimate."""
        names = {node.layer for node in layer.program.nodes if node.layer}
        directives = Directives(dict.fromkeys(names, reuse), layer.parallel, dict.fromkeys(names, products))
        made = design.circuit(layer.program, directives, ECP5.delays, 8.0, "net", Title("test", ""))
        key = tuple(sorted(made.sources.items()))
        if key not in self._made:
            self._made[key] = self._measured(layer.program, made)
        return self._made[key], estimate_layout(layer.program, directives, ECP5)

    def _measured(self, program: Program, made: design.Circuit) -> Measured:
        root, paths = self._folder / str(len(self._made)), []
        for name, text in made.sources.items():
            paths.append(root / "rtl" / name)
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(text)
        emulator = Emulator(program)
        raws = [raw[:50] for raw in random_stimuli(program)]
        run = execute(made.simulation(paths, raws), root)
        compare(emulator, program, run.outputs, raws)
        assert (run.latency, run.interval) == made.cycles
        return Measured(run.interval, runs.synthesize(root, made.top, paths, ECP5))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("reuse"))


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.parametrize("products", [MultiplierStyle.CHEAPEST, MultiplierStyle.SHARED])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("all_factors", [pytest.param(False, id="few"), pytest.param(True, id="all")])
def test_area_never_grows(name: str, all_factors: bool, products: MultiplierStyle, workshop: Workshop) -> None:
    layer = LAYERS[name]
    least = None
    for reuse in range(1, layer.most + 1) if all_factors else layer.few:
        measured, expected = workshop.built(layer, reuse, products)
        assert measured.interval <= max(reuse * layer.tokens, layer.least)
        assert measured.found.lut / 1.5 < expected.lut < measured.found.lut * 1.5
        assert measured.found.dsp == expected.dsp
        # Sharing as such may cost more than adder graphs: what is shared is compared among itself.
        if products is MultiplierStyle.CHEAPEST or reuse > 1:
            assert least is None or measured.area <= 1.02 * least, (
                f"{measured.area} at reuse factor {reuse}, {least} before"
            )
            least = min(least or measured.area, measured.area)
