"""Names in generated code are legal, unique and made of the user's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.rtl.names import KEYWORDS, Names, identifier


@given(st.text(max_size=80))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and len(name) <= 66 and name not in KEYWORDS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fc1", "fc1"),
        ("block/conv 2d", "block_conv_2d"),
        ("always", "always_"),
        ("1x1", "n1x1"),
        ("", "n"),
        ("x;endmodule//", "x_endmodule"),
        ("größe", "gr_e"),
    ],
)
def test_examples(text: str, name: str) -> None:
    assert identifier(text) == name


def test_names_are_given_once_and_differ_in_more_than_case() -> None:
    names = Names()
    assert [names.unique(n) for n in ("a", "A", "a", "a_2", "b")] == ["a", "A_2", "a_3", "a_2_2", "b"]
