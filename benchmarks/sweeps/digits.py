"""Record a sweep that calibrates estimates: small circuits of the bundled classifier, synthesized, placed and routed for a part.

    python benchmarks/sweeps/digits.py LFE5U-45F ecp5
    bitsmith calibrate ecp5 -o ecp5-estimates.json

The results that are kept beside this file were recorded with it.
"""

from __future__ import annotations

import argparse

from rich.console import Console

import bitsmith

FORMATS: tuple[dict[str, object], ...] = (
    {"bits": 3},
    {"bits": 4},
    {"bits": 5},
    {"Model.Bits": {"weight": 3, "result": 6}},
    {"Model.Bits": {"weight": 5, "result": 4}},
    {"bits": 4, "Model.DigitPrice": 1e-3},
)
STREAM: dict[str, object] = {"io_type": "io_stream", "Model.Strategy": "resource"}
FOLDED: tuple[dict[str, object], ...] = (
    {"bits": 6, "reuse_factor": 64, **STREAM},
    {"bits": 8, "reuse_factor": 256, **STREAM},
    {"bits": 4, "reuse_factor": 512, **STREAM},
    {"bits": 6, "reuse_factor": 128, "io_type": "io_parallel"},
)


def main() -> None:
    """Sweep for the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("folder")
    given = parser.parse_args()
    x, _ = bitsmith.utils.fetch_example_data("digits.keras")
    grid, build = (*FORMATS, *FOLDED), {"cosim": False, "pnr": True}
    found = bitsmith.sweep("digits.keras", grid, given.folder, calibration=x, part=given.part, build=build)
    Console().print(found)


if __name__ == "__main__":
    main()
