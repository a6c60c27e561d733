"""Constants in front of a softmax that leave elements out become masks of the softmax.

Frontends emit a mask as the model writes it: ``Add``, ``Subtract``, ``Multiply``, ``BatchNormalization`` or ``Where`` with
constants of any magnitude, -inf included. They recognize nothing and refuse no -inf; this pass does both.

Before: ``scores -> Add(mask of 0 and -1e9) -> softmax``. After: ``scores -> identity -> softmax with a mask``, so that the format
of the sum is that of the scores. Views and products with constants may come in between; all readers must be softmax layers.
An element is masked if it lies so far below another one of its row, for all operands in the range that the float model shows
(and some more), that its exponential is nothing beside the other's. Where the operands could reach it, it stays as it is.

Of a row that a finite constant masks completely only differences count: the constant is taken from all its elements. Where
it is so large that floats cannot hold the scores beside it, all elements of the row are equal. If all are -inf the result is
NaN, which is refused, as is -inf that does not lead to a softmax.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.logic import Where
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import Weights
from bitsmith.layers.shape import Broadcast, Identity
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.calibration import observe
from bitsmith.passes.network.computed_masks import FAR, SPARE_GENERATED, SPARE_MEASURED, part, without_unread

LEAST = -1e30
"""Bound below which a value is as good as -inf: nothing but masks holds it."""

_LEVEL = 10.0
"""The least magnitude of a constant that is looked at."""

Bools: TypeAlias = npt.NDArray[np.bool_]


def fold_masks(network: Network, calibration: Sequence[Floats] | None) -> Network:
    """``network`` with constant masks as masks of the softmax layers that they lead to.

    Raises:
        UnsupportedError: -inf, or as good as that, that is not a mask of a softmax, or masks a whole row.
        InputDataError: as :func:`bitsmith.passes.network.calibration.observe`.
    """
    if any(isinstance(node.layer, Softmax) for node in network.nodes):
        search = _Search.of(network)
        network = _Folding.of(search, calibration).folded() if search.masking else network
    for node in network.nodes:
        if any(bool(np.any(values <= LEAST)) for values in node.layer.weights().values()):
            reader = next(iter(network.consumers(node.name)), node) if isinstance(node.layer, Constant) else node
            raise UnsupportedError(
                "-inf",
                where=f"layer {reader.name!r}",
                accepted="-inf only as a softmax mask",
                remedy="for a greatest element, write a finite number below all others instead",
            )
    return network


@dataclass(frozen=True, slots=True)
class _Search:
    """Search for places where masks could be.

    ``constants`` are the results that depend on no input, ``masking`` the nodes that bring in a constant worth looking at and
    lead to softmax layers alone, ``carrying`` these and the nodes between them and a softmax.
    """

    network: Network
    shapes: Mapping[str, Shape]
    constants: Mapping[str, Floats]
    masking: Sequence[str]
    carrying: frozenset[str]

    @classmethod
    def of(cls, network: Network) -> _Search:
        shapes, constants = network.shapes(), _constants(network)
        onward = _leading_to_softmax(network, constants)
        masking: list[str] = []
        carrying: set[str] = set()
        for node in network.nodes:
            if node.name not in onward:
                continue
            term = _term(node, constants, shapes[node.name])
            if term is not None and bool(np.any(np.abs(term) >= _LEVEL)):
                masking.append(node.name)
                carrying.add(node.name)
            elif carrying.intersection(node.inputs):
                carrying.add(node.name)
        return cls(network, shapes, constants, masking, frozenset(carrying))

    def softmaxes(self) -> Iterator[tuple[NetworkNode, Softmax]]:
        """The softmax layers that masks may lead to."""
        for node in self.network.nodes:
            if isinstance(node.layer, Softmax) and node.inputs[0] in self.carrying:
                yield node, node.layer

    def bounds(self, calibration: Sequence[Floats] | None) -> dict[str, tuple[Floats, Floats]]:
        """The least and the greatest value of each element of the carrying nodes' results."""
        nodes = [node for node in self.network.nodes if node.name in self.carrying]
        operands = {name for node in nodes for name in node.inputs} - self.carrying - set(self.constants)
        seen = observe(part(self.network, operands), calibration)
        spare = SPARE_GENERATED if calibration is None else SPARE_MEASURED
        bounds = {
            name: (
                np.full(self.shapes[name], spare * min(seen[name].lo, 0.0)),
                np.full(self.shapes[name], spare * max(seen[name].hi, 0.0)),
            )
            for name in operands
        } | {name: (values, values) for name, values in self.constants.items()}
        for node in nodes:
            corners = product(*(bounds[name] for name in node.inputs))
            with np.errstate(invalid="ignore"):
                found = np.stack([node.layer.reference([x[None] for x in corner])[0] for corner in corners])
            unknown = np.any(np.isnan(found), axis=0)
            bounds[node.name] = (
                np.where(unknown, -np.inf, found.min(axis=0)),
                np.where(unknown, np.inf, found.max(axis=0)),
            )
        return bounds


