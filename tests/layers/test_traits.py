"""Traits of every layer class, compared with its ``reference`` and its core ops on random instances."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.einsum import Einsum
from bitsmith.layers.example import Example
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.logic import Where
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resample import Pad, PadMode
from bitsmith.layers.settings import FACTORS
from bitsmith.layers.table import LAYERS
from bitsmith.layers.traits import Elements, Exactness, Scales
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from tests.ir.oracle import States, evaluate
from tests.layers.cases import INDEX, RECURRENT
from tests.layers.lowered import network_of

FORMAT = FixedFormat(True, 5, 2, Rounding.RND, Overflow.SAT)
INSTANCES = 8
"""Of each class, most of them with other parameters than its examples."""

OWN_SCALE = INDEX | RECURRENT | {"Lookup", "TruthTable", "UnitNormalization"}
"""Layers whose results may be within -1 to 1 for another reason: trained numbers, activations, or a norm of many elements."""

POLE = 1e6
"""A magnitude of results near one."""

RISING = (lambda x: x**3 + x, np.exp, np.arctan)
CLASSES = [layer for layer in LAYERS.values() if layer not in (Input, Constant)]
"""All layers that have operands."""


def examples(layer: type[Layer]) -> list[Example]:
    """The examples of a class, of which there must be some."""
    own = [example for example in sys.modules[layer.__module__].EXAMPLES if type(example.layer) is layer]
    assert own, f"{layer.__name__} has no example"
    return own


def varied(value: Any, rng: np.random.Generator) -> Any:
    """Another value for a field: other numbers in an array of the same shape, another member, another number."""
    match value:
        case np.ndarray() if value.dtype.kind in "iub":  # wiring, such as the branches of trees
            return value
        case np.ndarray():
            return as_weights(rng.integers(-8, 9, value.shape) / 4)
        case bool():
            return bool(rng.integers(2))
        case enum.Enum():
            return rng.choice(np.array(list(type(value)), dtype=object))
        case float():
            return float(rng.integers(0, 9) / 4)
        case _:
            return value


def instances(layer: type[Layer]) -> list[tuple[Layer, tuple[Shape, ...]]]:
    """Examples of a class and random instances with the same shapes."""
    rng, drawn = np.random.default_rng(len(layer.__name__)), []
    for number in range(INSTANCES):
        example = examples(layer)[number % len(examples(layer))]
        own, shapes = example.layer, example.shapes
        changed = {field.name: varied(getattr(own, field.name), rng) for field in fields(own) if rng.random() < 0.5}
        other = own if number < len(examples(layer)) or isinstance(own, Lookup) else replace(own, **changed)
        try:
            other.output_shape(shapes)
            operands(other, shapes, rng)
        except (BitsmithError, ValueError, KeyError):
            continue
        drawn.append((other, shapes))
    return drawn


def examples_of(layer: type[Layer]) -> list[tuple[Layer, tuple[Shape, ...]]]:
    """The examples of a class, with their shapes."""
    return [(example.layer, example.shapes) for example in examples(layer)]


def operands(layer: Layer, shapes: Sequence[Shape], rng: np.random.Generator, samples: int = 3) -> list[Floats]:
    """Random batches of few bits for which the layer has a result; positive ones where others have none."""
    for attempt in range(10):
        batch = [rng.integers(FORMAT.lo, FORMAT.hi + 1, (samples, *shape)) / 4 for shape in shapes]
        batch = [np.abs(x) + 0.25 for x in batch] if attempt > 4 else batch
        if bool(np.all(np.isfinite(result(layer, batch)))):
            return batch
    raise ValueError("no result")


def result(layer: Layer, batch: Sequence[Floats]) -> Floats:
    with np.errstate(all="ignore"):
        return np.asarray(layer.reference(batch), dtype=np.float64)


def distinct(shapes: Sequence[Shape], rng: np.random.Generator) -> list[Floats]:
    """A batch for each operand, all of whose values differ."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    values = np.split((rng.permutation(sum(sizes)) - sum(sizes) // 2) * 0.37, np.cumsum(sizes)[:-1])
    return [part.reshape(1, *shape) for part, shape in zip(values, shapes, strict=True)]


