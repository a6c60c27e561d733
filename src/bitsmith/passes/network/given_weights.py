"""Weights that users give to layers whose weights can be loaded: checked, and put into the program as raw values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import InputDataError
from bitsmith.errors.remedies import given as given_by
from bitsmith.errors.remedies import remedy
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import FixedFormat, Ints, width_of
from bitsmith.layers.auto import to_raw
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Weights
from bitsmith.passes.program.load import ParameterKey, load, parameters

_Array: TypeAlias = npt.NDArray[np.generic]


def with_weights(
    program: Program, network: Network, layer: str, tensors: Mapping[str, npt.ArrayLike | None]
) -> tuple[Program, Network]:
    """A program and its network with other ``tensors`` (``weight``, ``bias``, ...) of ``layer``, but those that are None.

    Raises:
        InputDataError: no such weights, another shape, or values beyond the format.
    """
    known = parameters(program)
    arrays = {variable: np.asarray(values) for variable, values in tensors.items() if values is not None}
    called = {place: _called(network.node(place[0]), place[1]) for place in known}
    own = {place: variable for place, (name, variable) in called.items() if name == layer}
    own |= {place: place[1] for place in known if place[0] == layer}
    if not arrays or not arrays.keys() <= set(own.values()):
        accepted = dict.fromkeys(f"{variable} of {name!r}" for name, variable in called.values())
        raise InputDataError(
            f"weights {', '.join(arrays) or '(none)'} for layer {layer!r}",
            where="load_weights",
            accepted=", ".join(accepted) or "layers with Weights: reloadable",
        )
    now = {}
    for place, variable in own.items():
        node = network.node(place[0])
        if (values := _given(node.layouts.get(place[1]), variable, arrays)) is not None:
            now[place] = _as_given(values, node, place[1], whole=list(own.values()).count(variable) > 1)
    raws = {place: _raw_values(values, known[place], f"{layer}.{own[place]}") for place, values in now.items()}
    for name in dict.fromkeys(name for name, _ in now):
        network = _with(network, name, {variable: now[name, variable] for at, variable in now if at == name}, known)
    return load(program, raws), network


def _called(node: NetworkNode, variable: str) -> tuple[str, str]:
    """Return the layer of the user's that a tensor is of, and which of that layer's it is, or a part of which."""
    layout = node.layouts.get(variable)
    return (node.name, variable) if layout is None or layout.cell is None else layout.cell


def _given(layout: ModelLayout | None, variable: str, arrays: Mapping[str, _Array]) -> _Array | None:
    """Return a ``given`` tensor, or one that this is a part of and that is given whole: the second bias of a GRU of Keras."""
    if variable in arrays or layout is None:
        return arrays.get(variable)
    whole = arrays.get(layout.argument)
    return whole if whole is not None and whole.shape == layout.shape else None


def _with(network: Network, name: str, now: Mapping[str, Floats], known: Mapping[ParameterKey, Node]) -> Network:
    """Return the network with other tensors of the node called ``name``, and of those that have the same ones."""
    node = network.node(name)
    same = {each.name for each in network.nodes if each is node or _shares(each, node, known)}
    return network.with_changed(same, lambda each: replace(each, layer=each.layer.with_weights(now)))


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


def _as_given(array: _Array, node: NetworkNode, name: str, *, whole: bool) -> Floats:
    """A user's tensor, in the layout of the user's model, as the layer has it: on the grid of its quantizer.

    One of which there are other parts under the same name must be ``whole``.

    Raises:
        InputDataError: it is not of finite numbers, of another shape, or off a grid that nothing is rounded to.
    """
    layout = _layout(node, name)
    shapes = layout.shapes[: 1 if whole else None]
    if array.dtype.kind not in "fiub" or array.shape not in shapes or not bool(np.all(np.isfinite(array))):
        raise InputDataError(
            f"weights of {array.dtype} and shape {array.shape}",
            where=f"{node.name}.{name}",
            accepted=f"finite numbers of shape {' or '.join(map(str, shapes))}",
        )
    values = as_weights(layout.taken(as_weights(array)).reshape(node.layer.weights()[name].shape))
    quantizer = None if name in node.settings.precision else node.quantizers.get(name)
    if quantizer is None:
        return values
    taken = quantizer.taken(values)
    if taken is None:
        raise InputDataError(
            f"numbers that are not on the grid of the trained ones, {quantizer}",
            where=f"{node.name}.{name}",
            accepted="what the quantizer of the model makes of them, if that has the scale of the trained ones",
            remedy=remedy(
                f"give the {name} a precision, ",
                given_by(override=True),
                " insists on it, or convert the retrained model",
            ),
        )
    return as_weights(taken)


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
