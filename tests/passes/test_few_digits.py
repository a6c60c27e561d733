"""Weights of few digits: on their grid, cheaper for a price, nearer to the float result than others as cheap; all else stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir.types import FixedFormat, Fracs, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.auto import constant_frac, exact_frac
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.settings import Bits, Settings, Weights
from bitsmith.passes.network import few_digits as pass_of_digits
from bitsmith.passes.network.few_digits import Known, few_digits

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(10, 10))
X = RNG.normal(size=(500, 10)) @ MIXING
KERNEL, BIAS = RNG.normal(size=(10, 6)), RNG.normal(size=6)


def network(settings: Settings, layer: Layer | None = None, shape: tuple[int, ...] = (10,)) -> Network:
    layer = Dense(as_weights(KERNEL), as_weights(BIAS)) if layer is None else layer
    nodes = NetworkNode("x", Input(shape)), NetworkNode("y", layer, ("x",), settings=settings)
    return Network(nodes, ("x",), ("y",))


def digits(values: Floats, step: float) -> int:
    """The signed digits of all values, by the definition: the fewest powers of two that add up to each."""
    raw = np.rint(np.abs(values) / step).astype(int).ravel().tolist()
    found = 0
    for number in raw:
        while number:
            if number % 2:
                number -= 2 - number % 4
                found += 1
            number //= 2
    return found


def error(found: Network, given: Network, inputs: Sequence[Floats]) -> float:
    return float(np.mean((found.evaluate(inputs)["y"] - given.evaluate(inputs)["y"]) ** 2))


def test_dearer_digits_are_fewer_and_the_weights_are_taken_exactly() -> None:
    counts, errors = [], []
    for price in (1e-5, 1e-4, 1e-3, 1e-2):
        given = network(Settings(bits=Bits(6, 16), digit_price=price))
        found = few_digits(given, [X])
        kernel = found.node("y").layer.weights()["weight"]
        assert exact_frac(kernel, 6) is not None
        counts.append(digits(kernel, 2.0 ** -constant_frac(KERNEL, 6)))
        errors.append(error(found, given, [X]))
    assert all(more > fewer for more, fewer in pairwise(counts))
    assert all(less < more for less, more in pairwise(errors))


def test_other_weights_make_up_for_the_errors_of_each() -> None:
    """Beside the same number of digits without that: the largest digits of the weights."""
    given = network(Settings(bits=Bits(8, 16), digit_price=1e-3))
    found = few_digits(given, [X])
    step = 2.0 ** -constant_frac(KERNEL, 8)
    wanted = digits(found.node("y").layer.weights()["weight"], step)
    left, kernel = KERNEL.copy(), np.zeros_like(KERNEL)
    for _ in range(wanted):
        place = np.unravel_index(np.abs(left).argmax(), left.shape)
        power = np.sign(left[place]) * 2.0 ** np.rint(np.log2(np.abs(left[place])))
        kernel[place] += power
        left[place] -= power
    plain = network(Settings(), Dense(as_weights(kernel), as_weights(BIAS)))
    assert error(found, given, [X]) < 0.5 * error(plain, given, [X])


def test_correlations_of_few_samples_count_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that trusted them have a larger error on other samples; of many samples nearly all is kept."""
    errors = {True: 0.0, False: 0.0}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1_000, 10)) @ rng.normal(size=(10, 10))
        given = network(Settings(bits=Bits(6, 16), digit_price=1e-3))
        for shrunk in errors:
            with monkeypatch.context() as patch:
                if not shrunk:
                    patch.setattr(pass_of_digits, "_chance", lambda rows, weights, parts: 0.0)
                errors[shrunk] += error(few_digits(given, [x[:15]]), given, [x[15:]])
    assert errors[True] < 0.9 * errors[False]