def moved(layer: Layer, shapes: Sequence[Shape], rng: np.random.Generator, *, constants: bool) -> bool:
    """Return True if each element of the result is the same one of the operands, or constant, for all values."""
    batches = [distinct(shapes, rng) for _ in range(12)]
    before = np.stack([np.concatenate([part.ravel() for part in batch]) for batch in batches])
    after = np.stack([result(layer, batch).ravel() for batch in batches])
    is_same = (after[:, None, :] == before[:, :, None]).all(axis=0).any(axis=0)
    return bool(np.all(is_same | (constants & (after == after[0]).all(axis=0))))


def commutes(layer: Layer, batch: Sequence[Floats]) -> bool:
    """Return True if rising functions may come first."""
    plain = result(layer, batch)
    return all(np.allclose(result(layer, [g(x) for x in batch]), g(plain), rtol=1e-9, atol=0.0) for g in RISING)


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_elements(layer: type[Layer]) -> None:
    rng, weak = np.random.default_rng(1), {Elements.PADDED: True, Elements.COMPUTED: True}
    for instance, shapes in instances(layer):
        elements, traits, batch = instance.traits.elements, instance.traits, operands(instance, shapes, rng)
        moves = moved(instance, shapes, rng, constants=False) if layer is not Lookup else False
        assert moves or not traits.moves
        assert moved(instance, shapes, rng, constants=True) or not traits.moves_or_pads
        if traits.keeps:
            (places,) = ordinal(shapes)
            order = result(instance, [places]).ravel()
            assert np.array_equal(np.sort(order), places.ravel())
            assert elements is not Elements.VIEW or np.array_equal(order, places.ravel())
        extreme = commutes(instance, batch)
        assert extreme or not traits.picks
        assert not traits.picks or np.all(np.isin(result(instance, batch), np.concatenate([x.ravel() for x in batch])))
        if elements in weak:
            weak[elements] = weak[elements] and (moves or extreme)
        else:
            weak = dict.fromkeys(weak, False)
    assert not all(weak.values()), "the elements are those of operands"


def ordinal(shapes: Sequence[Shape]) -> list[Floats]:
    return [np.arange(np.prod(shape), dtype=np.float64).reshape(1, *shape) for shape in shapes]


def scaled(layer: Layer, batch: Sequence[Floats], factor: float) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.allclose(result(layer, [x * factor for x in batch]), result(layer, batch) * factor, rtol=1e-9))


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_scales(layer: type[Layer]) -> None:
    rng, weak = np.random.default_rng(2), dict[Scales, bool]()
    for instance, shapes in instances(layer):
        batch, scales = operands(instance, shapes, rng), instance.traits.scales
        positive = all(scaled(instance, batch, factor) for factor in (0.5, 3.0, 0.3))
        negative = scaled(instance, batch, -2.0)
        assert positive or scales is Scales.NONE
        assert negative or scales is not Scales.ANY
        too_weak = {Scales.ANY: False, Scales.POSITIVE: negative, Scales.NONE: positive}[scales]
        weak[scales] = weak.get(scales, True) and too_weak
    assert not any(weak.values()), f"more scales may pass than {weak}"


def is_local(layer: Layer, batch: Sequence[Floats]) -> bool:
    """Return True if an element of an operand has an effect on that of the result at its place alone."""
    plain = result(layer, batch)
    for operand, values in enumerate(batch):
        for index in np.ndindex(values.shape):
            other = values.copy()
            other[index] += 1.25
            changed = result(layer, [other if k == operand else x for k, x in enumerate(batch)]) != plain
            changed[index] = False
            if bool(np.any(changed)):
                return False
    return True


