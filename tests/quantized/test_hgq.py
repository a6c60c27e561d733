"""Models of HGQ2 compute what HGQ2 computes, to the bit."""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties import few

import bitsmith
from bitsmith.errors import BitsmithError
from bitsmith.frontends.keras.hgq.grids import FixedPoint
from bitsmith.frontends.keras.hgq.quantizers import Minifloat
from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats
from bitsmith.layers.quantization.quantize import Quantize

MODELS = Path(__file__).parent / "hgq" / "models"
OLDER = sorted(f"../models_0_1/{path.stem}" for path in MODELS.parent.glob("models_0_1/*.keras"))
"""The models of ``MODELS`` that HGQ2 0.1 wrote."""

WIDE = "wide"
"""The model whose last sums need more bits than HGQ2's arithmetic has."""
NAMES = sorted({path.stem for path in MODELS.glob("*.keras")} - {WIDE})

_ROUNDED = {("pools", "thirds"), ("thirds", "scaled"), ("thirds", "dense")}
"""Layers whose results are no binary numbers, so that HGQ2 rounds them; the quantizers after them see no difference."""

_TIES = {("thirds", 0): 1}
"""Elements of outputs that are halfway between two steps, which HGQ2 does not see: 0.84765625 is 0.84765637 in its arithmetic."""


def known(name: str) -> tuple[list[Floats], dict[str, Floats]]:
    """The inputs of a model, and what it computes."""
    with np.load(MODELS / f"{name}.npz") as file:
        found = {key: file[key].astype(np.float64) for key in file}
    inputs = [found.pop(f"x{number}") for number in range(sum(key[0] == "x" and key[1:].isdigit() for key in found))]
    return inputs, found


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@few("name", [*OLDER, *NAMES], fast=6, judged=True)
def test_results_are_equal(name: str) -> None:
    inputs, expected = known(name)
    known_as = name.rpartition("/")[2]
    model = bitsmith.convert(MODELS / f"{name}.keras")
    x = inputs if len(inputs) > 1 else inputs[0]
    outputs, traced = model.trace(x)
    results = outputs if isinstance(outputs, list) else [outputs]
    for number, result in enumerate(results):
        wanted = expected.pop(f"y{number}")
        if (known_as, number) in _TIES:
            assert np.count_nonzero(result != wanted) == _TIES[known_as, number]
        else:
            np.testing.assert_array_equal(result, wanted, str(number))
    for layer, values in expected.items():
        ways = (f"{layer}_oq", f"{layer}_relu", layer)
        shown = next(traced[way] for way in ways if way in traced)
        if (known_as, layer) in _ROUNDED:
            np.testing.assert_allclose(shown, values, rtol=0.0, atol=2.0**-14, err_msg=layer)
        else:
            np.testing.assert_array_equal(shown, values, layer)


def test_sums_of_more_than_24_bits_are_rounded_by_hgq2_alone() -> None:
    (x,), expected = known(WIDE)
    model = bitsmith.convert(MODELS / f"{WIDE}.keras")
    outputs, traced = model.trace(x)
    np.testing.assert_array_equal(traced["flat"], expected["flat"])
    nodes = {node.name: node.layer for node in model.network.nodes}
    last = nodes["last"]
    assert isinstance(last, Quantize)
    exact, magnitudes = _exact_sums(traced["sums_iq"], nodes["sums"].weights())
    sums, rounded = exact.astype(np.float64) * 2.0**-22, expected["sums"]
    np.testing.assert_array_equal(traced["sums"], sums)
    np.testing.assert_array_equal(outputs, last.quantizer.applied(sums))
    # HGQ2 rounds its sums, and the sum with half the range by which it wraps around.
    step, half = np.float32(2.0**-17), (-last.quantizer.lo.astype(np.float32)) * np.float32(2.0**-17)
    rounded = np.floor(expected["sums"].astype(np.float32) / step + np.float32(0.5)) * step
    np.testing.assert_array_equal(expected["y0"], (rounded + half) % (half * np.float32(2.0)) - half)
    assert np.max(np.abs(expected["sums"] - sums)) < 65 * 2.0**-24 * np.max(np.abs(sums))
    differs = outputs != expected["y0"]
    assert np.count_nonzero(differs) == 43
    # Without rounding, 24 bits have all sums up to this size.
    assert np.all(magnitudes[differs] > 2**24)