def _constants(network: Network) -> dict[str, Floats]:
    """Results that depend on no input."""
    found: dict[str, Floats] = {}
    for node in network.nodes:
        if isinstance(node.layer, Constant) or (node.inputs and all(name in found for name in node.inputs)):
            with np.errstate(all="ignore"):
                found[node.name] = np.asarray(node.layer.reference([found[name][None] for name in node.inputs])[0])
    return found


def _leading_to_softmax(network: Network, constants: Mapping[str, Floats]) -> set[str]:
    """Nodes whose results are seen by softmax layers alone, through layers that keep elements apart."""
    found: set[str] = set()
    for node in reversed(network.nodes):
        readers = network.consumers(node.name)
        if node.name in constants or node.name in network.outputs or not readers or not _is_passed(node, constants):
            continue
        if all(
            (isinstance(reader.layer, Softmax) and not reader.settings.skip)
            or (reader.name in found and reader.inputs.count(node.name) == 1)
            for reader in readers
        ):
            found.add(node.name)
    return found


def _is_passed(node: NetworkNode, constants: Mapping[str, Floats]) -> bool:
    """True if each element of the result is linear in one element of each operand that is not constant."""
    variable = [name for name in node.inputs if name not in constants]
    match node.layer:
        case Add() | Subtract():
            return True
        case Multiply():
            return len(variable) == 1
        case BatchNormalization():
            return node.settings.weights is Weights.ONCHIP
        case Where():
            return node.inputs[0] in constants
        case _:
            return node.layer.traits.moves and len(node.inputs) == 1


def _term(node: NetworkNode, constants: Mapping[str, Floats], shape: Shape) -> Floats | None:
    """Return the constant that the node puts in place of, or adds to, the rest of its result; None without one."""
    known = [constants.get(name) for name in node.inputs]
    match node.layer, known:
        case BatchNormalization() as layer, _:
            moved = [1] * len(shape)
            moved[layer.axis] = -1
            return np.broadcast_to(layer.offset.reshape(moved), shape)
        case Add(), _ if any(values is not None for values in known):
            return np.broadcast_to(sum(values for values in known if values is not None), shape)
        case Subtract(), [None, np.ndarray() as values]:
            return np.broadcast_to(-values, shape)
        case Subtract(), [np.ndarray() as values, None]:
            return np.broadcast_to(values, shape)
        case Where(), [np.ndarray() as condition, np.ndarray() as values, None]:
            return np.broadcast_to(np.where(condition != 0.0, values, 0.0), shape)
        case Where(), [np.ndarray() as condition, None, np.ndarray() as values]:
            return np.broadcast_to(np.where(condition != 0.0, 0.0, values), shape)
    return None


@dataclass(frozen=True, slots=True)
class _Path:
    """Path of a tensor to a softmax: for each element there, the element that it comes from, and the factor of it."""

    places: npt.NDArray[np.int64]
    factor: Floats

    def through(self, node: NetworkNode, name: str, constants: Mapping[str, Floats], shape: Shape) -> _Path:
        """The path with ``node``, which has a result of ``shape`` and reads the tensor as ``name``."""
        if node.layer.traits.moves:
            places, factor = (
                node.layer.reference([np.asarray(values, dtype=np.float64)[None]])[0]
                for values in (self.places, self.factor)
            )
            return _Path(places.astype(np.int64), factor)
        factor = np.broadcast_to(self.factor, shape)
        match node.layer:
            case Subtract() if node.inputs[1] == name:
                factor = -factor
            case Multiply():
                for other in node.inputs:
                    factor = factor if other == name else factor * constants[other]
            case BatchNormalization() as layer:
                moved = [1] * len(shape)
                moved[layer.axis] = -1
                factor = factor * layer.scale.reshape(moved)
            case Where():
                picked = (constants[node.inputs[0]] != 0.0) == (node.inputs[1] == name)
                factor = np.where(picked, factor, 0.0)
        return _Path(np.broadcast_to(self.places, shape), factor)


