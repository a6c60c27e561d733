"""Fits in parts that are too small: room comes first, and where there is none that is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from typer.testing import CliRunner

import bitsmith
from bitsmith import Goal
from bitsmith.base.project import Project
from bitsmith.cli.commands import app
from bitsmith.config.model import read_hls_config
from bitsmith.config.values import BlockMemory
from bitsmith.conversion.fit import _SURE, _Judge
from bitsmith.conversion.fitted import _in_figures
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.fidelity.scores import Yardstick
from bitsmith.model import descent
from bitsmith.model.results import Result, Results
from tests.test_fit import _perceptron

Floats = npt.NDArray[np.float64]
pytestmark = [
    pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning"),
    pytest.mark.filterwarnings("ignore::bitsmith.errors.FewSamplesWarning"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _perceptron(tmp_path_factory.mktemp("fit"), np.random.default_rng(0))


@pytest.fixture(scope="module")
def data() -> Floats:
    return np.random.default_rng(1).uniform(-1.0, 1.0, (600, 12))


@pytest.mark.slow
@pytest.mark.ci
def test_of_a_part_that_is_too_small_the_smallest_circuit_says_what_is_lacking(model: Path, data: Floats) -> None:
    none = bitsmith.fit(model, data, Goal(metric="error", part="iCE40LP384", minimize="interval"), tries=1)
    good = [each.size for each in none.points if each.excess <= 0]
    least = min(good, key=lambda size: max(size.lut / 0.75, size.ff / 0.75))
    assert least.interval > 1 and least.lut > 384
    said = f"a part with {math.ceil(least.lut / 0.75):,} LUTs instead of 384 and "
    assert none.chosen is None and said in none.verdict and "for the smallest circuit (io_" in none.verdict


@pytest.mark.slow
@pytest.mark.ci
def test_room_comes_before_speed_in_a_part_that_is_too_small(
    model: Path, data: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of many bits have no room in 384 look-up tables, however slow they are; those of few bits have."""
    costs: list[float] = []
    add = Results.add

    def seen(known: Results, keys: str, result: Result) -> None:
        costs.append(result.cost)
        add(known, keys, result)

    monkeypatch.setattr(Results, "add", seen)
    found = bitsmith.fit(model, data, Goal(metric="error", loss=0.1, part="iCE40LP384", minimize="interval"), tries=15)
    assert found.chosen is not None and found.best().fits
    assert costs == sorted(costs, reverse=True) and costs[0] > 1e8 and costs[-1] < 1e4


