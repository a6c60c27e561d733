"""Keras models: ``.keras`` archives, whole-model HDF5, JSON with weights, and live objects, of Keras 2 and 3.

Neither Keras nor TensorFlow is imported: files are parsed, live objects asked for their JSON and weights. The way:
:mod:`keras_files` opens, :mod:`keras_graph` unrolls nesting and sharing, :mod:`keras_layers` and :mod:`keras_ops` translate
one layer each, and this module gives names and collects what cannot be translated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.refusals import Refusals, refused
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.activations import read_activation
from bitsmith.frontends.keras.call import LayerCall, Translation, placed_steps
from bitsmith.frontends.keras.files import LiveModel, Source, opened
from bitsmith.frontends.keras.graph import Call, Constant, Entry, Graph, flat, read_graph
from bitsmith.frontends.keras.graph import Value as Operand
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.keras.refusals import unknown
from bitsmith.layers.network import Network, NetworkNode

ModelLike: TypeAlias = str | os.PathLike[str] | LiveModel
"""A model file, or a live Keras model."""

_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})


def read_keras(source: ModelLike, weights: str | os.PathLike[str] | None = None) -> Network:
    """The network of a Keras model, with the user's layer names.

    An activation within a layer becomes a node of its own, ``<layer>_<activation>``; layers of nested models keep their names
    unless these are taken; a layer used again is ``<layer>_1``. Layers that no output needs are left out.

    Args:
        source: a file, or a live model.
        weights: a weights file to use instead of the model's own. For a JSON file the default is ``X_weights.h5``,
            ``X.weights.h5`` or ``X.h5`` beside ``X.json``.

    Raises:
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: layers that cannot be translated, all of them in one message.
    """
    with opened(source, weights) as found:
        return _network(read_graph(found), found)


def layer_table() -> tuple[tuple[str, str], ...]:
    """Keras's class names and what they become, for documentation: layers first, then functional operations."""
    layers = [(name, translation.becomes) for name, translation in LAYERS.items()]
    return (*layers, *((f"keras.ops {name}", translation.becomes) for name, translation in OPS.items()))


def _network(graph: Graph, source: Source) -> Network:
    names = _node_names(graph)
    draft = Draft()
    results: list[tuple[Value, ...] | None] = []
    refusals = Refusals()
    for number, call in enumerate(graph.calls):
        entry = call.entry
        operands = [_result(results, operand, source) for operand in call.tensors]
        known = tuple(operand for operand in operands if operand is not None)
        results.append(None)
        try:
            translation = _translation(entry, source.major)
            if translation is None:
                refusals.add(unknown(entry.name, entry.class_name, entry.custom))
                continue
            _check_config(entry.config, _is_operation(entry, source.major))
            _check_arguments(call, translation)
            if len(known) < len(operands):  # after a layer that is refused
                read_activation(entry.config, source.major)
                continue
            build = Builder(draft, number, entry.config.where, source=entry.class_name, built=True)
            results[-1] = _results(_layer_call(call, source, known, translation, build), translation)
        except UnsupportedError as error:
            refusals.add(refused(entry.name, entry.class_name, error))
    if refusals.found:
        raise refusals.error(source.model.where, ", ".join(LAYERS))
    ends = Builder(draft, len(graph.calls) - 1, source.model.where)
    inputs, outputs = (
        [ends.number(one) for one in (_result(results, value, source) for value in values) if one is not None]
        for values in (graph.inputs, graph.outputs)
    )
    nodes = _named(draft, names, graph)
    first, last = (tuple(nodes[number].name for number in numbers) for numbers in (inputs, outputs))
    return Network(nodes, first, last, graph.name)


def _results(call: LayerCall, translation: Translation) -> tuple[Value, ...]:
    """The results of a call, which have the batch as their first axis."""
    before = len(call.build.draft.nodes)
    with np.errstate(all="ignore"):  # what overflows is found by the builder
        found = placed_steps(call, translation.read(call))
    if len(found) == 1:
        found = (call.build.named(found[0], before),)
    return tuple(replace(value.plain(), kind=Kind.REAL) for value in found)


def _named(draft: Draft, names: _Names, graph: Graph) -> tuple[NetworkNode, ...]:
    """The nodes, named after their layers."""
    found: list[str] = []
    for node in draft.nodes:
        main = names.main[node.origin]
        found.append(names.take(f"{main}_{node.suffix}") if node.suffix else main)
    kinds = [node.layer.kind if node.suffix else graph.calls[node.origin].entry.class_name for node in draft.nodes]
    return tuple(
        NetworkNode(
            name,
            node.layer,
            tuple(found[k] for k in node.inputs),
            node.source or kind,
            order=node.order,
            inner=node.inner,
        )
        for name, node, kind in zip(found, draft.nodes, kinds, strict=True)
    )