def is_alike(layer: Layer, batch: Sequence[Floats], rng: np.random.Generator) -> bool:
    """Return True if elements of the operands that change places take those of the result with them."""
    order = rng.permutation(batch[0].size)
    turned = [x.reshape(1, -1)[:, order].reshape(x.shape) for x in batch]
    return np.array_equal(result(layer, turned).ravel(), result(layer, batch).ravel()[order])


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_functions_of_one_number_say_that_they_are_elementwise(layer: type[Layer]) -> None:
    """Where no field is a tensor, and the operand has more than one element."""
    rng = np.random.default_rng(5)
    for instance, shapes in instances(layer)[:4]:
        plain = all(
            isinstance(getattr(instance, field.name), float | int | str | enum.Enum) for field in fields(instance)
        )
        if len(shapes) == 1 and plain and instance.output_shape(shapes) == shapes[0]:
            batch = operands(instance, shapes, rng, samples=1)
            assert instance.traits.elementwise == (is_local(instance, batch) and is_alike(instance, batch, rng))


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_elementwise_and_affine(layer: type[Layer]) -> None:
    rng = np.random.default_rng(3)
    for instance, shapes in instances(layer):
        traits = instance.traits
        if not traits.elementwise and not traits.affine:
            continue
        shape = instance.output_shape(shapes)
        batch = operands(instance, [shape] * len(shapes), rng, samples=1)
        assert is_local(instance, batch)
        if traits.elementwise:
            assert is_alike(instance, batch, rng)
        for operand, values in enumerate(batch if traits.affine else ()):
            ends = values, values + rng.integers(-8, 9, values.shape) / 2

            def of(x: Floats, instance: Layer = instance, batch: Any = batch, operand: int = operand) -> Floats:
                return result(instance, [x if k == operand else other for k, other in enumerate(batch)])

            for share in (0.25, -1.5, 3.0):
                between = of(ends[0] * (1 - share) + ends[1] * share)
                np.testing.assert_allclose(between, of(ends[0]) * (1 - share) + of(ends[1]) * share, atol=1e-9)


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_sign(layer: type[Layer]) -> None:
    rng = np.random.default_rng(6)
    for instance, shapes in instances(layer):
        if len(shapes) < 2 or {*shapes} != {instance.output_shape(shapes)}:
            assert instance.traits.sign is None
            continue
        first, *others = operands(instance, shapes, rng)
        joined = result(instance, [first, *others])
        signs = [sign for sign in (1, -1) if np.array_equal(first + sign * sum(others), joined)]
        assert [instance.traits.sign] == (signs or [None])


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_products(layer: type[Layer]) -> None:
    """The result of one that says so is linear in each operand and in the trained factor, but for a bias; of others not."""
    rng = np.random.default_rng(9)
    for instance, shapes in instances(layer):
        trained = instance.weights()
        factor = next((variable for variable in trained if variable in FACTORS), None)
        if len(shapes) + (factor is not None) < 2:
            assert not instance.traits.multiplies
            continue
        plain = instance.with_weights({name: np.zeros_like(x) for name, x in trained.items() if name != factor})
        values = [*operands(plain, shapes, rng), *([] if factor is None else [trained[factor]])]

        def of(*values: Floats, plain: Layer = plain, shapes: Any = shapes, factor: str | None = factor) -> Floats:
            own = plain if factor is None else plain.with_weights({factor: values[-1]})
            return result(own, values[: len(shapes)])

        def is_linear(number: int, values: list[Floats] = values, of: Any = of) -> bool:
            more = rng.integers(-8, 9, values[number].shape) / 4
            others = [*values[:number], more, *values[number + 1 :]]
            both = [*values[:number], values[number] * 3.0 + more, *values[number + 1 :]]
            return np.allclose(of(*values) * 3.0 + of(*others), of(*both), atol=1e-9)

        with np.errstate(all="ignore"):
            linear = [is_linear(number) for number in range(len(values))]
        assert instance.traits.multiplies == all(linear), linear


def test_bits() -> None:
    rng = np.random.default_rng(7)
    told = [given for layer in CLASSES for given in instances(layer) if given[0].traits.bits]
    for layer, shapes in told:
        assert np.all(np.isin(result(layer, operands(layer, shapes, rng)), (0.0, 1.0)))
    assert told


