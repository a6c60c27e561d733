"""Which inputs have a format for each feature, and what these are."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.config.precision import parse_precision
from bitsmith.emulate import Emulator
from bitsmith.errors import FidelityError, FidelityWarning
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Input as InputOp
from bitsmith.layers.activation import ReLU
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.steps import BinaryTanh
from bitsmith.layers.settings import Bits, Settings, Strategy
from bitsmith.layers.settled import told_apart
from bitsmith.layers.shape import Reshape
from bitsmith.passes.network.calibration import CALIBRATION_SAMPLES, _joined, _unlike_features, calibrate, looked_at
from bitsmith.report.summary import input_format

RANGES = np.array([3000.0, 0.07, 5.0, 0.0, 200.0])
"""The largest values of features; the fourth feature never is anything else, the last one is whole."""


def data(*shape: int) -> Floats:
    x = np.random.default_rng(0).uniform(0.5, 1.0, (50, *shape, 5)) * RANGES
    x[..., -1] = np.rint(x[..., -1])
    return x


def network(*layers: Layer, shape: tuple[int, ...] = (5,), settings: Settings | None = None) -> Network:
    nodes = [NetworkNode("x", Input(shape), settings=settings or Settings())]
    for number, layer in enumerate(layers):
        nodes.append(NetworkNode(f"layer{number}", layer, (nodes[-1].name,)))
    return Network(tuple(nodes), ("x",), (nodes[-1].name,))


def input_of(made: Network, x: Floats) -> InputOp:
    (op,) = compile_network(made, [x]).program.input_ops()
    return op


def scaler() -> BatchNormalization:
    scale = 1.0 / np.where(RANGES == 0, 1.0, RANGES)
    return BatchNormalization(as_weights(scale), as_weights(np.full(5, -0.75)))


def dense() -> Dense:
    return Dense(as_weights(np.random.default_rng(1).standard_normal((5, 3))))


@pytest.mark.parametrize("layers", [(scaler(),), (scaler(), dense())], ids=["scaler", "folded"])
@pytest.mark.parametrize("positions", [(), (3,)])
def test_features_that_matter_alike_have_formats_of_their_own(
    layers: tuple[Layer, ...], positions: tuple[int, ...]
) -> None:
    made, x = network(*layers, shape=(*positions, 5)), data(*positions)
    op = input_of(made, x)
    assert op.frac.tolist() == [3, 18, 12, 3, 0]  # 16 bits with one to spare, for 0 as for the largest; whole numbers
    assert op.hi.tolist() == [65535, 65535, 65535, 65535, 255] and not np.any(op.lo)
    assert input_format(op) == "ufixed<8..16,-2..13,RND,SAT>"


def test_one_format_is_kept_where_it_is_as_good() -> None:
    x = data()
    assert input_format(input_of(network(dense()), x)) == "ufixed<16,12,RND,SAT>"  # small features matter little
    assert input_format(input_of(network(scaler()), np.rint(x))) == "ufixed<12,12,RND,SAT>"  # it is exact
    given = parse_precision("fixed<20,14>")
    assert given is not None
    assert input_format(input_of(network(scaler(), settings=Settings({"result": given})), x)) == "fixed<20,14>"


@pytest.mark.parametrize(
    "layer", [Input((5,), integer=True), Input((5,), floor=-1.0), Input(())], ids=["integer", "floor", "scalar"]
)
def test_inputs_of_one_kind_of_number_have_one_format(layer: Input) -> None:
    """Whatever their samples and features differ by: whole numbers, those above a floor, and single ones."""
    nodes = (NetworkNode("x", layer), NetworkNode("y", scaler() if layer.shape else ReLU(), ("x",)))
    x = data() if layer.shape else np.geomspace(1e-4, 3000.0, 50)
    assert calibrate(Network(nodes, ("x",), ("y",)), [x])["x"].features == ()
    if layer.shape:
        alone = (replace(nodes[0], layer=Input((5,))), nodes[1])
        assert len(calibrate(Network(alone, ("x",), ("y",)), [x])["x"].features) == 5


@pytest.mark.parametrize("alike", [0, 1, 2])
def test_each_input_is_looked_at_by_itself(alike: int) -> None:
    """Of three inputs that are scaled and added one has features of one range, wherever it is."""
    names = ("x", "y", "z")
    inputs = [NetworkNode(name, Input((5,))) for name in names]
    scaled = [NetworkNode(f"{name}_scaled", scaler(), (name,)) for name in names]
    sums = [NetworkNode("xy", Add(), ("x_scaled", "y_scaled")), NetworkNode("xyz", Add(), ("xy", "z_scaled"))]
    made = Network((*inputs, *scaled, *sums), names, ("xyz",))
    batches = [np.full((50, 5), 4.0) if k == alike else data() for k in range(3)]
    found = calibrate(made, batches)
    assert [len(found[name].features) for name in names] == [0 if k == alike else 5 for k in range(3)]


def test_what_jumps_shows_nothing() -> None:
    offset = BatchNormalization(as_weights(np.ones(5)), as_weights(-0.75 * RANGES))
    assert input_of(network(offset, BinaryTanh(), scaler()), data()).frac.size == 1


def test_what_several_chunks_show_is_what_all_samples_show(monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = network(dense()), np.linspace(-1.0, 2.0, 35).reshape(7, 5)
    whole = calibrate(made, [x])
    for extremes in (x, x[::-1]):
        monkeypatch.setattr("bitsmith.passes.network.calibration._CHUNK_ELEMENTS", 10)
        parts = calibrate(made, [extremes])
        for name, seen in whole.items():
            assert (parts[name].lo, parts[name].hi) == pytest.approx((seen.lo, seen.hi))


def test_calibrated_results_have_one_spare_bit() -> None:
    made = network(dense())
    largest = 0.51 * np.sign(dense().kernel[:, :1].T)  # of the first result; inputs may be nearly twice as large
    program = compile_network(made, [np.concatenate([largest, -largest])]).program
    x = 1.9 * largest
    (found,) = Emulator(program).run([x])
    np.testing.assert_allclose(found[:, 0], made.evaluate([x])["layer0"][:, 0], rtol=1e-3)
    (bounded,) = Emulator(program).run([x * 1.03])
    assert np.all(np.abs(bounded[:, 0]) <= 2.01 * np.abs(made.evaluate([largest])["layer0"][:, 0]))


@pytest.mark.parametrize("headroom", [0.5, 1.0, 1.25])
def test_results_reach_so_many_times_what_calibration_shows(headroom: float) -> None:
    *others, node = network(dense()).nodes
    made = replace(network(dense()), nodes=(*others, replace(node, settings=Settings(headroom=headroom))))
    x = np.random.default_rng(0).uniform(-0.1, 0.1, (200, len(dense().kernel)))
    wanted = made.evaluate([x])["layer0"]
    (found,) = Emulator(compile_network(made, [x]).program).run([10.0 * np.sign(x)])
    assert found.max() == pytest.approx(headroom * wanted.max(), rel=0.01)
    assert found.min() == pytest.approx(headroom * wanted.min(), rel=0.01)


class Shrunk(nn.Module):
    """An output that small inputs leave at 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3.0 * torch.relu(x - 2.0)


