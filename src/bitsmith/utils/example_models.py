"""Example networks: those that the package carries, and public ones that are fetched once and kept."""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from numpy.typing import NDArray

from bitsmith.errors import ConfigError, ModelFileError, ProjectError
from bitsmith.options.project import create_config

_MODELS = resources.files("bitsmith") / "data" / "models"
_SHIPPED: Mapping[str, tuple[str, ...]] = {
    "bitsmith_3layer.json": ("bitsmith_3layer_weights.h5", "bitsmith_3layer.config.json"),
    "digits.keras": ("digits.config.json",),
}
"""Models that the package carries, with the files that belong to each; the configuration comes last."""

_STAND_INS: Mapping[str, str] = {"KERAS_3layer.json": "bitsmith_3layer.json"}
"""Public models that have one of ours with the same layers, for those without a network."""

_CONNECT_S, _READ_S = 3.0, 30.0


class ExampleWarning(UserWarning):
    """An example is not the one that was asked for."""


def fetch_example_list() -> list[str]:
    """Names that :func:`fetch_example_model` knows: those that the package carries, and public ones on the network."""
    public = _public()["sha256"]
    return sorted({*_SHIPPED, *(name for name in public if not name.endswith("_weights.h5"))})


def fetch_example_model(name: str, backend: str = "rtl") -> dict[str, Any]:
    """Put the example model ``name`` into the working directory and return a project configuration for it.

    ``bitsmith_3layer.json`` and ``digits.keras`` are ours and come with the package. Others are fetched from the public
    collection of the same names, checked against known checksums and kept in the user's cache folder. Without a network,
    ``KERAS_3layer.json`` is ours under the name that was asked for: the same layers, fewer bits, weights of its own.

    Raises:
        ConfigError: no such example.
        ModelFileError: a public example that could not be fetched.
        ProjectError: the working directory cannot be written to.

    Warns:
        ExampleWarning: ours is taken instead.

    Examples:
        ```python
        project = bitsmith.utils.fetch_example_model("digits.keras")
        model = bitsmith.converters.convert_from_config(project)
        ```
    """
    if name in _SHIPPED:
        weights, hls_config = _put(name, name)
    else:
        weights, hls_config = _public_or_ours(name)
    config = create_config(output_dir="my-hls-test", project_name="myproject", backend=backend)
    config["HLSConfig"] = hls_config
    if weights is None:
        return {**config, "KerasModel": name}
    return {**config, "KerasJson": name, "KerasH5": weights}


def fetch_example_data(name: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Put an example model that the package carries into the working directory; return test inputs for it, and their labels.

    Returns:
        Inputs of shape ``(samples, features)``, and the class of each sample.

    Raises:
        ConfigError: the package carries no such model.
        ProjectError: the working directory cannot be written to.
    """
    if name not in _SHIPPED:
        raise ConfigError(f"no data of an example model {name!r}", accepted=", ".join(_SHIPPED))
    _put(name, name)
    with resources.as_file(_MODELS / f"{Path(name).stem}_test.npz") as path, np.load(path) as data:
        return data["inputs"], data["labels"]


def _put(shipped: str, name: str) -> tuple[str | None, dict[str, object]]:
    """Write a model that the package carries as ``name``; the name of its weight file, if it has one, and its configuration."""
    *others, config = _SHIPPED[shipped]
    _write(name, (_MODELS / shipped).read_bytes())
    weights = f"{Path(name).stem}_weights.h5" if others else None
    if weights is not None:
        _write(weights, (_MODELS / others[0]).read_bytes())
    return weights, json.loads((_MODELS / config).read_text(encoding="utf-8"))


def _write(name: str, content: bytes) -> None:
    """Write a file of the working directory."""
    try:
        Path(name).write_bytes(content)
    except OSError as error:
        raise ProjectError(
            f"{name} could not be written ({error.strerror})",
            where=f"working directory {Path.cwd()}",
            accepted="a folder that can be written to",
            remedy="change to one and try again",
        ) from error


def _public_or_ours(name: str) -> tuple[str | None, dict[str, object]]:
    try:
        return _fetched(name), {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    except ModelFileError as error:
        if name not in _STAND_INS:
            raise
        warnings.warn(
            f"{error.found}; {name} is now {_STAND_INS[name]}, which comes with bitsmith: the same layers, but weights of few "
            "bits that were trained on other data, and a configuration for them",
            ExampleWarning,
            stacklevel=3,
        )
        return _put(_STAND_INS[name], name)


def _public() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((_MODELS / "public.json").read_text(encoding="utf-8"))
    return content


def _fetched(name: str) -> str | None:
    """Fetch a public model into the working directory; the name of its weight file, if it has one."""
    content = _public()
    known = content["sha256"]
    if name not in known:
        close = difflib.get_close_matches(str(name), fetch_example_list(), 3)
        raise ConfigError(f"no example model {name!r}", accepted=f"{', '.join(close) or 'see fetch_example_list()'}")
    weights = f"{Path(name).stem}_weights.h5"
    files = [name, weights] if weights in known else [name]
    pooch.get_logger().setLevel("WARNING")
    for file in files:
        try:
            cached = pooch.retrieve(
                f"{content['base']}{file}",
                f"sha256:{known[file]}",
                fname=file,
                path=pooch.os_cache("bitsmith"),
                downloader=pooch.HTTPDownloader(timeout=(_CONNECT_S, _READ_S)),
            )
        except Exception as error:  # pooch hands on whatever its downloader raises
            raise ModelFileError(
                f"{file} could not be fetched ({type(error).__name__})",
                remedy=f"without a network these work: {', '.join(_SHIPPED)}",
            ) from error
        _write(file, Path(cached).read_bytes())
    return weights if len(files) > 1 else None
