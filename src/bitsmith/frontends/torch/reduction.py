"""PyTorch's reductions."""

import math

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.ops.reduction import (
    REDUCERS,
    cosine,
    difference,
    distance,
    extreme_index,
    greatest,
    norm,
    running_sum,
)
from bitsmith.frontends.ops.selection import concatenate, part
from bitsmith.frontends.ops.shape import squeeze, unsqueeze
from bitsmith.frontends.torch.arithmetic import ARITHMETIC, as_result
from bitsmith.frontends.torch.call import Call, Operators, Result, Translation


def _given(call: Call, suffix: str = "") -> tuple[Builder, Value, tuple[int, ...], bool]:
    return call.build.within(suffix), call.tensor(), call.integers("dim"), call.flag("keepdim")


def _reduction(name: str) -> Translation:
    """A reduction, before which torch changes the type of the elements to that of the result."""

    def read(call: Call) -> Result:
        build, x, dims, keepdims = _given(call)
        x = as_result(call, x) if REDUCERS[name].before is None else x
        truths = {"sum": "any", "prod": "all"} if call.kind_of_result() is Kind.BOOL else {}
        return REDUCERS[truths.get(name, name)].of(build, x, dims, keepdims)

    return Translation(read, REDUCERS[name].becomes)


def _index(*, least: bool) -> Translation:
    return Translation(lambda call: extreme_index(*_given(call), least=least), "ArgMax")


def _extreme(name: str, *, least: bool) -> Translation:
    """The greatest or least elements; along one axis with their indices; of two tensors element by element."""

    def read(call: Call) -> Result:
        if call.node.overload == "other":
            return ARITHMETIC[f"{name}imum"].read(call)
        found = REDUCERS[name].of(*_given(call))
        return (found, extreme_index(*_given(call, "indices"), least=least)) if call.node.overload == "dim" else found

    return Translation(read, "Reduce and ArgMax")


def _spread(name: str) -> Translation:
    """A variance or deviation, perhaps with the mean; torch divides by one less than the number of elements by default."""

    def read(call: Call) -> Result:
        correction = call.number("correction", 1.0) if call.flag("unbiased", True) else 0.0
        reduced = REDUCERS[name].of(*_given(call, "biased" if correction else ""))
        count = math.prod(call.tensor().shape) // max(math.prod(reduced.shape), 1)
        if not count > correction:
            raise UnsupportedError(f"the variance of {count} elements with the correction {correction:g}")
        factor = count / (count - correction)
        factor = math.sqrt(factor) if name == "std" else factor
        found = call.build.affine(reduced, constant(factor), ZERO) if correction else reduced
        return (found, REDUCERS["mean"].of(*_given(call, "mean"))) if call.node.name.endswith("_mean") else found

    return Translation(read, "Reduce, and BatchNormalization for the correction")


def _norm(call: Call) -> Result:
    order = call.number("ord" if call.node.name.startswith("linalg") else "p", 2.0)
    of_matrix = call.node.name == "linalg_norm" and call.given("ord") and len(call.integers("dim")) > 1
    return norm(*_given(call), order, of_matrix=of_matrix)


def _difference(call: Call) -> Result:
    if call.integer("n", 1) != 1:
        raise UnsupportedError(f"differences of order {call.integer('n')}", accepted="1", remedy="call it repeatedly")
    dim, ends = call.integers("dim") if call.given("dim") else (-1,), ("prepend", "append")
    first, last = ([call.tensor(name)] if call.given(name) else [] for name in ends)
    x = concatenate(call.build.within("joined"), [*first, call.tensor(), *last], *dim)
    return difference(call.build, x, dim)


def _distance(call: Call) -> Result:
    order, offset = call.number("p", 2.0), call.number("eps", 1e-6)
    return distance(call.build, call.tensor("x1"), call.tensor("x2"), (-1,), call.flag("keepdim"), order, offset)


def _distances(call: Call) -> Result:
    """The distance of each row of one operand from each of the other."""
    call.ignore("compute_mode")  # that is, whether by a matrix product
    x, y = (call.tensor("x1"), call.tensor("x2"))
    x = unsqueeze(call.build.within("rows"), x, [x.rank - 1])
    y = unsqueeze(call.build.within("columns"), y, [y.rank - 2])
    return distance(call.build, x, y, (-1,), False, call.number("p", 2.0), 0.0)


def _cosine(call: Call) -> Result:
    return cosine(call.build, call.tensor("x1"), call.tensor("x2"), (call.integer("dim", 1),), call.number("eps", 1e-8))


def _top(call: Call) -> Result:
    call.ignore("sorted", "stable")  # without these any order, or that of equal ones, is right
    least = not (call.flag("largest", True) if call.given("k") else call.flag("descending", False))
    count = call.integer("k") if call.given("k") else None
    return greatest(call.build, call.tensor(), (call.integer("dim", -1),), count, least=least)


def _ranked(call: Call) -> Result:
    """The ``k``-th least elements along an axis, or the middle, of two the lower one; with their indices."""
    build, x, dims, keepdim = _given(call)
    dims = dims or ((-1,) if call.given("k") else tuple(range(x.rank)))
    rank = call.integer("k") if call.given("k") else -(-math.prod(x.shape[x.axis(dim)] for dim in dims) // 2)
    found = greatest(build.within("sorted"), x, dims, rank, least=True)
    kept = [part(build, one, {dim: range(rank - 1, rank) for dim in dims}) for one in found]
    return tuple(one if keepdim else squeeze(build, one, dims) for one in kept)


def _ranked_numbers(call: Call) -> Result:
    """The middle of the numbers: all are some."""
    call.number_always()
    return _ranked(call)


_RANKED = "Reduce and ArgMax, Comparison and Where, and Slice"
_NORM = Translation(_norm, "Reduce, after Absolute for other orders than 2")

REDUCTIONS: Operators = {
    **{name: _reduction(name).ignoring("dtype") for name in ("sum", "mean", "prod")},
    **{name: _reduction(name) for name in ("logsumexp", "any", "all", "count_nonzero")},
    "amax": _reduction("max"),
    "amin": _reduction("min"),
    "max": _extreme("max", least=False),
    "min": _extreme("min", least=True),
    "argmax": _index(least=False),
    "argmin": _index(least=True),
    **dict.fromkeys(
        ("topk", "sort"), Translation(_top, "Reduce and ArgMax, and Comparison and Where for more than one")
    ),
    **dict.fromkeys(("var", "var_mean"), _spread("var")),
    **dict.fromkeys(("std", "std_mean"), _spread("std")),
    **dict.fromkeys(("median", "kthvalue"), Translation(_ranked, _RANKED)),
    "nanmedian": Translation(_ranked_numbers, _RANKED),
    **dict.fromkeys(("norm", "linalg_norm", "linalg_vector_norm"), _NORM.ignoring("dtype")),
    "diff": Translation(_difference, "Slice and Subtract"),
    **dict.fromkeys(("cdist", "_cdist_forward"), Translation(_distances, "Subtract and Reduce")),
    "pairwise_distance": Translation(_distance, "Subtract and Reduce"),
    "cosine_similarity": Translation(_cosine, "Reduce, Divide and Multiply"),
    "cumsum": Translation(
        lambda call: running_sum(call.build, as_result(call, call.tensor()), call.integers("dim")), "CumulativeSum"
    ).ignoring("dtype"),
}
