"""Sweeps: many configurations of one model, each converted and built, until all have a result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Unpack

import yaml

from bitsmith.base.progress import Progress, tell
from bitsmith.base.project import Json, Project, digest
from bitsmith.config.model import loaded
from bitsmith.config.reading import did_you_mean, put, squash
from bitsmith.config.resolving import ConfigLike
from bitsmith.config.values import read_path
from bitsmith.emulate.samples import Samples
from bitsmith.errors import ConfigError, nearest
from bitsmith.frontends.frameworks import AnyModel, check_file
from bitsmith.frontends.named import keys_of_files, model_keys
from bitsmith.options.estimates import read_correction
from bitsmith.options.project import key_path, project_keys, read_project
from bitsmith.options.signature import taking
from bitsmith.options.table import OPTIONS, Further
from bitsmith.sweeps.results import Outcome, Sweep
from bitsmith.sweeps.search import Grid, Keys, Objective, Study, configurations, objectives_of
from bitsmith.sweeps.trial import CIRCUIT, FILES, PROJECT, RESULT, TASK, TRIALS, Task, Trial, packed
from bitsmith.sweeps.workers import Client, Workers, workers

MINIMIZE = ("lut", "interval_ns", "loss")
"""Figures that circuits are compared by, unless others are named."""

STUDY = "study.db"
"""The file of studies that have no other storage."""

_UP = "../../"
"""From a trial's folder to the sweep's."""

_FILES = tuple(
    option.key.path
    for option in OPTIONS
    if option.key is not None and option.key.files is not None and option.name != "estimates"
)
"""Keys of projects, beside those of models, whose values may be files; estimates go with the key itself."""


@taking(Further)
def sweep(
    model: AnyModel,
    grid: Grid,
    output_dir: str | Path = "sweep",
    config: ConfigLike = None,
    calibration: Samples | None = None,
    test: Samples | None = None,
    weights: str | Path | None = None,
    part: str | None = None,
    clock_period: float | str | None = None,
    *,
    build: Mapping[str, Json] | bool = True,
    minimize: Sequence[str] = MINIMIZE,
    trials: int | None = None,
    storage: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    cluster: str | Client | None = None,
    progress: Progress | None = None,
    **further: Unpack[Further],
) -> Sweep:
    """Convert and build ``model`` with many configurations, several at a time; a table of what tools measure, and the best ones.

    Each configuration is a trial: a folder with its project, and its circuit. A trial that is finished is not run again, so that
    the same call, or one with other values, goes on where it was stopped.

    Args:
        model: a file.
        grid: values to try, by arguments of :func:`bitsmith.convert` or keys with dots (``LayerName.fc1.ReuseFactor``), in all
            combinations; or a list of dictionaries with one value for each.
        output_dir: the folder of all trials.
        config: as of :func:`bitsmith.convert`: what all trials have in common.
        test: as of :func:`bitsmith.explore`.
        build: options of :meth:`Model.build`, such as ``{"pnr": True}``; False: estimates, no tool runs.
        minimize: figures that circuits are compared by: lut, ff, dsp, bram, interval, latency, interval_ns, latency_ns, fmax
            (of which more is better) or loss.
        trials: number of configurations that Optuna chooses from the grid; default: all.
        storage: storage of the study of Optuna, as a URL; default: a file of SQLite in ``output_dir``.
        seed: decides what Optuna tries.
        workers: trials at the same time; default: one per core.
        cluster: scheduler of Dask (``tcp://host:8786``) or a ``distributed.Client``, on whose workers trials run; default: here.
        progress: called with a line for each trial; by default a terminal shows the latest.
        further: the rest (``docs/options.md``).

    Raises:
        ConfigError: the arguments are wrong.
        ToolMissingError: Optuna or Dask is asked for and not there.
        ProjectError: the folder cannot be used, or another sweep runs in it.

    Examples:
        ```python
        found = bitsmith.sweep(
            "digits.keras", {"reuse_factor": [1, 4, 16]}, calibration=x, build=False
        )
        print(found)
        model = found.model(found.best())
        ```
    """
    from bitsmith.report.live import working

    options = {"part": part, "clock_period": clock_period, **further}
    base = _named(model, weights, loaded(config))
    arguments: dict[str, object] = {}
    for option in OPTIONS:
        value = options.get(option.name)
        if value is not None and option.key is not None:
            put(base, key_path(option.key.path), value)
        elif value is not None:
            arguments[option.name] = value
    asked = {} if build is True else None if build is False else build
    plan = Plan.of(base, arguments, calibration, test, asked, minimize)
    with working("sweeping", progress):
        return swept(plan, read_path(output_dir, "output_dir"), Tries(grid, trials, storage, seed), workers, cluster)


def _named(model: AnyModel, weights: str | Path | None, config: object) -> dict[str, object]:
    """A project that names a model's file and that of its weights.

    Raises:
        ConfigError: something that is no file.
    """
    if not isinstance(model, str | Path):
        found = f"a live {type(model).__name__}"
        raise ConfigError(found, where="model", accepted="a file, which other processes can read: save the model")
    if not isinstance(config, Mapping | NoneType):
        raise ConfigError(
            f"a {type(config).__name__}", where="config", accepted="a dictionary, or the path of a YAML file"
        )
    return {**keys_of_files(Path(model), weights, "weights"), "HLSConfig": dict(config or {})}


@dataclass(frozen=True, slots=True)
class Tries:
    """Values to try, and how many of them are chosen."""

    grid: Grid
    trials: int | None = None
    storage: str | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise a ConfigError for a grid that has nothing, or numbers without meaning."""
        by_key = isinstance(self.grid, Mapping)
        values = list(self.grid.values()) if isinstance(self.grid, Mapping) else [self.grid]
        empty = any(isinstance(each, str) or not isinstance(each, Sequence) or not each for each in values)
        if not values or empty or not (by_key or all(isinstance(each, Mapping) for each in self.grid)):
            accepted = "a dictionary with a list of values for each key, or a list of dictionaries"
            raise ConfigError("nothing to try", where="grid", accepted=accepted)
        if self.trials is not None and self.trials < 1:
            raise ConfigError(f"{self.trials}", where="trials", accepted="1 or more")

    def each_value(self) -> Iterator[Keys]:
        """Configurations in which each value is at least once."""
        if not isinstance(self.grid, Mapping):
            yield from configurations(self.grid)
            return
        first = {key: values[0] for key, values in self.grid.items()}
        for key, values in self.grid.items():
            yield from (first | {key: value} for value in values)


@dataclass(frozen=True, slots=True)
class Plan:
    """The common part of all trials: a project as plain data, shared files by their paths in the sweep, and what is asked."""

    base: Mapping[str, object]
    files: Mapping[str, bytes]
    task: Task
    objectives: Sequence[Objective]

    @staticmethod
    def of(
        base: Mapping[str, object],
        arguments: Mapping[str, object],
        calibration: Samples | None,
        test: Samples | None,
        build: Mapping[str, Json] | None,
        minimize: Sequence[str],
    ) -> Plan:
        """The plan of a project whose files are where its keys say, and of data.

        Raises:
            ConfigError: what no file can hold, or files that are not there.
            ModelFileError: nothing, or something else, where the model is to be.
        """
        named = read_project(base).model
        if named is not None and isinstance(named.source, str | Path) and not named.framework.is_live(named.source):
            check_file(Path(named.source), named.framework)
        objectives, files = objectives_of(minimize), dict[str, bytes]()
        paths = (*(key.name for key in model_keys()), *filter(None, (key.weights for key in model_keys())), *_FILES)
        shared = dict(base)
        for key in paths:
            if isinstance(base.get(key), str | Path) and (path := Path(str(base[key]))).is_file():
                content = path.read_bytes()
                name = f"{FILES}/{digest(content)[:8]}-{path.name}"
                files[name], shared[key] = content, _UP + name
        if base.get("Estimates") is not None:
            shared["Estimates"] = str(read_correction(base["Estimates"], "Estimates"))
        placed = {"calibration": "", "test": ""}
        for name, data in (("calibration", calibration), ("test", test)):
            if data is not None:
                content = packed(data)
                placed[name] = f"{FILES}/{digest(content)[:8]}-{name}.npz"
                files[placed[name]] = content
                placed[name] = _UP + placed[name]
        latency = any(each.name.startswith("latency") for each in objectives)
        task = Task(build, latency, plain(arguments), placed["calibration"], placed["test"], pruned=False)
        return Plan(shared, files, task, objectives)

    def trial(self, keys: Keys) -> Trial:
        """The trial of a configuration.

        Raises:
            ConfigError: keys and values that projects do not have, or that no file can hold.
        """
        content = json.loads(json.dumps(plain({**self.base, "OutputDir": CIRCUIT})))
        for name, value in plain(keys).items():
            path = key_path(_KEYS.get(squash(name), name))
            if path[0] not in project_keys():
                if len(path) == 1:
                    raise _unknown(name)
                path = ["HLSConfig", *path]
            put(content, path, value)
        read_project(content)
        project = yaml.safe_dump(content, sort_keys=True).encode()
        return Trial(keys, {**self.files, PROJECT: project, TASK: self.task.text.encode()})

    @property
    def name(self) -> str:
        """A name for studies of this plan."""
        parts = (json.dumps(plain(self.base), sort_keys=True), self.task.text, *self.files)
        return digest(*parts, *(each.name for each in self.objectives))[:12]


_KEYS = {squash(option.name): option.key.path for option in OPTIONS if option.key is not None}
"""Keys of projects by the arguments that say the same."""


def _unknown(name: str) -> ConfigError:
    """The error of a key that is neither an option nor in a section of the configuration."""
    names = [option.name for option in OPTIONS if option.key is not None]
    return ConfigError(
        f"nothing to try has the name {name!r}",
        where="sweep",
        accepted=f"{nearest([name], names)}; or a key of the configuration, such as Model.ReuseFactor",
        remedy=did_you_mean(name, names),
    )


def plain(values: Mapping[str, object]) -> dict[str, Json]:
    """Values as they are in files.

    Raises:
        ConfigError: a live object.
    """
    try:
        plain: dict[str, Json] = json.loads(json.dumps(values, default=_text))
    except (TypeError, ValueError) as error:
        found = f"what no file can hold ({error})"
        raise ConfigError(found, where="sweep", accepted="numbers, texts, lists and dictionaries") from error
    return plain


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__}")


