"""The pictures of concepts are what the code draws, and can be read in the light and in the dark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest

from generate.concepts import DARK, LIGHT, PICTURES
from generate.hooks import ROOT

_LEAST_CONTRAST = 4.5
"""WCAG 2 AA, of text."""


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_what_the_code_draws(name: str) -> None:
    text = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
    assert text == PICTURES[name]().svg(), "renew it: make docs"
    ElementTree.fromstring(text)
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert re.search(rf"!\[[^\]]{{30,}}\]\(images/{re.escape(name)}\)", page), "an alternative text"


def _luminance(color: str) -> float:
    parts = (int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_have_contrast(colors: Mapping[str, str]) -> None:
    for text, ground in (("ink", "page"), ("ink", "box"), ("ink", "mark"), ("soft", "page")):
        low, high = sorted(map(_luminance, (colors[text], colors[ground])))
        assert (high + 0.05) / (low + 0.05) >= _LEAST_CONTRAST, f"{text} on {ground}"
