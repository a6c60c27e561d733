"""Rows of layers: what the circuit holds, not what the file said."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from bitsmith.errors import ProjectError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm
from bitsmith.passes.network.lower import lower
from bitsmith.report.summary import design_from_json, rows
from bitsmith.report.terminal import render
from tests.report.networks import INPUT, lowered, residual
from tests.report.reports import design


def test_one_row_per_layer_with_sizes_and_wiring() -> None:
    network = residual()
    found = {row.name: row for row in rows(network, lowered(network))}
    assert list(found) == ["x", "hidden", "relu", "mix", "sum"]
    assert found["sum"].inputs == ("relu", "mix")
    assert found["hidden"].shape == (6,)
    assert [row.parameters for row in found.values()] == [0, 30, 0, 36, 0]
    assert found["relu"].title == "ReLU"


def test_declared_formats_are_the_users_and_an_input_always_has_one() -> None:
    network = residual()
    found = {row.name: row.declared for row in rows(network, lowered(network))}
    assert found == {
        "x": "fixed<12,4,RND,SAT>",
        "hidden": "auto",
        "relu": "ufixed<9,3,RND,SAT>",
        "mix": "auto",
        "sum": "auto",
    }
    auto_input = network.with_nodes([replace(network.nodes[0], settings=Settings()), *network.nodes[1:]])
    assert rows(auto_input, lowered(auto_input))[0].declared == "fixed<16,6,RND,SAT>"


def test_constants_show_the_format_that_the_circuit_holds() -> None:
    network = Network(
        (
            NetworkNode("x", Input((2,)), (), "InputLayer", Settings({"result": INPUT})),
            NetworkNode("d", Dense(as_weights([[0.5, 0.0], [-1.75, 0.01]]), as_weights([3.0, 0.0])), ("x",), "Dense"),
        ),
        ("x",),
        ("d",),
    )
    weighted = network.with_nodes(
        [network.nodes[0], replace(network.nodes[1], settings=Settings({"weight": FixedFormat(True, 4, 2)}))]
    )
    weight, bias = rows(weighted, lowered(weighted))[1].constants
    assert (weight.declared, weight.format) == ("fixed<4,2>", "fixed<4,2>")
    assert weight.nonzero == 2, "0.01 rounds to 0 in quarters"
    assert (bias.declared, bias.format, bias.nonzero) == ("auto", "ufixed<2,2>", 1)
    exact = rows(network, lowered(network))[1].constants[0]
    assert exact.format.startswith("fixed<16,")
    assert exact.nonzero == 3


def test_results_are_the_proved_types() -> None:
    network = residual()
    program = lowered(network)
    found = {row.name: row.result for row in rows(network, program)}
    types = {probe.name: program.nodes[probe.node].type for probe in program.probes}
    relu = found["relu"]
    assert relu is not None
    assert (relu.bits, relu.frac, relu.short, relu.top) == ("9", "6", "u9", 3)
    assert (relu.lo, relu.hi) == (0.0, 511 / 64)
    for name, row in found.items():
        assert row is not None
        assert (row.lo, row.hi) == types[name].real_range()
        assert max(abs(row.lo), abs(row.hi)) <= 2.0**row.top


def test_a_folded_layer_has_no_result_of_its_own() -> None:
    network = Network(
        (
            NetworkNode("x", Input((2,)), (), "InputLayer", Settings({"result": INPUT})),
            NetworkNode("d", Dense(as_weights(np.eye(2) / 3)), ("x",), "Dense"),
            NetworkNode("bn", BatchNormalization(as_weights([1, 2]), as_weights([0, 1])), ("d",), "BatchNormalization"),
        ),
        ("x",),
        ("bn",),
    )
    folded = fold_batchnorm(network)
    found = {row.name: row for row in rows(folded, lowered(folded))}
    assert found["d"].folded
    assert found["d"].result is None
    assert not found["bn"].folded
    assert found["bn"].title == "BatchNormalization"
    (line,) = [line for line in render(folded, lowered(folded), width=120).splitlines() if line.startswith(" d ")]
    assert "folded" in line


def test_values_beyond_floating_point_have_no_range() -> None:
    huge = Settings({"result": FixedFormat(True, 8, -504)})
    inputs = tuple(NetworkNode(name, Input((1,)), (), "", huge) for name in ("x", "y", "z"))
    network = Network((*inputs, NetworkNode("product", Multiply(), ("x", "y", "z"))), ("x", "y", "z"), ("product",))
    program = lower(network, dict.fromkeys(("x", "y", "z", "product"), ObservedRange(-1.0, 1.0)))
    row = rows(network, program)[-1]
    assert row.result is not None
    assert row.result.hi is None
    assert "beyond float64" in render(network, program, width=120)


def test_render_shows_layers_totals_target_and_notes() -> None:
    network = residual("net")
    text = render(network, lowered(network), ("mind this",), part="LFE5U-25F", clock_period_ns=8.0, width=120)
    assert text.startswith("net: 5 layers, 66 parameters")
    assert "LFE5U-25F, 8 ns clock (125 MHz)" in text
    assert "note: mind this" in text
    assert "ufixed<9,3,RND,SAT>" in text
    assert max(map(len, text.splitlines())) <= 120


def test_render_fits_narrow_terminals_and_still_tells_the_sizes() -> None:
    network = residual("n" * 50)
    lines = render(network, lowered(network), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    headings = next(line for line in lines if line.split()[:1] == ["Layer"]).split()
    assert headings == ["Layer", "Type", "Shape", "Params", "Result", "Bits", "Frac"]


def test_design_round_trip() -> None:
    assert design_from_json(asdict(design())) == design()


def test_a_damaged_design_is_refused_with_its_place() -> None:
    document = asdict(design())
    with pytest.raises(ProjectError, match=r"design\.layers\.0\.result"):
        layers = document["layers"]
        assert isinstance(layers, tuple)
        design_from_json({**document, "layers": [{**layers[0], "result": {"width_min": "many"}}]})
