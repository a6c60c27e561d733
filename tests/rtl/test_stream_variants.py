"""The modules of processes with various parameters: lint, by two front ends."""

from __future__ import annotations

import re
from pathlib import Path

from bitsmith.rtl.library import STREAM_LIBRARY, library
from tests.properties import every
from tests.rtl.circuits import lint

VARIANTS: list[tuple[str, dict[str, int]]] = [
    ("bitsmith_fifo", {"WIDTH": 1, "DEPTH": 1}),
    ("bitsmith_fifo", {"WIDTH": 5, "DEPTH": 2}),
    ("bitsmith_fifo", {"WIDTH": 5, "DEPTH": 2, "PAIR": 0}),
    ("bitsmith_fifo", {"WIDTH": 33, "DEPTH": 100}),
    ("bitsmith_fifo", {"WIDTH": 33, "DEPTH": 100, "LARGE": 36}),
    ("bitsmith_ram", {"DEPTH": 1}),
    ("bitsmith_ram", {"WIDTH": 1, "DEPTH": 3, "BLOCK": 1}),
    ("bitsmith_ram", {"WIDTH": 1, "DEPTH": 2, "LARGE": 72}),
    ("bitsmith_ram", {"WIDTH": 10, "DEPTH": 13, "LARGE": 9}),
    ("bitsmith_ram", {"WIDTH": 36, "DEPTH": 5, "LARGE": 18}),
    ("bitsmith_ram", {"WIDTH": 73, "DEPTH": 3, "LARGE": 36}),
    ("bitsmith_ram", {"WIDTH": 10, "DEPTH": 16, "LARGE": 9, "TOGETHER": 4}),
    ("bitsmith_ram", {"WIDTH": 36, "DEPTH": 6, "LARGE": 36, "TOGETHER": 2}),
    ("bitsmith_encode", {"WIDTH": 5, "CHECK": 0}),
    ("bitsmith_encode", {"WIDTH": 1, "CHECK": 1}),
    ("bitsmith_encode", {"WIDTH": 70, "CHECK": 9}),
    ("bitsmith_encode", {"WIDTH": 500, "CHECK": 16}),
    ("bitsmith_decode", {"WIDTH": 5, "CHECK": 0}),
    ("bitsmith_decode", {"WIDTH": 9, "CHECK": 1}),
    ("bitsmith_decode", {"WIDTH": 1, "CHECK": 3}),
    ("bitsmith_decode", {"WIDTH": 64, "CHECK": 9}),
    ("bitsmith_delay", {"LENGTH": 100, "WIDTH": 30, "CHECK": 7}),
    ("bitsmith_window", {"SIZE_2": 40, "WIDTH": 60, "CHECK": 9}),
    ("bitsmith_engine", {"WIDTH": 8, "CHECK": 1, "WORDS": 512, "LANES": 2, "BANKS": 2}),
    ("bitsmith_single_port_fifo", {"WIDTH": 1, "DEPTH": 1}),
    ("bitsmith_single_port_fifo", {"WIDTH": 5, "DEPTH": 4}),
    ("bitsmith_single_port_fifo", {"WIDTH": 33, "DEPTH": 100}),
    ("bitsmith_downsizer", {"PARTS": 1, "TIMES": 1, "WIDTH": 3}),
    ("bitsmith_downsizer", {"PARTS": 5, "TIMES": 3, "WIDTH": 3}),
    ("bitsmith_upsizer", {"PARTS": 1, "WIDTH": 3}),
    ("bitsmith_upsizer", {"PARTS": 6, "WIDTH": 1}),
    ("bitsmith_reduce", {"COUNT": 1, "ELEMENTS": 1, "WIDTH": 1}),
    ("bitsmith_reduce", {"COUNT": 7, "ELEMENTS": 3, "WIDTH": 9, "GREATEST": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 1, "M": 1, "STEPS": 1, "GROUPS": 1, "X_SIGNED": 0}),
    ("bitsmith_folded_product", {"LANES": 2, "N": 5, "M": 3, "STEPS": 7, "GROUPS": 1, "Y_WIDTH": 10}),
    (
        "bitsmith_folded_product",
        {"LANES": 2, "N": 5, "M": 3, "STEPS": 1, "GROUPS": 1, "Y_WIDTH": 10, "COLUMN_PAIRS": 1},
    ),
    ("bitsmith_folded_product", {"LANES": 3, "N": 1, "M": 1, "X_SIGNED": 0, "LANE_PAIRS": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 7, "M": 3, "STEPS": 2, "CHAIN": 4, "COLUMN_PAIRS": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 2, "M": 1, "X_SIGNED": 0, "CHAIN": 2}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 1, "M": 1, "STEPS": 9, "GROUPS": 3, "ADDS_VALID": 1}),
    ("bitsmith_delay", {"WIDTH": 3, "LENGTH": 1}),
    ("bitsmith_delay", {"WIDTH": 3, "LENGTH": 3}),
    ("bitsmith_delay", {"WIDTH": 100, "LENGTH": 40}),
    ("bitsmith_delay", {"WIDTH": 100, "LENGTH": 40, "LARGE": 9}),
    ("bitsmith_window", {"SIZE_1": 1, "TAPS_1": 1, "TAPS_2": 1}),
    ("bitsmith_window", {"SIZE_2": 300, "LARGE": 18}),
    ("bitsmith_window", {"BEFORE_1": 1, "AFTER_2": 2, "STRIDE_2": 3, "DILATION_1": 2, "STRIDE_1": 4}),
    ("bitsmith_actions", {"ACTIONS": 1, "AHEAD": 1}),
    ("bitsmith_actions", {"ACTIONS": 9}),
    ("bitsmith_actions", {"ACTIONS": 9, "WIDTH": 40, "AHEAD": 1}),
    ("bitsmith_order", {"WIDTH": 1}),
    ("bitsmith_replay", {"DEPTH": 1, "RUNS": 1, "PART_BITS": 3}),
    ("bitsmith_replay", {"DEPTH": 20, "RUNS": 3, "LARGE": 72}),
    ("bitsmith_reorder", {"DEPTH": 1, "TOKENS": 1}),
    ("bitsmith_reorder", {"DEPTH": 20, "TOKENS": 40}),
    ("bitsmith_reorder", {"DEPTH": 20, "TOKENS": 40, "LARGE": 72}),
    (
        "bitsmith_sweep",
        {
            "DEPTH": 1,
            "SIZE_1": 1,
            "SIZE_2": 1,
            "TAPS_1": 1,
            "TAPS_2": 1,
            "BEFORE_1": 0,
            "BEFORE_2": 0,
            "WINDOWS_1": 1,
            "WINDOWS_2": 1,
        },
    ),
    ("bitsmith_sweep", {"BLOCKS": 3, "PARTS": 5, "TIMES": 2, "DEPTH": 300, "STRIDE_2": 2, "WINDOWS_2": 4}),
    ("bitsmith_sweep", {"DEPTH": 300, "LARGE": 9}),
    ("bitsmith_interleave", {"OPERANDS": 1}),
    ("bitsmith_interleave", {"OPERANDS": 3}),
    ("bitsmith_scan", {"STEPS": 1, "STATES_WIDTH": 1}),
    ("bitsmith_scan", {"STEPS": 5}),
    ("bitsmith_scan", {"STEPS": 1, "STATES_WIDTH": 1, "KEPT_WIDTH": 1}),
    ("bitsmith_scan", {"STATES_WIDTH": 9, "KEPT_WIDTH": 4}),
    ("bitsmith_rom", {"TOKENS": 1}),
    ("bitsmith_rom", {"TOKENS": 12}),
    ("bitsmith_load", {"ELEMENT": 1, "PARTS": 1, "WORDS": 1}),
    ("bitsmith_load", {"ELEMENT": 5, "PARTS": 1, "WORDS": 7}),
    ("bitsmith_load", {"ELEMENT": 9, "PARTS": 6, "WORDS": 1}),
    ("bitsmith_feedback", {}),
    ("bitsmith_feedback", {"KEPT": 1}),
    ("bitsmith_feedback", {"TOKENS": 1, "ROUNDS": 1, "WIDTH": 1, "KEPT": 1}),
    ("bitsmith_feedback", {"TOKENS": 1, "ROUNDS": 1, "WIDTH": 1}),
    ("bitsmith_engine", {}),
    ("bitsmith_engine", {"LANES": 1, "LAYERS": 1, "WEIGHT": 2, "GREATEST": 1, "LATENCY": 5}),
    ("bitsmith_engine", {"LANES": 5, "LAYERS": 3, "WORDS": 33, "TOKENS": 1, "WIDTH": 1}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4}),
    ("bitsmith_engine", {"LANES": 4, "ALONE": 0, "SHIFT": 17, "PACKED": 26}),
    ("bitsmith_engine", {"LANES": 5, "BANKS": 2, "ALONE": 2, "SHIFT": 17, "PACKED": 26, "DOWN": 2, "FIRST": 1}),
    ("bitsmith_engine", {"LANES": 5, "BANKS": 2, "ALONE": 2, "SHIFT": 17, "PACKED": 26, "GREATEST": 1}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4, "LARGE": 16, "SINGLE": 1}),
    ("bitsmith_engine", {"LANES": 3, "BANKS": 2, "WORDS": 5, "GREATEST": 1}),
    ("bitsmith_engine", {"LANES": 5, "BANKS": 4, "GREATEST": 4}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4, "LARGE": 9}),
    ("bitsmith_engine", {"LANES": 6, "BANKS": 4, "LARGE": 9, "ABREAST": 2, "OUTSIDE": 1, "CHECK": 5}),
    ("bitsmith_engine", {"LANES": 7, "BANKS": 4, "ABREAST": 4, "DOWN": 2, "ALONE": 4, "SHIFT": 17, "PACKED": 26}),
    ("bitsmith_engine", {"LANES": 16, "BANKS": 16, "LARGE": 9, "WORDS": 512}),
    ("bitsmith_engine", {"LANES": 16, "BANKS": 16, "LARGE": 9, "WORDS": 144, "REST": 1}),
    ("bitsmith_engine", {"LANES": 2, "LARGE": 9, "WORDS": 70, "REST": 6, "CHECK": 1}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4, "LARGE": 36, "CHECK": 5, "WORDS": 512}),
    ("bitsmith_engine", {"SUM": 12}),
    ("bitsmith_engine", {"BIASES": 12, "BIAS_BITS": 4}),
    ("bitsmith_engine", {"DOWN": 2}),
    ("bitsmith_engine", {"DOWN": 2, "ACROSS": 3, "TOKENS": 6, "PART": 3, "REACH_DOWN": 0}),
    ("bitsmith_engine", {"ACROSS": 4, "PART": 3, "BANKS": 2, "LANES": 3, "OUTSIDE": 1}),
    ("bitsmith_read_back", {"ELEMENT": 1, "PARTS": 1, "WORDS": 1}),
    ("bitsmith_read_back", {"ELEMENT": 9, "PARTS": 6, "WORDS": 5}),
    ("bitsmith_register_slice", {"WIDTH": 1, "DEPTH": 1}),
    ("bitsmith_register_slice", {"WIDTH": 5, "DEPTH": 9, "STAGES": 3}),
]

