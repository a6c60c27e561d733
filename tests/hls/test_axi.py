"""The streams of beats of C++ functions for DMA engines: as many elements as a beat has room for, none of them in two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.hls.axi import stream_port
from bitsmith.hls.project import Port, TokenStream
from bitsmith.hls.scalar import Scalar
from bitsmith.rtl.interface import token_bytes


@given(
    st.booleans(), st.integers(2, 70), st.integers(1, 24), st.sampled_from([None, 1, 3]), st.sampled_from([1, 4, 8, 64])
)
def test_beats_have_as_many_elements_as_fit(
    signed: bool, width: int, elements: int, tokens: int | None, bus: int
) -> None:
    """Of a whole array, or of each token; a single one that is wider than the bus is left to whoever cuts it."""
    stream = None if tokens is None else TokenStream(tokens, 1, "token", "stream", "x0")
    port = Port("x", elements * (tokens or 1), Scalar(signed, width, width - 1), "x_t", stream)
    found = stream_port(port, bus)
    count = len(found.fields)
    assert (found.name, found.tokens * count) == ("x", port.size) and elements % count == 0
    assert token_bytes(found) <= bus or count == 1
    larger = [more for more in range(count + 1, elements + 1) if elements % more == 0]
    assert not larger or larger[0] * width > 8 * bus
    for number, field in enumerate(found.fields):
        assert (field.tensor, field.index, field.frac) == ("x", number, 1)
        assert (field.width, field.signed) == (width, signed)
        ends = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        assert (field.lo, field.hi) == ends


@pytest.mark.parametrize(("bus", "count"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 6), (12, 12), (64, 12)])
def test_beats_of_bytes(bus: int, count: int) -> None:
    assert len(stream_port(Port("x", 12, Scalar(True, 8, 4), "x_t"), bus).fields) == count
