"""All executions of a network's program, compared bit for bit: oracle, emulator and netlist; compiled C++ and Verilator.

Exact results are rounded by definition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Rounding
from bitsmith.layers.network import Network
from bitsmith.model import Model
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator
from tests.ir.oracle import evaluate
from tests.netlist.evaluate import evaluate as evaluate_netlist

Raws = Sequence[npt.NDArray[np.int64]]


def stimuli(program: Program, samples: int, seed: int = 0) -> list[npt.NDArray[np.int64]]:
    """Random raw inputs, the least and the greatest values first."""
    rng = np.random.default_rng(seed)
    raws = []
    for op in program.input_ops():
        lo, hi = int(op.lo.min()), int(op.hi.max())
        raw = rng.integers(lo, hi + 1, (samples, *op.shape))
        raw[0], raw[1] = lo, hi
        raws.append(raw)
    return raws


def rounded(value: Fraction, fmt: FixedFormat) -> float:
    """``value`` in ``fmt`` by the definitions of the rounding modes; saturated."""
    scaled = value * Fraction(2) ** fmt.frac
    floor, rest = math.floor(scaled), scaled - math.floor(scaled)
    up = rest > Fraction(1, 2)
    match fmt.rounding:
        case Rounding.TRN:
            up = False
        case Rounding.TRN_ZERO:
            up = rest > 0 and scaled < 0
        case _ if rest == Fraction(1, 2):
            up = {
                Rounding.RND: True,
                Rounding.RND_MIN_INF: False,
                Rounding.RND_INF: scaled > 0,
                Rounding.RND_ZERO: scaled < 0,
                Rounding.RND_CONV: floor % 2 == 1,
            }[fmt.rounding]
    return float(min(max(floor + up, fmt.lo), fmt.hi) * Fraction(2) ** -fmt.frac)


def assert_exact(network: Network, samples: int = 6, seed: int = 0, *, netlist: bool = True) -> Program:
    """Oracle = emulator (= netlist, which is for small networks) on random inputs; returns the program."""
    program = compile_network(network).program
    raws = stimuli(program, samples, seed)
    emulated = Emulator(program).run_raw(raws)
    circuit = reduce_widths(elaborate(drop_dead(program, keep_probes=False))) if netlist else None
    for k in range(samples):
        sample = [raw[k].astype(np.object_) for raw in raws]
        truth = evaluate(program, sample)
        for want, have in zip(truth, emulated, strict=True):
            np.testing.assert_array_equal(have[k], want)
        if circuit is not None:
            bits = evaluate_netlist(circuit, [int(value) for raw in sample for value in raw.ravel()])
            assert bits == [int(value) for output in truth for value in output.ravel()]
    return program


def assert_compiled(networks: Mapping[str, Network], folder: Path) -> None:
    """Emulator = C++ of both families of types, all networks in one compilation; takes seconds."""
    programs = {name: compile_network(network).program for name, network in networks.items()}
    for dialect in (DIALECTS["vitis"], DIALECTS["catapult"]):
        assert_equal_to_emulator(programs, dialect, folder / dialect.name)


def assert_simulated(network: Network, folder: Path, samples: int = 20) -> None:
    """Emulator = circuit in Verilator; takes seconds."""
    compiled = compile_network(network)
    model = Model(compiled.network, compiled.program, Target(folder, "dut", "LFE5U-85F-6BG381C", 10.0))
    reals = [
        np.ldexp(raw.astype(np.float64), -int(op.frac.max()))
        for raw, op in zip(stimuli(model.program, samples), model.program.input_ops(), strict=True)
    ]
    report = model.build(synth=False, inputs=reals, force=True)
    assert report.section("Verification")["Mismatches"] == 0
