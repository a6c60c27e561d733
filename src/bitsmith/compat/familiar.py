"""Models as hls4ml gives them: what enters and leaves ``predict`` and ``trace`` has its shapes and its layout.

A result has one row per sample, whatever the shape of the output, and no axis of samples if there is one sample. Keys that hls4ml
writes into configurations of PyTorch models say whether arrays are channels last: ``ChannelsLastConversion`` and
``TransposeOutputs``. The circuit itself keeps the layout of the user's model.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np

from bitsmith.base.familiar import NAME, missing
from bitsmith.base.progress import warn
from bitsmith.config.files import read_file
from bitsmith.config.model import KEYS
from bitsmith.config.reading import squash
from bitsmith.emulate.batches import Arrays, Batch, Results, check_batch, columns_of
from bitsmith.errors import BitsmithWarning, ConfigError, ProjectError
from bitsmith.layers.einsum import Einsum
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.sample_norm import LayerNormalization
from bitsmith.model import Model
from bitsmith.report.summary import LayerRow
from bitsmith.report.variables import WeightVariable

_P = ParamSpec("_P")

CONVERSION, OUTPUTS = "ChannelsLastConversion", "TransposeOutputs"

_FULL, _INTERNAL, _OFF = "full", "internal", "off"

_OWN_LAYOUT = (Einsum, LayerNormalization)
"""Layers whose operands and results hls4ml leaves as the model has them; its pass names these classes, and moves all others."""


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """Inputs and outputs of several axes that have the first of these at the end."""

    inputs: frozenset[str]
    outputs: tuple[bool, ...]

    @staticmethod
    def of(model: Model, config: object) -> ChannelsLast:
        """The inputs and outputs of ``model`` that hls4ml has channels last by the configuration."""
        keys = _of_model(config)
        conversion = str(keys.get(squash(CONVERSION), _OFF)).lower()
        network = model.network
        inputs = [
            name
            for name, shape in network.input_shapes().items()
            if conversion == _INTERNAL
            and len(shape) > 1
            and not any(isinstance(node.layer, _OWN_LAYOUT) for node in network.consumers(name))
        ]
        last = conversion != _OFF and not keys.get(squash(OUTPUTS), False)
        nodes, shapes = [network.node(name) for name in network.outputs], network.shapes()
        moved = [len(shapes[node.name]) > 1 and last and not isinstance(node.layer, _OWN_LAYOUT) for node in nodes]
        return ChannelsLast(frozenset(inputs), tuple(moved))


@dataclass(frozen=True)
class Row(LayerRow):
    """A layer of a model, which names what rows have in place of attributes of hls4ml's layers; ``weights`` by their names."""

    weights: Mapping[str, WeightVariable] = field(default_factory=dict)

    def get_weights(self, name: str | None = None) -> WeightVariable | list[WeightVariable]:
        """The trained tensors, as :meth:`Model.get_weight_variables` has them, or the one of the name.

        Raises:
            ConfigError: the layer has none of the name.
        """
        if name is None:
            return list(self.weights.values())
        if name not in self.weights:
            raise ConfigError(repr(name), where=f"weights of {self.name}", accepted=", ".join(self.weights) or "none")
        return self.weights[name]

    def __getattr__(self, name: str) -> object:
        raise AttributeError(missing(f"{NAME}.model.Layer.{name}"))