def test_dials_of_the_layer_that_takes_most_of_what_is_scarce_come_first(
    model: Path, data: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network is tried to know them; in a part with room they come in the order of the layers."""
    orders = list[tuple[list[str], list[str], str]]()

    def seen(search: descent.Descent) -> None:
        start = search._try(descent.Dials(8, 8), {})
        taken = search.layouts(start.configuration).smallest(search.target.known_part).size.shares
        most = max(filter(None, taken), key=lambda layer: taken[layer].lut)
        plain = [layer for layer, _ in descent._open_dials(search.source)]
        orders.append(([layer for layer, _ in search._dials(start)], plain, most))
        assert len(search.known) == 1

    monkeypatch.setattr(descent.Descent, "run", seen)
    for part in ("iCE40LP384", "LFE5U-85F"):
        bitsmith.fit(model, data, Goal(metric="error", loss=0.1, part=part), tries=1)
    (scarce, plain, most), (with_room, given, _) = orders
    assert scarce[0] == most != plain[0] and sorted(scarce) == sorted(plain)
    assert with_room == given == plain


@pytest.mark.slow
@pytest.mark.ci
def test_a_clock_is_planned_with_the_error_of_its_estimate(model: Path, data: Floats) -> None:
    plain, sure = (
        bitsmith.fit(model, data, Goal(loss=0.3, fmax=fmax, part="LFE5U-25F"), clock_period=period, tries=1)
        for fmax, period in ((None, 8.0), (125, None))
    )
    assert plain.model.estimate().fmax_mhz < sure.model.estimate().fmax_mhz
    assert sure.best().figures["clock_ps"] <= 8_000 and sure.model.estimate().least_mhz >= 125
    with pytest.raises(ConfigError, match="goal fmax"):
        bitsmith.fit(model, data, Goal(fmax=200, part="xcku115"), tries=1)


@pytest.mark.slow
@pytest.mark.ci
def test_trees_take_as_few_turns_as_a_part_needs(tmp_path: Path) -> None:
    """Which is another program, for the same results; what lacks where no number of turns fits is that of the smallest one."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (600, 4)).astype(np.float32)
    forest = RandomForestRegressor(16, max_depth=7, random_state=0).fit(x, np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2)
    beside = bitsmith.convert(forest, tmp_path / "beside", calibration=x, part="xczu9eg-ffvb1156-2-e")
    model = bitsmith.convert(forest, tmp_path / "turns", calibration=x, part="iCE40UP5K-SG48", fit=True)
    np.testing.assert_array_equal(model.predict(x), beside.predict(x))
    estimate = model.estimate()
    assert beside.estimate().interval == 1 < estimate.interval <= 8 and estimate.fits
    assert "ReuseFactor 8" in model.notes[0] and "no result changes" in model.notes[0]
    with pytest.raises(CapacityError, match="most of them for layer 'trees'"):
        bitsmith.convert(forest, tmp_path / "none", calibration=x, part="iCE40LP1K-TQ144", fit=True)


def test_of_many_networks_none_that_loses_too_much_is_accepted_in_most_draws() -> None:
    """Half of 30 networks do; without an order the cheapest that seems good enough does so in most draws."""
    rng, allowed, true = np.random.default_rng(7), 1.0, np.linspace(0.7, 1.3, 30)
    trials = [SimpleNamespace(excess=0.0, has_room=True, distance=lost, cost=1 / lost, key=lost) for lost in true]
    plain = [np.zeros((100, 1))]
    held = Yardstick(plain, plain, every=[np.array([0.0, 1.0])])
    too_much, lucky = [], []
    for _ in range(100):
        found = {lost: [lost * rng.exponential(size=(100, 1))] for lost in true}
        seen = {lost: held.of_outputs(outputs)[0] - allowed for lost, outputs in found.items()}

        def asked(
            trial: Any, found: Mapping[float, list[Floats]] = found, seen: Mapping[float, float] = seen
        ) -> object:
            spread = _SURE * held.spread(found[trial.key], Yardstick.expected)
            return (), seen[trial.key], seen[trial.key] + spread

        judge: Any = SimpleNamespace(descent=SimpleNamespace(trials=trials, limits={}, goal=Goal()), _held=asked)
        too_much.append(any(trial.key > allowed for trial in _Judge._accepted(judge)))
        lucky.append(max(lost for lost in true if seen[lost] <= 0) > allowed)
    assert np.mean(too_much) < 0.16 and np.mean(lucky) > 0.8


def test_networks_that_lose_little_and_are_near_the_float_model_are_asked_first() -> None:
    """A small loss far from it is luck; the first network that may lose too much ends it."""
    trials = [
        SimpleNamespace(excess=excess, has_room=True, distance=distance, cost=cost, key=key)
        for key, excess, distance, cost in (("near", -2, 1.0, 5), ("lucky", -3, 3.0, 4), ("far", -1, 2.5, 3))
    ]
    judge: Any = SimpleNamespace(
        descent=SimpleNamespace(trials=trials, limits={}, goal=Goal()),
        _held=lambda trial: ((), 0.0, float(trial.key == "far")),
    )
    assert [trial.key for trial in _Judge._accepted(judge)] == ["near", "lucky"]


@pytest.mark.slow
@pytest.mark.ci
def test_few_samples_tell_of_networks_whose_weights_follow_from_others(
    model: Path, data: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The circuit's weights follow from all samples that are fitted on."""
    searches = list[descent.Descent]()
    run = descent.Descent.run

    def seen(search: descent.Descent) -> None:
        searches.append(search)
        run(search)

    monkeypatch.setattr(descent.Descent, "run", seen)
    for count, apart in ((30, False), (400, True)):
        found = bitsmith.fit(model, data[:count], tries=1)
        calibration, told = searches[-1].source.calibration, searches[-1].yardstick.inputs
        assert calibration is not None
        (both,) = [np.concatenate([*calibration, *told])] if apart else calibration
        np.testing.assert_array_equal(both, found.calibration[0])
        assert len(both) == count // 2


def test_goals_of_other_kinds_are_rejected(model: Path, data: Floats) -> None:
    for goal, said in (("loss<1%", "accepted: a dictionary"), (np.zeros(len(data)), r"data=\(x, labels\)")):
        with pytest.raises(ConfigError, match=said):
            bitsmith.fit(model, data, goal)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bounds", "backend", "bram"),
    [
        ({}, "rtl", "tables"),
        ({"minimize": "ff"}, "rtl", None),
        ({}, "vitis", None),
        ({"minimize": "bram"}, "rtl", 0),
        ({"bram": 0}, "rtl", 0),
        ({"bram": 3, "minimize": "ff"}, "rtl", 3),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_tables_are_block_memory_where_look_up_tables_are_to_be_least_and_nothing_is_where_none_may_be(
    bounds: dict[str, object], backend: str, bram: str | int | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Tanh()).eval()
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    part = "LFE5U-25F-6BG256C" if backend == "rtl" else "xc7a35tcpg236-1"
    goal = Goal.of({"metric": "agreement", "loss": 0.05, "part": part, **bounds})
    found = bitsmith.fit(net, x, goal, tries=4, example=x[:1], backend=backend)
    config, calibration = found.configuration, found.calibration[0]
    assert (found.best().size.bram > 0) == (bram == "tables")
    assert found.model.target.bram == (bram if bram in (None, 3) else BlockMemory(bram))
    found.write(tmp_path)
    assert read_hls_config(tmp_path / "fitted.yml") == read_hls_config(config)
    again = bitsmith.convert(net, None, config, calibration, backend, part, example=x[:1], check=False)
    assert again.target.bram == found.model.target.bram and again.estimate().size == found.best().size
    np.testing.assert_array_equal(again.predict(x), found.model.predict(x))
    if bram == "tables":
        with pytest.raises(ConfigError, match="0 of the project, 'tables' in the configuration"):
            bitsmith.convert(net, None, config, calibration, part=part, bram=0, example=x[:1], check=False)


class _Gated(torch.nn.Module):
    """Products with a sigmoid, whose small tables are better logic."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.values = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.sigmoid(self.gate(x)) * self.values(x)
        return product


@pytest.mark.parametrize(("loss", "bram"), [(0.1, BlockMemory.TABLES), (0.2, None)])
@pytest.mark.slow
@pytest.mark.ci
def test_tables_are_block_memory_only_where_the_network_that_is_taken_is_smaller_so(
    loss: float, bram: BlockMemory | None
) -> None:
    torch.manual_seed(0)
    net, part = _Gated().eval(), "xcvu13p-flga2577-2-e"
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    found = bitsmith.fit(net, x, Goal(metric="agreement", loss=loss, part=part), tries=4, example=x[:1])
    options = {"calibration": found.calibration[0], "part": part, "example": x[:1], "check": False}
    config = {key: value for key, value in found.configuration["Model"].items() if key != "BRAM"}
    luts = {}
    for memory in (None, BlockMemory.TABLES):
        own = {"Model": config if memory is None else {**config, "BRAM": memory.value}}
        luts[memory] = bitsmith.convert(net, None, {**found.configuration, **own}, **options).estimate().size.lut
    assert found.model.target.bram == bram
    assert found.best().size.lut == luts[bram] < max(luts.values())


def test_the_command_looks_at_its_folder_before_it_searches_and_keeps_it(model: Path, tmp_path: Path) -> None:
    """Also where no circuit meets the goal, so that another goal may be tried in the same folder."""
    foreign, own = tmp_path / "foreign", tmp_path / "own"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    asked = ["fit", str(model), "--data", str(tmp_path / "none.npz"), "--output-dir"]
    refused, missing = (CliRunner().invoke(app, [*asked, str(folder)]) for folder in (foreign, own))
    assert refused.exit_code == missing.exit_code == 1
    assert "not made by bitsmith" in refused.stderr and "none.npz" in missing.stderr
    with Project.open(own, "perceptron") as project:
        assert project.folder == own


@pytest.mark.parametrize(
    ("value", "figures", "rounded", "said"),
    [
        (0.04613, 2, math.ceil, "0.047"),
        (0.995, 2, math.ceil, "1"),
        (50.648, 4, math.floor, "50.64"),
        (250.0, 4, math.floor, "250"),
    ],
)
def test_bounds_are_relaxed_by_no_less_than_it_takes(
    value: float, figures: int, rounded: Callable[[float], int], said: str
) -> None:
    assert _in_figures(value, figures, rounded) == said
