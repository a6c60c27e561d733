"""TensorFlow Lite files of all kinds that are cut, damaged or hostile: one typed error, or a network."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import JUDGED, few

from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.tflite.flatbuffer import FlatBuffer, Table
from bitsmith.frontends.tflite.graph import Operator, Options, _options, read_graph
from bitsmith.frontends.tflite.read import read_tflite
from bitsmith.frontends.tflite.schema import TYPES

_MODELS = Path(__file__).parent / "tflite" / "models"

_NETWORKS = ("cnn_int8_floats", "residual_int8_codes", "sequence_int16_floats")
_DAMAGED = {
    "floats": ("float32_mlp", "dynamic_lstm", "float32_embedding", "conv_3d", "local_response"),
    "streams": ("svdf_int8", "variables", "cell_int8"),
    "networks": ("mlp_int8_codes", *_NETWORKS),
}
_WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_OVERWRITTEN = {
    "int8": ("conv_int8_plain",),
    "floats": ("transposed_0", "lstm", "resize_bilinear_1"),
    "streams": ("svdf", "variables_int8"),
}


@cache
def _file(name: str) -> dict[str, npt.NDArray[np.generic]]:
    return dict(np.load(_MODELS / f"{name}.npz"))


def _content(file: str, name: str) -> bytes:
    return _file(file)[f"{name}/model"].tobytes()


def _refused(content: bytes) -> bool:
    """Return True if reading raises a typed error; any other one is raised."""
    try:
        read_tflite(content)
    except BitsmithError as error:
        assert str(error)
        return True
    return False


def test_truncated_files_are_refused() -> None:
    content = _content("networks", "mlp_int8_codes")
    for size in range(0, len(content), 61):
        with pytest.raises((ModelFileError, UnsupportedError)):
            read_tflite(content[:size])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        pytest.param(file, name, marks=JUDGED if name in _NETWORKS else [])
        for file, names in _DAMAGED.items()
        for name in names
    ],
)
def test_damaged_bytes(file: str, name: str) -> None:
    content, rng, refused = _content(file, name), np.random.default_rng(0), 0
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), int(rng.integers(1, 6))):
            damaged[place] = int(rng.integers(0, 256))
        refused += _refused(bytes(damaged))
    assert refused > 3


@few("word", _WORDS, fast=2, judged=True)
@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in _OVERWRITTEN.items() for name in names])
def test_hostile_words(file: str, name: str, word: int) -> None:
    content, refused = _content(file, name), 0
    for place in range(0, len(content) - 4, 28):
        refused += _refused(content[:place] + word.to_bytes(4, "little") + content[place + 4 :])
    assert refused > 3


@pytest.mark.parametrize("name", ["dense_int8_fused3", "add_int8_relu", "mul_int8_broadcast", "average_pool_int8_even"])
def test_steps_of_almost_nothing(name: str) -> None:
    content = _content("int8", name)
    (result,) = read_graph(content).outputs
    hostile = content.replace(result.quantized.scale.tobytes(), np.float32(1e-44).tobytes())
    assert hostile != content
    _refused(hostile)


@pytest.mark.parametrize("name", ["variables", "variables_int8"])
def test_variables_begin_with_another_graph_of_the_file(name: str) -> None:
    """The number of the graph that runs once: of all words that say 1, the one without which there is no such graph."""
    content = _content("streams", name)

    def said(place: int, number: int) -> str:
        try:
            read_graph(content[:place] + number.to_bytes(4, "little", signed=True) + content[place + 4 :])
        except BitsmithError as error:
            return str(error)
        return ""

    words = [place for place in range(0, len(content) - 3, 4) if content[place : place + 4] == b"\1\0\0\0"]
    (place,) = (place for place in words if "graph 2 of 2" in said(place, 2))
    assert not said(place, 1)
    for number in (-1, 0, 3, 1 << 30):
        assert f"graph {number} of 2" in said(place, number)


def test_graphs_without_inputs_or_outputs_are_refused() -> None:
    """Lists of one number that are said to be empty: those of inputs and of outputs are among them."""
    content, said = _content("int8", "conv_int8_plain"), set[str]()
    for place in range(0, len(content) - 3, 4):
        if content[place : place + 4] == b"\1\0\0\0":
            try:
                read_graph(content[:place] + bytes(4) + content[place + 4 :])
            except BitsmithError as error:
                said.add(str(error))
    assert {"0 inputs and 1 outputs", "1 inputs and 0 outputs"} <= {
        word for one in said for word in one.partition(": ")[2].splitlines()
    }


def test_types_of_elements_are_named() -> None:
    """One byte of the file is the type of its input, the one that no other number fits as well."""
    content = _content("int8", "dequantize_int8")

    def said(place: int, code: int) -> str:
        try:
            read_tflite(content[:place] + code.to_bytes(1, "little") + content[place + 1 :])
        except UnsupportedError as error:
            return str(error)
        except ModelFileError:
            pass
        return ""

    (place,) = (place for place in range(len(content)) if "type number 99" in said(place, 99))
    for code, word in TYPES.items():
        assert word in ("int8", "uint8", "int16") if not said(place, code) else f"of {word}" in said(place, code)
    for code in (max(TYPES) + 1, 127):
        text = said(place, code)
        assert f"tensor 't0': elements of type number {code}" in text and all(word in text for word in TYPES.values())


def test_operators_that_are_out_of_order_are_named_with_the_tensor() -> None:
    """Neighbors in a list of places, which count from their own place on, are exchanged."""
    content, said = _content("networks", "mlp_int8_codes"), set[str]()
    for place in range(0, len(content) - 8, 4):
        one, other = struct.unpack_from("<II", content, place)
        if 4 < one < len(content) and 4 < other < len(content):
            exchanged = struct.pack("<II", other + 4, one - 4)
            try:
                read_graph(content[:place] + exchanged + content[place + 8 :])
            except BitsmithError as error:
                said.add(str(error))
    first, second, tanh = (operator.outputs[0].name for operator in read_graph(content).operators[:3])
    for operator, name in (("0 (FULLY_CONNECTED)", first), ("1 (TANH)", second), ("2 (FULLY_CONNECTED)", tanh)):
        assert f"TensorFlow Lite model, operator {operator}: the tensor {name!r} is read before it is computed" in said


@pytest.mark.parametrize(("size", "most"), [(100, 1 << 16), (4096, 1 << 16), (4100, 16 * 4100), (1 << 14, 16 << 14)])
def test_bytes_are_read_as_often_as_sixteen_times(size: int, most: int) -> None:
    """Those of small files more often, for parts of any file may be shared."""
    buffer = FlatBuffer(bytes(size), "x")
    for _ in range(most // 4):
        buffer.visit(size - 4, 4)
    with pytest.raises(ModelFileError, match="the same bytes again and again"):
        buffer.visit(0, 1)


def test_options_that_nobody_reads_are_refused() -> None:
    """A translation that does not know of one would do without it in silence."""
    operator = Operator("BATCH_MATMUL", (), (), (), Options({"adj_x": True, "adj_y": False}, "x"), "x")
    with pytest.raises(UnsupportedError, match=r"adj_x is True\n  accepted: False"):
        operator.check_options()
    operator.options.flag("adj_x")
    operator.check_options()


@pytest.mark.parametrize("later", [0, 7])
def test_options_of_a_later_schema_are_refused(later: int) -> None:
    """A product of which the first operand is turned, that has one more option, unless it is left out."""
    slots = struct.pack("<HH5H2x", 14, 12, 0, 0, 0, 4, 8)
    operator = struct.pack("<iB3xI", len(slots), 101, 16)
    options = struct.pack("<HH4HiBB2B", 12, 8, 4, 5, 0, later, 12, 1, 0, 0, 1)
    table = Table(FlatBuffer(slots + operator + options, "x"), len(slots))
    if not later:
        assert _options(table, "BATCH_MATMUL", "x") == {"adj_x": True, "adj_y": False}
    else:
        with pytest.raises(UnsupportedError, match=r"its options \(3,\), of a later schema"):
            _options(table, "BATCH_MATMUL", "x")
