"""Trees in turn: memories of nodes lead to the leaves that trees have, whatever the number of turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.layers import trees as of_trees
from bitsmith.layers.decisions import Conditions, reduced
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.trees import Trees
from bitsmith.layers.walks import Walk, walk
from tests.layers.test_trees import random_trees, walked


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have trees in turn wherever they can be."""
    monkeypatch.setattr(of_trees, "side_by_side_luts", lambda *_: np.inf)


def _walked(made: Walk, sample: list[int]) -> list[int]:
    """The sums over all turns and walkers, from node to node."""
    total = np.zeros(made.leaves.shape[1], dtype=np.object_)
    for walker in range(made.leaves.shape[0]):
        for address in range(made.turns):
            for level in made.levels:
                word = int(level.words[walker, address])
                low, pair = level.pair_bits, word & (1 << level.pair_bits) - 1
                feature = level.features[word >> low & (1 << level.feature_bits) - 1]
                address = 2 * pair + (sample[feature] <= word >> low + level.feature_bits)
            total += made.leaves[walker, :, address]
    return total.tolist()


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("seed", range(6))
def test_walks_lead_to_the_leaves(seed: int, turns: int) -> None:
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, trees=int(rng.integers(1, 8)), bounds=1)
    raw = [tuple(int(min(bound, 99) * 4) for bound in row) for row in trees.thresholds.tolist()]
    lo, hi = [-9, -4, 1], [9, 3, 1]
    leaves = objects((trees.leaves * 8).astype(np.int64))
    conditions = Conditions(trees.features, raw)
    left = reduced(conditions, trees.branches, trees.roots, leaves, objects(np.array(lo)), objects(np.array(hi)))
    made = walk(left, turns, lo, hi)
    if made is None:
        assert all(isinstance(tree, int) for tree in left.trees)
        return
    assert made.turns <= turns
    for _ in range(40):
        sample = [int(rng.integers(a, b + 1)) for a, b in zip(lo, hi, strict=True)]
        wanted = walked(trees, np.array(sample) / 4) - trees.base
        np.testing.assert_array_equal(np.array(_walked(made, sample)) / 8, wanted)


def _program(trees: Trees, reuse: int) -> Program:
    nodes = (
        NetworkNode("x", Input((trees.size,))),
        NetworkNode("trees", trees, ("x",), settings=Settings(reuse_factor=reuse)),
    )
    return compile_network(Network(nodes, ("x",), ("trees",))).program


def _turns(program: Program) -> list[int]:
    return [node.type.shape[0] for node in program.nodes if isinstance(node.op, ops.Scan)]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", range(4))
def test_trees_in_turn_give_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, trees=6, bounds=1)
    x = rng.integers(-9, 10, (200, trees.size)) / 4
    wanted = np.array([walked(trees, sample) for sample in x])
    for reuse, turns in ((4, 3), (100, 6)):
        program = _program(trees, reuse)
        assert _turns(program) == [turns]
        np.testing.assert_array_equal(Emulator(program).run([x])[0], wanted)


def test_small_trees_and_sets_of_numbers_stay_side_by_side() -> None:
    rng = np.random.default_rng(0)
    assert not _turns(_program(random_trees(rng, trees=3, bounds=1), 100))
    sets = random_trees(rng, trees=60, bounds=4)
    assert not _turns(_program(sets, 100))


def test_features_that_all_have_one_format_are_told_apart(tmp_path: Path) -> None:
    """Their type has one width for all, where each feature of calibrated ones has its own."""
    model, x = _model(several=True)
    config = {"Model": {"ReuseFactor": 7, "Precision": "fixed<16,6>"}}
    circuit = bitsmith.convert(model, tmp_path, calibration=x, check=False, config=config)
    assert circuit.program.nodes[circuit.program.inputs[0]].type.width.size == 1
    np.testing.assert_array_equal(circuit.predict(x)[0].reshape(-1), model.predict(x))


def _model(several: bool) -> tuple[Any, Any]:
    options: dict[str, Any] = {"n_informative": 4, "n_redundant": 0, "random_state": 0}
    x, y = make_classification(160, 5, n_classes=3 if several else 2, **options)
    x = x.astype(np.float32)
    model = (
        ExtraTreesClassifier(n_estimators=7, max_depth=4, random_state=0)
        if several
        else GradientBoostingClassifier(n_estimators=9, max_depth=3, random_state=0)
    )
    return model.fit(x, y), x


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("io", ["io_parallel", "io_stream"])
@pytest.mark.parametrize("several", [False, True])
def test_circuits_with_trees_in_turn(several: bool, io: str, tmp_path: Path) -> None:
    """All bits and the cycles between samples, as planned."""
    model, x = _model(several)
    config = {"Model": {"ReuseFactor": 3}}
    circuit = bitsmith.convert(model, tmp_path, calibration=x, check=False, io_type=io, config=config)
    np.testing.assert_array_equal(circuit.predict(x)[0].reshape(-1), model.predict(x))
    report = circuit.build(inputs=x, synth=False)
    assert report.section("Verification")["Mismatches"] == 0
    assert report.section("Latency")["II"] == 3


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("backend", ["Vitis", "oneAPI"])
def test_cpp_with_trees_in_turn(backend: str, tmp_path: Path) -> None:
    model, x = _model(several=True)
    config = {"Model": {"ReuseFactor": 3}}
    circuit = bitsmith.convert(model, tmp_path, calibration=x, check=False, backend=backend, config=config)
    assert circuit.build(inputs=x).section("Verification")["Mismatches"] == 0