_RAM = "bitsmith_ram"
_CODES = ("bitsmith_encode", "bitsmith_decode")
_ENGINE = tuple(name.removesuffix(".sv") for name in STREAM_LIBRARY if name.startswith("bitsmith_engine_"))
MADE_OF = [
    ("bitsmith_fifo", _RAM),
    ("bitsmith_delay", _RAM, *_CODES),
    ("bitsmith_window", "bitsmith_delay", "bitsmith_window_axis", _RAM, *_CODES),
    ("bitsmith_reorder", _RAM),
    ("bitsmith_replay", _RAM),
    ("bitsmith_sweep", "bitsmith_sweep_axis", _RAM),
    ("bitsmith_engine", *_ENGINE, "bitsmith_product_factors", _RAM, *_CODES),
    ("bitsmith_decode", "bitsmith_encode"),
    ("bitsmith_folded_product", "bitsmith_product_factors", "bitsmith_chained_product"),
]
"""Modules with those that they are made of."""


def test_every_module_has_a_variant() -> None:
    modules = {name.removesuffix(".sv") for name in STREAM_LIBRARY} - {
        "bitsmith_window_axis",
        "bitsmith_sweep_axis",
        *_ENGINE,
        "bitsmith_product_factors",
        "bitsmith_chained_product",
    }
    assert {module for module, _ in VARIANTS} == modules


@every("module, parameters", VARIANTS, step=3)
def test_lint_clean(tmp_path: Path, module: str, parameters: dict[str, int]) -> None:
    """Two front ends, with ``parameters`` for defaults."""
    parts = next((parts for parts in MADE_OF if parts[0] == module), (module,))
    files = []
    for name, text in library([f"{part}.sv" for part in parts]).items():
        for parameter, value in parameters.items():
            if name == f"{module}.sv":
                text, count = re.subn(rf"(parameter [a-z ]+ {parameter}) = [^,\n]+", rf"\1 = {value}", text)
                assert count == 1
        files.append(tmp_path / name)
        files[-1].write_text(text)
    lint(files, module)