def _exact_sums(x: Floats, weights: dict[str, Floats]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Sums in units of ``2**-22``, of operands and weights in units of ``2**-11``, in integers; and those of magnitudes."""
    codes = [np.frompyfunc(int, 1, 1)(np.rint(values * 2.0**11)) for values in (x, weights["weight"], weights["bias"])]
    operand, kernel, bias = codes
    return operand @ kernel + bias * 2**11, np.abs(operand) @ np.abs(kernel) + np.abs(bias) * 2**11


class Live:
    """A live layer, or what belongs to one, with the variables and sub-layers that a file has."""

    def __init__(self, group: h5py.Group) -> None:
        self.own = [np.asarray(group["vars"][key]) for key in group.get("vars", ())]
        self.name = group["vars"].attrs.get("name", "") if "vars" in group else ""
        for name in group:
            if name != "vars":
                parts = {"layers": list, "quantizers": tuple}
                setattr(self, name, parts[name](_lives(group[name])) if name in parts else Live(group[name]))

    def save_own_variables(self, store: dict[str, npt.ArrayLike]) -> None:
        """Like Keras's."""
        store.update({str(number): values for number, values in enumerate(self.own)})

    def get_weights(self) -> list[npt.NDArray[np.generic]]:
        """Like Keras's, which has the variables of sub-layers too."""
        raise NotImplementedError


class Quantizer(Live):
    """One of a list."""


def _lives(group: h5py.Group) -> Iterator[Live]:
    """The layers of a group; those of a list of quantizers are quantizers."""
    return ((Quantizer if name.startswith("quantizer") else Live)(group[name]) for name in group)


class LiveModel(Live):
    """A live model, with the content of a file."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.text = archive.read("config.json").decode()
            data = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(data)) as file:
            super().__init__(file)

    layers: list[Live]

    def to_json(self) -> str:
        """Like Keras's."""
        return self.text


@pytest.mark.parametrize("name", ["dense", "merges", "nested"])
def test_live_models_are_the_same(name: str) -> None:
    inputs, expected = known(name)
    network = read_keras(LiveModel(MODELS / f"{name}.keras"))
    results = network.evaluate(inputs)
    for number, output in enumerate(network.outputs):
        np.testing.assert_array_equal(results[output], expected[f"y{number}"], str(number))


def test_live_quantizers_tell_what_files_do_not() -> None:
    """That a hard tanh is symmetric, and that frozen quantizers of weights wrap around; so does HGQ2 0.2.0."""
    model = LiveModel(MODELS / "transformed.keras")
    symmetric = next(layer for layer in model.layers if layer.name == "hard_tanh")
    symmetric.quantizer.overflow_mode = "SAT_SYM"  # type: ignore[attr-defined]
    layer = next(node.layer for node in read_keras(model).nodes if node.name == "hard_tanh")
    assert isinstance(layer, Quantize)
    assert layer.quantizer.overflow is Overflow.SAT_SYM
    model = LiveModel(MODELS / "dense.keras")
    frozen = next(layer for layer in model.layers if layer.name == "kif_rnd_wrap")
    frozen.own[0] = frozen.own[0] * 8
    rounded = _kernel(model, "kif_rnd_wrap")
    frozen.kq.quantizer.trainable = False  # type: ignore[attr-defined]
    wrapped = _kernel(model, "kif_rnd_wrap")
    differs = rounded != wrapped
    assert np.any(differs)
    assert np.all(np.abs(wrapped[differs]) < np.abs(rounded[differs]))


def _kernel(model: LiveModel, name: str) -> Floats:
    return next(node for node in read_keras(model).nodes if node.name == name).layer.weights()["weight"]


def changed(path: Path, name: str, text: dict[str, str], variables: dict[str, npt.ArrayLike | None]) -> Path:
    """A model with other texts in its configuration, and other variables (None: none)."""
    with zipfile.ZipFile(MODELS / f"{name}.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    config = members["config.json"].decode()
    for old, new in text.items():
        assert old in config
        config = config.replace(old, new)
    data = io.BytesIO(members["model.weights.h5"])
    with h5py.File(data, "r+") as file:
        for key, values in variables.items():
            del file[key]
            if values is not None:
                file[key] = values
    members |= {"config.json": config.encode(), "model.weights.h5": data.getvalue()}
    with zipfile.ZipFile(path / "m.keras", "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path / "m.keras"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("normalization", {'"q_type": "kif"': '"q_type": "fancy"'}, "a quantizer of type 'fancy'"),
        ("normalization", {'"q_type": "kif"': '"q_type": 3'}, "q_type is 3"),
        ("normalization", {'"round_mode": "RND"': '"round_mode": "UP"'}, "round_mode is 'UP'"),
        ("normalization", {'"overflow_mode": "WRAP"': '"overflow_mode": "WRAP_SM"'}, "4 variables are stored"),
        ("reflected", {'"round_mode": "RND_CONV"': '"round_mode": "TRN"'}, "round_mode is 'TRN'"),
        ("normalization", {'"overflow_mode": "WRAP"': '"overflow_mode": "BREAK"'}, "overflow_mode is 'BREAK'"),
        ("normalization", {'"overflow_mode": "WRAP"': '"overflow_mode": "SAT"'}, "4 variables are stored"),
        ("normalization", {'"scaler": null': '"scaler": 0'}, "scaler is 0"),
        ("normalization", {'"affine": null': '"affine": [0, 1]'}, "affine is"),
        ("normalization", {'"affine": null': '"affine": [1]'}, "affine is"),
        ("normalization", {'"bw_mapper": null': '"bw_mapper": {"class_name": "Mine"}'}, "bit-width mapper"),
        ("normalization", {'"class_name": "QuantizerConfig"': '"class_name": "Mine"'}, "configured by 'Mine'"),
        ("normalization", {'"iq_conf"': '"other"'}, "iq_conf is missing"),
        ("normalization", {"QBatchNormalization": "QNew"}, "it is not a layer of HGQ2 that is known here"),
        (
            "normalization",
            {'"name": "float32"': '"name": "mixed_float16"'},
            "quantizers that compute in 'mixed_float16'",
        ),
        ("conv_1d_3d", {'"affine": null': '"affine": [1.0, 0.5]'}, "causal padding in front of"),
        ("merges", {'"iq_confs": [': '"iq_confs": [{}, '}, "quantizers for 2 operands"),
        ("merges", {'"scale": 0.5': '"scale": 0.3'}, "scale is 0.3"),
        ("merges", {'"axes": [1, 2]': '"axes": [0, 1]'}, "mix samples"),
        ("einsum", {'"bias_axes": "d"': '"bias_axes": "z"'}, "a bias along the axes 'z'"),
    ],
)
def test_configurations_that_are_refused(name: str, text: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BitsmithError, match=message):
        read_keras(changed(tmp_path, name, text, {}))


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("vars/2", None, "the data set is missing"),
        ("vars/3", np.full(4, -1.0), "the variance is negative"),
        ("iq/quantizer/vars/0", None, "3 variables are stored for the quantizer|the data set is missing"),
        ("iq/quantizer/vars/0", np.zeros((2, 3, 4)), "bit widths of shapes"),
        ("iq/quantizer/vars/0", np.full((1, 3, 4), np.nan), "NaN"),
        ("iq/quantizer/vars/0", np.full((1, 3, 4), 1e30), "beyond all bounds"),
        ("iq/quantizer/vars/0", np.full((1, 3, 4), 100.0), "numbers of 10. bits"),
        ("iq/quantizer/vars/1", np.full((1, 3, 4), 2), "a sign of other than 0 or 1 bits"),
        ("kq/quantizer/vars", None, "0 variables are stored for the quantizer"),
        ("kq", None, "0 variables are stored for the quantizer"),
    ],
)
def test_variables_that_are_refused(part: str, values: npt.ArrayLike | None, message: str, tmp_path: Path) -> None:
    path = changed(tmp_path, "normalization", {}, {f"layers/q_batch_normalization/{part}": values})
    with pytest.raises(BitsmithError, match=message):
        read_keras(path)