@given(st.integers(0, 1 << 30), st.integers(2, 6), st.integers(1, 4))
def test_chance_is_the_error_of_moments_beside_these(seed: int, parts: int, size: int) -> None:
    """By the definition: the variance of the mean of the parts' moments, over all pairs of operands that are not the same."""
    rng = np.random.default_rng(seed)
    rows, weights = rng.normal(size=(parts * size, 3)), rng.uniform(0.1, 1.0, parts * size)
    own = np.array(
        [
            [
                sum(weights[k] * rows[k, i] * rows[k, j] for k in range(part, part + size))
                for i, j in ((0, 1), (0, 2), (1, 2))
            ]
            for part in range(0, parts * size, size)
        ]
    )
    wanted = parts * own.var(axis=0, ddof=1).sum() / (own.sum(axis=0) ** 2).sum()
    found = pass_of_digits._chance(rows, weights, np.arange(0, parts * size, size))
    assert found == pytest.approx(min(wanted, 1.0))


def deep(first: Settings, second: Settings, scale: float = 1.0) -> Network:
    layers = (
        Dense(as_weights(scale * KERNEL), as_weights(BIAS)),
        Dense(as_weights(KERNEL.T), as_weights(np.zeros(10))),
    )
    nodes = [NetworkNode("x", Input((10,)))]
    for name, before, layer, settings in zip("ab", "xa", layers, (first, second), strict=True):
        nodes.append(NetworkNode(name, layer, (before,), settings=settings))
    return Network(tuple(nodes), ("x",), ("b",))


