"""Configurations that a sweep tries: all combinations of some values, a list, or those that an Optuna study asks for."""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

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


def configurations(grid: Grid) -> Iterator[Keys]:
    """All combinations of a grid's values, or the configurations that it lists."""
    if not isinstance(grid, Mapping):
        return map(dict, grid)
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


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
        study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        # The same seed again would ask for the same configurations again.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.get_trials(deepcopy=False)))
        return Study(study, grid, objectives, trials)

    def __iter__(self) -> Iterator[Keys]:
        """The configurations of before, those that were lost with their process, and new ones, each once."""
        known = set[str]()
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state in (_state("COMPLETE"), _state("PRUNED")):
                keys = self._keys(trial.params)
                known.add(_text(dict(keys)))
                yield keys
            elif not trial.state.is_finished():
                self.study.tell(trial.number, state=_state("FAIL"))
                self.study.enqueue_trial(dict(trial.params))
        every = math.prod(len(set(map(_text, values))) for values in self.grid.values())
        while len(known) < min(self.trials, every):
            keys, trial = self._new(known)
            trial.set_user_attr("configuration", {key: _text(value) for key, value in keys.items()})
            known.add(_text(dict(keys)))
            self._asked[id(keys)] = trial
            yield keys

    def _new(self, known: Collection[str]) -> tuple[Keys, Any]:
        """A configuration that is not known, and its trial of Optuna; if it asks for known ones alone, the next in order."""
        for _ in range(_PATIENCE):
            trial = self.study.ask()
            keys = self._keys({key: _suggested(trial, key, values) for key, values in self.grid.items()})
            if _text(dict(keys)) not in known:
                return keys, trial
            self.study.tell(trial, state=_state("FAIL"))
        keys = next(keys for keys in configurations(self.grid) if _text(dict(keys)) not in known)
        self.study.enqueue_trial({key: _asked(keys[key], values) for key, values in self.grid.items()})
        trial = self.study.ask()
        return self._keys({key: _suggested(trial, key, values) for key, values in self.grid.items()}), trial

    def _keys(self, params: Mapping[str, object]) -> Keys:
        """The configuration of a trial of Optuna."""
        keys: dict[str, object] = {}
        for key, values in self.grid.items():
            place, ordered = params[key], _ordered(values)
            texts = list(map(_text, values))
            keys[key] = ordered[place] if ordered and isinstance(place, int) else values[texts.index(str(place))]
        return keys

    def tell(self, keys: Keys, figures: Mapping[str, float], *, fits: bool) -> None:
        """Take note of the figures of a configuration that the study asked for in this call, and whether the circuit fits."""
        trial = self._asked.pop(id(keys), None)
        if trial is None:
            return
        trial.set_constraint("part", float(not fits))  # positive where there is no circuit, or one that does not fit
        # Samplers take no note of trials that failed, and would ask for the same again.
        values = [figures.get(each.name, -_BAD if each.rises else _BAD) for each in self.objectives]
        self.study.tell(trial, **({"values": values} if fits else {"state": _state("PRUNED")}))


_BAD = 1e12
"""Figure that a circuit lacks."""

_PATIENCE = 4
"""Most configurations in a row that a study asks for although they are known."""


def _ordered(values: Sequence[object]) -> list[float]:
    """Numbers in ascending order; nothing if there are others among the values."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return sorted(numbers) if len(numbers) == len(values) else []


def _suggested(trial: Any, key: str, values: Sequence[object]) -> object:
    """The value that a trial of Optuna asks for: the place among numbers, which have an order, or the text of another value."""
    if ordered := _ordered(values):
        return trial.suggest_int(key, 0, len(ordered) - 1)
    return trial.suggest_categorical(key, list(map(_text, values)))


def _asked(value: Any, values: Sequence[object]) -> object:
    """The same of a value that is known."""
    ordered = _ordered(values)
    return ordered.index(value) if ordered else _text(value)


def _state(name: str) -> object:
    return importlib.import_module("optuna").trial.TrialState[name]


def _text(value: object) -> str:
    """A value as Optuna keeps it."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
