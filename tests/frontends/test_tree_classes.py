"""Numbers of classes and what they mean, and numbers that models of trees write as text."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.trees.network import Classes
from bitsmith.frontends.trees.xgboost import _count


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("7", 7),
        ("012", 12),
        ("999999999", 999_999_999),
        *((text, None) for text in ("", "-1", "+1", "1.0", "1e3", " 1", "abc", "x1", "\u0663", "\u00b2", "9" * 10)),
    ],
)
def test_numbers_that_xgboost_writes_as_text(text: str, number: int | None) -> None:
    described = Fields({"num_class": text}, "model.json")
    if number is None:
        with pytest.raises(ModelFileError, match="num_class"):
            _count(described, "num_class")
    else:
        assert _count(described, "num_class") == number
    assert _count(described, "num_target") == 0


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 30])
def test_names_of_classes_are_noted_with_their_numbers(count: int) -> None:
    """Ten of them, which show how they are counted; integers need no note."""
    names = [f"class {number}" for number in range(count)]
    (note,) = Classes(names).notes("y")
    assert [f"{number} 'class {number}'" in note for number in range(count)] == [number < 10 for number in range(count)]
    assert note.endswith(", ...." if count > 10 else "'.") and note.startswith("y gives the number of a class")
    assert Classes([3, "b"]).notes("y") and Classes(["x" * 60]).notes("y")[0].count("x") == 40
    assert Classes(list(range(count))).notes("y") == () == Classes(np.arange(count)[::-1].tolist()).notes("y")


@pytest.mark.parametrize("labels", [[0, 1, 2], [2, 1, 0], [5, -3], [7], ["a", "b", "c"], [1, "b"]])
@pytest.mark.parametrize("last", [False, True])
def test_numbers_of_classes_become_integers(labels: list[object], last: bool) -> None:
    """Names stay numbers. Where the last of classes that are as likely is taken, they are counted from there."""
    numbers = [each for each in labels if isinstance(each, int)]
    numbers = numbers if len(numbers) == len(labels) else list(range(len(labels)))
    numbers = numbers[::-1] if last else numbers
    layer = Classes(labels, last).layer()
    if layer is None:
        assert numbers == list(range(len(labels)))
        return
    found = layer.reference([np.arange(float(len(labels)))[:, None]])
    assert np.ravel(found).tolist() == numbers != list(range(len(labels)))
