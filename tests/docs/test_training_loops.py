"""Training loops of the documentation: they run as they stand, prune what they say, and are short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generate.hooks import ROOT

_PAGE = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r'```py title="(\w+\.py)"\n(.*?)```', _PAGE, re.DOTALL))

_REMOVED = """
import numpy as np
for name, layer in layers.items():
    kernel = layer.weight.detach().numpy() if hasattr(layer, "weight") else np.asarray(layer.kernel)
    removed = np.asarray(masks[name]) == 0
    assert removed.mean() > 0.3 and not kernel[removed].any(), name
"""


def test_loops_are_short() -> None:
    assert sorted(PROGRAMS) == [
        "prune_brevitas.py",
        "prune_hgq2.py",
        "prune_keras.py",
        "prune_qkeras.py",
        "prune_structures.py",
        "prune_torch.py",
    ]
    assert all(len(program.splitlines()) < 60 for program in PROGRAMS.values())


_CI = pytest.mark.ci
# A folder of its own: HGQ2 has a package of the same name, and this one's own wants TensorFlow, which loops do not.
QKERAS = Path(sys.prefix) / "qkeras-v3"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "needs"),
    [
        pytest.param("prune_torch.py", "torch", marks=_CI),
        pytest.param("prune_structures.py", "torch", marks=_CI),
        pytest.param("prune_keras.py", "jax", marks=_CI),
        pytest.param("prune_hgq2.py", "jax", marks=_CI),
        pytest.param("prune_brevitas.py", "brevitas", marks=_CI),
        pytest.param("prune_qkeras.py", "jax", marks=_CI),
    ],
)
def test_loops_prune_without_losing_accuracy(name: str, needs: str, tmp_path: Path) -> None:
    """Also, no weight that was removed has come back."""
    pytest.importorskip(needs)
    pytest.importorskip("sklearn")
    check = "" if name == "prune_structures.py" else _REMOVED
    (tmp_path / name).write_text(PROGRAMS[name] + check, encoding="utf-8")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    if name == "prune_qkeras.py":
        if not QKERAS.is_dir():
            pytest.skip("qkeras-v3, which `make test-slow` installs")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(QKERAS), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.findall(r"^([\d,]+) LUT, accuracy ([\d.]+)% on held-out", done.stdout, re.MULTILINE)
    luts = [int(luts.replace(",", "")) for luts, _ in printed]
    accuracies = [float(accuracy) for _, accuracy in printed]
    assert luts == sorted(luts, reverse=True)
    assert luts[-1] < 0.5 * luts[0]
    assert accuracies[-1] > accuracies[0] - 3
