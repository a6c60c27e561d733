"""The module of folded products: tokens under random stalls against products of numpy, cycles against `product_latency`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.timing import product_latency
from bitsmith.ir.types import Ints, objects
from tests.properties import JUDGED
from tests.rtl.stream_bench import (
    FRAMES,
    Bench,
    Unit,
    bits_for,
    instance,
    lookup,
    numbers,
    packed,
    ports,
    predicted,
    process,
    sets,
)


class Fold(NamedTuple):
    """Sizes of a fold, and the formats of its numbers."""

    lanes: int
    n: int
    m: int
    x_width: int
    signed: bool
    w_width: int
    steps: int
    groups: int


def check_fold(
    folder: Path, fold: Fold, parameters: Mapping[str, int], frames: int, latency: int, sources: tuple[Path, ...] = ()
) -> None:
    """Results in the widths that any numbers need, and the cycles of so many ``frames``."""
    lanes, n, m, x_width, signed, w_width, steps, groups = fold
    y_width = x_width + w_width + (n * steps).bit_length()
    weights = numbers((groups, steps, n, m), w_width, seed=1)
    unit = fold_unit(lanes, weights, x_width, signed, w_width, y_width, parameters, sources)
    bench = Bench(folder, unit)
    values = numbers((2 * frames, groups, steps, lanes, n), x_width, signed)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, lanes * m), y_width)
    tokens = packed(values.reshape(-1, lanes * n), x_width)
    bench.check([tokens], expected)
    count = 2 * groups * steps
    process_ = process(kinds.FoldedProduct(weights, 0), [((count,), lanes * n)], ((2 * groups,), lanes * m))
    assert bench.cycles([tokens], len(expected)) == predicted(process_, unit, frames, latency=latency)


@pytest.mark.parametrize(
    ("fold",),
    sets(
        (Fold(2, 3, 2, 6, True, 5, 2, 3),),
        (Fold(1, 9, 1, 3, False, 8, 5, 2),),
        (Fold(1, 1, 1, 4, True, 3, 1, 1),),
        (Fold(1, 2, 3, 5, False, 4, 3, 1),),
        (Fold(1, 8, 4, 8, True, 6, 4, 2),),
        (Fold(3, 5, 1, 1, False, 1, 1, 4),),
        fast=True,
    ),
)
def test_folded_product(tmp_path: Path, fold: Fold) -> None:
    check_fold(tmp_path, fold, {}, FRAMES, product_latency(fold.n))


@pytest.mark.parametrize(
    ("fold", "pairs"),
    sets(
        (Fold(2, 3, 3, 4, True, 5, 2, 2), "COLUMN_PAIRS"),
        (Fold(3, 5, 2, 3, True, 2, 1, 2), "LANE_PAIRS"),
        (Fold(1, 4, 2, 1, False, 4, 3, 1), "COLUMN_PAIRS"),
        (Fold(4, 2, 1, 1, True, 1, 2, 1), "LANE_PAIRS"),
        (Fold(2, 1, 3, 6, False, 3, 1, 3), "LANE_PAIRS"),
        (Fold(1, 1, 4, 8, True, 8, 3, 2), "COLUMN_PAIRS"),
        (Fold(2, 7, 5, 5, False, 6, 2, 1), "COLUMN_PAIRS"),
    ),
)
def test_fold_of_pairs(tmp_path: Path, fold: Fold, pairs: str) -> None:
    """Multipliers that make two products, in the widths that any numbers need: results and cycles are the same."""
    check_fold(tmp_path, fold, {pairs: 1}, 3 * FRAMES, product_latency(fold.n))


@pytest.mark.parametrize(
    ("fold", "pairs", "chain", "cells"),
    sets(
        (Fold(1, 5, 3, 4, True, 5, 2, 2), "COLUMN_PAIRS", 3, 1),
        (Fold(2, 8, 1, 6, True, 4, 3, 1), None, 4, 0),
        (Fold(1, 7, 2, 5, False, 4, 1, 2), None, 2, 0),
        (Fold(3, 4, 2, 3, False, 4, 2, 1), "LANE_PAIRS", 4, 0),
        (Fold(3, 4, 2, 3, False, 4, 2, 1), "LANE_PAIRS", 4, 1),
        (Fold(1, 9, 3, 3, True, 3, 2, 2), None, 4, 0),
        (Fold(1, 8, 1, 18, True, 27, 2, 1), None, 4, 1),
    ),
)
def test_fold_of_chains(tmp_path: Path, fold: Fold, pairs: str | None, chain: int, cells: int) -> None:
    """Multipliers that add up their products one after another: as many cycles later as a chain is long."""
    parameters = {"CHAIN": chain, "CELLS": cells} | ({pairs: 1} if pairs else {})
    sources = (Path(__file__).with_name("dsp48e2.v"),) if cells else ()
    check_fold(tmp_path, fold, parameters, 3 * FRAMES, product_latency(fold.n, chain), sources)


@pytest.mark.parametrize("pairs", [pytest.param(0, marks=JUDGED), pytest.param(1, marks=pytest.mark.slow)])
def test_fold_wraps_at_the_width_of_its_results(tmp_path: Path, pairs: int) -> None:
    """Sums of which only the low bits are asked for, narrower than the products."""
    weights = numbers((1, 3, 4, 2), 6, seed=1)
    bench = Bench(tmp_path, fold_unit(1, weights, 8, True, 6, 7, {"COLUMN_PAIRS": pairs}))
    values = numbers((FRAMES, 1, 3, 1, 4), 8)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, 2), 7)
    bench.check([packed(values.reshape(-1, 4), 8)], expected)


def fold_unit(
    lanes: int,
    weights: Ints,
    x_width: int,
    signed: bool,
    w_width: int,
    y_width: int,
    more: Mapping[str, int],
    sources: tuple[Path, ...] = (),
) -> Unit:
    """A fold with its ROM; ``more`` are parameters of its multipliers."""
    groups, steps, n, m = weights.shape
    parameters = {"LANES": lanes, "N": n, "M": m, "X_WIDTH": x_width, "X_SIGNED": int(signed), "W_WIDTH": w_width}
    parameters |= {"Y_WIDTH": y_width, "STEPS": steps, "GROUPS": groups, **more}
    tiles = packed(weights.reshape(groups * steps, n * m), w_width)
    body = f"logic [{bits_for(len(tiles)) - 1}:0] at;\n" + lookup("tile", n * m * w_width, "at", tiles, True)
    body += instance("bitsmith_folded_product", parameters, {**ports(), "rom_address": "at", "rom_data": "tile"})
    return Unit("folded_product", (lanes * n * x_width,), lanes * m * y_width, body, out_depth=4, sources=sources)