@pytest.mark.parametrize(
    ("name", "variable", "values", "message"),
    [
        ("minifloats", 0, np.full((1, 4, 3), 30.0), "a minifloat quantizer of other widths"),
        ("minifloats", 2, np.full((1, 4, 3), 99.0), "a minifloat quantizer of other exponents"),
        ("minifloats", 0, np.full((1, 4, 3), 14.0), "too many steps"),
        ("reflected", 0, np.full((1, 4, 3), 20.0), "tables of"),
    ],
)
def test_widths_that_are_refused(name: str, variable: int, values: Floats, message: str, tmp_path: Path) -> None:
    path = changed(tmp_path, name, {}, {f"layers/quantizer/quantizer/vars/{variable}": values})
    with pytest.raises(BitsmithError, match=message):
        read_keras(path)


def test_biases_that_rounding_decides_are_told_of(tmp_path: Path) -> None:
    rng, layer = np.random.default_rng(0), "layers/q_batch_norm_dense"
    mean, kernel = np.ones(4), rng.normal(0.0, 1.0, (4, 3)).astype(np.float32)
    tie = (kernel.astype(np.float64).sum(axis=0) + 0.125).astype(np.float32)
    bits = {0: 4.0, 1: 1.0, 2: 2.0}
    variables = {f"{layer}/bq/quantizer/vars/{number}": np.full(3, value) for number, value in bits.items()}
    variables |= {f"{layer}/vars/0": kernel, f"{layer}/vars/1": tie, f"{layer}/vars/5": mean}
    network = read_keras(changed(tmp_path, "dense", {}, variables))
    assert any("norm: 3 of its 3 biases are so near" in note for note in network.notes)
    assert not read_keras(MODELS / "dense.keras").notes


