"""Data sets as users hold them give the ranges that the same arrays give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import bitsmith
from bitsmith.emulate.batches import Arrays, Table, as_array, columns_of
from bitsmith.emulate.samples import MOST_OF_A_LOADER, Samples, arrays_of, labels_apart, without_labels
from bitsmith.errors import InputDataError
from bitsmith.sweeps.trial import packed, unpacked

X = np.random.default_rng(0).normal(0, 3, (200, 5)).astype(np.float32)
LABELS = np.arange(200) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(X), 64):
        yield X[start : start + 64], LABELS[start : start + 64]


def saved(folder: Path) -> str:
    np.save(folder / "x.npy", X)
    return str(folder / "x.npy")


HELD: dict[str, Callable[[Path], Samples]] = {
    "the path of a file": saved,
    "a path": lambda folder: Path(saved(folder)),
    "a pair with labels": lambda folder: (X, LABELS),
    "a pair with one-hot labels": lambda folder: (X, ONE_HOT),
    "labels with weights": lambda folder: (X, ONE_HOT, np.ones(200)),
    "a loader of PyTorch": lambda folder: DataLoader(TensorDataset(torch.tensor(X), torch.tensor(LABELS)), 32),
    "a generator of pairs": lambda folder: batches(),
    "a generator of batches": lambda folder: (x for x, _ in batches()),
    "a tensor": lambda folder: torch.tensor(X),
    "a list of numbers": lambda folder: X.tolist(),
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_means_the_arrays(held: Callable[[Path], Samples], tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3)])
    expected = bitsmith.convert(model, tmp_path, calibration=X)
    assert str(bitsmith.convert(model, tmp_path, calibration=held(tmp_path))) == str(expected)


def test_columns_of_tables_stay_with_loaders_and_files_of_sweeps(tmp_path: Path) -> None:
    tables, names = [Table(X[:100], tuple("abcde")), Table(X[100:], tuple("abcde"))], list[object]()
    (tmp_path / "packed.npz").write_bytes(packed((tables[0], LABELS[:100])))
    unpacked_pair: Any = unpacked(tmp_path / "packed.npz")
    for table in (arrays_of(iter(tables)), without_labels(unpacked_pair)):
        np.testing.assert_array_equal(as_array(table), X[: len(as_array(table))])
        names.append(columns_of(table))
    assert names == [tuple("abcde")] * 2
    with pytest.raises(InputDataError, match="batches of a list_iterator that differ"):
        arrays_of(iter([tables[0], Table(X[100:], tuple("abced"))]))


def test_labels_do_not_hide_the_shape_of_inputs(tmp_path: Path) -> None:
    module = torch.nn.Linear(5, 2)
    assert bitsmith.convert(module, tmp_path, calibration=(X, LABELS)).predict(X[:3]).shape == (3, 2)


def test_values_of_several_outputs_do_not_hide_it_either(tmp_path: Path) -> None:
    module, values = torch.nn.Linear(5, 2), X[:, 0]
    for labels in (values, (LABELS, values), [X, values]):
        assert bitsmith.convert(module, tmp_path, calibration=(X, labels)).predict(X[:3]).shape == (3, 2)


@pytest.mark.parametrize(
    "data", [(X, 2 * X, LABELS), ((X, 2 * X), LABELS), ([X, 2 * X], LABELS), ({"a": X, "b": 2 * X}, LABELS)]
)
def test_inputs_may_be_together_beside_labels(data: Arrays) -> None:
    inputs, labels = labels_apart(data, 2, 1)
    parts = [*inputs.values()] if isinstance(inputs, dict) else inputs
    assert [np.array_equal(part, wanted) for part, wanted in zip(parts, (X, 2 * X), strict=True)] == [True, True]
    assert labels is not None
    assert np.array_equal(labels[0], LABELS)


@pytest.mark.parametrize("labels", [LABELS, (LABELS, X), [X, LABELS], {"a": LABELS, "b": X}])
def test_inputs_may_be_together_before_a_model_tells_how_many(labels: object) -> None:
    for data in ((X, 2 * X), [X, 2 * X], {"a": X, "b": 2 * X}):
        assert without_labels((data, labels)) is data  # type: ignore[arg-type]  # labels of several outputs


def test_inputs_and_labels_may_be_named_x_and_y(tmp_path: Path) -> None:
    """Those of a model with two inputs are its inputs."""
    np.savez(tmp_path / "d.npz", x=X, y=LABELS)
    for data in ({"y": LABELS, "x": X}, arrays_of(tmp_path / "d.npz")):
        inputs, labels = labels_apart(data, 1, 1)
        assert labels is not None and np.array_equal(labels[0], LABELS)
        assert all(np.array_equal(each, X) for each in (inputs, without_labels(data), without_labels(data, 1)))
        assert labels_apart(data, 2, 1) == (data, None) and without_labels(data, 2) is data
    two = {"x": X, "y": 2 * X}
    assert without_labels(two) is two


def test_labels_are_read_as_inputs_are() -> None:
    """Numbers among objects, tensors with gradients; no rows of different lengths."""
    for labels in (LABELS.astype(object), torch.tensor(LABELS, dtype=torch.float64, requires_grad=True)):
        _, read = labels_apart((X, labels), 1, 1)
        assert read is not None and read[0].dtype.kind in "if" and np.array_equal(read[0], LABELS)
    with pytest.raises(InputDataError, match="different shapes"):
        labels_apart((X, [[0], [1, 2]]), 1, 1)


@pytest.mark.parametrize("data", [(X, 2 * X), [X, 2 * X], (X.tolist(), X.tolist())])
def test_two_inputs_alone_have_no_labels(data: Arrays) -> None:
    assert labels_apart(data, 2, 1) == (data, None)


def test_several_inputs_and_their_labels(tmp_path: Path) -> None:
    first, second = keras.Input((5,)), keras.Input((5,))
    model = keras.Model([first, second], keras.layers.Add()([first, second]))
    expected = str(bitsmith.convert(model, tmp_path, calibration=[X, 2 * X]))
    for held in ((X, 2 * X), (X, 2 * X, LABELS)):
        assert str(bitsmith.convert(model, tmp_path, calibration=held)) == expected


@pytest.mark.parametrize(
    "batch",
    [
        lambda x, y: (x, 2 * x),
        lambda x, y: ((x, 2 * x), y),
        lambda x, y: ([x, 2 * x], y, y),
        lambda x, y: {"b": 2 * x, "a": x},
        lambda x, y: ({"b": 2 * x, "a": x}, y),
    ],
)
def test_batches_of_several_inputs(batch: Callable[[np.ndarray, np.ndarray], object], tmp_path: Path) -> None:
    first, second = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    model = keras.Model([first, second], keras.layers.Add()([first, second]))
    expected = str(bitsmith.convert(model, tmp_path, calibration=[X, 2 * X]))
    for held in ((batch(x, y) for x, y in batches()), batch(X, LABELS)):
        assert str(bitsmith.convert(model, tmp_path, calibration=held)) == expected
    module = torch.nn.Bilinear(5, 5, 2)
    first, second = ("input1", "input2")
    named = batch(X, LABELS)
    if not isinstance(named, dict) and not isinstance(named[0], dict):  # type: ignore[index]
        assert bitsmith.convert(module, tmp_path, calibration=named).network.inputs == (first, second)


def test_an_endless_loader_ends() -> None:
    def endless() -> Iterator[np.ndarray]:
        while True:
            yield X

    data = arrays_of(endless())
    assert np.shape(data) == (MOST_OF_A_LOADER, 5)


@pytest.mark.parametrize("data", [iter(()), iter([1.0]), iter([()])])
def test_a_loader_without_batches_is_named(data: Samples) -> None:
    with pytest.raises(InputDataError, match="yields no batch"):
        arrays_of(data)


def test_a_dataset_of_single_samples_is_named() -> None:
    dataset = torch.utils.data.TensorDataset(torch.tensor(X))
    with pytest.raises(InputDataError, match=r"a TensorDataset, which has no batches(.|\n)*DataLoader\(dataset"):
        arrays_of(dataset)
    assert np.array_equal(arrays_of(torch.utils.data.DataLoader(dataset, batch_size=4)), X)


def test_batches_without_labels() -> None:
    assert np.array_equal(arrays_of((part, None) for part in (X[:3], X[3:5])), X[:5])


@pytest.mark.parametrize(
    "data", [[X, X[:, :3]], [X, (X, LABELS)], [X, 1.0], [{"a": X}, {"b": X}], [{"a": X}, X], [((X, X), X), (X, X)]]
)
def test_batches_that_differ_are_named(data: list[object]) -> None:
    with pytest.raises(InputDataError, match=r"batches of a .*iterator that differ"):
        arrays_of(iter(data))


@pytest.mark.parametrize("data", [(), [], {}])
def test_nothing_is_an_error_of_data(data: Any) -> None:
    with pytest.raises(InputDataError, match="an empty"):
        arrays_of(data)


@pytest.mark.parametrize("labels", [["cat", "dog"], [None, None], [1j, 2j], np.array(["cat", "dog"], object)])
def test_labels_are_numbers(labels: Any) -> None:
    with pytest.raises(InputDataError, match=r"(?s)labels that are no numbers") as caught:
        labels_apart((np.zeros((2, 3)), labels), 1, 1)
    assert caught.value.where == "test data"