class FlatModel(Model):
    """A model whose arrays have the shapes and the layout that they have in hls4ml."""

    _last: ChannelsLast

    def __getattr__(self, name: str) -> object:
        raise AttributeError(missing(f"{NAME}.model.ModelGraph.{name}"))

    @staticmethod
    def of(model: Model, config: object) -> FlatModel:
        """The same model, with arrays as a configuration of hls4ml has them."""
        flat = FlatModel.__new__(FlatModel)
        flat.__dict__.update(model.__dict__)
        flat._last = ChannelsLast.of(model, config)
        return flat

    def get_layers(self) -> tuple[LayerRow, ...]:
        """The layers, as :meth:`Model.get_layers` has them."""
        held = {variable.name: variable for variable in self.get_weight_variables()}
        rows = []
        for row in super().get_layers():
            names = {constant.variable: f"{row.name}_{constant.variable}" for constant in row.constants}
            weights = {name: held[long] for name, long in names.items() if long in held}
            rows.append(Row(**{name: getattr(row, name) for name in row.__slots__}, weights=weights))
        return tuple(rows)

    def _batches(self, x: Arrays) -> list[Batch]:
        shapes = self.emulator.shapes
        arrays = [x] if len(shapes) == 1 and isinstance(x, np.ndarray) else x
        if isinstance(arrays, list | tuple) and len(arrays) == len(shapes) and not any(map(columns_of, arrays)):
            arrays = [self._in_model(*each) for each in zip(arrays, shapes.items(), strict=True)]
        return super()._batches(arrays)

    def _in_model(self, x: object, named: tuple[str, Shape]) -> Batch:
        """An array of samples, perhaps flat, or of one sample, as the model has it."""
        name, shape = named
        last = name in self._last.inputs
        rows = (*shape[1:], shape[0]) if last else shape
        batch, size = np.asarray(x), math.prod(shape)
        alike = [n for n in batch.shape if n > 1] == [n for n in rows if n > 1]
        if batch.ndim and (batch.shape == (size,) or (batch.size == size and alike) or batch.shape[1:] == (size,)):
            batch = batch.reshape(-1, *rows)
        check_batch(batch, name, rows)
        return np.moveaxis(batch, -1, 1) if last else batch

    def save(self, path: str | Path) -> None:
        """Write the model as :meth:`Model.save` does.

        Raises:
            ProjectError: it cannot be written, or its arrays have another layout than the model's, which files do not keep.
        """
        if self._last.inputs or any(self._last.outputs):
            raise ProjectError(
                "inputs or outputs that are channels last",
                where=str(path),
                accepted="the layout of the model",
                remedy=f"set {CONVERSION} to 'off', or {OUTPUTS} to true with 'full'",
            )
        super().save(path)

    def _results(self, outputs: Sequence[Floats]) -> Results:
        rows = [self._row(*each) for each in zip(outputs, self._last.outputs, strict=True)]
        return rows[0] if len(rows) == 1 else rows

    @staticmethod
    def _row(result: Floats, last: bool) -> Floats:
        """A batch of results as rows; the row of a single sample."""
        moved = np.moveaxis(result, 1, -1) if last else result
        rows = moved.reshape(len(moved), math.prod(moved.shape[1:]))
        return rows[0] if len(rows) == 1 else rows


def flat(function: Callable[_P, Model]) -> Callable[_P, Model]:
    """A function that converts or loads, whose models have hls4ml's arrays."""
    of_project = "config" in inspect.signature(function).parameters

    @functools.wraps(function)
    def converted(*arguments: _P.args, **options: _P.kwargs) -> Model:
        if "hls_config" in options:
            options["hls_config"] = _as_read(options["hls_config"])
        model = function(*arguments, **options)
        config = (*arguments, options.get("config"))[0] if of_project else options.get("hls_config")
        return FlatModel.of(model, config)

    return converted


def with_layout(function: Callable[_P, dict[str, Any]]) -> Callable[_P, dict[str, Any]]:
    """The function that makes configurations of PyTorch models, with the keys of layouts in each."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def configured(*arguments: _P.args, **options: _P.kwargs) -> dict[str, Any]:
        config = function(*arguments, **options)
        chosen = signature.bind(*arguments, **options).arguments
        of_model = config["Model"]
        assert isinstance(of_model, dict)
        of_model[CONVERSION] = chosen.get("channels_last_conversion", _FULL)
        of_model[OUTPUTS] = chosen.get("transpose_outputs", False)
        return config

    return configured


def _as_read(config: object) -> object:
    """A configuration without keys that hls4ml does not read where they stand: those of the model beside its section."""
    if not isinstance(config, Mapping):
        return config
    known = {squash(key) for key in KEYS}
    idle = [key for key in config if squash(str(key)) in known]
    if idle:
        named = ", ".join(repr(key) for key in idle)
        message = f"hls4ml reads {named} inside 'Model' only, and so does this: what stands beside it is left out"
        warn(message, BitsmithWarning)
    return {key: value for key, value in config.items() if key not in idle}


def _of_model(config: object) -> Mapping[str, object]:
    """The keys of the section ``Model`` of a configuration, or of a project's, without case."""
    content = read_file(Path(config)) if isinstance(config, str | Path) else config
    for name in ("hlsconfig", "model"):
        keys = {squash(str(key)): value for key, value in content.items()} if isinstance(content, Mapping) else {}
        content = keys.get(name, keys if name == "hlsconfig" else {})
    return {squash(str(key)): value for key, value in content.items()} if isinstance(content, Mapping) else {}
