"""Folds batch normalization into the dense layer or the convolution before it, or else into the dense layer after it.

Before: ``dense -> batch normalization``. After: ``dense`` with scaled weights ``-> identity`` under the normalization's name,
which keeps the normalization's result precision; axes of size 1 may come and go in between. Only where the first layer's own
result is not observable: it has no other consumer, is not an output, and its result and accumulator precision are auto, as are
the normalization's weights. A kernel that has few bits (of a network trained for them) stays as it is: scaled, it would need
many.

Before: ``batch normalization -> dense``, as where inputs are scaled first. After: ``identity -> dense``, with scaled rows. Only
where the normalization's result is not observable, and the precision of the dense layer's own weights is auto as well.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from bitsmith.layers.auto import exact_frac
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Shape, Weighted, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.settings import SUMS, Settings, Weights
from bitsmith.layers.shape import Identity
from bitsmith.layers.traits import Elements


def fold_batchnorm(network: Network) -> Network:
    """``network`` with foldable batch normalizations folded."""
    return _folded_forward(_folded_back(network))


def kept_apart(network: Network, folded: Network) -> tuple[tuple[str, str], ...]:
    """Normalizations that the user's formats alone keep from being folded into the layer before, and that layer.

    ``folded`` is what :func:`fold_batchnorm` makes of ``network``.
    """
    left = [node for node in folded.nodes if isinstance(node.layer, BatchNormalization)]
    if not any(node.settings.precision for node in network.nodes) or not left:
        return ()
    free = [replace(node, settings=replace(node.settings, precision={})) for node in network.nodes]
    would = {node.name: node for node in _folded_back(network.with_nodes(free)).nodes}
    return tuple(
        (node.name, _folded_into(would, node.name)) for node in left if isinstance(would[node.name].layer, Identity)
    )


def _folded_into(nodes: Mapping[str, NetworkNode], name: str) -> str:
    """The layer with weights before the node ``name``."""
    node = nodes[nodes[name].inputs[0]]
    while not isinstance(node.layer, Weighted):
        node = nodes[node.inputs[0]]
    return node.name


def _folded_back(network: Network) -> Network:
    """With those folded that follow a layer with weights."""
    nodes = {node.name: node for node in network.nodes}
    shapes = network.shapes()
    for node in network.nodes:
        if not isinstance(node.layer, BatchNormalization) or {"scale", "bias"} & set(node.settings.precision):
            continue
        before = nodes[node.inputs[0]]
        between = []
        while before.layer.traits.elements is Elements.VIEW and _is_unseen(network, before, {"result"}):
            between.append(before.name)
            before = nodes[before.inputs[0]]
        if not isinstance(before.layer, Weighted) or _is_exact(before.layer, before.settings):
            continue
        if before.quantizers or node.quantizers:
            continue  # the model has decided what they are
        if before.settings.weights is not Weights.ONCHIP:
            continue  # what is loaded are the layer's own weights
        last_axis = _is_last(node.layer.axis, shapes[node.name], shapes[before.name])
        if last_axis and _is_unseen(network, before, SUMS):
            settings = replace(before.settings, bits=replace(before.settings.bits, result=node.settings.bits.result))
            layer = before.layer.rescaled(node.layer.scale, node.layer.offset)
            nodes[before.name] = replace(before, layer=layer, settings=settings, folded=True)
            nodes[node.name] = replace(node, layer=Identity())
            nodes.update({name: replace(nodes[name], folded=True) for name in between})
    return network.with_nodes([nodes[node.name] for node in network.nodes])


def _folded_forward(network: Network) -> Network:
    """With those folded that a dense layer follows; of several in a row the last one first."""
    nodes = {node.name: node for node in network.nodes}
    shapes = network.shapes()
    for node in reversed(network.nodes):
        layer = nodes[node.name].layer
        if not isinstance(layer, BatchNormalization) or not _is_unseen(network, node, {"scale", "bias", *SUMS}):
            continue
        after, between = nodes[network.consumers(node.name)[0].name], [node.name]
        while after.layer.traits.elements is Elements.VIEW and _is_unseen(network, after, {"result"}):
            between.append(after.name)
            after = nodes[network.consumers(after.name)[0].name]
        if (
            isinstance(after.layer, Dense)
            and after.settings.weights is Weights.ONCHIP
            and not {"weight", "bias"} & set(after.settings.precision)
            and not _is_exact(after.layer, after.settings)
            and not after.quantizers
            and not node.quantizers
            and _is_last(layer.axis, shapes[node.name], shapes[between[-1]])
        ):
            nodes[after.name] = replace(after, layer=_with_scaled_rows(after.layer, layer))
            nodes[node.name] = replace(node, layer=Identity())
            nodes.update({name: replace(nodes[name], folded=True) for name in between})
    return network.with_nodes([nodes[node.name] for node in network.nodes])


def _is_last(axis: int, shape: Shape, before: Shape) -> bool:
    """True if ``axis`` of a tensor is the last axis of ``before``, whose axes it has except for some of size 1."""
    axis %= len(shape)
    if shape == before and axis == len(shape) - 1:
        return True
    alike = [n for n in shape if n > 1] == [n for n in before if n > 1]
    return alike and shape[axis] == before[-1] > 1 and all(n == 1 for n in shape[axis + 1 :])


def _is_unseen(network: Network, node: NetworkNode, variables: AbstractSet[str]) -> bool:
    """True if one node alone reads this node's result, and none of ``variables`` rounds it."""
    return (
        len(network.consumers(node.name)) == 1
        and node.name not in network.outputs
        and not variables & set(node.settings.precision)
        and not node.settings.trace
    )


def _is_exact(weighted: Weighted, settings: Settings) -> bool:
    """True if auto takes the kernel as it is."""
    return exact_frac(weighted.kernel, settings.bits.weight) is not None


def _with_scaled_rows(dense: Dense, normalization: BatchNormalization) -> Dense:
    scale, bias = normalization.scale, normalization.offset @ dense.kernel
    return Dense(
        as_weights(dense.kernel * scale[:, None]),
        as_weights(bias if dense.bias is None else bias + dense.bias),
        as_weights(scale if dense.row_scale is None else scale * dense.row_scale),
    )
