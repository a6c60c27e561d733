"""JSON of model files: every argument is taken up to its bounds and refused beyond them, by name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import BitsmithError, ModelFileError
from bitsmith.frontends.files import json as files
from bitsmith.frontends.files.json import Fields, constant, parse_json

Read = Callable[[Fields], object]

ENTRIES: dict[str, Any] = {
    "zero": 0, "one": 1, "long": (1 << 63) - 1, "longer": 1 << 63, "least": -(1 << 63), "less": -(1 << 63) - 1,
    "true": True, "null": None, "text": "relu", "empty": "", "fraction": 1.5, "size": (1 << 31) - 1, "sizes": 1 << 31,
    "pair": [2, 3], "three": [1, 2, 3], "mixed": [1, "2"], "flags": [True, 1], "object": {"a": 1}, "objects": [{"a": 1}, {}],
    "list": [{}, 1],
    "name": "n" * 200, "names": "n" * 201, "bell": "a\a", "numbers": [[1, 2.5], [-3, 4]], "ragged": [[1], [2, 3]],
    "array": {"class_name": "__numpy__", "config": {"value": [1, 2]}}, "old": {"type": "ndarray", "value": [[3]]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        (lambda x: x.text("text"), "relu"),
        (lambda x: x.text("null", "tanh"), "tanh"),
        (
            lambda x: [x.flag("true"), x.flag("zero"), x.flag("null", True), x.flag("absent")],
            [True, False, True, False],
        ),
        (lambda x: [x.integer("long"), x.integer("least"), x.integer("absent", 7)], [(1 << 63) - 1, -(1 << 63), 7]),
        (lambda x: [x.positive("one"), x.positive("size"), x.positive("null", 2)], [1, (1 << 31) - 1, 2]),
        (lambda x: [x.integers("pair"), x.integers("one"), x.integers("absent")], [(2, 3), (1,), ()]),
        (lambda x: [x.given_integers("absent"), x.given_integers("pair")], [None, (2, 3)]),
        (
            lambda x: [x.per_axis("one", 3), x.per_axis("pair", 2), x.per_axis("absent", 2, 4)],
            [(1,) * 3, (2, 3), (4, 4)],
        ),
        (lambda x: [x.per_axis("zero", 2, least=0), x.per_axis("size", 1)], [(0, 0), ((1 << 31) - 1,)]),
        (lambda x: [x.name("text"), x.name("name")], ["relu", "n" * 200]),
        (lambda x: [x.number("fraction"), x.number("absent", 0.5), x.number("old")], [1.5, 0.5, 3.0]),
        (lambda x: x.constant("numbers").tolist(), [[1.0, 2.5], [-3.0, 4.0]]),
        (lambda x: x.constant("array").tolist(), [1.0, 2.0]),
        (lambda x: x.fields("object").only(), ("a", 1)),
        (lambda x: [dict(each.values) for each in x.objects("objects")], [{"a": 1}, {}]),
        (lambda x: (x.at("there").where, x.at("there").values), ("there", ENTRIES)),
    ],
)
def test_arguments_are_read(read: Read, wanted: object) -> None:
    assert read(Fields(ENTRIES, "layer 'a'")) == wanted


@pytest.mark.parametrize(
    ("read", "found", "accepted"),
    [
        (lambda x: x.text("one"), "one is 1", "a string"),
        (lambda x: x.text("absent"), "absent is missing", "a string"),
        (lambda x: x.flag("pair"), "pair is [2, 3]", "true or false"),
        (lambda x: x.integer("longer"), "longer is", "64 bits"),
        (lambda x: x.integer("less"), "less is", "64 bits"),
        (lambda x: x.integer("true"), "true is True", "64 bits"),
        (lambda x: x.integer("absent"), "absent is missing", "64 bits"),
        (lambda x: x.positive("zero"), "zero is 0", "a positive integer"),
        (lambda x: x.positive("sizes"), "sizes is", "a positive integer"),
        (lambda x: x.integers("mixed"), "mixed is", "or a list of them"),
        (lambda x: x.integers("flags"), "flags is", "or a list of them"),
        (lambda x: x.per_axis("three", 2), "three is", "or 2 of them"),
        (lambda x: x.per_axis("zero", 2), "zero is 0", "from 1 to"),
        (lambda x: x.per_axis("sizes", 1), "sizes is", f"to {(1 << 31) - 1}"),
        (lambda x: x.name("empty"), "empty is ''", "1 to 200 printable"),
        (lambda x: x.name("names"), "names is", "1 to 200 printable"),
        (lambda x: x.name("bell"), "bell is", "1 to 200 printable"),
        (lambda x: x.number("pair"), "pair is [2, 3]", "one number"),
        (lambda x: x.constant("ragged"), "ragged is", "finite numbers"),
        (lambda x: x.constant("text"), "text is 'relu'", "finite numbers"),
        (lambda x: x.constant("longer1"), "longer1 is missing", "finite numbers"),
        (lambda x: x.fields("pair"), "pair is [2, 3]", "an object"),
        (lambda x: x.items("object"), "object is", "a list"),
        (lambda x: x.objects("list"), "list holds something else", ""),
        (lambda x: x.only(), "{", "an object of one entry"),
    ],
)
def test_arguments_are_refused_by_name(read: Read, found: str, accepted: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        read(Fields(ENTRIES, "layer 'a'"))
    assert refused.value.where == "layer 'a'" and accepted in refused.value.accepted
    assert str(refused.value).startswith(f"layer 'a': {found}")


def test_lists_and_constants_have_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LIST", 3)
    monkeypatch.setattr(files, "MAX_CONSTANTS", 3)
    assert Fields({"k": [1, 2, 3]}, "").integers("k") == (1, 2, 3)
    np.testing.assert_array_equal(constant([[1], [2], [3]]), [[1.0], [2.0], [3.0]])
    with pytest.raises(ModelFileError, match="a list of them"):
        Fields({"k": [1, 2, 3, 4]}, "").integers("k")
    assert constant([1, 2, 3, 4]) is None and constant([1, float("inf")]) is None and constant(float("nan")) is None
    assert constant(-float("inf")) is not None  # a mask


def test_texts_have_a_greatest_size_depth_and_number_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"a": [1, 2, "[[,,"]}'
    assert parse_json(text, "model", len(text)) == json.loads(text)
    with pytest.raises(ModelFileError, match=f"{len(text)} bytes of JSON"):
        parse_json(text, "model", len(text) - 1)
    monkeypatch.setattr(
        files, "MAX_JSON_VALUES", 4
    )  # two commas, a list and an object; what is in texts does not count
    assert parse_json(text, "model", 100) == json.loads(text)
    monkeypatch.setattr(files, "MAX_JSON_VALUES", 3)
    with pytest.raises(ModelFileError, match="too many values"):
        parse_json(text, "model", 100)
    monkeypatch.undo()
    monkeypatch.setattr(files, "MAX_DEPTH", 3)
    assert parse_json('{"a": [1]}', "model", 100) == {"a": [1]}
    for deep in ('{"a": [[1]]}', '{"a": {"b": [1]}}'):
        with pytest.raises(ModelFileError, match="too deeply"):
            parse_json(deep, "model", 100)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1]", "the JSON holds [1]"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ("{", "not valid JSON"),
        ('{"a": "\ud800', "valid"),
    ],
)
def test_texts_that_are_no_objects(text: str, found: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        parse_json(text, "model", 100)
    assert found in str(refused.value) and refused.value.where == "model"


def test_what_a_file_may_hold_by_default() -> None:
    """Enough for the models that there are; what is more would fill the memory."""
    assert Fields({"k": [1] * 65_536}, "").integers("k") == (1,) * 65_536
    with pytest.raises(ModelFileError, match="a list of them"):
        Fields({"k": [1] * 65_537}, "").integers("k")
    assert constant([0] * (1 << 20)) is not None and constant([0] * ((1 << 20) + 1)) is None
    for depth, fits in ((200, True), (201, False)):
        deep = '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        with contextlib.nullcontext() if fits else pytest.raises(ModelFileError, match="too deeply"):
            parse_json(deep, "model")
    with pytest.raises(ModelFileError, match=f"{(64 << 20) + 1} bytes of JSON"):
        parse_json(b" " * ((64 << 20) + 1), "model")
    with pytest.raises(ModelFileError, match="too many values"):
        parse_json(b'{"a": [' + b"," * ((1 << 22) - 1) + b"]}", "model")
    with pytest.raises(ModelFileError, match="not valid JSON"):
        parse_json(b'{"a": ' + b"," * ((1 << 22) - 1) + b"}", "model")


@given(
    st.lists(st.integers(-2, 3) | st.integers((1 << 31) - 3, 1 << 31), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(-1, 2),
)
def test_integers_of_axes_are_one_for_all_or_one_for_each(values: list[int], rank: int, least: int) -> None:
    fields = Fields({"sizes": values}, "layer 'a'")
    if len(values) in (1, rank) and all(least <= value < 1 << 31 for value in values):
        assert fields.per_axis("sizes", rank, least=least) == tuple(values * (rank if len(values) == 1 else 1))
        return
    with pytest.raises(BitsmithError, match=f"sizes is .*\n.*from {least} to {(1 << 31) - 1}, or {rank} of them"):
        fields.per_axis("sizes", rank, least=least)