def test_indices() -> None:
    rng = np.random.default_rng(9)
    told = [given for layer in CLASSES for given in instances(layer) if given[0].traits.indices is not None]
    for layer, shapes in told:
        indices = layer.traits.indices
        assert indices is not None
        numbers = [rng.uniform(indices.start - 3.0, indices.stop + 3.0, x.shape) for x in operands(layer, shapes, rng)]
        nearest = [np.clip(np.trunc(x), indices.start, indices.stop - 1) for x in numbers]
        np.testing.assert_array_equal(result(layer, numbers), result(layer, nearest))
    assert told


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_bounded(layer: type[Layer]) -> None:
    """Results of one that says so are within -1 to 1 everywhere; those of others leave that for some operands."""
    rng = np.random.default_rng(8)
    for instance, shapes in examples_of(layer):
        batch = operands(instance, shapes, rng)
        results = [result(instance, [x * factor for x in batch]) for factor in (0.1, 1.0, 30.0, 1e4)]
        beyond = any(bool(np.any(np.abs(values) > 1.0 + 1e-12)) for values in results)
        assert not (instance.bounded and beyond)
        assert instance.bounded or beyond or layer.__name__ in OWN_SCALE


def largest_jump(layer: Layer, batch: Sequence[Floats], operand: int, other: Floats) -> float:
    """The change of the result that is left where it changes most between two values of an operand, by bisection.

    0.0: there is a pole.
    """

    def of(values: Floats) -> Floats:
        return result(layer, [values if k == operand else x for k, x in enumerate(batch)])

    low, high = batch[operand], other
    for _ in range(45):
        middle = (low + high) / 2
        before, after = (float(np.abs(of(end) - of(middle)).max()) for end in (low, high))
        low, high = (low, middle) if before >= after else (middle, high)
    return float(np.abs(of(low) - of(high)).max()) if np.abs(of(low)).max() < POLE else 0.0


@pytest.mark.parametrize("layer", [each for each in CLASSES if each.__name__ not in INDEX], ids=lambda x: x.__name__)
def test_jumps(layer: type[Layer]) -> None:
    """The result jumps with the first operand that is a number where the layer says so, and else only by steps of a grid."""
    rng, operand = np.random.default_rng(9), 1 if layer is Where else 0
    for instance, shapes in examples_of(layer):
        if instance.traits.exactness is Exactness.GRID and not instance.jumps:
            continue
        pairs = [(operands(instance, shapes, rng, 1), operands(instance, shapes, rng, 1)[operand]) for _ in range(6)]
        assert instance.jumps == any(largest_jump(instance, batch, operand, other) > 1e-3 for batch, other in pairs)


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_over_steps(layer: type[Layer]) -> None:
    rng = np.random.default_rng(5)
    for instance, shapes in instances(layer):
        stepped = instance.over_steps(3, shapes)
        if stepped is not None:
            batch = operands(instance, shapes, rng, samples=6)
            wanted = result(instance, batch)
            steps = [x.reshape(2, 3, *x.shape[1:]) for x in batch]
            np.testing.assert_array_equal(result(stepped, steps), wanted.reshape(2, 3, *wanted.shape[1:]))


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_trained_tensors(layer: type[Layer]) -> None:
    """They have a precision, and others take their places."""
    for instance, _ in instances(layer):
        tensors = {variable: values * 2.0 - 1.0 for variable, values in instance.weights().items()}
        assert tensors.keys() <= {*instance.variables()}
        other = instance.with_weights(tensors)
        assert type(other) is type(instance)
        assert other.weights().keys() == tensors.keys()
        assert all(other.weights()[variable] is values for variable, values in tensors.items())


