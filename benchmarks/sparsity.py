"""What zeros save: adders and look-up tables of unrolled layers at 0 to 90 % zeros, and with binary and ternary weights.

"Term by term" is a circuit that adds one term per non-zero signed digit of each weight: it falls in proportion to the digits
that pruning leaves. "Adders" and their bits are counted in the netlist that is written as a circuit, whose sums share what
they have in common: dense weights have more of that than sparse ones. LUT is the estimate that `build` shows before any tool
has run. Ends with status 1 where a pruned layer takes more than its share of the dense one's term-by-term adders.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from bitsmith.compiler import compile_network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.size import estimate
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.netlist import csd
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, Multiplier, Netlist, Word, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead

INPUT = FixedFormat(True, 8, 5, Rounding.RND, Overflow.SAT)
WEIGHT_BITS = 6
WEIGHT = FixedFormat(True, WEIGHT_BITS, 0)
SHARES = (0.0, 0.5, 0.75, 0.9)

Maker: TypeAlias = Callable[[Floats], tuple[Layer, Shape, int]]


@dataclass(frozen=True)
class Count:
    """A layer's size: of ``multipliers`` there should be none."""

    nonzero: int
    term_by_term: int
    adders: int
    adder_bits: int
    multipliers: int
    lut: int
    seconds: float


def integers(shape: Shape, zeros: float, seed: int = 0) -> Floats:
    """Normally distributed weights of a few bits, of which the smallest ones are pruned away."""
    largest = 2 ** (WEIGHT_BITS - 1) - 1
    weights = np.random.default_rng(seed).normal(0.0, 1.0, shape)
    weights = np.clip(np.rint(weights * largest / 2.5), -largest, largest)
    weights[weights == 0] = 1.0
    order = np.argsort(np.abs(weights), axis=None, kind="stable")
    weights.reshape(-1)[order[: round(zeros * weights.size)]] = 0.0
    return as_weights(weights)


def signs(shape: Shape, zeros: float, seed: int = 0) -> Floats:
    """-1 and 1, and the share of zeros: binary weights without, ternary ones with."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1.0, 1.0], shape)
    weights.reshape(-1)[rng.permutation(weights.size)[: round(zeros * weights.size)]] = 0.0
    return as_weights(weights)


def dense(kernel: Floats) -> tuple[Layer, Shape, int]:
    """A layer without bias, its input's shape, and at how many positions it is laid out."""
    return Dense(kernel), kernel.shape[:1], 1


def conv(kernel: Floats) -> tuple[Layer, Shape, int]:
    """As :func:`dense`, for a convolution."""
    height, width, channels, _ = kernel.shape
    layer = Conv(kernel, None, (1, 1), (1, 1), ((0, 0), (0, 0)))
    return layer, (height + 1, width + 1, channels), 4


def count(make: Maker, kernel: Floats) -> Count:
    """The size of the layer that ``make`` makes of whole-numbered weights, fully unrolled."""
    start = time.perf_counter()
    layer, shape, positions = make(kernel)
    nodes = (
        NetworkNode("x", Input(shape), settings=Settings({"result": INPUT})),
        NetworkNode("y", layer, ("x",), settings=Settings({"weight": WEIGHT})),
    )
    program = drop_dead(compile_network(Network(nodes, ("x",), ("y",))).program, keep_probes=False)
    netlist = reduce_widths(elaborate(program))
    sums = [word.width for word in _cells(netlist, AddSub)]
    digits = csd.count_digits(kernel.reshape(-1, kernel.shape[-1]).astype(np.int64)).sum(axis=0)
    return Count(
        nonzero=int(np.count_nonzero(kernel)),
        term_by_term=positions * int(np.maximum(digits - 1, 0).sum()),
        adders=len(sums),
        adder_bits=sum(sums),
        multipliers=len(_cells(netlist, Multiplier)),
        lut=estimate(program, ECP5).lut,
        seconds=time.perf_counter() - start,
    )


def in_proportion(pruned: Count, whole: Count, zeros: float) -> bool:
    """Whether pruning saves at least its share of the adders that the whole layer needs term by term."""
    return pruned.adders <= (1.0 - zeros) * whole.term_by_term and pruned.multipliers == 0


def _cells(netlist: Netlist, kind: type[AddSub] | type[Multiplier]) -> list[Word]:
    words = [netlist.words[index] for index in live_words(netlist)]
    return [word for word in words if isinstance(word.cell, kind)]


LAYERS: Mapping[str, tuple[Maker, Shape]] = {
    "Dense 16 -> 16": (dense, (16, 16)),
    "Dense 64 -> 64": (dense, (64, 64)),
    "Conv2D 3x3, 8 -> 8": (conv, (3, 3, 8, 8)),
    "Conv2D 3x3, 16 -> 16": (conv, (3, 3, 16, 16)),
}
WEIGHTS: Mapping[str, Callable[[Shape, float], Floats]] = {f"{WEIGHT_BITS} bits": integers, "binary, ternary": signs}


def main() -> None:
    """Print the table."""
    headings = (
        "zeros",
        "not zero",
        "term by term",
        "adders",
        "of dense",
        "adder bits",
        "LUT (estimate)",
        "multipliers",
        "s",
    )
    table = Table()
    table.add_column("layer", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    failed = False
    for name, (make, shape) in LAYERS.items():
        for kind, weights in WEIGHTS.items():
            whole = count(make, weights(shape, 0.0))
            for zeros in SHARES:
                found = count(make, weights(shape, zeros))
                failed |= not in_proportion(found, whole, zeros)
                table.add_row(
                    name,
                    kind,
                    f"{zeros:.0%}",
                    f"{found.nonzero:,}",
                    f"{found.term_by_term:,}",
                    f"{found.adders:,}",
                    f"{found.adders / whole.adders:.0%}",
                    f"{found.adder_bits:,}",
                    f"{found.lut:,}",
                    str(found.multipliers),
                    f"{found.seconds:.1f}",
                )
            table.add_section()
    Console(width=150).print(table)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