def test_what_is_known_gives_the_same_weights_without_rounding_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a layer follow from its own choices and those of layers before it."""
    known, made, rounded = Known(), list[str](), pass_of_digits._rounded

    def seen(
        node: NetworkNode, operands: Sequence[Floats], wanted: Mapping[str, Any], channels: Floats | None
    ) -> tuple[Layer, dict[str, Fracs]]:
        made.append(node.name)
        return rounded(node, operands, wanted, channels)

    monkeypatch.setattr(pass_of_digits, "_rounded", seen)
    settings = [Settings(bits=Bits(bits, 16), digit_price=price) for bits in (5, 7) for price in (1e-4, 1e-2)]
    for first, second in product(settings, repeat=2):
        found, fresh = few_digits(deep(first, second), [X], known), few_digits(deep(first, second), [X])
        for name in "ab":
            np.testing.assert_array_equal(
                found.node(name).layer.trained["weight"], fresh.node(name).layer.trained["weight"]
            )
    assert made.count("a") == 16 + 4 and made.count("b") == 16 + 16
    for other, inputs in ((deep(settings[0], settings[0], 2.0), X), (deep(settings[0], settings[0]), X[:100])):
        found, fresh = few_digits(other, [inputs], known), few_digits(other, [inputs])
        np.testing.assert_array_equal(found.node("b").layer.trained["weight"], fresh.node("b").layer.trained["weight"])


def test_the_mean_of_the_result_stays() -> None:
    given = network(Settings(bits=Bits(3, 16), digit_price=1e-2))
    found = few_digits(given, [X])
    means = [each.evaluate([X])["y"].mean(axis=0) for each in (found, given)]
    np.testing.assert_allclose(*means, atol=1e-9)


@pytest.mark.parametrize("magnitude", [1e-3, 1.0, 1e3])
def test_operands_that_never_change_leave_weights_near_the_float_ones(magnitude: float) -> None:
    """Their variances are what rounding leaves, of either sign."""
    constant = np.tile(magnitude * RNG.normal(size=10), (500, 1))
    given = network(Settings(bits=Bits(8, 16), digit_price=1e-9))
    kernel = few_digits(given, [constant]).node("y").layer.weights()["weight"]
    np.testing.assert_allclose(kernel, KERNEL, atol=2.0 ** -constant_frac(KERNEL, 8))


def test_columns_that_outputs_show_more_have_more_digits() -> None:
    """Of two layers; and the second makes up for the errors of the first."""
    last = RNG.normal(size=(6, 4)) * np.array([1, 1, 1, 1e-2, 1e-2, 1e-2])[:, None]
    settings = Settings(bits=Bits(8, 16), digit_price=1e-4)
    first = network(settings)
    nodes = *first.nodes, NetworkNode("z", Dense(as_weights(last), as_weights(BIAS[:4])), ("y",), settings=settings)
    given = Network(nodes, ("x",), ("z",))
    found = few_digits(given, [X])
    kernel, step = found.node("y").layer.weights()["weight"], 2.0 ** -constant_frac(KERNEL, 8)
    assert digits(kernel[:, :3], step) > 3 * digits(kernel[:, 3:], step)
    halves = [
        given.with_nodes([*first.nodes[:1], found.node("y"), each]) for each in (given.node("z"), found.node("z"))
    ]
    errors = [float(np.mean((half.evaluate([X])["z"] - given.evaluate([X])["z"]) ** 2)) for half in halves]
    assert errors[1] < 2.0 * errors[0]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_are_products_of_their_rows(groups: int) -> None:
    kernel = as_weights(RNG.normal(size=(3, 2, 4 // groups, 8)))
    conv = Conv(kernel, None, (2, 1), (1, 2), ((1, 0), (2, 1)), groups)
    x = RNG.normal(size=(5, 7, 6, 4))
    found = conv.trained_products("weight", [x])
    assert found is not None
    products, wanted = found.rows @ found.matrices, conv.reference([x])
    np.testing.assert_allclose(products.transpose(1, 0, 2).reshape(wanted.shape), wanted, atol=1e-12)
    np.testing.assert_array_equal(found.revised(found.matrices, np.zeros(8)).weights()["weight"], kernel)
    given = network(Settings(bits=Bits(6, 16), digit_price=5e-5), conv, (7, 6, 4))
    revised = few_digits(given, [x])
    fewer = revised.node("y").layer.weights()["weight"]
    assert fewer.shape == kernel.shape and exact_frac(fewer, 6) is not None
    assert error(revised, given, [x]) < 0.05 * float(np.var(wanted))


CELLS = [
    SimpleRNN(*(as_weights(RNG.normal(size=shape) / 2) for shape in ((3, 5), (5, 5), (5,)))),
    LSTM(*(as_weights(RNG.normal(size=shape) / 2) for shape in ((3, 20), (5, 20), (20,), (20,)))),
    GRU(*(as_weights(RNG.normal(size=shape) / 2) for shape in ((3, 15), (5, 15), (15,), (15,))), go_backwards=True),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.kind)
def test_both_kernels_of_a_recurrence_have_few_digits(cell: Recurrent) -> None:
    x = RNG.normal(size=(300, 6, 3))
    counts, errors = [], []
    for price in (1e-5, 1e-2):
        given = network(Settings(bits=Bits(8, 16), digit_price=price), cell, (6, 3))
        found = few_digits(given, [x])
        weights = {name: found.node("y").layer.weights()[name] for name in ("weight", "recurrent_weight")}
        of_float = cell.weights()
        counts.append([digits(w, 2.0 ** -constant_frac(of_float[name], 8)) for name, w in weights.items()])
        errors.append(error(found, given, [x]))
    assert all(more > 1.5 * fewer for more, fewer in zip(*counts, strict=True))
    assert errors[0] < errors[1] < 0.2 * float(np.var(given.evaluate([x])["y"]))


@pytest.mark.parametrize("cell", CELLS[:2], ids=lambda cell: cell.kind)
def test_the_sums_of_a_recurrence_keep_their_means(cell: Recurrent) -> None:
    """Of the products with the inputs; those with the states have other states, and no bias if the cell has none of its own."""
    x = RNG.normal(size=(300, 1, 3))
    given = network(Settings(bits=Bits(3, 16), digit_price=1e-2), cell, (1, 3))
    found = few_digits(given, [x]).node("y").layer
    assert isinstance(found, Recurrent) and found.bias is not None and cell.bias is not None
    means = [x[:, 0].mean(axis=0) @ each.kernel + each.bias for each in (found, cell)]
    np.testing.assert_allclose(*means, atol=1e-9)


def test_gates_that_matter_more_keep_more_digits() -> None:
    """The outputs of an LSTM whose forget gate is nearly shut hardly depend on how much it is."""
    bias = np.zeros(20)
    bias[5:10] = -9.0
    cell = replace(CELLS[1], bias=as_weights(bias), recurrent_bias=None)
    x = RNG.normal(size=(300, 6, 3))
    found = few_digits(network(Settings(bits=Bits(8, 16), digit_price=1e-4), cell, (6, 3)), [x]).node("y").layer
    kernel, step = found.weights()["weight"], 2.0 ** -constant_frac(cell.kernel, 8)
    shut = network(Settings(bits=Bits(8, 16), digit_price=1e-4), replace(cell, bias=None), (6, 3))
    opened = few_digits(shut, [x]).node("y").layer.weights()["weight"]
    forget, candidate = slice(5, 10), slice(10, 15)
    shares = [digits(each[:, forget], step) / digits(each[:, candidate], step) for each in (kernel, opened)]
    assert shares[0] < 0.2 * shares[1]


def test_biases_that_are_decided_stay() -> None:
    fmt = {"bias": FixedFormat(True, 8, 4)}
    found = few_digits(network(Settings(bits=Bits(4, 16), digit_price=1e-3, precision=fmt)), [X])
    np.testing.assert_array_equal(found.node("y").layer.weights()["bias"], BIAS)


_GRID = Quantizer.uniform([0.25], -8, [7], Rounding.RND, Overflow.SAT)


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": Settings(bits=Bits(4, 16))},
        {"settings": Settings(digit_price=0.01, weights=Weights.RELOADABLE)},
        {"settings": Settings(digit_price=0.01, precision={"weight": FixedFormat(True, 8, 4)})},
        {"settings": Settings(digit_price=0.01), "quantizers": {"weight": _GRID}},
    ],
)
def test_weights_that_are_decided_stay(changes: dict[str, object]) -> None:
    given = network(Settings())
    given = given.with_nodes([given.nodes[0], replace(given.nodes[1], **changes)])  # type: ignore[arg-type]
    assert few_digits(given, [X]) is given


def test_a_note_says_so_and_zeros_do_no_harm() -> None:
    settings = Settings(bits=Bits(6, 12), digit_price=1e-3)
    compiled = compile_network(network(settings), [X])
    assert any("'y'" in note and "DigitPrice" in note for note in compiled.notes)
    for kernel, x in ((np.zeros((10, 6)), X), (KERNEL, np.zeros_like(X))):
        given = network(settings, Dense(as_weights(kernel), None))
        found = few_digits(given, [x])
        assert np.isfinite(found.node("y").layer.weights()["weight"]).all()


def chained(scales: Floats, features: Floats, kind: type[Layer], bits: int = 7) -> Network:
    """Two layers of products, with channels between them, and features, times powers of two."""
    rng = np.random.default_rng(3)
    first, bias, second = rng.normal(size=(10, 8)), rng.normal(size=8), rng.normal(size=(8, 3))
    kernels = [first * scales / features[:, None], second / scales[:, None]]
    shape: tuple[int, ...] = (10,)
    if kind is Conv:
        kernels, shape = [kernel[None, None] for kernel in kernels], (1, 1, 10)
    settings = Settings(bits=Bits(bits, 16), digit_price=1e-5)

    def layer(kernel: Floats, own: Floats | None) -> Layer:
        weights, own = as_weights(kernel), None if own is None else as_weights(own)
        return Conv(weights, own, (1, 1), (1, 1), ((0, 0), (0, 0))) if kind is Conv else Dense(weights, own)

    nodes = (
        NetworkNode("x", Input(shape)),
        NetworkNode("h", layer(kernels[0], bias * scales), ("x",), settings=settings),
        NetworkNode("r", ReLU(), ("h",), settings=settings),
        NetworkNode("y", layer(kernels[1], None), ("r",), settings=settings),
    )
    return Network(nodes, ("x",), ("y",))


@pytest.mark.parametrize("kind", [Dense, Conv])
def test_channels_and_features_of_other_scales_lose_no_more(kind: type[Layer]) -> None:
    shape = (len(X), *(1, 1) * (kind is Conv), 10)
    lost, spans = [], np.ldexp(1.0, np.random.default_rng(4).integers(-8, 9, 18))
    for scales, features in ((np.ones(8), np.ones(10)), (spans[:8], np.ones(10)), (spans[:8], spans[8:])):
        given, x = chained(scales, features, kind), (X * features).reshape(shape)
        wanted = given.evaluate([x])["y"].reshape(len(X), -1)
        compiled = compile_network(given, [x])
        found = Emulator(compiled.program).run([x])[0].reshape(len(X), -1)
        lost.append(float(np.mean((found - wanted) ** 2) / wanted.var()))
    assert max(lost) < 3.0 * lost[0]
