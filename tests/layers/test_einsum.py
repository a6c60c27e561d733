"""Products in Einstein's notation, with weights and of two variables; masked softmax, which attention needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.einsum import Einsum, EinsumDense, parse_equation
from bitsmith.layers.layer import as_weights
from bitsmith.layers.settings import Settings, SoftmaxImplementation
from bitsmith.layers.softmax import Softmax
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

KINDS = st.sampled_from(["batch", "contracted", "left", "right", "summed left", "summed right"])


@st.composite
def products(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """An equation of two operands with labels of all kinds in any order, and shapes for it."""
    kinds = dict(zip("abcdef", draw(st.lists(KINDS, min_size=2, max_size=5)), strict=False))
    sizes = {label: draw(st.integers(1, 3)) for label in kinds}

    def term(*wanted: str) -> str:
        return "".join(draw(st.permutations([label for label, kind in kinds.items() if kind in wanted])))

    left, right = (
        term("batch", "contracted", "left", "summed left"),
        term("batch", "contracted", "right", "summed right"),
    )
    result = term("batch", "left", "right")
    shapes = (tuple(sizes[label] for label in left), tuple(sizes[label] for label in right))
    return f"{left},{right}->{result}", *shapes


@settings(max_examples=40)
@given(products(), st.sampled_from([1.0, 0.25, 0.57735]), st.integers(0, 99))
def test_two_variables(product: tuple[str, tuple[int, ...], tuple[int, ...]], scale: float, seed: int) -> None:
    equation, *shapes = product
    if not all(shapes) or equation.endswith(">"):
        return
    network = network_of(Einsum(equation, scale), shapes, formats={0: FixedFormat(True, 6, 3)})
    outcome = run(network, seed, samples=3)
    bound = outcome.step / 2 + np.max(np.abs(outcome.real)) * 2.0**-15
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= bound
    assert_exact(network, 3, seed)


@settings(max_examples=40)
@given(products(), st.booleans(), st.integers(0, 99))
def test_with_weights(product: tuple[str, tuple[int, ...], tuple[int, ...]], biased: bool, seed: int) -> None:
    equation, shape, kernel = product
    operands, result = equation.split("->")
    if not shape or not result or set(operands.split(",")[1]) - set(operands.split(",")[0] + result):
        return
    rng = np.random.default_rng(seed)
    weights = as_weights(rng.integers(-7, 8, kernel) / 8)
    sizes = dict(zip(operands.replace(",", ""), shape + kernel, strict=True))
    bias = as_weights(rng.integers(-7, 8, sizes[result[-1]]) / 4) if biased else None
    network = network_of(EinsumDense(equation, weights, bias), [shape], formats={0: FixedFormat(True, 6, 3)})
    outcome = run(network, seed, samples=3)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, 3, seed)


def test_dense_weights_become_one_product_and_groups_one_each() -> None:
    ops = [type(node.op).__name__ for node in _program("abc,cd->abd", (2, 3, 4), (4, 5)).nodes]
    assert ops.count("Linear") == 1
    assert "Transpose" not in ops
    ops = [type(node.op).__name__ for node in _program("ahc,hcd->ahd", (2, 3, 4), (3, 4, 5)).nodes]
    assert ops.count("Linear") == 3
    ops = [type(node.op).__name__ for node in _program("ah,h->ah", (2, 3), (3,)).nodes]
    assert ops.count("Linear") == 0


def _program(equation: str, shape: tuple[int, ...], kernel: tuple[int, ...]):  # type: ignore[no-untyped-def]
    return run(network_of(EinsumDense(equation, as_weights(np.full(kernel, 0.75))), [shape]), samples=2).program


@pytest.mark.parametrize("equation,shape", [("abc->bca", (2, 3, 4)), ("abc->b", (2, 3, 4)), ("ab->ba", (2, 3))])
def test_one_operand(equation: str, shape: tuple[int, ...]) -> None:
    network = network_of(Einsum(equation), [shape])
    outcome = run(network)
    np.testing.assert_allclose(outcome.fixed, outcome.real, atol=outcome.step / 2)
    assert_exact(network, 3)


@pytest.mark.parametrize(
    "text,ranks,wanted",
    [
        ("ab,bc->ac", [2, 2], "ab,bc->ac"),
        (" a b , b c ", [2, 2], "ab,bc->ac"),
        ("...x,xy->...y", [3, 2], "ABx,xy->ABy"),
        ("x...,xy->y...", [3, 2], "xAB,xy->yAB"),
        ("...a,...b", [2, 3], "Ba,ABb->ABab"),
        ("...,a->...a", [0, 1], ",a->a"),
    ],
)
def test_equations(text: str, ranks: list[int], wanted: str) -> None:
    assert str(parse_equation(text, ranks)) == wanted


@pytest.mark.parametrize(
    "text,ranks",
    [
        ("aab,bc->ac", [3, 2]),
        ("ab,bc->ad", [2, 2]),
        ("ab,bc->aa", [2, 2]),
        ("ab->ab", [2, 2]),
        ("ab,bc->ac", [2, 3]),
        ("a......b,bc->ac", [4, 2]),
        ("...ab,bc->...ac", [1, 2]),
        ("a1,bc->ac", [2, 2]),
        ("ab,bc->a->c", [2, 2]),
        ("...a->...a", [80]),
    ],
)
def test_equations_that_are_refused(text: str, ranks: list[int]) -> None:
    with pytest.raises(UnsupportedError):
        parse_equation(text, ranks)


@pytest.mark.parametrize(
    "layer,shapes",
    [
        (Einsum("ab,bc->ac"), [(2, 3), (4, 5)]),
        (Einsum("ab,bc->ac"), [(2, 3)]),
        (Einsum("a,b,c->abc"), [(2,), (3,), (4,)]),
        (Einsum("ab->"), [(2, 3)]),
        (EinsumDense("ab,bc->ac", as_weights(np.ones((4, 5)))), [(2, 3)]),
        (EinsumDense("ab,bcd->ac", as_weights(np.ones((3, 5, 2)))), [(2, 3)]),
        (EinsumDense("ab,bc->ac", as_weights(np.ones((3, 5))), as_weights(np.ones(4))), [(2, 3)]),
    ],
    ids=str,
)
def test_operands_that_do_not_fit_are_refused(layer: Einsum | EinsumDense, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, shapes).shapes()


def test_given_precisions_are_honoured() -> None:
    fmt = FixedFormat(True, 14, 4)
    outcome = run(network_of(Einsum("ab,bc->ac"), [(2, 3), (3, 2)], Settings({"result": fmt})))
    assert outcome.step == 2.0**-4
    assert np.max(np.abs(outcome.fixed - outcome.real)) < outcome.step


@settings(max_examples=8)
@given(st.sampled_from(list(SoftmaxImplementation)), st.integers(0, 99), st.sampled_from([-1, 0]))
def test_masked_softmax(implementation: SoftmaxImplementation, seed: int, axis: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 2, (3, 4))
    np.fill_diagonal(mask, 1)
    mask[0, 3] = 1
    network = network_of(
        Softmax(axis, as_weights(mask)),
        [(2, 3, 4)] if axis else [(3, 4)],
        Settings(implementation=implementation),
        {0: FixedFormat(True, 8, 5)},
    )
    outcome = run(network, seed)
    assert not outcome.fixed[:, np.broadcast_to(mask == 0, outcome.fixed.shape[1:])].any()
    if implementation is SoftmaxImplementation.ARGMAX:
        np.testing.assert_array_equal(outcome.fixed.sum(axis=axis or 1), 1.0)
    else:
        assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-13
    assert_exact(network, 3, seed)


def test_a_mask_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="leaves some row no element"):
        network_of(Softmax(-1, as_weights([[1.0, 0.0], [0.0, 0.0]])), [(2, 2)]).shapes()
    with pytest.raises(UnsupportedError, match="a mask of shape"):
        network_of(Softmax(-1, as_weights(np.ones((3, 2)))), [(1, 2)]).shapes()


def _instances():  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(5)
    small = {0: FixedFormat(True, 6, 3), 1: FixedFormat(True, 5, 2)}
    return {
        "scores": network_of(Einsum("ihc,jhc->hij", 0.7), [(3, 2, 2), (2, 2, 2)], formats=small),
        "outer": network_of(Einsum("ab,ac->abc"), [(2, 2), (2, 3)], formats=small),
        "grouped": network_of(
            EinsumDense("ahc,hcd->hda", as_weights(rng.normal(size=(2, 3, 2)))), [(2, 2, 3)], formats=small
        ),
        "masked": network_of(Softmax(-1, as_weights(np.tri(3))), [(2, 3, 3)], formats=small),
    }


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_instances(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scores", "grouped", "masked"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_instances()[name], tmp_path)
