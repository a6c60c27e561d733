"""Estimates of circuits of all kinds for families of all kinds, as they were: what changes one is for review.

How near estimates are to what tools make is tested beside this. ``python -m tests.estimate.test_goldens`` writes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bitsmith.devices import FAMILIES, Family, resolve_part
from bitsmith.estimate.size import estimate, estimate_network
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from tests.mapping.test_engines import depthwise, perceptron, pooled, residual, shared
from tests.mapping.test_folding import convolution
from tests.netlist.checks import dense_program
from tests.properties import convolutional, recurrent
from tests.properties.programs import random_program
from tests.rtl.wrapped import loaded

GOLDENS = Path(__file__).parent / "goldens.txt"
PARTS = ("xczu7ev", "ice40up5k")


def transposed() -> Program:
    """A memory of two frames, and a FIFO that waits for all of another."""
    builder = ProgramBuilder()
    x = builder.input("x", (64, 128, 1), FixedFormat(True, 9, 4))
    with builder.layer("turned"):
        turned = builder.transpose(x, (1, 0, 2))
    with builder.layer("sum"):
        return builder.program([("y", builder.add(builder.reshape(turned, (64, 128, 1)), x))])


def styled(names: tuple[str, ...], reuse: int, *, parallel: bool) -> Directives:
    return Directives(dict.fromkeys(names, reuse), parallel, dict.fromkeys(names, MultiplierStyle.SHARED))


def networks() -> Mapping[str, tuple[Program, Directives]]:
    """Circuits as networks of processes: products in turn, engines, windows, sweeps, recurrences, weights to load."""
    found = {
        "dense-4": (dense_program((16, 8), 8, 8, 0.0), styled(("dense_0",), 4, parallel=False)),
        "dense-wide": (dense_program((16, 8), 20, 20, 0.0), styled(("dense_0",), 8, parallel=False)),
        "dense-large": (dense_program((64, 64), 8, 8, 0.25), styled(("dense_0",), 256, parallel=False)),
        "padded": (convolution(3), styled(("conv",), 3, parallel=True)),
        "lines": (convolution(48), styled(("conv",), 81, parallel=False)),
        "engine-dense": (perceptron((16, 16, 12, 8)), shared(perceptron((16, 16, 12, 8)), 1000, parallel=True)),
        "engine-one": (residual(), shared(residual(), 600)),
        "engine-many": (residual(16), shared(residual(16), 600)),
        "engine-banks": (depthwise(), shared(depthwise(), 100)),
        "engine-greatest": (pooled(), shared(pooled(), 150)),
        "loads": (loaded(external=False), Directives({"conv": 2, "dense": 3}, True)),
        "external": (loaded(external=True), Directives({"conv": 3, "dense": 4}, False)),
        "transposed": (transposed(), Directives({}, False)),
    }
    for seed in range(3):
        program = convolutional.random_network(seed)
        found[f"convolutional-{seed}"] = (program, convolutional.demands(seed, program))
        program = recurrent.random_network(seed, loaded=seed % 2 == 1)
        found[f"recurrent-{seed}"] = (program, recurrent.demands(seed, program))
    return found


def lines() -> Iterator[str]:
    """A line for each circuit and family: look-up tables, flip-flops, multiplier blocks, adders, memories."""
    names = ("ecp5", "ice40up", "xc7", "xcup", "stratix10")  # each differs from the others in what it has
    families = [family for family in FAMILIES if family.name in names]
    made = {name: partition(program, directives) for name, (program, directives) in networks().items()}

    def line(kind: str, name: str, family: Family, size: object) -> str:
        return f"{kind} {name} {family.name}: {size}"

    for family in families:
        for seed in range(20):
            yield line("unrolled", f"random-{seed}", family, estimate(random_program(seed), family))
        in_blocks = Directives({}, True, {"dense_0": MultiplierStyle.BLOCKS}, block=family.area.block).block_layers
        yield line("unrolled", "blocks", family, estimate(dense_program((8, 6), 9, 7, 0.25), family, in_blocks))
        for name, network in made.items():
            yield line("network", name, family, estimate_network(network, family))
    for part in map(resolve_part, PARTS):
        for name in ("lines", "engine-many", "transposed", "external"):
            program, directives = networks()[name]
            yield line(
                "part", name, part.family, estimate_network(partition(program, directives), part.family, None, part)
            )


@pytest.fixture(scope="module")
def found() -> list[str]:
    return list(lines())


@pytest.mark.slow
@pytest.mark.ci
def test_estimates_are_as_they_were(found: list[str]) -> None:
    remedy = "if estimates are meant to be others: python -m tests.estimate.test_goldens"
    assert found == GOLDENS.read_text().splitlines(), remedy


if __name__ == "__main__":
    GOLDENS.write_text("".join(f"{line}\n" for line in lines()))
