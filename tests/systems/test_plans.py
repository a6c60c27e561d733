"""The plans of all kinds of systems, as texts. ``python -m tests.systems.test_plans`` writes them again."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.system.examples import three_layer

GOLDEN = Path(__file__).parent / "plans.txt"
SYSTEMS = (
    ("pynq-z2", "rtl"),
    ("kv260", "vitis"),
    ("zcu102", "vivado"),
    ("alveo-u50", "rtl"),
    ("alveo-u55c", "vitis"),
    ("de10-nano", "rtl"),
)
TOOLS = ("vivado", "vivado_hls", "vitis-run", "v++", "qsys-script", "qsys-generate", "quartus_sh")


def plans(folder: Path) -> str:
    """The last stage of each plan, where all tools are there."""
    tools = folder / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    texts = []
    for board, backend in SYSTEMS:
        model = three_layer(folder / board, board=board, backend=backend, clock_period=10)[0]
        off = {"cosim": False} if backend == "rtl" else {"csim": False}
        text = str(model.plan(synth=False, bitstream=True, force=True, **off))
        stage = text[text.index("\nbitstream: ") + 1 :]
        texts.append(f"# {board}, {backend}\n{stage.replace(str(tools) + '/', '')}\n")
    return "\n".join(texts)


def test_plans_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert plans(tmp_path) == GOLDEN.read_text()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        GOLDEN.write_text(plans(Path(made)))
    sys.stdout.write(GOLDEN.read_text())