def test_an_output_of_zeros_in_calibration_is_not_held_at_zero() -> None:
    precision = {"LayerName": {"x": {"Precision": {"result": "fixed<16,4>"}}}}
    x = np.random.default_rng(2).uniform(0.0, 1.0, (50, 3))
    model = bitsmith.convert(Shrunk(), "out", precision, calibration=x, input_shape=(3,))
    wanted = 3.0 * np.maximum(4.0 * x - 2.0, 0.0)
    assert np.abs(model.predict(4.0 * x) - wanted).max() < 0.01 * wanted.max()


def test_an_input_of_zeros_in_calibration_has_the_default_format() -> None:
    assert str(input_format(input_of(network(dense()), np.zeros((50, 5))))) == "fixed<16,6,RND,SAT>"


class Logarithm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x)


class Inverse(nn.Module):
    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = torch.cat([x, y], 1)
        return 0.5 * (z.flip(1) * z**self.exponent)


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")  # of generated samples beside the pole
@pytest.mark.parametrize("exponent", [-1.0, -0.5])
@pytest.mark.parametrize("formats", [("ufixed<16,2>", "ufixed<16,8>"), ("ufixed<8,2>", "ufixed<20,2>")])
def test_generated_samples_near_a_pole_do_not_make_other_results_coarse(
    exponent: float, formats: tuple[str, str]
) -> None:
    rng = np.random.default_rng(3)
    parsed = [parse_precision(text) for text in formats]
    inputs = [np.ldexp(rng.integers(2 ** (f.width - 3), 2**f.width, (200, 2)), -f.frac) for f in parsed]
    named = {name: {"Precision": {"result": text}} for name, text in zip("xy", formats, strict=True)}
    module = Inverse(exponent)
    model = bitsmith.convert(module, "out", {"LayerName": named}, input_shape=[(2,), (2,)], check=False)
    wanted = module(*(torch.from_numpy(x) for x in inputs)).numpy()
    assert np.abs(model.predict(inputs) - wanted).max() < 0.002 * np.abs(wanted).max()


