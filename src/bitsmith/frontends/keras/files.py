"""Opens whatever a Keras model comes in: archives, HDF5 files, JSON with weights, live objects.

What leaves is the model's JSON, the version of Keras that wrote it and its weights; nothing of them has been interpreted.
All sizes are checked before anything is read.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bitsmith.base.files import local_path
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.errors.remedies import NAMED, OPEN, given, remedy
from bitsmith.frontends.files.archive import first_bytes, opened_archive
from bitsmith.frontends.files.hdf5 import opened_h5
from bitsmith.frontends.files.json import MAX_JSON_BYTES, Fields, Json, parse_json, shown
from bitsmith.frontends.keras.live import FILES, REBUILT, LiveLayer, LiveModel
from bitsmith.frontends.keras.weights import LiveWeights, WeightStore, numbered_weights, weights_of

_SHOWN_KEYS = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it was found: its JSON (``class_name``, ``config``, ...) and its weights."""

    model: Fields
    weights: WeightStore

    @property
    def major(self) -> int:
        """Keras's major version; the JSON of a Keras 3 ``to_json`` says none, but names each class's module."""
        if (version := self.model.get("keras_version")) is None:
            return 3 if "module" in self.model.values else 2
        major = version.split(".")[0] if isinstance(version, str) else ""
        if major in ("2", "3"):
            return int(major)
        remedy = "load and save it with Keras 2" if major == "1" else ""
        raise self.model.error(f"Keras version {shown(version)}", "2 or 3", remedy)


@contextlib.contextmanager
def opened(source: str | os.PathLike[str] | LiveModel, weights: str | os.PathLike[str] | None) -> Iterator[Source]:
    """``source`` opened for the time of the context.

    Raises:
        ModelFileError: no Keras model, or one that is broken.
    """
    if not isinstance(weights, str | os.PathLike | None):
        raise ModelFileError(f"a {type(weights).__name__} is not a weight file", accepted="a path", remedy=NAMED)
    if isinstance(source, str | os.PathLike):
        with contextlib.ExitStack() as stack:
            yield _from_path(Path(source), None if weights is None else local_path(weights), stack)
    elif isinstance(source, LiveModel) and weights is None:
        yield _live(source)
    elif isinstance(source, LiveModel):
        raise ModelFileError("weights are given for a live model, which has its own", remedy="load them into the model")
    else:
        raise ModelFileError(f"a {type(source).__name__} is not a Keras model", accepted="a path or a live Keras model")


def _live(model: LiveModel) -> Source:
    where = f"live model {shown(getattr(model, 'name', '?'))}"
    try:
        text = model.to_json()
    except (NotImplementedError, RecursionError, TypeError, ValueError) as error:
        found = f"Keras cannot describe this model ({shown(str(error))})"
        accepted = "Sequential and functional models of built-in layers"
        remedy = f"of a subclassed model: {REBUILT}; give one as it was before quantize"
        raise UnsupportedError(found, where=where, accepted=accepted, remedy=remedy) from error
    values = parse_json(text, where)
    _name_layers(values, model.layers)
    return Source(Fields(values, where), LiveWeights(model.layers))


def _name_layers(values: dict[str, Json], layers: Sequence[LiveLayer]) -> None:
    """Give the layers of a sequential model their names, which Keras leaves out if their class describes itself without."""
    config = values.get("config")
    listed = config.get("layers") if isinstance(config, dict) and values.get("class_name") == "Sequential" else None
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    entries = [entry for entry in entries if entry.get("class_name") != "InputLayer"]
    for entry, layer in zip(entries, layers, strict=False):
        inner = entry.get("config")
        if isinstance(inner, dict):
            inner.setdefault("name", layer.name)


def _from_path(path: Path, weights: Path | None, stack: contextlib.ExitStack) -> Source:
    where = str(path)
    magic = first_bytes(path, 8)
    if magic.startswith(b"PK"):
        model = _from_archive(path, stack)
    elif magic == b"\x89HDF\r\n\x1a\n":
        model = _from_h5(path, stack)
    elif magic.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        values = parse_json(first_bytes(path, MAX_JSON_BYTES + 1).removeprefix(b"\xef\xbb\xbf"), where)
        weights = _weights_beside(path, values) if weights is None else weights
        return Source(Fields(values, where), weights_of(opened_h5(weights, str(weights), stack)))
    else:
        raise ModelFileError("the file is neither a zip archive, nor HDF5, nor JSON", where=where, accepted=FILES)
    return model if weights is None else replace(model, weights=weights_of(opened_h5(weights, str(weights), stack)))


def _weights_beside(path: Path, architecture: Mapping[str, Json]) -> Path:
    candidates = [path.with_name(path.stem + ending) for ending in ("_weights.h5", ".weights.h5", ".h5")]
    candidates += [path.with_name("model.weights.h5")] * (path.name == "config.json")  # of a .keras file, unpacked
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if "class_name" not in architecture:  # whatever else is written as JSON
        keys = ", ".join(map(shown, islice(architecture, _SHOWN_KEYS))) or "none"
        raise ModelFileError(
            f"JSON of no model that is known here, with the keys {keys}", where=str(path), accepted=FILES
        )
    beside = remedy(f"model.save_weights({str(candidates[1])!r}), or name them: ", given(weights=OPEN))
    found, accepted = "there are no weights beside this architecture", " or ".join(one.name for one in candidates)
    raise ModelFileError(found, where=str(path), accepted=accepted, remedy=beside)


def _from_h5(path: Path, stack: contextlib.ExitStack) -> Source:
    file = opened_h5(path, str(path), stack)
    if (text := file.attribute(file.root, "model_config")) is None:
        ways = remedy("write model.to_json() to model.json, and convert that file with ", given(weights=str(path)))
        raise ModelFileError("the file holds weights only, no architecture", where=str(path), remedy=ways)
    where = f"{path}, model_config"
    values = parse_json(text, where)
    values["keras_version"] = file.attribute(file.root, "keras_version") or values.get("keras_version")
    return Source(Fields(values, where), weights_of(file))


def _from_archive(path: Path, stack: contextlib.ExitStack) -> Source:
    with opened_archive(path, str(path), "save the model again") as members:
        if "model.weights.json" in members.by_name:
            members = replace(members, remedy="weights in several files are not read; save with the default shard size")
        metadata, config = members.json("metadata.json"), members.json("config.json")
        data = members.bytes("model.weights.h5")
    values = {**config.values, "keras_version": metadata.get("keras_version")}
    file = opened_h5(io.BytesIO(data), f"{path}, model.weights.h5", stack)
    return Source(Fields(values, config.where), numbered_weights(file))


def declared_shape(config: Fields) -> Json:
    """The shape of an input as the model says it, that of the batch first."""
    return config.get("batch_input_shape") if config.get("batch_shape") is None else config.get("batch_shape")
