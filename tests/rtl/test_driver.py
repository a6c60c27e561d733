"""The generated driver's numbers: quantized as by the emulator, packed and unpacked without loss."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.building.design import circuit
from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.writer import Title
from tests.rtl.wrapped import inputs_of, load_driver, made

FORMATS = st.builds(
    FixedFormat,
    st.booleans(),
    st.sampled_from([2, 7, 16, 53, 54, 64, 70]),
    st.integers(-4, 40),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-300, 300),
    st.integers(-2000, 2000).map(lambda k: k / 16),
    st.integers(-64, 64).map(lambda k: (1 if k > 0 else -1) * (0.5 - 2.0**-54) + k),
    st.sampled_from([5e-324, -5e-324, 1e308, -1e308, 0.5 - 2.0**-54, 2.0**-54 - 0.5, -0.5, 2.0**52 + 0.5, -0.0]),
)


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=60)
@given(
    forms=st.one_of(st.lists(FORMATS, min_size=1, max_size=1), st.lists(FORMATS, min_size=3, max_size=3)),
    numbers=st.lists(NUMBERS, min_size=6, max_size=6),
)
def test_driver_quantises_and_packs_as_the_emulator_does(
    tmp_path_factory: pytest.TempPathFactory, forms: list[FixedFormat], numbers: list[float]
) -> None:
    build = ProgramBuilder()
    x = build.input("x", (3,), *forms)
    program = build.program([("y", build.neg(x))])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", "0"))
    driver = load_driver(tmp_path_factory.mktemp("driver"), each)
    values = np.array(numbers).reshape(2, 3)
    raw, outside = Emulator(program).quantize(0, values)
    np.testing.assert_array_equal(np.asarray(driver.quantize(0, values), dtype=object), np.asarray(raw, dtype=object))
    assert driver.beyond(0, values) == outside
    port = each.interface.inputs[0]
    words = pack(port.fields, [raw]).astype("<u4").view(np.uint8)
    size = driver.INPUTS[0].token_bytes
    assert driver.pack([values]) == [words.reshape(2, -1)[:, :size].tobytes()]
    assert not np.any(words.reshape(2, -1)[:, size:])
    (found,) = driver.INPUTS[0].unpack(driver.pack([values])[0])
    (back,) = unpack(port.fields, pack(port.fields, [raw]))
    np.testing.assert_array_equal(
        found, np.asarray(back, dtype=np.float64) * 2.0 ** -np.array([form.frac for form in forms], dtype=np.float64)
    )


def test_driver_refuses_what_it_cannot_say(tmp_path: Path) -> None:
    driver = load_driver(tmp_path, made("pipeline"))
    series, bias = np.zeros((2, 6, 3)), np.zeros((2, 2))
    for inputs, why in (
        ([series], "2 inputs"),
        ([series, bias[:1]], "equally many"),
        ([series[:, :5], bias], "shape"),
        ([series + np.nan, bias], "NaN"),
        ([np.full((2, 6, 3), 1 << 60), bias], "53 bits"),
        ([series + np.inf, bias], "infinite"),
        ([series + 1j, bias], "complex128"),
        ([series.astype(object), bias], "object"),
        ([series.astype(str), bias], "<U"),
        ([series.astype(np.longdouble), bias], "float128|longdouble"),
        ([series, np.zeros((2, 2), "M8[s]")], "datetime64"),
        ([None, bias], "equally many"),
        ([None, None], "object"),
        ([3.0, 4.0], "shape"),
    ):
        with pytest.raises(ValueError, match=why):
            driver.pack(inputs)


@pytest.mark.parametrize("values", [np.full((3, 6), 1j), np.full((3, 6), "1"), np.full((3, 6), None)])
def test_driver_refuses_weights_that_are_no_numbers(tmp_path: Path, values: np.ndarray) -> None:
    driver = load_driver(tmp_path, made("loads"))
    with pytest.raises(ValueError, match="conv: weight: an array of"):
        driver.weights("conv", values)
    with pytest.raises(ValueError, match="outside"):
        driver.weights("conv", np.full((3, 6), np.nan))


def test_numbers_of_all_kinds_are_those_of_predict(tmp_path: Path) -> None:
    each = made("pipeline")
    driver, (_, y) = load_driver(tmp_path, each), inputs_of(each.program, 2)
    for kind in (np.bool_, np.int8, np.uint64, np.float16, np.float32):
        x = np.array([[[0, 1, 1]] * 6, [[1, 0, 1]] * 6]).astype(kind)
        raw, _ = Emulator(each.program).quantize(0, x)
        np.testing.assert_array_equal(driver.quantize(0, x), raw)
        assert len(driver.pack([x, y])) == 1


def test_results_that_are_not_all_are_an_error(tmp_path: Path) -> None:
    each = made("stream")
    driver, x = load_driver(tmp_path, each), inputs_of(each.program, 7)
    (size,) = (stream.frame_bytes for stream in driver.OUTPUTS)
    for wrong in ([bytes(3 * size)], [bytes(8 * size)], [], [bytes(7 * size)] * 2):
        with pytest.raises(RuntimeError, match="came back"):
            driver.predict(x, lambda data, wanted, wrong=wrong: wrong)
    data = driver.pack(x)
    for some, wanted in (([data[0][: -driver.INPUTS[0].frame_bytes]], 7), ([data[0][:-1]], 7), (data, 3)):
        with pytest.raises(ValueError, match="whole frames"):
            driver.Serial(lambda n: bytes(n), lambda part: len(part))(some, [wanted * size])


def test_a_serial_port_that_answers_late(tmp_path: Path) -> None:
    """What comes after the limit is no result of the next frames."""
    each = made("stream")
    driver, x = load_driver(tmp_path, each), inputs_of(each.program, 2)
    size, waiting = driver.OUTPUTS[0].frame_bytes, bytearray()
    late = iter([b"\xff" * (size - 1), b"\xff", b""])

    def read(number: int) -> bytes:
        if (first := next(late, None)) is not None:
            return first
        found, waiting[:number] = bytes(waiting[:number]), b""
        return found

    def write(part: bytes) -> int:
        waiting.extend(bytes(size))
        return len(part)

    port = driver.Serial(read, write)
    with pytest.raises(TimeoutError, match=f"{size - 1} of {size} bytes of frame 0"):
        driver.predict(x, port)
    waiting.clear()
    np.testing.assert_array_equal(driver.predict(x, port)[0], 0)
    with pytest.raises(TimeoutError, match="took 1 of"):
        driver.predict(x, driver.Serial(read, lambda part: 1))


@pytest.mark.parametrize("rounding", Rounding)
def test_driver_rounds_ties_as_the_emulator_does(tmp_path: Path, rounding: Rounding) -> None:
    build = ProgramBuilder()
    x = build.input("x", (8,), FixedFormat(True, 8, 1, rounding, Overflow.SAT))
    program = build.program([("y", build.neg(x))])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", "0"))
    values = np.array([[-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.25]])
    raw, _ = Emulator(program).quantize(0, values)
    np.testing.assert_array_equal(load_driver(tmp_path, each).quantize(0, values), raw)


@pytest.mark.parametrize(
    "weights",
    [
        LoadableWeights("dense", "kernel", (5, 6), steps=2, groups=3, lo=-32, hi=31, frac=2),
        LoadableWeights("up", "kernel", (10, 4), steps=3, groups=4, lo=-32, hi=31, frac=2, blocks=((2, -1), (0, 1))),
        LoadableWeights("gru", "kernel", (5, 4), steps=2, groups=2, lo=-32, hi=31, frac=2, blocks=((2, 1),), across=3),
    ],
)
def test_driver_cuts_weights_into_the_tiles_of_the_circuit(tmp_path: Path, weights: LoadableWeights) -> None:
    about = {field.name: getattr(weights, field.name) for field in fields(weights)}
    raw = objects(np.arange(30).reshape(-1, weights.across * weights.block[1]))
    np.testing.assert_array_equal(
        load_driver(tmp_path, made("loads"))._tiles(about, raw.astype(np.float64) / 4), weights.tiles(raw)
    )


@pytest.mark.parametrize("rounding", Rounding)
def test_driver_rounds_what_is_next_to_nothing_as_the_emulator_does(tmp_path: Path, rounding: Rounding) -> None:
    """In steps of 2**9, the least numbers of double precision, of which scaling leaves nothing."""
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 8, -9, rounding, Overflow.SAT))
    program = build.program([("y", build.neg(x))])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", "0"))
    values = np.array([[5e-324, -5e-324, 2.0**-1022, -(2.0**-1022)], [2.0**-500, -(2.0**-500), 0.0, -0.0]])
    raw, _ = Emulator(program).quantize(0, values)
    np.testing.assert_array_equal(load_driver(tmp_path, each).quantize(0, values), raw)


@pytest.mark.parametrize("kind", ["loads", "weights"])
def test_driver_takes_the_weights_of_a_layer_by_name_and_no_others(tmp_path: Path, kind: str) -> None:
    """Each alone, all together, at both ends of their format, and rounded to these; a step more is refused."""
    driver = load_driver(tmp_path, made(kind))
    arguments = {"weight": "kernel", "bias": "bias"}
    layers = {about["layer"] for about in driver.DESIGN["weights"]}
    sent_to = list[tuple[str, bytes]]()
    for layer in layers:
        abouts = [about for about in driver.DESIGN["weights"] if about["layer"] == layer]
        tensors = dict[str, np.ndarray]()
        for about in abouts:
            name, step = arguments[about["name"]], 2.0 ** -about["frac"]
            for end, beyond in ((about["lo"], -1), (about["hi"], 1)):
                tensors[name] = np.full(about["shapes"][0], end * step)
                sent = driver.weights(layer, **{name: tensors[name]})
                assert list(sent) == [about["port"]]
                assert driver.weights(layer, **{name: tensors[name] + beyond * 0.25 * step}) == sent
                with pytest.raises(ValueError, match=f"{layer}: {about['name']} has values outside"):
                    driver.weights(layer, **{name: tensors[name] + beyond * 0.75 * step})
            with pytest.raises(ValueError, match=f"{layer}: {about['name']} of shape"):
                driver.weights(layer, **{name: tensors[name][None]})
        assert set(driver.weights(layer, **tensors)) == {about["port"] for about in abouts}
        first = next(iter(tensors))
        known = rf"layers with weights: \[{', '.join(map(repr, sorted(layers)))}\]"
        for asked, named, problem in (
            (layer, {}, "empty load"),
            (layer, {"peephole": np.ones(2)}, "peephole_weight"),
            (layer, {**tensors, "recurrent_kernel": np.ones(2)}, "recurrent_weight"),
            ("none", {first: tensors[first]}, {value: key for key, value in arguments.items()}[first]),
            ("none", {}, "empty load"),
        ):
            with pytest.raises(ValueError, match=rf"layer '{asked}' takes no {problem}; {known}"):
                driver.weights(asked, **named)
        sent_to.clear()
        if any(about["external"] for about in abouts):
            with pytest.raises(ValueError, match="come with each frame"):
                driver.load(layer, **tensors, send=lambda name, data: sent_to.append((name, data)))
            assert not sent_to
        else:
            driver.load(layer, **tensors, send=lambda name, data: sent_to.append((name, data)))
            assert dict(sent_to) == driver.weights(layer, **tensors)