def computed(layer: Layer, batch: Sequence[Floats], *, whole: bool) -> tuple[Floats, int]:
    """What core ops compute, with all of the result if it is ``whole``, and the fractional bits of the result."""
    formats = {k: replace(FORMAT, signed=bool(x.min() < 0)) for k, x in enumerate(batch)}
    network = network_of(layer, [x.shape[1:] for x in batch], formats=formats)
    held = {name: Quantizer.holding(values) for name, values in layer.weights().items()}
    *inputs, node = network.nodes
    network = network.with_nodes([*inputs, replace(node, whole=whole, quantizers=held)])
    program = lower(network, calibrate(network, None))
    raws = [np.ldexp(x, FORMAT.frac).astype(np.int64).astype(object) for x in batch]
    (output,) = program.outputs
    frac = program.nodes[output.node].type.frac
    states: States = {}
    results = [evaluate(program, [raw[k] for raw in raws], states)[0] for k in range(len(batch[0]))]
    return np.stack([np.ldexp(np.asarray(raw, dtype=np.float64), -frac) for raw in results]), int(frac.max())


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_exactness(layer: type[Layer]) -> None:
    rng, errors = np.random.default_rng(4), dict[Exactness, float]()
    for instance, shapes in instances(layer)[:5]:
        exactness, batch = instance.traits.exactness, operands(instance, shapes, rng)
        if exactness is Exactness.APPROXIMATE and errors.get(exactness, 0.0) > 0.0:
            continue
        wanted, (exact, _) = result(instance, batch), computed(instance, batch, whole=True)
        error = float(np.max(np.abs(exact - wanted)))
        errors[exactness] = max(errors.get(exactness, 0.0), error)
        if exactness in (Exactness.EXACT, Exactness.GRID):
            assert error <= 1e-12 * max(1.0, float(np.abs(wanted).max()))
        if exactness is Exactness.QUOTIENT:
            rounded, frac = computed(instance, batch, whole=False)
            np.testing.assert_array_equal(np.floor(np.ldexp(exact, frac) + 0.5), np.ldexp(rounded, frac))
            np.testing.assert_array_equal(np.floor(np.ldexp(wanted, frac) + 0.5), np.ldexp(rounded, frac))
        if exactness is Exactness.GRID:
            codes = result(instance, [rng.normal(size=(4000, *shape)) * 3.0 for shape in shapes])
            assert max(len(np.unique(channel)) for channel in codes.reshape(len(codes), -1).T) <= 256
    assert errors.get(Exactness.APPROXIMATE, 1.0) > 1e-12, "it is exact"


@pytest.mark.parametrize(
    "layer", [*CLASSES, *map(Activation, FUNCTIONS)], ids=lambda layer: getattr(layer, "function", None)
)
def test_functions_have_their_least_and_greatest_value_at_a_turn_or_an_end(layer: type[Layer] | Activation) -> None:
    rng = np.random.default_rng(0)
    ends = np.sort(rng.normal(scale=3.0, size=(2, 200)), axis=0)
    for one in [layer] if isinstance(layer, Layer) else [one for one, _ in instances(layer)]:
        if one.turns is not None:
            inside = one.reference([np.linspace(*ends, 101)])
            known = one.reference([np.stack([ends[0], *(np.clip(turn, *ends) for turn in one.turns), ends[1]])])
            assert np.all(inside.min(axis=0) >= known.min(axis=0) - 1e-9)
            assert np.all(inside.max(axis=0) <= known.max(axis=0) + 1e-9)


def _single(value: float) -> float:
    return float(np.float32(value))


@pytest.mark.parametrize(
    "layer",
    [
        ReLU(negative_slope=_single(0.3)),
        ReLU(max_value=_single(1.9), negative_slope=_single(0.01), threshold=_single(-0.7)),
        HardActivation(_single(1 / 6), 0.5, 0.0, 1.0),
        HardActivation(_single(0.3), _single(0.1), _single(-0.7), None),
        Einsum("i->i", _single(0.3)),
        Pad(((0, 1),), PadMode.CONSTANT, _single(0.3)),
    ],
    ids=repr,
)
def test_numbers_of_exact_layers_are_those_of_single_precision(layer: Layer) -> None:
    """In which frameworks compute: a quantizer after them has the codes that it has there."""
    grid, fine = (Quantizer.fixed(1, 7, frac, Rounding.RND, Overflow.SAT) for frac in (8, 20))
    nodes = (
        NetworkNode("x", Input((4,))),
        NetworkNode("codes", Quantize(grid), ("x",)),
        NetworkNode("y", layer, ("codes",)),
        NetworkNode("fine", Quantize(fine), ("y",)),
    )
    network = Network(nodes, ("x",), ("fine",))
    x = np.random.default_rng(0).integers(-(2**13), 2**13, (500, 4)) / 256
    (found,) = Emulator(compile_network(network).program).run([x])
    np.testing.assert_array_equal(found, network.evaluate([x])["fine"])
