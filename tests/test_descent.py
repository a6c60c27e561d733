"""The descent of a fit, over made-up costs of dials."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from bitsmith.layers.activation import Activation
from bitsmith.layers.settings import Bits, Settings
from bitsmith.layers.shape import Identity, Reshape
from bitsmith.model import descent
from bitsmith.model.descent import Descent, Dials, Trial

BOUND = 0.0055


class _Landscape(Descent):
    """Fewer bits of ``x`` cost area until the table of ``cells`` is smaller, and save it from then on."""

    def __init__(self) -> None:
        self.known, self.idle, self.scarce = {}, set(), False

    def _try(self, common: Dials, layers: Mapping[str, Dials]) -> Trial:
        table, fewer = layers.get("cells", common).table, common.result - layers.get("x", common).result
        cost, distance = 1000.0 - 100 * table + (50 if table == 0 else -10) * fewer, 0.001 * (table + fewer)
        keys = {"table": table, "fewer": fewer}
        trial = Trial(cost, round(cost), (), distance - BOUND, distance, common, layers, keys)
        return self.known.setdefault(trial.key, trial)


def test_a_dial_whose_step_cost_area_is_turned_once_it_saves_some() -> None:
    search = _Landscape()
    search._descend(search._try(Dials(), {}), 100, [("x", "result"), ("cells", "table")])
    best = min((trial for trial in search.trials if trial.excess <= 0), key=lambda trial: trial.cost)
    assert best.configuration == {"table": 3, "fewer": 2}


class _Exact(_Landscape):
    """Fewer bits of ``x`` cost area and are more exact, until the table of ``cells`` is smaller: from then on they save most."""

    def _try(self, common: Dials, layers: Mapping[str, Dials]) -> Trial:
        table, fewer = layers.get("cells", common).table, common.result - layers.get("x", common).result
        cost, distance = 1000.0 - 20 * table + (50 if table == 0 else -200) * fewer, 0.002 + 0.001 * table
        keys = {"table": table, "fewer": fewer}
        distance -= 0.0001 * fewer
        trial = Trial(cost, round(cost), (), distance - BOUND, distance, common, layers, keys)
        return self.known.setdefault(trial.key, trial)


def test_a_dial_whose_step_cost_area_is_turned_soon_also_if_it_was_more_exact() -> None:
    search = _Exact()
    search._descend(search._try(Dials(), {}), 4, [("x", "result"), ("cells", "table")])
    assert [trial.configuration for trial in search.trials][-1] == {"table": 1, "fewer": 1}


def test_layers_that_only_move_elements_have_no_dials() -> None:
    few = Settings(bits=Bits(24, 23, 22, 22), headroom=descent.ROOMS[-1], table_size=descent.TABLES[-1])
    nodes = [
        SimpleNamespace(name=layer.kind, layer=layer, settings=few, inner=False)
        for layer in (Reshape((4,)), Identity(), Activation("relu"))
    ]
    source: Any = SimpleNamespace(changed=lambda keys: SimpleNamespace(nodes=nodes))
    assert {layer for layer, _ in descent._open_dials(source)} == {"Activation"}


class _Many(Descent):
    """Ten layers whose results have fewer bits as long as the sum of errors is within the bound."""

    def __init__(self) -> None:
        self.known, self.idle, self.scarce, self.tries = {}, set(), False, 12

    def _starts(self) -> list[Trial]:
        return [self._try(Dials(), {})]

    def _channel(self) -> int:
        return 0

    def _dials(self, start: Trial) -> list[tuple[str, str]]:
        return [(f"layer {number}", "result") for number in range(10)]

    def _try(self, common: Dials, layers: Mapping[str, Dials]) -> Trial:
        left = [layers.get(f"layer {number}", common).result for number in range(10)]
        distance = sum(1e-5 * 4 ** (16 - bits) for bits in left)
        keys = {str(number): bits for number, bits in enumerate(left)}
        trial = Trial(10.0 * sum(left), sum(left), (), distance - BOUND, distance, common, layers, keys)
        return self.known.setdefault(trial.key, trial)


def test_few_tries_reach_far_since_all_layers_are_turned_at_once_first() -> None:
    search = _Many()
    search.run()
    best = min((trial for trial in search.trials if trial.excess <= 0), key=lambda trial: trial.cost)
    assert best.configuration == {str(number): 14 for number in range(10)}