def _result(results: Sequence[tuple[Value, ...] | None], value: Operand, source: Source) -> Value | None:
    """The value of a call's result; None if the call is refused."""
    found = results[value.call]
    if found is None:
        return None
    if not value.index < len(found):
        raise ModelFileError("a result that its layer does not have", where=source.model.where)
    return found[value.index]


def _is_operation(entry: Entry, major: int) -> bool:
    is_op = entry.module.startswith(("keras.src.ops", "keras.ops", "keras.src.activations"))
    # The legacy format of Keras 3 says no module; only layers have the key "trainable".
    if not entry.module and major >= 3 and entry.class_name in OPS and "trainable" not in entry.config.values:
        is_op = True
    return is_op


def _translation(entry: Entry, major: int) -> Translation | None:
    if entry.custom:
        return None
    return (OPS if _is_operation(entry, major) else LAYERS).get(entry.class_name)


def _check_config(config: Fields, is_operation: bool) -> None:
    """Refuses what a layer may ask for that changes its numbers, whatever its class.

    An operation's dtype is a parameter of its own (of a cast, for example), no policy.
    """
    if config.flag("stateful", False):
        raise UnsupportedError("a stateful layer", accepted="layers without a state between samples")
    for key in ("quantization_config", "quantization_mode", "lora_rank"):
        if config.get(key) is not None:
            raise UnsupportedError(f"{key} is set", accepted="plain floating-point weights")
    dtype = config.get("dtype")
    while isinstance(dtype, dict):
        inner = dtype.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        dtype = dtype.get("class_name", "?") if name is None else name
    is_input = "batch_shape" in config.values or "batch_input_shape" in config.values
    known = dtype is None or (isinstance(dtype, str) and dtype in _DTYPES)
    if not known and not is_input and not is_operation:
        raise UnsupportedError(f"the dtype policy {shown(dtype)}", accepted=", ".join(sorted(_DTYPES)))


def _check_arguments(call: Call, translation: Translation) -> None:
    for key, operand in call.kwargs.items():
        harmless = (None, False, 0) if key == "training" else (None,)
        if key not in translation.keywords and not (isinstance(operand, Constant) and operand.value in harmless):
            raise UnsupportedError(
                f"called with the argument {key}",
                accepted="tensors as the only arguments",
                remedy="call the layer without it",
            )


def _layer_call(
    call: Call, source: Source, values: tuple[Value, ...], translation: Translation, build: Builder
) -> LayerCall:
    arguments = tuple(operand if isinstance(operand, Constant) else None for operand in call.operands)
    keywords: dict[str, tuple[int, ...] | Json] = {}
    count = sum(isinstance(operand, Operand) for operand in call.operands)
    for key, operand in call.kwargs.items():
        tensors = sum(isinstance(value, Operand) for value in flat((operand,)))
        if tensors:
            keywords[key] = tuple(range(count, count + tensors))
        elif isinstance(operand, Constant) and operand.value is not None and key in translation.keywords:
            keywords[key] = operand.value
        count += tensors
    return LayerCall(
        call.entry.config,
        source.major,
        values,
        arguments,
        lambda parts: source.weights.variables(call.path, parts),
        build,
        keywords,
    )


class _Names(UniqueNames):
    """Unique node names; ``main`` has one per call."""

    def __init__(self) -> None:
        super().__init__()
        self.main: list[str] = []


def _node_names(graph: Graph) -> _Names:
    """Names of the calls: first those of the outermost model's layers, which are kept, then all others in order."""
    names = _Names()
    given: dict[int, str] = {}
    for number, call in enumerate(graph.calls):
        if len(call.path) == 1 and call.repeat == 0:
            given[number] = names.take(call.entry.name)
    first: dict[tuple[str, ...], str] = {}
    for number, call in enumerate(graph.calls):
        path = tuple(place.name for place in call.path)
        if number not in given and path not in first:
            given[number] = names.take(path[-1], "_".join(path[-2:]), "_".join(path))
        elif number not in given:
            given[number] = names.take(f"{first[path]}_{call.repeat}")
        first.setdefault(path, given[number])
    names.main = [given[number] for number in range(len(graph.calls))]
    return names
