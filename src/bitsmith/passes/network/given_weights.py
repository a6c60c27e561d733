"""Weights that users give to layers whose weights can be loaded: checked, and put into the program as raw values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import InputDataError
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import FixedFormat, Ints, width_of
from bitsmith.layers.auto import to_raw
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import Recurrent
from bitsmith.layers.settings import Weights
from bitsmith.passes.program.load import ParameterKey, load, parameters

_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "recurrent_kernel": "recurrent_weight",
    "recurrent_bias": "recurrent_bias",
    "peephole": "peephole_weight",
}
"""Variables of trained tensors, by the fields of layers that hold them."""


def with_weights(
    program: Program, network: Network, layer: str, tensors: Mapping[str, npt.ArrayLike | None]
) -> tuple[Program, Network]:
    """A program and its network with other ``tensors`` (``kernel``, ``bias``, ...) of ``layer``, but those that are None.

    Raises:
        InputDataError: no such weights, another shape, or values beyond the format.
    """
    known = parameters(program)
    given = {_VARIABLES[field]: np.asarray(values) for field, values in tensors.items() if values is not None}
    if not given or any((layer, name) not in known for name in given):
        raise InputDataError(
            f"weights {', '.join(given) or '(none)'} for layer {layer!r}",
            where="load_weights",
            accepted=", ".join(f"{name} of {place!r}" for place, name in known) or "layers with Weights: reloadable",
        )
    node = network.node(layer)
    assert isinstance(node.layer, Dense | Conv | ConvTranspose | Recurrent)
    given = {**_parts_of(node, given), **given}
    now = {name: _as_given(values, node, name) for name, values in given.items()}
    raws = {(layer, name): _raw_values(values, known[layer, name], f"{layer}.{name}") for name, values in now.items()}
    fields = {field: now[name] for field, name in _VARIABLES.items() if name in now}
    nodes = [
        replace(each, layer=replace(each.layer, **fields)) if each is node or _shares(each, node, known) else each
        for each in network.nodes
    ]
    return load(program, raws), network.with_nodes(nodes)


def _parts_of(node: NetworkNode, given: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the other parts of a tensor that is given whole: the second bias of a GRU of Keras."""
    wholes = {name: given.get(_VARIABLES.get(layout.argument, "")) for name, layout in node.layouts.items()}
    return {
        name: whole for name, whole in wholes.items() if whole is not None and whole.shape == node.layouts[name].shape
    }


def _shares(node: NetworkNode, owner: NetworkNode, known: Mapping[ParameterKey, Node]) -> bool:
    """Return True if the weights of ``node`` are those of ``owner``: it has none of its own that could be replaced."""
    mine, others = node.layer.weights(), owner.layer.weights()
    return (
        node.settings.weights is not Weights.ONCHIP
        and (node.name, "weight") not in known
        and mine.keys() == others.keys()
        and all(np.array_equal(mine[name], others[name]) for name in mine)
    )


def layouts(program: Program, network: Network) -> dict[ParameterKey, ModelLayout]:
    """Return the places in the user's model of the parameters of a ``program`` made of ``network``."""
    return {(layer, name): _layout(network.node(layer), name) for layer, name in parameters(program)}


def _layout(node: NetworkNode, name: str) -> ModelLayout:
    return node.layouts.get(name) or ModelLayout.plain(node.layer.weights()[name].shape)


def _as_given(array: npt.NDArray[np.generic], node: NetworkNode, name: str) -> Floats:
    """A user's tensor, in the layout of the user's model, as the layer has it.

    Raises:
        InputDataError: it is not of finite numbers, or of another shape.
    """
    layout = _layout(node, name)
    if array.dtype.kind not in "fiub" or array.shape not in layout.shapes or not bool(np.all(np.isfinite(array))):
        raise InputDataError(
            f"weights of {array.dtype} and shape {array.shape}",
            where=f"{node.name}.{name}",
            accepted=f"finite numbers of shape {' or '.join(map(str, layout.shapes))}",
        )
    return as_weights(layout.taken(as_weights(array)).reshape(node.layer.weights()[name].shape))


def _raw_values(values: Floats, node: Node, where: str) -> Ints:
    """The raw values that weights are in the format of the parameter ``node``.

    Raises:
        InputDataError: they are beyond it.
    """
    span = node.type.span
    rounded = np.rint(np.ldexp(values, span.frac))
    if bool(np.any((rounded < float(span.lo)) | (rounded > float(span.hi)))):
        raise InputDataError(
            f"weights from {values.min():g} to {values.max():g}",
            where=where,
            accepted=f"{float(span.least):g} to {float(span.greatest):g}, the range of the format",
            remedy="give the layer's weight or bias a wider precision",
        )
    return to_raw(values, FixedFormat(span.lo < 0, width_of(span.lo, span.hi), span.frac))
