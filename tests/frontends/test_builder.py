"""Names, sources and order of what readers emit, and what is said of all that is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.grids import integers
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.refusals import Refusal, Refusals
from bitsmith.frontends.builder.value import Batch, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.ops.logic import clipping
from bitsmith.frontends.ops.recurrent import given_states
from bitsmith.frontends.ops.selection import repeat
from bitsmith.frontends.ops.spatial import kernel_of
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network


def _emitted(draft: Draft) -> tuple[Value, Value]:
    """An input ``x``, and ``abs(x * weight + weight)`` of an operator ``scaled``; what ``unused`` emits no one reads."""
    x = Builder(draft, draft.begin("x", "Input"), "model").input((1, 3), Batch(0), Kind.REAL)
    build = Builder(draft, draft.begin("scaled", "Scaling"), "model")
    weight = constant(np.array([1.0, 2.0, 3.0]), "x")
    product = build.emit(Multiply(), x, weight, suffix="product")
    Builder(draft, draft.begin("unused"), "model").emit(Absolute(), product)
    return x, build.emit(Absolute(), build.within("sum").emit(Add(), product, weight))


def _network(draft: Draft, x: Value, y: Value) -> Network:
    names = UniqueNames()
    for origin in draft.origins:
        names.take(origin.name)
    ends = [value.node for value in (x, y) if isinstance(value.node, int)]
    return draft.network(draft.named(draft.needed(ends), names), ends[:1], ends[1:])


def test_nodes_have_their_operators_names_and_only_those_that_are_needed_stay() -> None:
    draft = Draft()
    network = _network(draft, *_emitted(draft))
    assert [(node.name, node.source) for node in network.nodes] == [
        ("x", "Input"),
        ("x_1", "Constant"),
        ("scaled_product", "Multiply"),
        ("scaled_sum", "Add"),
        ("scaled", "Scaling"),
    ]
    assert network.node("scaled_sum").inputs == ("scaled_product", "x_1")
    assert (network.inputs, network.outputs) == (("x",), ("scaled",))


def test_a_value_that_is_passed_on_gets_a_name_of_its_own() -> None:
    draft = Draft()
    x, y = _emitted(draft)
    build = Builder(draft, draft.begin("same"), "model")
    assert build.named(y, len(draft.nodes)) is not y
    assert build.named(y, 0) is y
    assert _network(draft, x, build.named(y, len(draft.nodes))).outputs == ("same",)


def test_constants_are_computed_at_once() -> None:
    build = Builder(Draft(), 0, "model")
    total = build.emit(Add(), constant(np.array([1.0])), constant(np.array([2.0])))
    assert total.number == 3.0 and not build.draft.nodes


@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_a_constant_is_the_same_at_each_step(shape: tuple[int, ...]) -> None:
    values = constant(np.random.default_rng(0).normal(size=shape))
    found = Builder(Draft(), 0, "model", steps=3).at_each_step(values)
    np.testing.assert_array_equal(found.elements, np.stack([values.elements] * 3))
    assert Builder(Draft(), 0, "model").at_each_step(values) is values


def _weights(build: Builder) -> None:
    x = Builder(build.draft, build.draft.begin("x"), "model").input((1, 3), Batch(0), Kind.REAL)
    build.emit(Dense(as_weights(np.ones((3, 4))), as_weights(np.ones(4))), x)


def _operand(build: Builder) -> None:
    x = Builder(build.draft, build.draft.begin("x"), "model").input((1, 3), Batch(0), Kind.REAL)
    product = build.emit(Multiply(), x, weight := constant(np.ones(3)))
    build.emit(Add(), product, weight)  # which is there once


def _computed(build: Builder) -> None:
    build.emit(Add(), constant(np.ones((4, 1))), constant(np.ones(5)))


@pytest.mark.parametrize(("emit", "elements"), [(_weights, 17), (_operand, 4), (_computed, 20)])
def test_elements_of_all_constants_are_limited(
    monkeypatch: pytest.MonkeyPatch, emit: Callable[[Builder], None], elements: int
) -> None:
    """Lists of numbers that layers have among them, such as the one size of an input."""
    monkeypatch.setattr("bitsmith.frontends.builder.draft.MAX_WEIGHTS", elements)
    emit(Builder(accepted := Draft(), accepted.begin("fc"), "model"))
    monkeypatch.setattr("bitsmith.frontends.builder.draft.MAX_WEIGHTS", elements - 1)
    with pytest.raises(ModelFileError, match=f"constants of {elements} elements in all"):
        emit(Builder(refused := Draft(), refused.begin("fc"), "model"))


@pytest.mark.parametrize("values", [[], [0.5], [1.0, np.inf], [-3.0, 0.0, 5.0], [7.0]])
def test_numbers_that_are_integers_have_the_grid_of_their_range(values: list[float]) -> None:
    grid = integers(np.array(values))
    if not values or any(value != round(value, 0) or np.isinf(value) for value in values):
        assert grid is None
    else:
        assert grid is not None and (grid.scale, grid.lo, grid.hi) == (1, min(values), max(values))


def test_an_input_of_scalars_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="an input of scalars"):
        Builder(Draft(), 0, "model").input((1,), Batch(0), Kind.REAL)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.is_integer])
def test_inputs_of_few_integers_hold_all_of_their_type_and_others_its_usual_part(kind: Kind) -> None:
    draft, limits = Draft(), np.iinfo(kind.value)
    x = Builder(draft, draft.begin("x", "Input"), "model").input((1, 3), Batch(0), kind)
    (layer,) = (node.layer for node in _network(draft, x, x).nodes)
    assert isinstance(layer, Input) and layer.integer
    assert layer.limits == (limits.min, limits.max) and layer.holds_limits == (limits.bits <= 16)
    fmt, usual = layer.default_format(16), (max(limits.min, -(2**15)), 2**15 - 1)
    assert (fmt.lo, fmt.hi) == (layer.limits if layer.holds_limits else usual)


@pytest.mark.parametrize(("known", "accepted"), [(False, "Dense, "), (True, "")])
def test_classes_like_one_that_is_not_known_are_named(known: bool, accepted: str) -> None:
    """Those that are known are refused for something else, which another class would not mend."""
    refusals = Refusals()
    refusals.add(Refusal("fc", "Dens", "is not known", "", class_known=known))
    refusals.add(Refusal("conv", "Conv2D", "has a stride", "", class_known=True))
    found = refusals.error("model", ["Conv2D", *(f"Class{k}" for k in range(40)), "Dense"]).accepted
    assert found.startswith(accepted) and bool(found) is not known


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_kernels_of_convolutions(groups: int, transposed: bool) -> None:
    for size in ((2,), (2, 3), (3, 1, 2)):
        weights = np.random.default_rng(0).normal(size=(4, 6, *size))
        kernel = kernel_of(weights, groups, transposed=transposed)
        assert kernel.shape == (*size, *((4 // groups, 6 * groups) if transposed else (6, 4)))
        for k, own in enumerate(np.split(weights, groups) if transposed else [weights]):
            part = kernel[..., 6 * k : 6 * k + 6] if transposed else kernel
            np.testing.assert_array_equal(part, np.moveaxis(own, (0, 1), (-2, -1) if transposed else (-1, -2)))


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((4, 2), 1),
        ((4, 2, 1, 1, 1, 1), 1),
        ((0, 2, 3), 1),
        ((4, 0, 3), 1),
        ((4, 2, 0), 1),
        ((4, 2, 3), 0),
        ((4, 2, 3), -1),
        ((4, 2, 3), 3),
    ],
)
def test_kernels_of_no_convolution(shape: tuple[int, ...], groups: int) -> None:
    with pytest.raises(UnsupportedError, match=f"in {groups} groups"):
        kernel_of(np.ones(shape), groups, transposed=False)


@pytest.mark.parametrize("axis", range(3))
def test_repeated_elements_fit_whatever_the_axis(axis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Draft()
    x = Builder(draft, draft.begin("x", "Input"), "model").input((1, 2, 3, 4), Batch(0), Kind.REAL)
    build = Builder(draft, draft.begin("y"), "model")
    monkeypatch.setattr("bitsmith.frontends.builder.value.MAX_ELEMENTS", 48)
    shape = tuple(size * (1 + (k == axis)) for k, size in enumerate((2, 3, 4)))
    assert repeat(build, x, axis + 1, [2]).shape == shape
    assert repeat(build, x, axis + 1, [0] * (x.shape[axis] - 1) + [2]).shape[axis] == 2
    for counts in ([3], [2] * (x.shape[axis] - 1) + [3], [1, 1, 1, 1, 1], [-1]):
        with pytest.raises(UnsupportedError):
            repeat(build, x, axis + 1, counts)


def test_refusals_of_one_reason_share_a_line() -> None:
    refusals = Refusals()
    for name in ("one", "two", "one"):
        with refusals.collected(name, "Layer"):
            raise UnsupportedError("something", accepted="another thing")
    assert len(refusals.found) == 2
    assert "one, two (Layer): something; accepted: another thing" in str(refusals.error("model", "all"))


@given(st.integers(1, 60))
def test_more_refusals_than_are_shown_are_counted(number: int) -> None:
    refusals = Refusals()
    for k in range(number):
        refusals.add(Refusal(f"layer{k}", "Layer", f"has reason {k}", "", class_known=True))
    first, *lines = refusals.error("model", ()).found.split("\n    ")
    assert first == f"{number} layer{'s' if number > 1 else ''} cannot be translated"
    shown = [line for line in lines if line.startswith("layer")]
    assert shown == [f"layer{k} (Layer): has reason {k}" for k in range(len(shown))]
    assert lines[len(shown) :] == ([f"and {number - len(shown)} more"] if len(shown) < number else [])
    assert len(shown) == number or len(shown) >= 10


_ENDS = (-math.inf, -3.5e38, -2.0, -0.5, 0.0, 0.75, 3.0, 3.5e38, math.inf)


@pytest.mark.parametrize("high", _ENDS)
@pytest.mark.parametrize("low", _ENDS)
def test_clipping_is_to_the_greater_bound_first(low: float, high: float) -> None:
    """Of bounds that cross, the upper one is the result; what single precision does not reach is no bound."""
    x = np.array([-1e30, -2.5, -1.0, 0.0, 0.25, 1.0, 5.0, 1e30])
    if low == math.inf or high < -1e38:
        with pytest.raises(UnsupportedError, match="clipping to"):
            clipping(low, high)
        return
    np.testing.assert_array_equal(clipping(low, high).reference([x]), np.minimum(np.maximum(x, low), high))


@pytest.mark.parametrize("bounds", [(math.nan, 1.0), (0.0, math.nan)])
def test_clipping_to_what_is_no_number(bounds: tuple[float, float]) -> None:
    with pytest.raises(UnsupportedError, match="clipping to"):
        clipping(*bounds)


@pytest.mark.parametrize("samples", [None, 1, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_states_that_are_constants_are_those_of_each_sample(count: int, samples: int | None) -> None:
    """ONNX has the samples along the second axis: one, or as many as the model is for."""
    build = Builder(Draft(), 0, "model", samples)
    values = np.random.default_rng(0).normal(size=(count, 1, 4))
    for size in {1, samples or 1}:
        (state,) = given_states(build, [constant(np.repeat(values, size, 1))], Batch(1), count, [4])
        assert (state.batch, state.shape) == (Batch(1), (count, 4))
        assert state.constant is not None
        np.testing.assert_array_equal(np.reshape(state.constant, (count, 4)), values[:, 0])
    for wrong in (values[..., :3], np.repeat(values, 2, 1) * [[[1.0], [2.0]]], np.repeat(values, 2, 0)):
        with pytest.raises(UnsupportedError, match="initial states of axes"):
            given_states(build, [constant(wrong)], Batch(1), count, [4])
    assert given_states(build, [constant(values * 0.0)] * 2, Batch(1), count, [4, 4]) == ()
    assert len(given_states(build, [constant(values * 0.0), constant(values)], Batch(1), count, [4, 4])) == 2


@pytest.mark.parametrize(
    ("rows", "inner", "shape"),
    [
        (2, 1, (3,)),
        (1, 1, None),
        (3, 1, None),
        (4, 1, None),
        (4, 2, (1, 3)),
        (8, 4, (1, 3)),
        (2, 2, (1, 3)),
        (5, 2, None),
    ],
)
def test_a_constant_as_often_as_there_are_samples_is_that_of_each(
    rows: int, inner: int, shape: tuple[int, ...] | None
) -> None:
    """Of two samples; where a sample has several places of the axis, a constant has a row for any number of them."""
    build = Builder(Draft(), 0, "model", samples=2)
    value = constant(np.tile([1.0, 2.0, 3.0], (rows, 1)))
    found = build.per_sample(value, Batch(0, 1, inner))
    if shape is None:
        assert found is value
    else:
        assert found.shape == shape and found.batch == (Batch(0) if inner == 1 else None)
    unequal = constant(np.arange(3.0 * rows).reshape(rows, 3))
    assert rows == 1 or build.per_sample(unequal, Batch(0, 1, inner)) is unequal


@pytest.mark.parametrize("own", [Batch(0), Batch(0, inner=5)])
def test_constants_that_are_alike_for_all_samples_fit_merged_axes(own: Batch) -> None:
    """Of the axes of the model, the first has then one element, which broadcasts."""
    elements = np.arange(12.0).reshape(3, 4)
    alike = elements if own.merged == 1 else np.broadcast_to(elements, (5, 3, 4))
    x = Value(0, (5, 3, 4), Batch(0, outer=5))
    build = Builder(Draft(), 0, "model")
    _, found = build.aligned(x, replace(constant(alike), batch=own))
    assert found.batch is None and found.shape == (1, 3, 4)
    np.testing.assert_array_equal(found.elements, elements[None])
    if own.merged > 1:
        with pytest.raises(MixedSamplesError, match="differs between samples"):
            build.aligned(x, replace(constant(np.arange(60.0).reshape(5, 3, 4)), batch=own))


@pytest.mark.parametrize(("row", "given"), [([0.0, 0.0], 0), ([0.0, 0.5], 2), ([0.5, 0.5], 2)])
def test_initial_states_are_left_out_where_all_are_zeros(row: list[float], given: int) -> None:
    build = Builder(Draft(), 0, "model")
    states = [constant(np.zeros((1, 1, 2))), constant(np.array([[row]]))]
    found = given_states(build, states, Batch(1), 1, [2, 2])
    assert len(found) == given
    assert not given or found[1].elements.ravel().tolist() == row
