"""Layers that are rebuilt from what the C++ of hls4ml says of itself compute what its templates compute."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.errors import FidelityWarning

TOP = """
#include "parameters.h"
namespace space {
void top(input_t x[3], result_t y[2]) {
    // nnet::relu<input_t, layer2_t, relu_config1>(x, layer9_out);
    layer2_t layer2_out[2];
    nnet::dense<input_t, layer2_t, config2>(x, layer2_out, w2, b2); // a layer
    auto& layer3_out = layer2_out;
    nnet::relu<layer2_t, result_t, relu_config4>(layer3_out, y);
}
}
"""
SAYS = """kind x 1 6 3 5 3
size x 3
kind y 0 4 2 4 0
size y 2
kind layer2_out 1 6 4 5 3
kind layer2_out.accum 1 7 4 5 3
kind layer2_out.weight 1 4 2 5 3
size layer2_out.strategy STRATEGY
array layer2_out.w WEIGHTS
array layer2_out.b 0.5 -0.125
"""
"""An input of 3 fractional bits, weights of 2 and an accumulator of 3, so that it rounds products; results saturate."""
WEIGHTS = np.array([[0.25, -1.75], [1.5, 0.75], [-2.0, 1.25]])


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script's layers, whose neighbors it imports by name."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("published_layers")


def wrapped(raws: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """Whole numbers modulo 2 to the power of ``width``, with a sign."""
    return (raws + (1 << width - 1)) % (1 << width) - (1 << width - 1)


def by_template(raws: npt.NDArray[np.int64], *, exact: bool) -> npt.NDArray[np.float64]:
    """What hls4ml's dense layer and ReLU make of raw inputs; ``exact`` rounds the sum instead of its terms."""
    terms = raws[:, :, np.newaxis] * (WEIGHTS * 4).astype(np.int64)
    sums = terms.sum(axis=1) >> 2 if exact else (terms >> 2).sum(axis=1)
    result = wrapped(wrapped(sums + np.array([4, -1]), 7) >> 1, 6)  # 2 fractional bits, as the result of the ReLU has
    return np.clip(result, 0, 15) / 4


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("strategy", [0, 1])
def test_products_are_rounded_as_the_accumulator_is(
    layers: ModuleType, tmp_path: Path, strategy: int, exact: bool
) -> None:
    calls = importlib.import_module("published_calls")
    (tmp_path / "top.cpp").write_text(TOP)
    network = calls.network_of(tmp_path, layers.LAYERS)
    stored = " ".join(map(str, (WEIGHTS.T if strategy else WEIGHTS).ravel()))
    text = SAYS.replace("STRATEGY", str(strategy)).replace("WEIGHTS", stored)
    facts = layers.Facts.read(network, text, exact_sums=exact)
    net, config = facts.model()
    model = bitsmith.convert(net, tmp_path / "circuit", config, check=False)
    raws = np.random.default_rng(0).integers(-32, 32, (500, 3))
    with pytest.warns(FidelityWarning, match="wrap"):
        results = model.predict(raws / 8)
    assert np.array_equal(results, by_template(raws, exact=exact))
    assert not np.array_equal(by_template(raws, exact=False), by_template(raws, exact=True))
    assert facts.remark == ("exact sums" if exact else "products as a layer")


def test_programs_ask_for_what_layers_need(layers: ModuleType, tmp_path: Path) -> None:
    calls = importlib.import_module("published_calls")
    (tmp_path / "top.cpp").write_text(TOP)
    network = calls.network_of(tmp_path, layers.LAYERS)
    assert [(call.function, call.operands, call.result) for call in network.calls] == [
        ("dense", ("x",), "layer2_out"),
        ("relu", ("layer2_out",), "y"),
    ]
    (program,) = calls.program_of(network).values()
    for line in SAYS.splitlines():
        word, name, *_ = line.split()
        assert {"kind": f'kind("{name}", ', "size": f"size {name} %d", "array": f'>("{name}", '}[word] in program
    (tmp_path / "top.cpp").write_text(TOP.replace("nnet::relu", "nnet::softsign"))
    with pytest.raises(calls.RefusedError, match="softsign"):
        calls.network_of(tmp_path, layers.LAYERS)


EMULATOR = """
class Around : public hls4mlEmulator::Model {
    resultsq_t loss() { squares[i] = result_p[i] * result_p[i]; }
    /* auto *p = std::any_cast<std::pair<result_t, result_t>*>(result); */
    void read_result(std::any result) { auto *p = std::any_cast<std::pair<std::array<result_t, 2>, resultsq_t>*>(result); }
};
hls4mlEmulator::Model* create_model() { return new Around; }
"""
AROUND = """kind unscaled 1 7 5 5 3
size unscaled 3
kind y 0 4 2 4 0
size y 2
kind x 1 6 3 4 0
array x.ad_offsets 4 -2 0.5
array x.ad_shift 1 0 -1
kind loss 0 5 3 5 3
size loss 1
"""


def test_emulators_scale_and_make_a_loss(layers: ModuleType, tmp_path: Path) -> None:
    calls = importlib.import_module("published_calls")
    (tmp_path / "NN").mkdir()
    for name, text in {"NN/top.cpp": TOP, "scales.h": "", "emulator.cpp": EMULATOR}.items():
        (tmp_path / name).write_text(text)
    network = calls.network_of(tmp_path, layers.LAYERS)
    assert network.emulator == calls.Emulator(
        "emulator.cpp", "Around", "std::pair<std::array<result_t, 2>, resultsq_t>"
    )
    assert [*network.parameters] == ["unscaled", "y", "loss"]
    own = SAYS[SAYS.index("kind layer2_out ") :].replace("STRATEGY", "0")
    facts = layers.Facts.read(
        network, AROUND + own.replace("WEIGHTS", " ".join(map(str, WEIGHTS.ravel()))), exact_sums=False
    )
    net, config = facts.model()
    with pytest.warns(FidelityWarning, match="wrap"):
        model = bitsmith.convert(net, tmp_path / "circuit", config, check=False)
    raws = np.random.default_rng(0).integers(-64, 64, (500, 3))
    moved = wrapped(raws - np.array([16, -8, 2]), 7)
    shifted = wrapped(np.stack([moved[:, 0] >> 1, moved[:, 1], moved[:, 2] << 1], axis=1), 7)
    results = by_template(np.clip(shifted * 2, -32, 31), exact=False)
    squares = (results * results * 4).astype(np.int64).sum(axis=1, keepdims=True) % 32 / 4
    with pytest.warns(FidelityWarning, match="wrap"):
        found = model.predict(raws / 4)
    assert np.array_equal(found[0], results) and np.array_equal(found[1], squares)