@dataclass(frozen=True, slots=True)
class _Folding:
    """Masks as they are carried out. ``masked`` are the elements of the softmax layers' operands that count for nothing."""

    search: _Search
    bounds: Mapping[str, tuple[Floats, Floats]]
    masked: Mapping[str, Bools]

    @classmethod
    def of(cls, search: _Search, calibration: Sequence[Floats] | None) -> _Folding:
        bounds = search.bounds(calibration)
        masked = {node.name: _masked(node, layer, *bounds[node.inputs[0]]) for node, layer in search.softmaxes()}
        return cls(search, bounds, masked)

    def folded(self) -> Network:
        """The network with its masks folded."""
        network = self.search.network
        taken = {node.name for node in network.nodes}
        changed: set[str] = set()
        nodes: list[NetworkNode] = []
        for node in network.nodes:
            rewritten = self._rewritten(node, taken) if node.name in self.search.masking else ()
            if isinstance(node.layer, Softmax) and node.name in self.masked:
                nodes.append(replace(node, layer=_with_mask(node.layer, self.masked[node.name])))
            elif rewritten:
                changed.add(node.name)
                nodes += rewritten
            elif node.name in self.search.carrying and changed.intersection(node.inputs):
                changed.add(node.name)
                nodes.append(replace(node, folded=True))
            else:
                nodes.append(node)
        return without_unread(network, network.with_nodes(nodes))

    def _rewritten(self, node: NetworkNode, taken: set[str]) -> Sequence[NetworkNode]:
        """The node with what is left of its constant, and the nodes that it needs for that; none if it stays as it is."""
        shape, constants = self.search.shapes[node.name], self.search.constants
        term = _term(node, constants, shape)
        assert term is not None
        kept, shift = self._kept_and_shift(node, term)
        if not np.any(shift) and not np.any(~kept & (term != 0.0)):
            return ()
        rest = np.where(kept, np.where(kept, term, 0.0) - shift, 0.0)
        low, high = (bound.astype(np.float32) for bound in self.bounds[node.name])
        absorbed = (shift != 0.0) & (low == high) & kept
        result = replace(node, folded=True)
        if bool(np.any(absorbed)) and not isinstance(node.layer, Where):
            result = replace(result, name=free_name(f"{node.name}_sum", taken))
        left = NetworkNode(free_name(f"{node.name}_rest", taken), Constant(as_weights(rest)))
        result = self._with_rest(result, rest, kept, left.name)
        nodes = [left, result] if left.name in result.inputs else [result]
        if result.name != node.name:
            factor = NetworkNode(free_name(f"{node.name}_finite", taken), Constant(as_weights(_compact(~absorbed))))
            nodes += [factor, NetworkNode(node.name, Multiply(), (result.name, factor.name), node.source, folded=True)]
        return nodes

    def _with_rest(self, node: NetworkNode, rest: Floats, kept: Bools, name: str) -> NetworkNode:
        """The node with ``rest``, which is the constant called ``name``, in place of its constants."""
        constants = self.search.constants
        variable = tuple(each for each in node.inputs if each not in constants)
        match node.layer:
            case BatchNormalization() as layer:
                offset = np.moveaxis(rest, layer.axis, 0).reshape(len(layer.offset), -1)[:, 0]
                plain = bool(np.all(layer.scale == 1.0) and np.all(offset == 0.0))
                return replace(node, layer=Identity() if plain else replace(layer, offset=as_weights(offset)))
            case Where() if bool(np.any(kept & ((constants[node.inputs[0]] != 0.0) == (node.inputs[1] in constants)))):
                inputs = (node.inputs[0], *(name if each in constants else each for each in node.inputs[1:]))
                return replace(node, inputs=inputs)
            case Subtract() if node.inputs[0] in constants:
                return replace(node, inputs=(name, *variable))
            case Add() | Subtract() if bool(np.any(rest)):
                return replace(node, layer=Add(), inputs=(*variable, name))
            case Add() if len(variable) > 1:
                return replace(node, inputs=variable)
        alike = self.search.shapes[variable[0]] == rest.shape
        return replace(node, layer=Identity() if alike else Broadcast(rest.shape), inputs=variable)

    def _kept_and_shift(self, node: NetworkNode, term: Floats) -> tuple[Bools, Floats]:
        """The elements that count in some softmax, and what a mask adds to all elements of a row of it."""
        paths = self._paths(node)
        kept: Bools = np.zeros(term.size, dtype=np.bool_)
        shift = np.zeros(term.shape)
        for softmax, _, path in paths:
            kept[path.places[~self.masked[softmax.name]]] = True
        if len(paths) == 1:
            softmax, layer, path = paths[0]
            shift = _shift(term, path, self.masked[softmax.name], layer.axis)
        kept = kept.reshape(term.shape)
        if isinstance(node.layer, BatchNormalization):  # its constant is one number for all that the other axes have
            others = tuple(k for k in range(term.ndim) if k != node.layer.axis % term.ndim)
            kept = np.broadcast_to(kept.any(axis=others, keepdims=True), term.shape)
            shift = shift if bool(np.all(np.ptp(shift, axis=others) == 0.0)) else np.zeros(term.shape)
        return kept, shift

    def _paths(self, node: NetworkNode) -> list[tuple[NetworkNode, Softmax, _Path]]:
        """The softmax layers that the node's result leads to."""
        shape = self.search.shapes[node.name]
        start = _Path(np.arange(math.prod(shape)).reshape(shape), np.ones(shape))
        ends, reached = [], [(node.name, start)]
        while reached:
            name, path = reached.pop()
            for reader in self.search.network.consumers(name):
                if isinstance(reader.layer, Softmax):
                    ends.append((reader, reader.layer, path))
                else:
                    shape = self.search.shapes[reader.name]
                    reached.append((reader.name, path.through(reader, name, self.search.constants, shape)))
        return ends


