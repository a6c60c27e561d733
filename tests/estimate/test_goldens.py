"""Estimates of circuits of all kinds for families of all kinds, as they were: what changes one is for review.

How near estimates are to what tools make is tested beside this. ``python -m tests.estimate.test_goldens`` writes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.devices.family import Family
from bitsmith.devices.parts import FAMILIES, resolve_part
from bitsmith.estimate.size import estimate, estimate_network
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from tests.devices.listed import family_named
from tests.mapping.test_engines import depthwise, perceptron, pooled, residual, shared
from tests.mapping.test_folding import convolution
from tests.netlist.checks import dense_program
from tests.properties import convolutional, few, recurrent
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


FAMILY_NAMES = ("ecp5", "ice40up", "xc7", "xcup", "stratix10")
"""Each differs from the others in what it has."""


def _line(kind: str, name: str, family: Family, size: object) -> str:
    return f"{kind} {name} {family.name}: {size}"


def unrolled(family: Family) -> Iterator[str]:
    """A line for each circuit without processes: look-up tables, flip-flops, multiplier blocks, adders, memories."""
    for seed in range(20):
        yield _line("unrolled", f"random-{seed}", family, estimate(random_program(seed), family))
    in_blocks = Directives({}, True, {"dense_0": MultiplierStyle.BLOCKS}, block=family.area.block).block_layers
    yield _line("unrolled", "blocks", family, estimate(dense_program((8, 6), 9, 7, 0.25), family, in_blocks))


def in_turn(family: Family) -> Iterator[str]:
    """A line for each network of processes."""
    for name, (program, directives) in networks().items():
        yield _line("network", name, family, estimate_network(partition(program, directives), directives, family))


def of_parts() -> Iterator[str]:
    """A line for some networks on parts."""
    found = networks()
    for part in map(resolve_part, PARTS):
        for name in ("lines", "engine-many", "transposed", "external"):
            program, directives = found[name]
            network, on_part = partition(program, directives), replace(directives, part=part)
            yield _line("part", name, part.family, estimate_network(network, on_part, part.family))


def lines() -> Iterator[str]:
    """All lines."""
    for family in (family for family in FAMILIES if family.name in FAMILY_NAMES):
        yield from unrolled(family)
        yield from in_turn(family)
    yield from of_parts()


def kept(kind: str, family: str = "") -> list[str]:
    """The lines of a kind as they were, of one family."""
    known = GOLDENS.read_text().splitlines()
    return [line for line in known if line.startswith(f"{kind} ") and line.partition(":")[0].endswith(family)]


REMEDY = "if estimates are meant to be others: python -m tests.estimate.test_goldens"


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_estimates_are_as_they_were(family: str) -> None:
    assert list(unrolled(family_named(family))) == kept("unrolled", f" {family}"), REMEDY


@few("family", FAMILY_NAMES, fast=1, judged=True)
def test_estimates_of_networks_are_as_they_were(family: str) -> None:
    assert list(in_turn(family_named(family))) == kept("network", f" {family}"), REMEDY


@pytest.mark.slow
@pytest.mark.ci
def test_estimates_of_parts_are_as_they_were() -> None:
    assert list(of_parts()) == kept("part"), REMEDY


if __name__ == "__main__":
    GOLDENS.write_text("".join(f"{line}\n" for line in lines()))
