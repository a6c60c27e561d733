"""ONNX's reductions over axes."""

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.ops.reduction import EXTREMES, REDUCERS, SUMS, extreme_index, greatest


def _reduction(name: str, since: int = 18) -> Translation:
    """``since`` is the operator set in which the axes became an operand."""
    reducer = REDUCERS[name]

    def read(call: Call) -> Value:
        x, attributes = call.tensor(0), call.attributes
        dims = call.listed("axes", 1, since) or ()
        keepdims, nothing = attributes.flag("keepdims", True), attributes.flag("noop_with_empty_axes", False)
        if not dims and nothing:
            return reducer.of_no_axis(call.build, x)
        exact = EXTREMES + SUMS * (x.kind.is_integer and reducer.after is None)
        if x.kind is not Kind.REAL and reducer.reduction not in exact:
            raise UnsupportedError(
                f"{call.node.operator} of type {x.kind.value}, which wraps around or is rounded",
                accepted="floating point",
                remedy="cast to floating point first",
            )
        return reducer.of(call.build, x, dims, keepdims)

    return Translation(read, reducer.becomes)


def _index(*, least: bool) -> Translation:
    def read(call: Call) -> Value:
        axis, keepdims = call.attributes.integer("axis", 0), call.attributes.flag("keepdims", True)
        last = call.attributes.flag("select_last_index", False)
        return extreme_index(call.build, call.tensor(0), (axis,), keepdims, least=least, last=last)

    return Translation(read, "ArgMax")


def _top(call: Call) -> tuple[Value, Value]:
    """The greatest or the least elements and their places; runtimes take the first of equal ones, too."""
    attributes = call.attributes
    attributes.ignore("sorted")
    count = call.number(1, "k") if call.opset >= 10 else attributes.integer("k")
    axis, least = attributes.integer("axis", -1), not attributes.flag("largest", True)
    return greatest(call.build, call.tensor(0), (axis,), int(count), least=least)


_NAMES = {
    **{name: name.lower() for name in ("Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp")},
    "SumSquare": "sum_square",
    "LogSum": "log_sum",
}

REDUCTIONS: Operators = {
    "ReduceSum": _reduction("sum", 13),
    **{f"Reduce{name}": _reduction(meaning) for name, meaning in _NAMES.items()},
    "ArgMax": _index(least=False),
    "ArgMin": _index(least=True),
    "TopK": Translation(_top, "Reduce and ArgMax, and Comparison and Where for more than one"),
}
