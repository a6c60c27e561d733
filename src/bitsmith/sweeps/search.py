"""Configurations that a sweep tries: all combinations of some values, a list, or those that an Optuna study asks for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

import yaml

from bitsmith.config.reading import did_you_mean, listed
from bitsmith.errors import ConfigError, ToolMissingError

Keys = Mapping[str, object]
"""Values of a configuration by their keys, with dots."""

Grid = Mapping[str, Sequence[object]] | Sequence[Keys]
"""Values to try for each key, in all combinations; or a list of configurations."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure of circuits: how it is called in tables, and whether more of it is better."""

    name: str
    title: str
    rises: bool


OBJECTIVES: Mapping[str, Objective] = {
    each.name: each
    for each in (
        Objective("lut", "LUTs", rises=False),
        Objective("ff", "FFs", rises=False),
        Objective("dsp", "DSPs", rises=False),
        Objective("bram", "BRAMs", rises=False),
        Objective("interval", "Cycles per result", rises=False),
        Objective("latency", "Latency (cycles)", rises=False),
        Objective("interval_ns", "ns per result", rises=False),
        Objective("latency_ns", "Latency (ns)", rises=False),
        Objective("fmax", "Fmax (MHz)", rises=True),
        Objective("loss", "Loss", rises=False),
    )
}
"""Figures that a sweep compares circuits by, in the order of tables."""


def objectives_of(names: Sequence[str]) -> tuple[Objective, ...]:
    """The objectives of those names.

    Raises:
        ConfigError: there is none, or one that is not known.
    """
    if not names:
        raise ConfigError("nothing", where="minimize", accepted=listed(OBJECTIVES))
    for name in names:
        if name not in OBJECTIVES:
            remedy = did_you_mean(name, tuple(OBJECTIVES))
            raise ConfigError(f"{name!r}", where="minimize", accepted=listed(OBJECTIVES), remedy=remedy)
    return tuple(OBJECTIVES[name] for name in dict.fromkeys(names))


class Search(Protocol):
    """Configurations one after another, and what becomes of them."""

    def __iter__(self) -> Iterator[Keys]:
        """Configurations, each when there is room for it."""

    def tell(self, keys: Keys, figures: Mapping[str, float] | None) -> None:
        """Take note of a configuration's figures; None: it has none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of configurations."""

    points: Sequence[Keys]

    @staticmethod
    def of(grid: Grid) -> Listed:
        """All combinations of a grid's values, or the configurations that it lists."""
        if not isinstance(grid, Mapping):
            return Listed([dict(point) for point in grid])
        return Listed([dict(zip(grid, values, strict=True)) for values in product(*grid.values())])

    def __iter__(self) -> Iterator[Keys]:
        return iter(self.points)

    def tell(self, keys: Keys, figures: Mapping[str, float] | None) -> None:
        """Take note of nothing: the list is what it is."""


@dataclass(slots=True)
class Study:
    """A study of Optuna over a grid's values: ``trials`` configurations that it asks for, resumed from its storage."""

    study: Any
    grid: Mapping[str, Sequence[object]]
    objectives: Sequence[Objective]
    trials: int
    _asked: dict[int, Any] = field(default_factory=dict)

    @staticmethod
    def of(grid: Grid, objectives: Sequence[Objective], trials: int, storage: str, name: str, seed: int) -> Study:
        """The study of that name in a storage, new or as it was left.

        Raises:
            ConfigError: the grid is a list, which leaves nothing to search.
            ToolMissingError: Optuna is not installed.
        """
        if not isinstance(grid, Mapping):
            raise ConfigError("a list of configurations", where="trials", accepted="it with values for each key")
        try:
            optuna = importlib.import_module("optuna")
        except ImportError as error:
            remedy = "pip install 'bitsmith[sweep]', or a sweep of all combinations: without trials"
            raise ToolMissingError("the package optuna is not installed", where="trials", remedy=remedy) from error
        directions = ["maximize" if each.rises else "minimize" for each in objectives]
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(
            storage=storage, sampler=sampler, study_name=name, directions=directions, load_if_exists=True
        )
        return Study(study, grid, objectives, trials)

    def __iter__(self) -> Iterator[Keys]:
        """The configurations of before, those that were lost with their process, and new ones."""
        done = 0
        for trial in self.study.get_trials(deepcopy=False):
            if trial.values is not None or _NONE in trial.user_attrs:
                done += 1
                yield self._keys(trial.params)
            elif not trial.state.is_finished():
                self.study.tell(trial.number, state=_failed())
                self.study.enqueue_trial(dict(trial.params))
        for _ in range(done, self.trials):
            trial = self.study.ask()
            chosen = {
                key: trial.suggest_categorical(key, list(map(_text, values))) for key, values in self.grid.items()
            }
            keys = self._keys(chosen)
            self._asked[id(keys)] = trial
            yield keys

    def _keys(self, params: Mapping[str, object]) -> Keys:
        """The configuration of a trial of Optuna."""
        texts = {key: list(map(_text, values)) for key, values in self.grid.items()}
        return {key: values[texts[key].index(str(params[key]))] for key, values in self.grid.items()}

    def tell(self, keys: Keys, figures: Mapping[str, float] | None) -> None:
        """Take note of the figures of a configuration that the study asked for in this call."""
        trial = self._asked.pop(id(keys), None)
        if trial is None:
            return
        values = [None if figures is None else figures.get(each.name) for each in self.objectives]
        if None in values:
            trial.set_user_attr(_NONE, True)
            self.study.tell(trial, state=_failed())
        else:
            self.study.tell(trial, values)


_NONE = "no figures"
"""Marks trials of Optuna that ended without figures; those without the mark were lost with their process."""


def _failed() -> object:
    return importlib.import_module("optuna").trial.TrialState.FAIL


def _text(value: object) -> str:
    """A value as Optuna keeps it."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