def trained() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).double().eval()


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_values_of_which_none_is_finite_are_seen_as_zeros() -> None:
    network = read_torch(Logarithm(), ReadOptions(input_shape=(3,)))
    seen = calibrate(network, [np.zeros((4, 3))])["log"]
    assert (seen.lo, seen.hi, seen.frac) == (0.0, 0.0, 0)
    assert all(np.array_equal(each, np.zeros(3)) for each in seen.channels)
    half = calibrate(network, [np.array([[0.0, 1.0, 4.0]] * 4)])["log"]
    assert (half.lo, half.hi) == (0.0, pytest.approx(np.log(4.0)))


_NORMAL = [(step, None) for step in (0.1, 0.25, 0.5, 1.0, 4.0)]
_UNIFORM = [(step, ends) for step in (0.25, 0.5, 1.0) for ends in ((-4.0, 4.0), (-3.0, 3.0), (0.0, 4.0))]


@pytest.mark.parametrize(("step", "ends"), [*_NORMAL, *_UNIFORM[:-1]], ids=str)  # the last ones are counts
def test_numbers_between_the_points_of_a_coarse_grid_change_no_output(
    step: float, ends: tuple[float, float] | None
) -> None:
    rng, module = np.random.default_rng(0), trained()
    x = rng.normal(size=(500, 8)) if ends is None else rng.uniform(*ends, (500, 8))
    x = np.rint(x * step) if step > 1.0 else x
    model = bitsmith.convert(module, input_shape=(8,), calibration=np.rint(x[:100] / step) * step, check=False)
    wanted = module(torch.tensor(x)).detach().numpy()
    assert float(np.abs(np.asarray(model.predict(x)) - wanted).max()) < 0.02 * float(np.abs(wanted).max())
    said = re.findall(r"are multiples of (\S+); it has steps of (\S+),", "".join(model.notes))
    taken = parse_precision(str(model.get_input_variables()[0].type))
    assert said == ([] if step == 0.1 else [(f"{step:g}", f"{2.0**-taken.frac:g}")])


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        (np.arange(2048).reshape(-1, 8) % 256.0, "ufixed<8,8,RND,SAT>"),
        (np.arange(2048).reshape(-1, 8) % 256.0 / 256, "ufixed<8,0,RND,SAT>"),
        (np.arange(2048).reshape(-1, 8) % 17.0 / 16, "ufixed<5,1,RND,SAT>"),
        (np.arange(2048).reshape(-1, 8) % 16.0 / 8 - 1, "fixed<4,1,RND,SAT>"),
        (np.eye(8), "ufixed<1,1,RND,SAT>"),
        (np.arange(64).reshape(-1, 8) % 2 * 2.0 - 1, "fixed<2,2,RND,SAT>"),
    ],
    ids=["bytes", "scaled bytes", "levels of gray up to 1", "signed levels", "one hot", "signs"],
)
def test_integers_and_bytes_are_all_that_comes_in(x: Floats, wanted: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = bitsmith.convert(trained(), input_shape=(8,), calibration=x, check=False)
    assert str(model.get_input_variables()[0].type) == wanted
    multiples = [note for note in model.notes if "multiples" in note]
    assert len(multiples) == (np.ptp(x) < 32.0 * np.diff(np.unique(x)).min()), (
        "bytes have no numbers between that count"
    )
    assert all("it rounds numbers between" in note for note in multiples)


@pytest.mark.parametrize("x", [np.zeros((9, 8)), np.ones((1, 8)), np.full((9, 8), -0.3)], ids=["0", "1", "-0.3"])
def test_calibration_data_without_a_range_are_warned_of(x: Floats) -> None:
    with pytest.warns(FidelityWarning, match=f"calibration data of input 'input' are {x[0, 0]:g} throughout"):
        bitsmith.convert(trained(), input_shape=(8,), calibration=x, check=False)
    with pytest.raises(FidelityError, match="throughout"):
        bitsmith.convert(trained(), input_shape=(8,), calibration=x, check=False, strict=True)


def test_a_format_of_the_user_holds_on_a_coarse_grid() -> None:
    x = np.rint(np.random.default_rng(0).normal(size=(100, 8)) * 4) / 4
    config = {"LayerName": {"input": {"Precision": "fixed<6,4>"}}}
    model = bitsmith.convert(trained(), config=config, input_shape=(8,), calibration=x, check=False)
    assert str(model.get_input_variables()[0].type) == "fixed<6,4>"


@pytest.mark.parametrize("limit", [nn.ReLU6(), nn.Hardtanh(-2.0, 1.0), nn.Hardsigmoid()], ids=str)
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_limit_behind_a_large_result_keeps_the_bits_of_its_own_range(
    limit: nn.Module, calibrated: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    x = np.rint(rng.uniform(-4, 4, (300, 8)) * 4) / 4
    module = nn.Sequential(
        nn.Linear(8, 16, bias=False), nn.Flatten(), limit
    )  # a bias off the grid adds an error of its own
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor(np.rint(rng.normal(0, 8, (16, 8))) + 0.125))
    config = {"LayerName": {"input": {"Precision": {"result": "fixed<16,4>"}}}}
    made = bitsmith.convert(
        module,
        tmp_path,
        config=config,
        input_shape=(8,),
        bits={"weight": 16, "result": 8},
        calibration=x if calibrated else None,
    )
    wanted = module(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    assert np.max(np.abs(made.predict(x) - wanted)) <= np.max(np.abs(wanted)) * 2.0**-7 + 1e-5


def test_limits_of_some_readers_alone_limit_nothing() -> None:
    limited = ReLU(6.0)
    nodes = [
        NetworkNode("x", Input((5,))),
        NetworkNode("both", dense(), ("x",)),
        NetworkNode("one", dense(), ("x",)),
        NetworkNode("moved", Reshape((5, 1)), ("one",)),
        *(NetworkNode(f"limited_{name}", limited, (name,)) for name in ("both", "one", "moved")),
        NetworkNode("sum", Add(), ("both", "limited_both")),
    ]
    made = Network(tuple(nodes), ("x",), ("sum", "limited_one", "limited_moved"))
    everything = (-math.inf, math.inf)
    assert told_apart(made) == {
        name: (0.0, 6.0) if name in ("one", "moved") else everything for name in [node.name for node in nodes]
    }


@pytest.mark.parametrize("first", [None, -1, 3, 6])
@pytest.mark.parametrize("last", [None, 2, 6])
def test_observations_of_several_parts_have_the_finer_grid_if_it_has_room(first: int | None, last: int | None) -> None:
    """Of 8 bits, 2 are taken by the range, and the sign is not counted."""
    parts = [ObservedRange(lo, hi, frac) for lo, hi, frac in ((-3.0, 1.0, first), (-0.5, 2.5, last))]
    for one, other in (parts, parts[::-1]):
        found = _joined(one, other, 8)
        assert (found.lo, found.hi) == (-3.0, 2.5)
        assert found.frac == (None if first is None or last is None else max(first, last))
        assert _joined(one, other, 7).frac == (None if None in (first, last) or 6 in (first, last) else found.frac)


@pytest.mark.parametrize(
    ("observed", "latency", "shared"),
    [
        (ObservedRange(-20.0, 5.9, told_apart=(0.0, math.inf)), 2, 5),
        (ObservedRange(-20.0, 20.0, told_apart=(0.0, 6.0)), 4, 5),
        (ObservedRange(0.0, 5.9), 4, 5),
        (ObservedRange(-1.0, 5.9), 4, 4),
        (ObservedRange(-1.0, 0.0, told_apart=(0.0, math.inf)), 7, 8),
    ],
)
def test_results_in_turn_have_a_bit_more_where_no_sign_is_read(
    observed: ObservedRange, latency: int, shared: int
) -> None:
    """The memory of an engine has room for the sign of others; what a rectifier cuts off asks for no steps."""
    for strategy, frac in ((Strategy.LATENCY, latency), (Strategy.SHARED, shared)):
        settings = Settings(strategy=strategy, bits=Bits(8, 8))
        assert Lowering("relu", ProgramBuilder(), settings, observed, (), ()).result_frac() == frac


@pytest.mark.parametrize(
    ("least", "unlike"), [(1.0, False), (0.25, False), (0.13, False), (0.125, False), (0.12, True), (0.0, False)]
)
def test_features_whose_ranges_differ_eightfold_are_unlike(least: float, unlike: bool) -> None:
    """By powers of two that hold them; with any number of axes, but of more than samples alone."""
    rng = np.random.default_rng(0)
    batch = rng.uniform(-1.0, 1.0, (50, 4, 3))
    batch[0] = 0.99
    batch[..., 1] = np.clip(batch[..., 1], -1.0, 1.0) * least / 0.99
    assert _unlike_features(NetworkNode("x", Input((4, 3))), batch) == unlike
    assert _unlike_features(NetworkNode("x", Input((3,))), batch[:, 0]) == unlike
    assert not _unlike_features(NetworkNode("x", Input(())), batch[:, 0, 0])


@pytest.mark.parametrize("sizes", [(5,), (3, 4, 5), (600,)])
def test_of_many_samples_all_that_a_range_needs_count(sizes: tuple[int, ...]) -> None:
    """Sorted data, or rare ones at the end, are not those at the beginning."""
    row = np.random.default_rng(0).uniform(-1.0, 1.0, sizes).astype(np.float32)
    x = np.multiply.outer(np.linspace(0.01, 1.0, 9000, dtype=np.float32), row)
    x[8999, ..., -1], x[4321, ..., 0] = 77.0, -55.0
    kept, beside = looked_at([x, np.arange(9000.0)])
    assert len(kept) == len(beside) <= CALIBRATION_SAMPLES
    assert (kept.min(), kept.max()) == (-55.0, 77.0) and np.array_equal(x[beside.astype(int)], kept)
    if sizes != (600,):
        assert np.array_equal(np.ptp(kept.reshape(-1, 5), axis=0), np.ptp(x.reshape(-1, 5), axis=0))
    assert len(looked_at([x[:8192]])[0]) == 8192


def test_sorted_calibration_data_give_the_range_of_all_of_them() -> None:
    x = np.linspace(0.0, 1000.0, 20000).reshape(-1, 1) * np.ones(5)
    op = input_of(network(Dense(as_weights(np.ones((5, 2))))), x)
    assert int(op.hi.max()) * 2.0 ** -int(op.frac.max()) >= 999.0
