"""The modules that read and write memory, by themselves against models of a few lines with random traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.rtl.library import MEMORY_LIBRARY, library
from tests.properties import JUDGED
from tests.rtl.bench import compile_bench, run_bench

pytestmark = [*JUDGED]


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        ("memory_read", {"BEAT": 8, "WORD": 32}),
        ("memory_read", {"BEAT": 8, "WORD": 32, "ROUND": 20}),
        ("memory_read", {"BEAT": 8, "WORD": 32, "ROUND": 200}),
        ("memory_write", {"BEAT": 8, "WORD": 32}),
        ("memory_control", {"STREAMS": 2}),
    ],
)
def test_against_a_model(tmp_path: Path, module: str, parameters: dict[str, int]) -> None:
    names = [f"bitsmith_{module}.sv", "bitsmith_fifo.sv", "bitsmith_ram.sv"]
    texts = library((*MEMORY_LIBRARY, *names))
    for name in names:
        (tmp_path / name).write_text(texts[name])
    sources = [tmp_path / name for name in names[: 1 if module == "memory_control" else None]]
    compile_bench(tmp_path, f"{module}_bench.cpp", f"bitsmith_{module}", sources, parameters)
    for seed in range(3):
        counts = run_bench(tmp_path, 20_000, seed, parameters.get("ROUND", 0))
        assert all(int(count) > 20 for count in counts)
