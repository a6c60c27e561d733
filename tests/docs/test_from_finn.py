"""The script that reads FINN's build configuration makes a project file that is understood."""

import json
import subprocess
import sys
from pathlib import Path

from bitsmith.converters import parse_yaml_config
from bitsmith.options.project import read_project
from generate.hooks import ROOT


def test_from_finn(tmp_path: Path) -> None:
    config = {"output_dir": "out", "synth_clk_period_ns": 5.0, "board": "U50", "target_fps": 1000, "steps": None}
    (tmp_path / "build.json").write_text(json.dumps(config))
    command = [sys.executable, str(ROOT / "examples" / "from_finn.py"), "build.json", "model.onnx"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Without counterpart: target_fps" in done.stdout
    project = read_project(parse_yaml_config(tmp_path / "project.yml"))
    assert (project.board, project.clock_period_ns, project.io_type.value) == ("alveo-u50", 5.0, "io_stream")
