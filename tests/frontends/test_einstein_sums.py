"""Einstein sums of ONNX of many tensors and of diagonals, against onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from onnx_models import assert_agrees, graph, node, weights

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.layer import Floats

N = "batch"


@pytest.mark.parametrize(
    ("equation", "shape", "constants", "pairs"),
    [
        ("bii->bi", (4, 4), (), 0),
        ("b...ii->b...i", (2, 3, 3), (), 0),
        ("bii", (4, 4), (), 0),
        ("ij,bii->bj", (4, 4), ((4, 5),), 0),
        ("biii->bi", (2, 2, 2), (), 0),
        ("jk,bi,ij->bk", (4,), ((5, 3), (4, 5)), 1),
        ("bi,ij,jk,kl->bl", (2,), ((2, 3), (3, 4), (4, 2)), 2),
        ("b...i,i,ij->b...j", (3, 2), ((2,), (2, 4)), 1),
    ],
)
def test_einstein_sums_of_many_tensors_and_of_diagonals(
    equation: str, shape: tuple[int, ...], constants: Sequence[tuple[int, ...]], pairs: int
) -> None:
    held: dict[str, Floats] = {}
    names: list[str] = []
    for term in equation.partition("->")[0].split(","):
        names.append("x" if "b" in term else f"k{len(held)}")
        if names[-1] != "x":
            held[names[-1]] = weights(*constants[len(held)], seed=len(held))
    network = assert_agrees(
        graph([node("Einsum", " ".join(names), "y", equation=equation)], {"x": [N, *shape]}, "y", held)
    )
    assert len([one for one in network.nodes if "pair" in one.name]) == pairs


def test_a_diagonal_of_unequal_axes_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="a diagonal of 4 rows and 5 columns"):
        read_onnx(graph([node("Einsum", "x", "y", equation="bii->bi")], {"x": [N, 4, 5]}, "y"))