def test_quantizers_that_differ_between_samples_are_refused(tmp_path: Path) -> None:
    wide = {f"layers/q_batch_normalization/iq/quantizer/vars/{number}": np.ones((2, 3, 4)) for number in range(3)}
    with pytest.raises(BitsmithError, match="a quantizer of shape"):
        read_keras(changed(tmp_path, "normalization", {}, wide))


@few("seed", range(60), fast=20, judged=True)
def test_any_other_value_is_one_error_at_most(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    name = str(rng.choice(["transformed", "einsum", "merges", "normalization", "conv_1d_3d"]))
    with zipfile.ZipFile(MODELS / f"{name}.keras") as archive:
        found = sorted(
            set(re.findall(r'"\w+": (?:"[^"]*"|[\w.-]+|\[[^\]{}]*\])', archive.read("config.json").decode()))
        )
    old = str(rng.choice(found))
    new = str(rng.choice(["null", "-1", "0", "1e300", "true", '"x"', "[]", "{}", "[1, 2, 3]", "99999999999"]))
    with contextlib.suppress(BitsmithError):
        read_keras(changed(tmp_path, name, {old: f"{old.partition(':')[0]}: {new}"}, {}))


def test_a_scaled_quantizer_may_have_one_format_without_axes() -> None:
    bits = [np.array(number) for number in (1, 2, 3)]
    fixed = FixedPoint(*bits, Rounding.RND, Overflow.SAT, scaler=0.75, slope=2.0)
    assert (fixed.quantizer.scale.item(), fixed.quantizer.step.item()) == (Fraction(3, 32), Fraction(3, 16))
    values = np.linspace(-5.0, 5.0, 101)
    np.testing.assert_array_equal(fixed.quantizer.applied(values), fixed.applied(values))


@given(st.integers(0, 3), st.integers(1, 3), st.integers(-4, 4))
def test_formats_of_minifloats_hold_their_numbers_and_no_fewer_bits_do(
    mantissa: int, exponent: int, offset: int
) -> None:
    parts = (np.array([part], dtype=np.int64) for part in (mantissa, exponent, offset))
    found = Minifloat.trained(*parts, (1.0, 1.0, 0.0))
    integer, frac = int(found.integer[0]), int(found.frac[0])
    steps = np.arange(-(2 ** (integer + frac + 1)), 2 ** (integer + frac + 1) + 1)
    codes = np.ldexp(found.applied(np.ldexp(steps / 2, -frac)[:, None]), frac)
    assert np.array_equal(codes, np.rint(codes)) and np.any(codes % 2 == 1)
    assert 2 ** (integer + frac - 1) <= np.abs(codes).max() < 2 ** (integer + frac)
