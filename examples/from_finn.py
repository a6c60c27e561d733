"""Turns FINN's build configuration (the JSON of a ``DataflowBuildConfig``) into a project file of bitsmith.

Run `python examples/from_finn.py dataflow_build_config.json model.onnx -o project.yml`, then `bitsmith convert project.yml`.
Parallelization (`folding_config_file`, `target_fps`) is not taken over: nodes of FINN have other names, and bitsmith proposes
reuse factors itself (`bitsmith explain project.yml`).
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import yaml

_TAKEN = {
    "output_dir": "OutputDir",
    "synth_clk_period_ns": "ClockPeriod",
    "fpga_part": "Part",
    "vitis_platform": "Platform",
}


def project(config: dict[str, object], model: Path) -> tuple[dict[str, object], list[str]]:
    """The project file as a dictionary, and the keys that were given and have no counterpart."""
    made: dict[str, object] = {"OnnxModel": str(model), "IOType": "io_stream", "Backend": "rtl"}
    given = {key: value for key, value in config.items() if value is not None}
    made |= {name: given.pop(key) for key, name in _TAKEN.items() if key in given}
    board = given.pop("board", None)
    if board is not None:
        made["Board"] = _board(str(board))
    return made, sorted(given)


def _board(name: str) -> str:
    plain = name.lower().removesuffix("_som")
    return f"alveo-{plain}" if re.fullmatch(r"u[0-9]+c?", plain) else plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the JSON of a DataflowBuildConfig")
    parser.add_argument("model", type=Path, help="the ONNX file (QONNX operators are read)")
    parser.add_argument("-o", "--output", type=Path, default=Path("project.yml"))
    given = parser.parse_args()
    made, rest = project(json.loads(given.config.read_text(encoding="utf-8")), given.model.resolve())
    given.output.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
    print(f"Written: {given.output}. Without counterpart: {', '.join(rest) or 'nothing'}")


if __name__ == "__main__":
    main()
