"""Example networks: those that the package carries, and public ones that are fetched once and kept."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pooch

from bitsmith.config import create_config
from bitsmith.errors import ConfigError, ModelFileError

_MODELS = resources.files("bitsmith") / "data" / "models"
_SHIPPED: Mapping[str, tuple[str, ...]] = {
    "KERAS_3layer.json": ("KERAS_3layer_weights.h5", "KERAS_3layer.config.json"),
    "digits.keras": ("digits.config.json",),
}
"""Models that the package carries, with the files that belong to each; the configuration comes last."""


def fetch_example_list() -> list[str]:
    """Names that :func:`fetch_example_model` knows: those that the package carries, and public ones on the network."""
    public = _public()["sha256"]
    return sorted({*_SHIPPED, *(name for name in public if not name.endswith("_weights.h5"))})


def fetch_example_model(name: str, backend: str = "rtl") -> dict[str, object]:
    """Put the example model ``name`` into the working directory and return a project configuration for it.

    ``KERAS_3layer.json`` and ``digits.keras`` come with the package. Others are fetched from the public collection of the
    same names, checked against known checksums and kept in the user's cache folder.

    Raises:
        ConfigError: no such example.
        ModelFileError: a public example that could not be fetched.
    """
    if name in _SHIPPED:
        for file in (name, *_SHIPPED[name][:-1]):
            Path(file).write_bytes((_MODELS / file).read_bytes())
        hls_config = json.loads((_MODELS / _SHIPPED[name][-1]).read_text())
        weights = _SHIPPED[name][0] if len(_SHIPPED[name]) > 1 else None
    else:
        weights = _fetched(name)
        hls_config = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    config = create_config(output_dir="my-hls-test", project_name="myproject", backend=backend)
    config["HLSConfig"] = hls_config
    if weights is None:
        return {**config, "KerasModel": name}
    return {**config, "KerasJson": name, "KerasH5": weights}


def _public() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((_MODELS / "public.json").read_text())
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
    for file in files:
        try:
            cached = pooch.retrieve(
                f"{content['base']}{file}",
                f"sha256:{known[file]}",
                fname=file,
                path=pooch.os_cache("bitsmith"),
                progressbar=False,
            )
        except Exception as error:  # pooch hands on whatever its downloader raises
            raise ModelFileError(
                f"{file} could not be fetched ({error})", remedy=f"without a network these work: {', '.join(_SHIPPED)}"
            ) from error
        Path(file).write_bytes(Path(cached).read_bytes())
    return weights if len(files) > 1 else None
