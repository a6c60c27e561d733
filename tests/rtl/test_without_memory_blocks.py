"""Circuits with as much block memory as ``bram`` says: none, so many blocks at most, or all tables."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bitsmith
from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.model.points import size_of
from bitsmith.rtl.writer import Title
from tests.flows.runs import synthesize
from tests.properties import few

PARTS = {ECP5: "LFE5U-85F-6BG381C", ULTRASCALE_PLUS: "xcku5p-ffvb676-2-e"}


def converted(folder: Path, part: str, io_type: str, bram: int | str | None) -> bitsmith.Model:
    """Tables of 12 bits in a pipeline; or long FIFOs, weights in memories, one of which can be loaded, and their reordering."""
    torch.manual_seed(0)
    if io_type == "io_parallel":
        module: nn.Module = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).eval()
        config: dict[str, object] = {"Model": {"Precision": "fixed<12,4>"}}
        shape: tuple[int, ...] = (4,)
    else:
        module = nn.Sequential(
            nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 3)
        ).eval()
        config = {"Model": {"ReuseFactor": 36, "Strategy": "Resource"}}
        shape = (2, 8, 8)
    return bitsmith.convert(
        module, folder / "project", config, input_shape=shape, part=part, io_type=io_type, bram=bram, check=False
    )


def made(model: bitsmith.Model) -> Circuit:
    family = model.target.known_part.family
    budget = model.target.budget_ns(family)
    return circuit(model.program, model.directives, family.delays, budget, "net", Title("test", "0" * 16))


@few("io_type", ["io_parallel", "io_stream"], fast=1, judged=True)
@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=repr)
def test_neither_estimates_nor_files_have_any(tmp_path: Path, family: Family, io_type: str) -> None:
    with_blocks, without = (converted(tmp_path, PARTS[family], io_type, bram) for bram in (None, 0))
    sizes = [size_of(model.program, model.directives, model.target) for model in (with_blocks, without)]
    assert sizes[0].bram > 0 == sizes[1].bram and sizes[1].lut > sizes[0].lut
    designs = [made(model) for model in (with_blocks, without)]
    texts = ["\n".join([*design.sources.values(), *design.extras.values()]) for design in designs]
    assert ['rom_style = "block"' in text for text in texts] == [True, False]
    assert ["parameter bit LOGIC = 1'b0" in text for text in texts] == [True, False]
    x = np.random.default_rng(0).normal(size=(4, *without.network.input_shapes().popitem()[1]))
    np.testing.assert_array_equal(with_blocks.predict(x), without.predict(x))


def residual() -> nn.Module:
    """Two convolutions that a skip connection passes by, and a dense layer."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.widened, self.narrow, self.wide = (
                nn.Conv2d(3, 16, 1),
                nn.Conv2d(16, 8, 3, padding=1),
                nn.Conv2d(8, 16, 1),
            )
            self.classes = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.widened(x).relu()
            x = (x + self.wide(self.narrow(x).relu())).relu()
            y: torch.Tensor = self.classes(x.amax((2, 3)))
            return y

    torch.manual_seed(0)
    return Residual().eval()


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
def test_images_are_in_bands_of_rows_where_few_blocks_may_be_taken() -> None:
    """As on a part that has no more."""
    sizes, words = list[int](), list[str]()
    for most in (None, 16):
        model = bitsmith.convert(
            residual(),
            None,
            {"Model": {"Strategy": "Shared"}},
            input_shape=(3, 32, 32),
            part="xc7z020clg400-1",
            io_type="io_stream",
            precision="fixed<8,3>",
            weight_memory="64 bits, 262.5 MHz, 200 ns, 75 %",
            reuse_factor=4000,
            bram=most,
            check=False,
        )
        estimate = model.estimate()
        sizes.append(estimate.size.bram)
        words.append(str(estimate))
    assert sizes[0] > 1.2 * sizes[1]
    assert ["does not fit" in text for text in words] == [False, True]  # with what is beside the engine


def test_the_choice_is_saved_and_other_values_and_compilers_are_refused(tmp_path: Path) -> None:
    targets = dict[int | str, object]()
    for choice in (0, 24, "tables"):
        model = converted(tmp_path, PARTS[ECP5], "io_parallel", choice)
        model.save(tmp_path / "model.json")
        targets[choice] = bitsmith.Model.load(tmp_path / "model.json").target
        assert targets[choice] == model.target
    assert (
        len({*targets.values()}) == 3 and model.target != converted(tmp_path, PARTS[ECP5], "io_parallel", "24").target
    )
    for wrong in (-1, 1.5, False, "none", 1 << 17):
        with pytest.raises(bitsmith.errors.ConfigError, match="BRAM"):
            converted(tmp_path, PARTS[ECP5], "io_parallel", wrong)  # type: ignore[arg-type]
    with pytest.raises(bitsmith.errors.ConfigError, match="BRAM with backend 'vitis'"):
        bitsmith.convert(nn.Linear(2, 2), tmp_path, input_shape=(2,), backend="vitis", bram=0, check=False)


def of_small_tables(folder: Path, part: str, bram: str | None) -> bitsmith.Model:
    """Three tables of 64 words of 8 bits."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).eval()
    config = {"Model": {"Bits": 8, "TableSize": 64, "Binning": "centre"}}
    return bitsmith.convert(module, folder, config, input_shape=(4,), part=part, bram=bram, check=False)


@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=repr)
def test_small_tables_are_block_memory_where_that_is_asked_for(tmp_path: Path, family: Family) -> None:
    plain, blocks = (of_small_tables(tmp_path, PARTS[family], bram) for bram in (None, "tables"))
    sizes = [size_of(model.program, model.directives, model.target) for model in (plain, blocks)]
    assert sizes[0].bram == 0 and sizes[1].bram == 3 and sizes[1].lut < sizes[0].lut
    x = np.random.default_rng(0).normal(size=(40, 4))
    np.testing.assert_array_equal(plain.predict(x), blocks.predict(x))


@pytest.mark.tools
@pytest.mark.parametrize("family", PARTS, ids=repr)
def test_synthesis_makes_block_memory_of_small_tables(tmp_path: Path, family: Family) -> None:
    report = of_small_tables(tmp_path, PARTS[family], "tables").build(progress=lambda _: None)
    assert report.section("Verification")["Mismatches"] == 0 and report.section("Resources")["BRAM"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_they_compute_the_same(tmp_path: Path, io_type: str) -> None:
    model = converted(tmp_path, PARTS[ECP5], io_type, 0)
    assert model.build(cosim=True, synth=False, progress=lambda _: None) is not None


@pytest.mark.tools
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("family", PARTS, ids=repr)
def test_synthesis_makes_none(family: Family, io_type: str) -> None:
    """Also by the usual commands of the family, since vendors' tools know the attributes alone."""
    with tempfile.TemporaryDirectory() as folder:
        design = made(converted(Path(folder), PARTS[family], io_type, 0))
        for name, text in design.sources.items():
            (Path(folder) / name).write_text(text)
        paths = [Path(folder) / name for name in design.sources]
        assert synthesize(Path(folder), design.top, paths, family).bram == 0