def _masked(node: NetworkNode, layer: Softmax, low: Floats, high: Floats) -> Bools:
    """The elements of a softmax's operand that count for nothing."""
    left_out = np.broadcast_to(np.asarray(1.0 if layer.mask is None else layer.mask) == 0.0, low.shape)
    if bool(np.any(np.all(left_out | np.isneginf(high), axis=layer.axis))):
        raise UnsupportedError(
            "a softmax of rows in which all elements are -inf, which is NaN",
            where=f"layer {node.name!r}",
            accepted="masks that leave an element of each row",
        )
    floor = np.max(np.where(left_out, -np.inf, low), axis=layer.axis, keepdims=True)
    with np.errstate(invalid="ignore"):  # a comparison with NaN is false
        return np.asarray(left_out | (high - floor <= -FAR))


def _shift(term: Floats, path: _Path, masked: Bools, axis: int) -> Floats:
    """Return the number that a finite mask adds to all elements of a row, by the elements of ``term``; 0 in rows with others."""
    shift = np.zeros(term.size)
    places, factor = path.places, path.factor
    if len(np.unique(places)) == places.size:
        highest = np.max(np.where(masked, -np.inf, term.ravel()[places]), axis=axis, keepdims=True)
        alike = (np.ptp(factor, axis=axis, keepdims=True) == 0.0) & (factor.min(axis=axis, keepdims=True) > 0.0)
        shift[places] = np.where(alike & (highest <= -FAR), highest, 0.0)
    return shift.reshape(term.shape)


def _with_mask(layer: Softmax, masked: Bools) -> Softmax:
    return replace(layer, mask=as_weights(_compact(~masked))) if bool(np.any(masked)) else layer


def _compact(values: Bools) -> Bools:
    """``values`` with a size of 1 along axes along which they are all the same, and without leading axes of that size."""
    for axis in range(values.ndim):
        if bool(np.all(np.all(values, axis=axis) == np.any(values, axis=axis))):
            values = np.all(values, axis=axis, keepdims=True)
    return values.reshape(values.shape[next((k for k, n in enumerate(values.shape[:-1]) if n > 1), values.ndim - 1) :])
