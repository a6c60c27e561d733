"""Look-ups by index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Settings
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

SOURCES = st.sampled_from([FixedFormat(False, 4, 0), FixedFormat(True, 7, 2), FixedFormat(True, 3, -1)])
SHAPES = st.sampled_from([(1,), (4,), (2, 3)])


def rows(entries: int, channels: int) -> Embedding:
    """Rows of multiples of 1/16."""
    return Embedding(as_weights(np.random.default_rng(entries).integers(-40, 40, (entries, channels)) / 16))


@settings(max_examples=15)
@given(st.integers(1, 20), st.integers(1, 5), SHAPES, SOURCES)
def test_rows_and_one_hot_codes(entries: int, channels: int, shape: Shape, source: FixedFormat) -> None:
    for layer in (rows(entries, channels), replace(rows(entries, channels), from_end=True), OneHot(entries)):
        network = network_of(layer, [shape], formats={0: source})
        outcome = run(network, samples=20)
        np.testing.assert_array_equal(outcome.fixed, outcome.real)
        assert_exact(network)


def test_trained_rows_keep_sixteen_bits() -> None:
    layer = Embedding(as_weights(np.random.default_rng(0).standard_normal((300, 8))))
    outcome = run(network_of(layer, [(5,)], formats={0: FixedFormat(False, 9, 0)}), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= outcome.step / 2
    assert outcome.step <= 2.0**-13


def test_given_formats() -> None:
    layer = Embedding(as_weights(np.random.default_rng(0).standard_normal((9, 4))))
    coarse = FixedFormat(True, 6, 3)
    outcome = run(network_of(layer, [(5,)], Settings({"weight": coarse}), {0: FixedFormat(False, 4, 0)}), samples=20)
    np.testing.assert_array_equal(outcome.fixed, np.clip(np.rint(outcome.real * 8), -32, 31) / 8)


def test_limits() -> None:
    with pytest.raises(UnsupportedError, match=r"(?s)65537 entries.*at most 65536"):
        network_of(Embedding(as_weights(np.zeros((65537, 1)))), [(3,)]).shapes()
    with pytest.raises(UnsupportedError, match="0 classes"):
        network_of(OneHot(0), [(3,)]).shapes()


def _networks() -> dict[str, Network]:
    source = {0: FixedFormat(False, 4, 0)}
    return {
        "rows": network_of(rows(11, 3), [(2,)], formats=source),
        "from_end": network_of(replace(rows(11, 3), from_end=True), [(2,)], formats={0: FixedFormat(True, 5, 0)}),
        "codes": network_of(OneHot(5), [(2,)], formats=source),
    }


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_networks(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rows", "from_end", "codes"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_networks()[name], tmp_path)
