"""Arrays that users give: what is taken as which input, and what is said of those that do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsmith.emulate.batches import Arrays, checked_batches, float_batches, read_array, read_arrays
from bitsmith.emulate.samples import arrays_of
from bitsmith.errors import InputDataError
from bitsmith.layers.layer import Shape

ONE, TWO = {"x": (3,)}, {"image": (2, 2), "scale": ()}
IMAGES, SCALES = np.zeros((5, 2, 2)), np.zeros(5)


@pytest.mark.parametrize("x", [np.zeros((4, 3)), [[0, 1, 2]] * 4, [np.zeros((4, 3))], {"x": [[True] * 3] * 4}])
def test_one_input(x: Arrays) -> None:
    (batch,) = checked_batches(ONE, {}, x)
    assert batch.shape == (4, 3)


@pytest.mark.parametrize("x", [(IMAGES, SCALES), [IMAGES.tolist(), [0] * 5], {"scale": SCALES, "image": IMAGES}])
def test_several_inputs(x: Arrays) -> None:
    assert [batch.shape for batch in checked_batches(TWO, {}, x)] == [(5, 2, 2), (5,)]


@pytest.mark.parametrize(
    ("shapes", "x"),
    [
        *((ONE, x) for x in (np.arange(3.0), np.arange(3), [0, 1, 2], (0, 1, 2), {"x": [0, 1, 2]})),
        (TWO, [np.zeros((2, 2)), 1.0]),
        (TWO, {"image": np.zeros((2, 2)), "scale": [1.0]}),
    ],
)
def test_a_sample_may_come_without_the_axis_of_samples(shapes: dict[str, tuple[int, ...]], x: Arrays) -> None:
    batches = checked_batches(shapes, {}, x)
    assert [batch.shape for batch in batches] == [(1, *shape) for shape in shapes.values()]
    np.testing.assert_array_equal(batches[0].ravel(), np.arange(3) if shapes is ONE else np.zeros(4))


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (IMAGES, r"arrays for 1 inputs\s+accepted: one for each of 'image', 'scale'"),
        ({"image": IMAGES}, r"arrays for 'image'\s+accepted: 'image', 'scale'"),
        ([IMAGES, np.zeros((5, 1))], r"input 'scale': an array of shape \(5, 1\)\s+accepted: \(samples,\)"),
        ([np.zeros((5, 3)), SCALES], r"input 'image': an array of shape \(5, 3\)\s+accepted: \(samples, 2, 2\)"),
        ([IMAGES, SCALES.astype(str)], r"input 'scale': text\s+accepted: float16[\s\S]*numpy\.load"),
        ([IMAGES, SCALES.astype(complex)], r"input 'scale': an array of complex128"),
        (
            [IMAGES, np.array([0, 1, np.nan, np.inf, 0])],
            r"input 'scale': 2 of 5 values are NaN or infinite[\s\S]*nan_to_num",
        ),
        ([IMAGES, SCALES[:4]], r"different numbers of samples: 5 of 'image', 4 of 'scale'"),
        ([IMAGES, [[0, 1], [2]]], r"samples of different shapes(.|\n)*np\.concatenate"),
    ],
)
def test_what_does_not_fit(x: Arrays, found: str) -> None:
    with pytest.raises(InputDataError, match=found):
        float_batches(TWO, {}, x)


def test_tensors_that_need_gradients_are_their_numbers() -> None:
    torch = pytest.importorskip("torch")
    (batch,) = checked_batches(ONE, {}, torch.ones(2, 3, requires_grad=True) * 2)
    np.testing.assert_array_equal(batch, np.full((2, 3), 2))
    (batch,) = checked_batches(ONE, {}, torch.tensor([[1.0, -3.140625, 2.0**100]], dtype=torch.bfloat16))
    np.testing.assert_array_equal(batch, [[1.0, -3.140625, 2.0**100]])
    with pytest.raises(InputDataError, match=r"Float8[\s\S]*accepted: arrays of numbers that numpy knows"):
        checked_batches(ONE, {}, torch.ones(2, 3).to(torch.float8_e5m2))


class Table:
    """A table of columns, which has its rows as numpy's array, and goes through the names of its columns."""

    def __init__(self, *columns: list[object]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def to_numpy(self) -> np.ndarray:
        return np.array([[column[row] for column in self.columns] for row in range(2)], object)


def test_columns_of_unlike_kinds_are_their_numbers() -> None:
    table = Table([True, False], [1.5, np.float32(2.5)], [np.int64(3), 2**53 - 1])
    rows = [[1, 1.5, 3], [0, 2.5, 2**53 - 1]]
    every: list[Any] = [table, table.to_numpy(), {"x": table}, [table], arrays_of(table)]  # type: ignore[arg-type]
    for held in every:
        (batch,) = checked_batches(ONE, {}, held)
        assert batch.dtype == np.float64
        np.testing.assert_array_equal(batch, rows)


@pytest.mark.parametrize("strange", [None, "green", 1j, np.complex64(1j), [1, 2]])
def test_columns_of_anything_else_are_refused_by_an_example(strange: object) -> None:
    words = rf"input 'x': objects that are no numbers, such as {re.escape(repr(strange))}\s[\s\S]*missing values"
    with pytest.raises(InputDataError, match=words):
        checked_batches(ONE, {}, Table([1, 2], [3.5, strange], [True, False]))  # type: ignore[arg-type]


def test_masked_values_are_no_numbers() -> None:
    whole = np.ma.masked_greater(np.arange(6.0).reshape(2, 3), 9)
    np.testing.assert_array_equal(checked_batches(ONE, {}, whole)[0], np.arange(6.0).reshape(2, 3))
    rows, scales = np.ma.masked_greater(whole, 4), np.ma.masked_greater(np.arange(5.0), 3)
    several: list[tuple[dict[str, tuple[int, ...]], Any]] = [
        (ONE, rows),
        (ONE, [rows]),
        (ONE, {"x": rows}),
        (TWO, {"image": IMAGES, "scale": scales}),
    ]
    for shapes, held in several:
        with pytest.raises(InputDataError, match=r"an array with 1 masked values[\s\S]*filled"):
            float_batches(shapes, {}, held)


@pytest.mark.parametrize("most", [3.5e38, 1e100, -1e200])
def test_numbers_beyond_single_precision_are_refused_by_name(most: float) -> None:
    with pytest.raises(InputDataError, match=r"input 'x': values up to .*e\+[\s\S]*up to 3.4e\+38"):
        float_batches(ONE, {}, [[0.0, 1.0, most]])


NO_ARRAYS: dict[str, tuple[bytes, str]] = {
    "x.csv": (b"0.5,1\n2,3\n", "x.csv: a text"),
    "x.tsv": (b"0.5\t1\n2\t3\n", "x.tsv: a text"),
    "x.txt": (b"0.5 1\n2 3\n", "x.txt: a text"),
    "x.npz": (b"", "x.npz: an archive of several arrays: inputs, labels"),
}


def test_archives_have_the_arrays_of_inputs(tmp_path: Path) -> None:
    several, single = tmp_path / "several.npz", tmp_path / "single.npz"
    np.savez(several, x=np.zeros((2, 3)), y=np.ones((2, 1)))
    np.savez_compressed(single, any=np.ones((2, 3)))
    found = read_arrays(several)
    assert isinstance(found, dict) and {name: x.shape for name, x in found.items()} == {"x": (2, 3), "y": (2, 1)}
    np.testing.assert_array_equal(read_arrays(single), np.ones((2, 3)))
    content = bytearray(single.read_bytes())
    content[60:90] = bytes(30)
    single.write_bytes(content)
    np.savez(several, x=np.array([None]))
    for path in (single, several):
        with pytest.raises(InputDataError, match=r"an archive of several arrays|not an array file"):
            read_arrays(path)


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_the_error_of_another_file_has_the_line_that_makes_an_array_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, words = NO_ARRAYS[name]
    monkeypatch.chdir(tmp_path)
    wanted = np.array([[0.5, 1.0], [2.0, 3.0]])
    if content:
        Path(name).write_bytes(content)
    else:
        np.savez(name, inputs=wanted, labels=np.arange(2))
    with pytest.raises(InputDataError, match=words) as caught:
        read_array(Path(name))
    exec(str(caught.value.remedy), {"np": np})
    np.testing.assert_array_equal(read_array(Path("x.npy")), wanted)


def test_files_that_are_nothing_of_the_sort_are_told_how_to_write_one(tmp_path: Path) -> None:
    for name, content in (("a.npy", b"what"), ("b.npz", b"PK\5\6" + bytes(18))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputDataError, match=r"not an array file[\s\S]*write it with np\.save"):
            read_array(tmp_path / name)


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        ((2, 6, 5, 3), (3, 6, 5), r"if channels are the last axis: numpy.moveaxis\(x, -1, 1\)"),
        ((2, 5, 3, 6), (3, 6, 5), r"if channels are the first axis: numpy.moveaxis\(x, 1, -1\)"),
        ((2, 90), (3, 6, 5), r"if each row is a sample: x.reshape\(-1, 3, 6, 5\)"),
        ((2, 6, 5, 3), (90,), r"to make each sample flat: x.reshape\(len\(x\), -1\)"),
    ],
)
def test_arrays_in_another_layout_are_told_how_to_turn(found: Shape, wanted: Shape, told: str) -> None:
    with pytest.raises(InputDataError, match=told):
        checked_batches({"x": wanted}, {}, np.zeros(found))
    turned = eval(told.partition(": ")[2].replace("\\", ""), {"x": np.zeros(found), "numpy": np})
    assert turned.shape == (2, *wanted)


@pytest.mark.parametrize("wanted", [(3, 6, 5), (90,), ()])
def test_arrays_of_other_sizes_are_not(wanted: Shape) -> None:
    with pytest.raises(InputDataError) as caught:
        checked_batches({"x": wanted}, {}, np.zeros((2, 3, 6, 4)))
    assert not caught.value.remedy
