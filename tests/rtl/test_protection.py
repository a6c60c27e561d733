"""Memories with check bits: codes against a naive decoder, circuits without faults, and flipped bits in all kinds of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.devices.protection import Protection
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from tests.mapping.test_engines import residual, shared
from tests.rtl.streaming import assert_streams
from tests.rtl.test_large_memories import convolved, transposed
from tests.rtl.wrapped import loaded

CASES: dict[str, tuple[Callable[[], Program], Directives]] = {
    "window": (lambda: convolved(70, 6), Directives({}, False)),
    "sweep": (lambda: convolved(70, 6), Directives({"conv": 36}, False)),
    "reorder": (lambda: transposed(12, 21, 17), Directives({}, False)),
    "engine": (lambda: residual(12), shared(residual(12), 5000)),
    "loads": (lambda: loaded(external=False), Directives({"conv": 2, "dense": 3}, True)),
}


@pytest.mark.parametrize("protection", [Protection.PARITY, Protection.ECC])
@pytest.mark.parametrize("case", CASES)
def test_no_alarm(tmp_path: Path, case: str, protection: Protection) -> None:
    made, directives = CASES[case]
    assert_streams(made(), replace(directives, protection=protection), tmp_path, frames=4)
