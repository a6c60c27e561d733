"""Bounded proofs of a circuit beside an engine that two of its visits share, as it is written.

The circuit, its order of operands, its tables and its FIFOs are those of a network. In place of the engine each visit gives its
operand back as it is, so that the proof is of who waits for whom. Two frames are under way at once.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Reorder, Replay, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.partition import partition
from bitsmith.rtl.library import STREAM_LIBRARY, library
from bitsmith.rtl.stream_top import StreamDesign
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.dataflow.execute import execute
from tests.mapping.test_fetched_weights import FAST
from tests.properties.transformers import in_few_cycles
from tests.rtl.engines import vector
from tests.rtl.stream_proof import counterexample, formulas

pytestmark = [pytest.mark.tools, pytest.mark.slow]

CHANNELS, BITS = 2, 2
FORMAT = FixedFormat(True, BITS, 0, Rounding.TRN, Overflow.WRAP)
SOLVER = "z3"
"""It takes a fraction of Bitwuzla's time where control is all that there is."""


def attention() -> Program:
    """One token, attention of one head, and a dense layer; normalizations before both, whose constants differ."""
    builder = ProgramBuilder()

    def normalized(x: Value, offset: int) -> Value:
        with builder.layer("norm"):
            apart = builder.sub(x, builder.reshape(builder.amax(x, (1,)), (1, 1)))
            return builder.cast(builder.add(apart, builder.const([offset], 0)), FORMAT)

    def dense(x: Value, weights: list[list[int]], layer: str) -> Value:
        with builder.layer(layer):
            return builder.cast(builder.add(builder.linear(x, np.array(weights), 0), builder.const([1, -1], 0)), FORMAT)

    x = normalized(builder.input("x", (1, CHANNELS), FORMAT), 1)
    query, key, value = (
        dense(x, weights, layer)
        for layer, weights in (("query", [[1, -2], [1, 1]]), ("key", [[1, 1], [-1, 1]]), ("value", [[-1, 1], [-1, -2]]))
    )
    with builder.layer("block_scores"):
        scores = builder.cast(builder.matmul(query, builder.transpose(key, (1, 0))), FORMAT)
    with builder.layer("block_context"):
        context = builder.cast(builder.matmul(scores, value), FORMAT)
    y = normalized(dense(context, [[1, -1], [1, 1]], "block"), -1)
    return builder.program([("y", dense(y, [[1, -1], [1, -1]], "last"))])


def without_engine(network: Network) -> Network:
    """The network in which each visit of its engine gives its operand back, and which no weights come to."""
    places, kept = dict[OutputPort, OutputPort](), list[Process]()
    for number, process in enumerate(network.processes):
        kind, processes = process.kind, [process]
        if isinstance(kind, Replay) or (isinstance(kind, Source) and kind.stored is not None):
            continue
        if isinstance(kind, Engine):
            operand, ends = process.takes[0], np.cumsum([0, *(stream.tokens for stream in process.results)])
            assert operand.tokens == ends[-1] and len(kind.begins) == 2
            wanted = [np.arange(*each) for each in pairwise(ends)]
            processes = [
                Process(Reorder(own), process.args[:1], (operand,), (result,))
                for own, result in zip(wanted, process.results, strict=True)
            ]
        for port in range(len(process.results)):
            alone = isinstance(kind, Engine)
            places[OutputPort(number, port)] = OutputPort(len(kept) + port * alone, port * (not alone))
        kept += processes
    return Network(tuple(replace(each, args=tuple(places[arg] for arg in each.args)) for each in kept))


def circuit(monkeypatch: pytest.MonkeyPatch) -> tuple[StreamDesign, dict[str, int | str]]:
    """The circuit that two visits share, and the parameters of ``formal_circuit`` but for those of stalls."""
    monkeypatch.setattr("bitsmith.mapping.engine.alike._LUTS", 0)  # as with normalizations of many bits
    program = attention()
    network = without_engine(partition(program, in_few_cycles(program, 0, FAST)))
    assert any(gives_back(number, arg) for number, each in enumerate(network.processes) for arg in each.args)
    frames = np.arange(1 << CHANNELS * BITS)[:, None] >> np.arange(CHANNELS) * BITS & (1 << BITS) - 1
    half = 1 << BITS - 1
    results = [execute(network, [objects(((frame + half) % (2 * half) - half)[None])])[0].ravel() for frame in frames]
    expected = vector([(int(raw), BITS) for result in results for raw in result], CHANNELS * BITS * len(frames))
    design = lay_out(network, ECP5.delays, 8.0, "dut", Title("test", "0"))
    by = design.schedule.latency + design.schedule.interval + 1
    return design, {"WIDTH": CHANNELS * BITS, "RESULT": CHANNELS * BITS, "EXPECTED": expected, "BY": by}


def question(
    folder: Path, design: StreamDesign, parameters: dict[str, int | str], mutant: tuple[str, str] | None = None
) -> str:
    """Which assertion can fail."""
    texts = {**design.sources, **library(STREAM_LIBRARY)}
    formulas(folder, "circuit", texts, parameters, mutant)
    cycles = sum(int(parameters.get(name, 0)) for name in ("STALLS", "BY", "AGAIN"))
    return counterexample(folder, cycles + 3, SOLVER)


@pytest.mark.parametrize(
    ("stalls", "again"), [pytest.param(4, 0, marks=pytest.mark.ci), (8, 0), pytest.param(0, 30, marks=pytest.mark.ci)]
)
def test_a_circuit_that_two_visits_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stalls: int, again: int
) -> None:
    """Results of each visit come in its place, none is lost, and nothing locks up, whatever stalls or a reset come first."""
    design, parameters = circuit(monkeypatch)
    assert question(tmp_path, design, {**parameters, "STALLS": stalls, "AGAIN": again}) == ""


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("x_valid[which] & y_free", "|x_valid & y_free"),  # whose turn it is
        ("act & flags[1]", "act"),  # what a visit leaves to another one
        ("if (rst) place <= '0", "if (1'b0) place <= '0"),  # turns begin anew after a reset
        ("assign free = claimed != FULL", "assign free = 1'b1"),
    ],
)
def test_the_proof_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, instead: str) -> None:
    design, parameters = circuit(monkeypatch)
    assert "Assert failed" in question(tmp_path, design, {**parameters, "STALLS": 4, "AGAIN": 8}, (text, instead))
