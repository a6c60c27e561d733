"""A new dialect is a file and a name in a list: a copy of the package with both has it everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bitsmith

SOURCE = Path(bitsmith.__file__).parent

USER = """
import json, re, sys
from dataclasses import replace
from pathlib import Path
import bitsmith
from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.report.folder import measured

config = {"Model": {"ReuseFactor": 8, "Strategy": "resource"}}
model = bitsmith.convert(sys.argv[1], "project", config, backend="NewHLS", io_type="io_stream", check=False)
target, dialect = model.target, DIALECTS["newhls"]
folder = Path("project")
model.write()
(folder / "new.rpt").write_text("3")
try:
    from tests.hls.structure.check import structure
    from tests.hls.structure.tools import READINGS, Pipelines

    steps = Pipelines(body=None, before=re.compile("NEW steps"), interval=re.compile(r"steps\\((\\d+)"))
    READINGS["newhls"] = replace(READINGS["libero"], defines=("-D__NEWHLS__",), pipelines=steps)
    project = write_project(model.program, model.directives, dialect, HlsTarget("net", dialect.part))
    paces = structure(project.files, "net", dialect, unrolled=False).paces
    intervals = [max(pace.trips * pace.interval for pace in paces), project.slowest]
except ImportError:
    intervals = []
print(json.dumps({
    "target": [target.backend, target.part, target.clock_period_ns],
    "steps": any("NEW steps" in path.read_text() for path in folder.glob("firmware/**/*.h")),
    "figures": measured(folder),
    "intervals": intervals,
}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with the new dialect; the folder that it is in."""
    shutil.copytree(SOURCE, tmp_path / "bitsmith")
    shutil.copy(Path(__file__).with_name("new_dialect.py"), tmp_path / "bitsmith" / "hls" / "dialects" / "newhls.py")
    names = tmp_path / "bitsmith" / "backends.py"
    text = names.read_text(encoding="utf-8")
    assert text.count('"libero"') == 1
    names.write_text(text.replace('"libero"', '"libero", "newhls"'), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.ci
def test_a_new_dialect_is_a_file_and_a_name(package: Path) -> None:
    command = [sys.executable, "-c", USER, str(SOURCE / "data" / "models" / "digits.keras")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(Path(__file__).parents[2])))}
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    intervals = seen.pop("intervals")
    assert seen == {
        "target": ["newhls", "N1000", 7.0],
        "steps": True,
        "figures": {"Latency": {"Cycles": 3, "Tool": "New HLS"}},
    }
    assert not intervals or 1 < intervals[0] <= intervals[1]
