"""Elements that a computed mask picks, ``x[x > 0]``: what is done to each of them is done to all, and chosen where it is written.

No tensor of a circuit has as many elements as hold. ``y[m] = f(x[m])`` is ``where(m, f(x), y)`` for an ``f`` of single elements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.ops import logic, shape
from bitsmith.frontends.torch.call import Call, Item, Picked, Result
from bitsmith.frontends.torch.graph import Node, Ref, TensorSpec, references
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Layer
from bitsmith.layers.logic import Comparison
from bitsmith.layers.norm import BatchNormalization

_WHERE = "of a mask compute with all elements and choose, torch.where(mask, f(x), x)"


def picked(x: Value, mask: Value) -> Picked:
    """The elements of ``x`` where a computed mask of its first axes holds.

    Raises:
        UnsupportedError: another mask.
    """
    if mask.kind is not Kind.BOOL or mask.batch != x.batch or mask.dims != x.dims[: mask.rank]:
        raise UnsupportedError("indices that are computed", accepted="constant indices, or a mask of the first axes")
    return Picked(f"elements that a computed mask picks, beside others or by places; {_WHERE}", x, mask)


def whole(node: Node, values: Mapping[str, Item], draft: Draft) -> tuple[dict[str, Item], Picked | None]:
    """The values of a node with all elements in place of those that one mask picks; and what it picks, None if it does not.

    Axes of what is picked are others than those of all elements, so that no operator along one is taken.
    """
    some = {name: value for name in references(node) if isinstance(value := values[name], Picked)}
    first = next(iter(some.values()), None)
    alone = all(_is_number(values[name]) for name in references(node) if name not in some)
    if first is None or node.name == "index_put" or not alone or any("dim" in key for key in node.arguments):
        return dict(values), None
    if not all(_same(draft, first.mask, value.mask) for value in some.values()):
        return dict(values), None
    return {**values, **{name: value.x for name, value in some.items()}}, first


def of_all(
    result: Result, node: Node, specs: Mapping[str, TensorSpec], layers: Sequence[Layer], of: Picked, *, same: bool
) -> Picked:
    """The elements of a result that the mask of those it is made of picks.

    ``layers`` are what the operator became, none of one that gives the ``same`` elements.

    Raises:
        UnsupportedError: elements that were not computed one by one, or others than the program says.
    """
    sizes = {specs[name].sizes for name in (*references(node), *filter(None, node.results)) if name in specs} - {()}
    if (
        not isinstance(result, Value)
        or (result.shape, result.batch) != (of.x.shape, of.x.batch)
        or len(sizes) != 1
        or not (layers or same)
        or not all(map(_is_of_elements, layers))
    ):
        raise UnsupportedError(of.why or "")
    return replace(of, x=result)


def put(call: Call) -> Value | None:
    """A tensor with picked elements where the mask that picked them holds; None of any other write."""
    listed, values = call.get("indices"), call.get("values")
    new = call.values[values.name] if isinstance(values, Ref) else None
    if not isinstance(new, Picked) or not isinstance(listed, tuple) or len(listed) != 1:
        return None
    x, mask = call.tensor(), call.value(listed[0], "indices")
    if (
        not _same(call.build.draft, mask, new.mask)
        or (x.shape, x.batch) != (new.x.shape, new.x.batch)
        or call.flag("accumulate")
    ):
        return None
    holds = shape.unsqueeze(call.build.within("mask"), mask, range(mask.rank, x.rank))
    return logic.where(call.build, holds, new.x, x)


def _same(draft: Draft, x: Value, y: Value) -> bool:
    """Return True of one mask, or of two that the same comparison makes of the same tensors."""
    if not isinstance(x.node, int) or not isinstance(y.node, int):
        return False
    if x.node == y.node:
        return True
    first, second = draft.nodes[x.node].layer, draft.nodes[y.node].layer
    if not isinstance(first, Comparison) or not isinstance(second, Comparison) or first.relation != second.relation:
        return False
    pairs = zip(draft.operands[x.node], draft.operands[y.node], strict=True)
    return all(_is_equal(*pair) for pair in pairs)


def _is_equal(x: Value, y: Value) -> bool:
    if isinstance(x.node, int) and isinstance(y.node, int):
        return x.node == y.node
    return x.number is not None and x.number == y.number


def _is_number(item: Item) -> bool:
    return isinstance(item, Value) and item.number is not None


def _is_of_elements(layer: Layer) -> bool:
    """Return True of a layer that does the same to all elements, each by itself."""
    if isinstance(layer, BatchNormalization):
        return all(bool(np.all(one == one.flat[0])) for one in (layer.scale, layer.offset))
    return layer.traits.elementwise or (isinstance(layer, Constant) and layer.value.size == 1)
