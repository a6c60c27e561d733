"""The descent of a fit, over made-up costs of dials."""

from __future__ import annotations

from collections.abc import Mapping

from bitsmith.model.descent import Descent, Dials, Trial

BOUND = 0.0055


class _Landscape(Descent):
    """Fewer bits of ``x`` cost area until the table of ``cells`` is smaller, and save it from then on."""

    def __init__(self) -> None:
        self.known, self.idle, self.scarce = {}, set(), False

    def _dials(self, start: Trial) -> list[tuple[str, str]]:
        return [("x", "result"), ("cells", "table")]

    def _try(self, common: Dials, layers: Mapping[str, Dials]) -> Trial:
        table, fewer = layers.get("cells", common).table, common.result - layers.get("x", common).result
        cost, distance = 1000.0 - 100 * table + (50 if table == 0 else -10) * fewer, 0.001 * (table + fewer)
        keys = {"table": table, "fewer": fewer}
        trial = Trial(cost, round(cost), (), distance - BOUND, distance, common, layers, keys)
        return self.known.setdefault(trial.key, trial)


def test_a_dial_whose_step_cost_area_is_turned_once_it_saves_some() -> None:
    descent = _Landscape()
    descent._descend(descent._try(Dials(), {}), 100)
    best = min((trial for trial in descent.trials if trial.excess <= 0), key=lambda trial: trial.cost)
    assert best.configuration == {"table": 3, "fewer": 2}
