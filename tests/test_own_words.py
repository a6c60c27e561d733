"""Trees, formulas and neurons are shown in their own words: by fits, explorations, and the pages of both and of builds."""

from __future__ import annotations

import html
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import bitsmith
from bitsmith.conversion.exploration import Exploration
from bitsmith.errors import CapacityError
from bitsmith.fidelity.words import in_words
from tests.properties import judged

Numbers = npt.NDArray[Any]

nir = pytest.importorskip("nir")
pytestmark = [
    pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning"),
    pytest.mark.filterwarnings("ignore::bitsmith.errors.FewSamplesWarning"),
]

PART = "LFE5U-25F"


@dataclass(frozen=True)
class Case:
    """A model, data without labels, further arguments of its conversion, and what the model says of itself."""

    model: Any
    data: Numbers
    options: dict[str, Any]
    said: tuple[str, ...]


def _forest() -> Case:
    x, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(3, max_depth=2, random_state=0).fit(x.astype(np.float32), y)
    decisions = sum(int((tree.tree_.children_left >= 0).sum()) for tree in forest.estimators_)
    size = f"trees: 3 trees with up to 2 decisions in a row: {decisions} decisions by "
    return Case(forest, x.astype(np.float32), {}, (size, "leaves of each output: ", "could change a decision"))


def _formula() -> Case:
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    inputs = {"x0": (-1, 1), "x1": (-1, 1)}
    return Case("x0*sin(x1)+exp(x0)", x, {"inputs": inputs}, ("whatever the inputs within their ranges, at most ",))


def _neurons() -> Case:
    rng = np.random.default_rng(0)
    tau, ones = np.full(3, 4e-4), np.ones(3)
    nodes = {
        "input": nir.Input(np.array([4])),
        "fc": nir.Affine(rng.integers(-8, 9, (3, 4)) / 8, rng.integers(-8, 9, 3) / 8),
        "n": nir.LIF(tau=tau, r=4 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones),
        "output": nir.Output(np.array([3])),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)), metadata={"dt": 1e-4})
    x = rng.integers(0, 2, (40, 6, 4)).astype(np.float64)
    return Case(graph, x, {"input_shape": (6, 4)}, ("3 neurons that leak and fire, in 6 time steps for each sample",))


CASES = {"forest": _forest, "formula": _formula, "neurons": _neurons}


def _check(case: Case, found: Exploration, folder: Path) -> None:
    """Check what is printed of the best circuit, and the page, which has the words of each."""
    page = html.unescape(found.write(folder).read_text(encoding="utf-8"))
    try:
        best = found.best()
    except CapacityError:
        best = found.front[0]
    printed = " ".join(str(found).split())
    for sentence in in_words(best.compiled.network, best.compiled.program):
        assert sentence in printed
    for point in found.points:
        for sentence in in_words(point.compiled.network, point.compiled.program):
            assert sentence in page
    for part in case.said:
        assert part in printed and page.count(part) >= len(found.points)


@pytest.mark.parametrize("name", CASES)
def test_explorations_and_their_pages(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    bits = {"weight_bits": (6, 10), "result_bits": (10,)}
    _check(case, bitsmith.explore(case.model, calibration=case.data, part=PART, **bits, **case.options), tmp_path)


@pytest.mark.parametrize("name", ["forest", judged("formula"), judged("neurons")])
@pytest.mark.slow
@pytest.mark.ci
def test_fits_and_their_pages(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    goal = bitsmith.Goal(loss=0.05, part=PART)
    found = bitsmith.fit(case.model, case.data, goal, tries=2, check=False, **case.options)
    _check(case, found, tmp_path)
    assert all(sentence in " ".join(str(found).split()) for sentence in found.model.fidelity.words)


@pytest.mark.parametrize("name", [judged("forest"), "formula", "neurons"])
def test_reports_of_builds(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    model = bitsmith.convert(case.model, tmp_path, calibration=case.data, check=False, **case.options)
    model.build(synth=False, cosim=False)
    page = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    told = (*model.fidelity.words, *map(str, model.fidelity.bounds))
    assert told and all(sentence in page for sentence in told)
    assert all(part in page for part in case.said)
