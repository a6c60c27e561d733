"""Samples survive packing and unpacking, whatever the widths."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import InputDataError
from bitsmith.netlist.netlist import Field
from bitsmith.rtl.packing import pack, unpack


def field_of(tensor: str, index: int, width: int, signed: bool) -> Field:
    if signed:
        return Field(tensor, index, -(1 << (width - 1)), (1 << (width - 1)) - 1, 0)
    return Field(tensor, index, 0, (1 << width) - 1, 0)


def reference(fields: list[Field], values: list[int]) -> int:
    """All bits of a sample as one integer."""
    packed = low = 0
    for item, value in zip(fields, values, strict=True):
        packed |= (value & ((1 << item.width) - 1)) << low
        low += item.width
    return packed


@settings(max_examples=60)
@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    widths = st.sampled_from([1, 2, 5, 31, 32, 33, 62, 63, 64, 65, 100])
    fields = [
        field_of(f"t{t}", k, data.draw(widths), data.draw(st.booleans())) for t, n in enumerate(sizes) for k in range(n)
    ]
    samples = [[data.draw(st.integers(item.lo, item.hi)) for item in fields] for _ in range(3)]
    tensors, first = [], 0
    for n in sizes:
        tensors.append(np.array([row[first : first + n] for row in samples], dtype=np.object_))
        first += n
    packed = pack(fields, tensors)
    assert packed.dtype == np.uint32
    for row, values in zip(packed, samples, strict=True):
        assert sum(int(word) << (32 * k) for k, word in enumerate(row)) == reference(fields, values)
    for got, want in zip(unpack(fields, packed), tensors, strict=True):
        assert got.tolist() == want.tolist()


def test_shapes_and_machine_integers() -> None:
    fields = [field_of("x", k, 6, True) for k in range(4)]
    raw = np.arange(-4, 4).reshape(2, 2, 2)
    (back,) = unpack(fields, pack(fields, [raw]))
    assert back.dtype == np.int64 and np.array_equal(back.reshape(raw.shape), raw)


def test_a_constant_takes_a_bit() -> None:
    fields = [Field("x", 0, 0, 0, 0), field_of("x", 1, 3, False)]
    packed = pack(fields, [np.array([[0, 5]])])
    assert packed.tolist() == [[10]] and unpack(fields, packed)[0].tolist() == [[0, 5]]


def test_tensors_of_one_name_stay_apart() -> None:
    fields = [field_of("x", 0, 4, False), field_of("x", 0, 4, False)]
    assert [part.tolist() for part in unpack(fields, np.array([[0x21]], dtype=np.uint32))] == [[[1]], [[2]]]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([np.array([[0, 9]])], "raw value 9 of sample 0"),
        ([np.array([[0, 1, 2]])], "elements per sample"),
        ([np.array([[0, 1]]), np.array([[0]])], "one array per input"),
        ([], "no input tensors"),
    ],
)
def test_refusals(tensors: list[npt.NDArray[np.int64]], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        pack([field_of("x", 0, 3, False), field_of("x", 1, 3, False)], tensors)
