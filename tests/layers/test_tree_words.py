"""What trees say of themselves: their size, and on how many inputs of a format a decision could change, against trying them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import bitsmith
from bitsmith.emulate import Emulator
from bitsmith.fidelity.words import in_words
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Input
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.comparing import undecided
from bitsmith.layers.layer import Floats
from bitsmith.model import Model

BITS, FRAC = 5, 2
FINER = 2.0**-6


def _tried(fmt: FixedFormat, edges: list[Floats]) -> tuple[float, int]:
    """The share of raw inputs that numbers with unlike decisions become, and the most such raw values of a feature."""
    builder = ProgramBuilder()
    value = builder.input("x", (1,), fmt)
    emulator = Emulator(builder.program([("y", value)], []))
    certain, most = 1.0, 0
    for own in edges:
        x = np.arange(-40, 40, FINER)[:, None] + [0, FINER / 4]
        raw = emulator.run([x.reshape(-1, 1)])[0].ravel()
        sides = (x.reshape(-1, 1) <= own).sum(axis=1)
        mixed = sum(len(set(sides[raw == cell])) > 1 for cell in np.unique(raw))
        certain, most = certain * (1 - mixed / (1 << BITS)), max(most, mixed)
    return 1 - certain, most


@pytest.mark.parametrize("seed", range(30))
def test_inputs_on_both_sides_of_a_threshold_are_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fmt = FixedFormat(
        bool(rng.integers(2)), BITS, FRAC, [Rounding.TRN, Rounding.RND][int(rng.integers(2))], Overflow.SAT
    )
    edges = [np.unique(rng.integers(-90, 90, int(rng.integers(1, 9))) / rng.choice([4, 8, 16])) for _ in range(3)]
    builder = ProgramBuilder()
    value = builder.input("x", (3,), fmt)
    entry = builder.origin(value)
    assert isinstance(entry, Input)
    said = undecided(edges, value.type, entry)
    share, most = _tried(fmt, edges)
    if not most:
        assert said.startswith("No decision")
        return
    assert f"at most {most:,} of {1 << BITS:,} steps" in said
    found = re.search(r"for ([\d.e+]+) %", said)
    assert found is not None and float(found[1]) == pytest.approx(100 * share, rel=0.06)


def test_models_say_so_in_their_notes_and_certificate(tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(3, max_depth=2, random_state=0).fit(x.astype(np.float32), y)
    model = bitsmith.convert(forest, tmp_path, calibration=x.astype(np.float32), check=False)
    size, change = in_words(model.network, model.program)
    decisions = sum(int((tree.tree_.children_left >= 0).sum()) for tree in forest.estimators_)
    assert size.startswith(f"trees: 3 trees with up to 2 decisions in a row: {decisions} decisions by ")
    assert model.fidelity.words == (size, change) and {size, change} <= {*model.notes}
    assert size in str(model.fidelity).replace("\n", " ")
    model.save(tmp_path / "saved.json")
    assert Model.load(tmp_path / "saved.json").fidelity.words == (size, change)
