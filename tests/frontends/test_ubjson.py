"""Binary JSON: every kind of value, and damage."""

from __future__ import annotations

import json
import random
import struct

import pytest
import xgboost

from bitsmith.errors import BitsmithError, ModelFileError
from bitsmith.frontends.files.ubjson import parse_ubjson
from bitsmith.frontends.trees.xgboost import read_xgboost

VALUES: dict[str, tuple[bytes, object]] = {
    "words": (b"[ZTF]", [None, True, False]),
    "integers": (
        b"[i\xffU\xffI\xff\xfel\x80\0\0\0L" + struct.pack(">q", 1 << 40) + b"]",
        [-1, 255, -2, -(1 << 31), 1 << 40],
    ),
    "numbers": (b"[d" + struct.pack(">f", 0.5) + b"D" + struct.pack(">d", -1e300) + b"]", [0.5, -1e300]),
    "texts": (b"[Si\4\xc3\xa4\xc3\x9fCaSU\0]", ["\u00e4\u00df", "a", ""]),
    "counted": (b"[#i\2i\1T", [1, True]),
    "typed": (b"[$l#U\2\0\0\0\5\xff\xff\xff\xff", [5, -1]),
    "typed texts": (b"[$S#i\2i\1ai\1b", ["a", "b"]),
    "typed numbers without any": (b"[$d#L" + bytes(8), []),
    "objects": (b"{i\1a{}i\1b[]}", {"a": {}, "b": []}),
    "counted objects": (b"{#i\1i\1aT", {"a": True}),
    "typed objects": (b"{$U#i\2i\1a\7i\1b\x09", {"a": 7, "b": 9}),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    raw, wanted = VALUES[name]
    assert parse_ubjson(b"{i\1x" + raw + b"}", "file") == {"x": wanted}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "0 bytes of the file|are not there"),
        (b"[]", "no object"),
        (b"{}}", "takes all of the file"),
        (b"{i\1aT", "are not there"),
        (b"{i\1aTi\1aF}", "given twice"),
        (b"{i\1aq}", "marker b'q'"),
        (b"{d\0\0\0\0T}", "of a length"),
        (b"{i\xffT}", "a value of -1 bytes"),
        (b"{i\1\xffT}", "UTF-8"),
        (b"{i\1a[$i]}", "without a number"),
        (b"{i\1a[$i#i\xff]}", "are not there"),
        (b"{i\1a[#l\x7f\xff\xff\xff", "are not there"),
        (b"{i\1a[$Z#l\x7f\xff\xff\xff", "more than 4194304 values"),
        (b"{i\1a[$d#l\x7f\xff\xff\xff", "more than 4194304 values"),
        (b"{i\1a" + b"[" * 1000, "within more than 200"),
    ],
)
def test_damage_is_one_error(raw: bytes, found: str) -> None:
    with pytest.raises(ModelFileError, match=found):
        parse_ubjson(raw, "file")


@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")  # of damaged directions of missing values
def test_models_of_xgboost_are_those_of_its_json() -> None:
    x = [[row % 5, row % 3] for row in range(40)]
    booster = xgboost.train({"max_depth": 3}, xgboost.DMatrix(x, [a * b for a, b in x]), 3)
    raw = bytes(booster.save_raw("ubj"))
    binary, text = parse_ubjson(raw, "file"), json.loads(booster.save_raw("json"))
    assert binary.keys() == text.keys() and binary["version"] == text["version"]
    draw = random.Random(1)
    for _ in range(300):  # each is a model or one error
        damaged = bytearray(raw)
        damaged[draw.randrange(16, len(raw))] = draw.randrange(256)
        try:
            read_xgboost(bytes(damaged), "file", None)
        except BitsmithError:
            continue
