"""Whole networks of one engine beside a simulated memory: every bit, the cycles, and the products that are counted meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.dataflow.kinds import Engine
from bitsmith.devices.board import any_board
from bitsmith.devices.parts import part_or_typical
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title
from tests.rtl.wrapped import DIGEST
from tests.systems.memory_board import Memory, memory_board
from tests.systems.test_simulated_memory import overlaid

_COUNTS = """
    longint products[LAYERS];
    longint clocks;
    int counts;

    initial counts = $fopen("{path}", "w");

    always_ff @(posedge clk) begin
        clocks <= clocks + 1;
        if (step) products[layer] <= products[layer] + longint'(leaves_in) * (abreast ? ABREAST : 1) * (apiece ? POSITIONS : 1);
        if (flushed & is_last_layer) begin
            $fwrite(counts, "%0d", clocks);
            for (int at = 0; at < LAYERS; ++at) $fwrite(counts, " %0d", products[at]);
            $fwrite(counts, "\\n");
            $fflush(counts);
        end
    end
endmodule
"""
"""Clocks, and lanes that multiply in each layer, since the start of the simulation: a line at the end of each frame."""


def memories(rate: float) -> dict[str, Memory]:
    """Memories that give ``rate`` bits in a cycle, refreshes included, and one that gives all at once."""
    of_period = 1560 / 1490
    return {
        "steady": Memory(),
        "random": Memory(latency=10, more=30, bits=rate),
        "refreshes": Memory(latency=30, more=10, period=1560, pause=70, bits=rate * of_period),
    }


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation has shown.

    Args:
        multipliers: those of the engine.
        interval: planned cycles from frame to frame.
        measured: cycles of all frames by the memory, as shares of the planned ones.
        busy, planned: the share of multipliers that compute a product of a layer with weights, as counted in frames that follow
            each other with the steady memory, and as planned.
        right: frames that were compared; errors and resets came between some of them.
    """

    multipliers: int
    interval: int
    measured: dict[str, float]
    busy: float
    planned: float
    right: int


def simulated(model: bitsmith.Model, x: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Simulated:
    """Write ``model``, for a board with a Zynq, and simulate it with the frames ``x`` beside several memories."""
    target, frames, want = model.target, len(x), model.predict(x)
    assert target.board is not None
    bus_bytes, family = any_board(target.board).bus_bytes, part_or_typical(target.part).family
    each = circuit(
        model.program, model.directives, family.delays, target.budget_ns(family), "net", Title("test", DIGEST)
    )
    network = partition(drop_dead(model.program, keep_probes=False), model.directives)
    (engine,) = [process.kind for process in network.processes if isinstance(process.kind, Engine)]
    model.write()
    path = folder / "rtl/bitsmith_engine.sv"
    path.write_text(path.read_text().replace("endmodule", _COUNTS.replace("{path}", str(folder / "counts"))))
    planned, measured, right = each.cycles[0] + (frames - 1) * each.cycles[1], dict[str, float](), 0
    with memory_board(folder, each, bus_bytes) as (board, buffers):
        driver = overlaid(monkeypatch, folder, board, buffers)
        registers, rng = driver.ends[1], random.Random(0)
        for name, memory in memories(model.directives.weights_rate or 0).items():
            board.behave(memory)
            before = registers.counts()
            np.testing.assert_array_equal(driver.predict(x), want)
            measured[name], right = registers.counts().since(before).busy / planned, right + frames
        for buffer in range(len(each.interface.inputs)):
            board.behave(Memory(wrong=(buffer, rng.randrange(16))))
            with pytest.raises(RuntimeError, match="memory has answered with an error"):
                driver.predict(x[:1])
            np.testing.assert_array_equal(driver.predict(x[:1]), want[:1])
            registers.write(0x800, 0xFF)
            board.step(rng.randrange(each.cycles[1]))
            registers.reset()
            np.testing.assert_array_equal(driver.predict(x[:1]), want[:1])
            right += 2
    multipliers = engine.lanes * engine.positions
    weighted = [not layer.greatest and bool(np.any(layer.weights != layer.weights.flat[0])) for layer in engine.layers]
    products = [layer.all_passes * layer.steps * layer.lanes * layer.positions for layer in engine.layers]
    lines = np.array([line.split() for line in (folder / "counts").read_text().splitlines()], dtype=np.int64)
    counted = [after - before for before, after in pairwise(lines[:frames])]
    for frame in counted:
        np.testing.assert_array_equal(frame[1:], products)
    own = sum(np.array(products)[weighted])
    busy = float(np.mean([frame[1:][weighted].sum() / frame[0] for frame in counted])) / multipliers
    return Simulated(multipliers, each.cycles[1], measured, busy, float(own) / (multipliers * each.cycles[1]), right)
