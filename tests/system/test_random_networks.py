"""Random networks of all layers with random precision: oracle = emulator = netlist, and the circuit in simulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.errors import RangeError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers import merge
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Binning, Settings, SoftmaxImplementation
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.model import Model
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead
from tests.ir.oracle import evaluate
from tests.netlist.evaluate import evaluate as evaluate_netlist

SAMPLES = 24


def random_format(rng: np.random.Generator, least: int = 3) -> FixedFormat:
    width = int(rng.integers(least, 13))
    return FixedFormat(
        bool(rng.integers(4)),
        width,
        int(rng.integers(0, width + 1)),
        list(Rounding)[rng.integers(len(Rounding))],
        list(Overflow)[rng.integers(len(Overflow))],
    )


def random_settings(rng: np.random.Generator, layer: Layer) -> Settings:
    variables = [name for name in layer.precisions if rng.random() < 0.4]
    tables = "table_size" in layer.options and rng.random() < 0.4
    chosen = Settings(
        {name: random_format(rng, 2 if name in ("weight", "bias", "param") else 5) for name in variables},
        table_size=int(2 ** rng.integers(3, 9)) if tables else None,
        binning=list(Binning)[rng.integers(3)] if tables else None,
        implementation=list(SoftmaxImplementation)[rng.integers(3)] if isinstance(layer, Softmax) else None,
    )
    if chosen.implementation is SoftmaxImplementation.LATENCY:
        return replace(chosen, table_range=(-8.0, 8.0))  # powers of what is not bounded would be refused
    return chosen


def random_layer(rng: np.random.Generator, shape: Shape) -> Layer:
    """A layer that takes one input of ``shape``."""
    size, rank = int(np.prod(shape)), len(shape)
    kernel = rng.standard_normal((shape[-1], int(rng.integers(1, 6)))) * rng.integers(0, 2, (shape[-1], 1))
    choices: list[Layer] = [
        Dense(as_weights(kernel), as_weights(rng.standard_normal(kernel.shape[1])) if rng.integers(2) else None),
        Dense(as_weights(np.round(kernel * 4) / 4)),
        Activation(sorted(set(FUNCTIONS) - {"exponential"})[rng.integers(len(FUNCTIONS) - 1)]),
        ReLU(*[(None, 0.0, 0.0), (6.0, 0.0, 0.0), (None, 0.25, 0.0), (2.0, 0.1, 0.5)][rng.integers(4)]),
        PReLU(as_weights(rng.uniform(-1, 1, shape))),
        HardActivation(0.2, 0.5, 0.0, 1.0),
        Softmax(int(rng.integers(-rank, rank))),
        BatchNormalization(as_weights(rng.uniform(0.5, 2, shape[-1])), as_weights(rng.standard_normal(shape[-1]))),
        Flatten(),
        Identity(),
        Reshape((size,) if rank > 1 else (1, size)),
        Permute(tuple(int(k) for k in rng.permutation(rank))),
    ]
    return choices[rng.integers(len(choices))]


def random_network(seed: int) -> Network:
    """Inputs, a chain with merges of equal shapes, and the last nodes as outputs."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, Shape] = {}
    nodes: list[NetworkNode] = []

    def put(layer: Layer, inputs: tuple[str, ...], settings: Settings) -> None:
        name = f"n{len(nodes)}"
        nodes.append(NetworkNode(name, layer, inputs, settings=settings))
        shapes[name] = layer.output_shape([shapes[operand] for operand in inputs])

    for _ in range(int(rng.integers(1, 3))):
        shape = [(3,), (4,), (2, 3)][rng.integers(3)]
        put(Input(shape), (), Settings({"result": random_format(rng)}))
    inputs = tuple(shapes)
    joins: list[Layer] = [
        *(merge.Add(), merge.Subtract(), merge.Multiply(), merge.Average(), merge.Maximum(), merge.Minimum()),
        *(merge.Concatenate(), Identity()),
    ]
    for _ in range(int(rng.integers(2, 7))):
        names = list(shapes)
        last = names[-1 - int(rng.integers(min(2, len(names))))]
        equal = [name for name in names if shapes[name] == shapes[last] and name != last]
        if equal and rng.random() < 0.4:
            layer = joins[rng.integers(len(joins))]
            layer = product(len(shapes[last])) if isinstance(layer, Identity) else layer
            put(layer, (last, equal[rng.integers(len(equal))]), random_settings(rng, layer))
        else:
            layer = random_layer(rng, shapes[last])
            put(layer, (last,), random_settings(rng, layer))
    outputs = tuple(dict.fromkeys((nodes[-1].name, nodes[-2].name)))
    return Network(tuple(nodes), inputs, outputs)


def product(rank: int) -> Einsum:
    """The sums of products along the last axes of two tensors; of two vectors all products."""
    left, right = "abcdef"[:rank], "uvwxyz"[: rank - 1]
    return Einsum(f"{left},{right}{left[-1]}->{left[:-1]}{right}" if right else "a,b->ab")


def converted(seed: int, folder: Path) -> Model:
    compiled = compile_network(random_network(seed))
    return Model(compiled.network, compiled.program, Target(folder, "dut", "LFE5U-85F-6BG381C", 10.0))


def stimuli(model: Model, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    raws = []
    for op in model.program.input_ops():
        raw = rng.integers(int(op.lo.min()), int(op.hi.max()) + 1, (SAMPLES, *op.shape))
        raw[0], raw[1] = int(op.lo.min()), int(op.hi.max())
        raws.append(raw)
    return raws


def check(seed: int, folder: Path) -> None:
    model = converted(seed, folder)
    raws = stimuli(model, seed)
    emulated = model.emulator.run_raw(raws)
    netlist = reduce_widths(elaborate(drop_dead(model.program, keep_probes=False)))
    for k in range(SAMPLES):
        sample = [raw[k].astype(np.object_) for raw in raws]
        truth = evaluate(model.program, sample)
        for want, have in zip(truth, emulated, strict=True):
            np.testing.assert_array_equal(have[k], want)
        bits = evaluate_netlist(netlist, [int(value) for raw in sample for value in raw.ravel()])
        assert bits == [int(value) for output in truth for value in output.ravel()]


@pytest.mark.parametrize("share", range(4))
def test_oracle_emulator_and_netlist_agree(share: int, tmp_path: Path) -> None:
    for seed in range(share, 40, 4):
        check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(8))
def test_oracle_emulator_and_netlist_agree_at_length(share: int, tmp_path: Path) -> None:
    refused = 0
    for seed in range(1000 + share, 1600, 8):
        try:
            check(seed, tmp_path)
        except RangeError:  # exponentials of exponentials
            refused += 1
    assert refused <= 3


@pytest.mark.slow
@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.ci), *range(8, 64, 8)])
def test_circuits_agree(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 8):
        model = converted(seed, tmp_path / str(seed))
        reals = [
            np.ldexp(raw.astype(np.float64), -int(op.frac.max()))
            for raw, op in zip(stimuli(model, seed), model.program.input_ops(), strict=True)
        ]
        report = model.build(synth=False, inputs=reals if len(reals) > 1 else reals[0], force=True)
        assert report.section("Verification")["Mismatches"] == 0
