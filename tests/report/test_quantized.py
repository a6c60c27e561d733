"""What tables and pages show of quantized models: grids, bits of elements, and what was counted."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Settings
from bitsmith.report.grids import bits_text, grid_text, mean_bits
from bitsmith.report.html import page
from bitsmith.report.report import Report
from bitsmith.report.summary import Design, LayerRow, design_from_json, rows
from bitsmith.report.terminal import LayersTable, as_text, constant_text, declared_text

INPUT = Settings({"result": FixedFormat(True, 10, 6)})
MIXED = Quantizer.fixed(1, [[2, 1], [0, 2], [1, -3]], [[3, 2], [0, 3], [2, 1]], Rounding.RND, Overflow.WRAP)


def quantized(scale: float) -> Network:
    """A dense layer between quantizers of a ``scale``, and one with elements of their own bits."""
    grid, wide = Quantizer.uniform(scale, -7, 7), Quantizer.uniform(scale, -128, 127)
    kernel = as_weights(grid.applied(np.linspace(-1, 1, 9).reshape(3, 3)))
    nodes = (
        NetworkNode("x", Input((3,)), settings=INPUT),
        NetworkNode("q", Quantize(wide), ("x",)),
        NetworkNode("d", Dense(kernel), ("q",), quantizers={"weight": grid}),
        NetworkNode("r", Quantize(Quantizer.fixed(1, [2, 1, 0], 3, Rounding.TRN, Overflow.WRAP)), ("d",)),
        NetworkNode("e", Dense(as_weights(MIXED.applied(np.ones((3, 2)))), as_weights([0.5, 1.0])), ("r",)),
    )
    return Network((*nodes[:-1], replace(nodes[-1], quantizers={"weight": MIXED})), ("x",), ("e",))


def found(network: Network) -> dict[str, LayerRow]:
    compiled = compile_network(network)
    return {row.name: row for row in rows(compiled.network, compiled.program)}


@pytest.mark.parametrize(("scale", "step"), [(0.07, "4 bits of 0.07"), (0.125, "fixed<4,1>")])
def test_grids_are_the_users(scale: float, step: str) -> None:
    layers = found(quantized(scale))
    (weight,) = layers["d"].constants
    assert (weight.declared, weight.bits) == (step, ((4, 9),))
    assert layers["q"].declared == ("8 bits of 0.07,RND_CONV,SAT" if scale == 0.07 else "fixed<8,5,RND_CONV,SAT>")
    assert layers["q"].bits == ((8, 3),)
    assert layers["r"].declared == "fixed<4..6,1..3>"
    assert declared_text(layers["r"]) == "fixed<4..6,1..3> mean 5.0 bits ███ 4..6"


def test_absorbed_layers_say_by_which_and_codes_have_their_bits() -> None:
    """Their traces, multiplied by scales of double precision, are nothing that the circuit has."""
    first = quantized(0.07)
    normalization = BatchNormalization(as_weights([0.31, 1.7, 0.9]), as_weights([0.1, 0.2, 0.3]))
    nodes = [replace(node, inputs=("n",)) if node.name == "r" else node for node in first.nodes]
    nodes[3:3] = [NetworkNode("n", normalization, ("d",))]
    layers = found(first.with_nodes(nodes))
    assert {name: row.absorbed for name, row in layers.items() if row.absorbed} == {"n": ("r",)}
    assert [layers[name].result.bits for name in ("q", "d") if layers[name].result is not None] == ["8", "12..13"]
    assert "absorbed by r" in as_text(LayersTable("net", tuple(layers.values())), 140)


def test_sums_of_codes_say_which_quantizer_has_them() -> None:
    grids = [Quantizer.uniform(np.float32(scale), -16, 15) for scale in (0.031, 0.071, 0.042)]
    nodes = (
        NetworkNode("x", Input((3,)), settings=INPUT),
        NetworkNode("q", Quantize(grids[0]), ("x",)),
        NetworkNode("r", Quantize(grids[1]), ("x",)),
        NetworkNode("s", Add(), ("q", "r")),
        NetworkNode("t", Quantize(grids[2]), ("s",)),
    )
    layers = found(Network(nodes, ("x",), ("t",)))
    assert {name: row.absorbed for name, row in layers.items() if row.absorbed} == {"s": ("t",)}
    assert layers["s"].ebops is None


def test_what_is_between_quantizers_is_exact() -> None:
    layers = found(quantized(0.125))
    assert layers["d"].declared == layers["e"].declared == "exact"
    weight, bias = layers["e"].constants
    assert weight.bits == ((0, 1), (1, 1), (4, 2), (6, 2))
    assert constant_text(weight) == "weight fixed<1..6,0..3> mean 3.5 bits ▅▅  █ █ 0..6"
    assert (bias.declared, constant_text(bias)) == ("exact", "bias ufixed<2,1> (exact)")
    assert layers["e"].nonzero == 7, "one of the six weights has no bits"


def test_texts_of_bits() -> None:
    assert bits_text(()) == bits_text(((4, 9),)) == ""
    assert mean_bits(((2, 1), (4, 3))) == 3.5
    assert grid_text(Quantizer.uniform([0.1, 0.2], -128, 127), None, modes=False) == "8 bits of 0.1..0.2"


def test_tables_and_pages_have_them() -> None:
    compiled = compile_network(quantized(0.07))
    layers = rows(compiled.network, compiled.program)
    text = as_text(LayersTable("net", layers), 140)
    total = sum(row.ebops or 0 for row in layers)
    assert f", {total:,} EBOPs" in text.splitlines()[0]
    assert "EBOPs" in text.splitlines()[2] and "weight 4 bits of 0.07" in text
    design = Design("net", "", 10.0, layers, ("e",))
    assert design_from_json(asdict(design)) == design
    shown = page(Report((), design=design))
    assert "EBOPs</th>" in shown and "Bits of the quantizers" in shown and "e, weight: 3.50 bits on the mean" in shown
    bare = tuple(replace(row, ebops=None, bits=(), constants=()) for row in layers)
    plain = page(Report((), design=replace(design, layers=bare)))
    assert "EBOPs" not in plain and "Bits of the quantizers" not in plain
