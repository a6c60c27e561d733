"""The model that the keys of a project configuration name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsmith.errors import ConfigError
from bitsmith.frontends.framework import Framework, ModelKey
from bitsmith.frontends.frameworks import framework_of, frameworks


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model that a project configuration names under ``key``: a path, or a live model; and the path of its weights, if any."""

    framework: Framework
    key: ModelKey
    source: object
    weights: Path | None


def model_keys() -> tuple[ModelKey, ...]:
    """The keys that name models, of all frameworks."""
    return tuple(key for record in frameworks() for key in record.keys)


def key_named(name: str) -> tuple[Framework, ModelKey]:
    """The key of that name, and whose it is; installed packages are looked at only if it is none of the table's."""
    return next((record, key) for record in frameworks() for key in record.keys if key.name == name)


def named_model(values: Mapping[str, object]) -> NamedModel | None:
    """The model that values by the names of model keys give, which are None where nothing is given; None if there is none.

    Raises:
        ConfigError: several models.
    """
    keys = [key_named(name) for name, value in values.items() if value is not None]
    weights = {key.weights for _, key in keys}
    models = [(record, key) for record, key in keys if key.name not in weights]
    if len(models) > 1:
        names = [key.name for _, key in models]
        raise ConfigError(f"two models: {names[0]} and {names[-1]}", where=names[-1], accepted="one of them")
    for record, key in models:
        beside = None if key.weights is None else values.get(key.weights)
        return NamedModel(record, key, values[key.name], None if beside is None else Path(str(beside)))
    return None


def keys_of_files(path: Path, weights: str | Path | None, where: str) -> dict[str, str]:
    """The keys that name the file of a model, and that of its weights if there is one.

    Raises:
        ModelFileError: a file of no known framework.
        ConfigError: weights for a model that has them in its file; they were said ``where``.
    """
    record = framework_of(path)
    key = next((key for key in record.keys if path.suffix.lower() in key.suffixes), record.keys[0])
    if weights is None:
        return {key.name: str(path)}
    if key.weights is None:
        takers = ", ".join(suffix for each in model_keys() if each.weights for suffix in each.suffixes)
        raise ConfigError(
            f"weights beside {path.name}, which has its own",
            where=where,
            accepted=f"weights beside {takers}",
            remedy="leave them out",
        )
    return {key.name: str(path), key.weights: str(weights)}