def swept(plan: Plan, folder: Path, tries: Tries, count: int | None, cluster: str | Client | None) -> Sweep:
    """Run all trials that are not finished in ``folder``, on so many processes, or a cluster; raises as :func:`sweep`."""
    tries.check()
    for keys in () if tries.trials is not None else tries.each_value():
        plan.trial(keys)  # what projects do not have is an error before anything is written
    with Project.open(folder, "sweep") as project:
        search: Iterable[Keys] = configurations(tries.grid)
        if tries.trials is not None:
            plan = replace(plan, task=replace(plan.task, pruned=True))
            storage = tries.storage or f"sqlite:///{project.folder / STUDY}"
            name = digest(plan.name, json.dumps(tries.grid, sort_keys=True, default=_text))[:12]
            search = Study.of(tries.grid, plan.objectives, tries.trials, storage, f"sweep-{name}", tries.seed)
        with workers(project.folder, count, cluster) as places:
            run = Running(project, plan, places, search)
            try:
                run.finish()
                interrupted = False
            except KeyboardInterrupt:
                interrupted = True
        result = Sweep(project.folder, tuple(run.outcomes.values()), tuple(plan.objectives), interrupted)
        result.write()
    return result


class Running:
    """Trials that run in a sweep's open folder; ``outcomes`` are those that are finished, by name, as they were asked for."""

    def __init__(self, project: Project, plan: Plan, places: Workers, search: Iterable[Keys]) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._project, self._plan, self._places, self._search = project, plan, places, search
        self._running: dict[Future[bytes], tuple[Trial, list[Keys]]] = {}

    def finish(self) -> None:
        """Start trials while there is room, and take their results, until all are finished."""
        for keys in self._search:
            trial = self._plan.trial(keys)
            same = next((asked for other, asked in self._running.values() if other.name == trial.name), None)
            known = self._known(trial)
            if same is not None:
                same.append(keys)
            elif known is not None:
                self._take(trial, [keys], known)
            else:
                self._project.write(trial.placed)
                self._running[self._places.start(trial)] = trial, [keys]
            while len(self._running) >= self._places.slots():
                self._collect()
        while self._running:
            self._collect()

    def _collect(self) -> None:
        """Wait for a result, and take all that are there."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            trial, asked = self._running.pop(future)
            record: Mapping[str, Json]
            if future.cancelled() or (error := future.exception()) is not None:
                record = {"error": "canceled" if future.cancelled() else f"{error}", "again": True}
            else:
                self._project.write({f"{TRIALS}/{trial.name}/{RESULT}": future.result()})
                record = json.loads(future.result())
            self._take(trial, asked, record)

    def _take(self, trial: Trial, asked: Sequence[Keys], found: Mapping[str, Json]) -> None:
        outcome = Outcome.of(trial.name, asked[0], found)
        self.outcomes.setdefault(trial.name, outcome)
        if isinstance(self._search, Study):
            for keys in asked:
                self._search.tell(keys, outcome.figures, fits=outcome.fits)
        tell(f"sweep: {len(self.outcomes)} done, {len(self._running)} running; {outcome.said}")

    def _known(self, trial: Trial) -> Mapping[str, Json] | None:
        """The result of a trial that is finished; None if it is not, or failed for reasons that may have passed."""
        if trial.name in self.outcomes:
            return self.outcomes[trial.name].found
        path = self._project.folder / TRIALS / trial.name / RESULT
        try:
            found: Mapping[str, Json] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return None if found.get("again") else found
