"""Operators that no table has, and that torch itself defines by others which are known."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.frontends.torch_samples import Of, assert_same, randomised, save_pt2
from tests.properties import judged
from torch import Tensor, nn
from torch.nn import functional

import bitsmith
from bitsmith.errors import ApproximationWarning, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch


class Stepped(nn.Module):
    """A cell in a loop of the user's."""

    def __init__(self, cell: nn.LSTMCell | nn.GRUCell | nn.RNNCell) -> None:
        super().__init__()
        self.cell, self.last = cell, nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        state: Tensor | tuple[Tensor, Tensor] = x.new_zeros(len(x), 3)
        if isinstance(self.cell, nn.LSTMCell):
            state = (x.new_zeros(len(x), 3),) * 2
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.last(state[0] if isinstance(state, tuple) else state)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_in_a_loop(cell: type[nn.LSTMCell]) -> None:
    assert_same(randomised(Stepped(cell(2, 3))), (3, 2))


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: functional.fold(x.reshape(-1, 4, 3), (2, 4), (2, 2)), 1),
        (lambda x, y: torch.hstack([x, y]), 2),
        (lambda x: torch.tensordot(x, torch.arange(8.0).reshape(4, 2), dims=1), 1),
        (lambda x, y: torch.linalg.vecdot(x, y), 2),
        (lambda x: torch.argsort(x, dim=1, descending=True), 1),
        (lambda x: torch.take_along_dim(x, torch.tensor([[[0], [2]]]), 1), 1),
    ],
)
def test_operators_that_torch_defines_by_others(function: Callable[..., object], count: int) -> None:
    assert_same(Of(function), *[(3, 4)] * count)


@pytest.mark.parametrize("padding", [judged("zeros"), judged("border"), judged("reflection")])
def test_samples_of_a_constant_grid(padding: str) -> None:
    grid = torch.linspace(-1.3, 1.2, 18).reshape(1, 3, 3, 2)

    def sampled(x: Tensor) -> tuple[Tensor, ...]:
        everywhere = grid.expand(x.shape[0], -1, -1, -1)
        options = {"padding_mode": padding, "align_corners": padding == "border"}
        return tuple(functional.grid_sample(x, everywhere, mode=mode, **options) for mode in ("bilinear", "nearest"))

    assert_same(Of(sampled), (2, 4, 5))


def test_messages_along_constant_edges_are_added() -> None:
    """A layer of a graph network: edges are buffers."""
    source, target = torch.tensor([[0, 1, 2, 3, 0, 4], [1, 2, 0, 4, 3, 1]])

    def passed(x: Tensor) -> Tensor:
        message = torch.relu(torch.cat([x[:, source], x[:, target]], -1))
        return torch.zeros(len(x), 5, 6).index_add(1, target, message)

    assert_same(Of(passed), (5, 3))


def test_sorting_and_logarithms_of_sums() -> None:
    assert_same(Of(lambda x, y: (*x.sort(1), *y.sort(-1, descending=True), torch.logaddexp(3 * x, y))), (3, 4), (3, 4))


def test_medians_and_ranks() -> None:
    assert_same(Of(lambda x: (*x.median(1), *x.median(-1, keepdim=True), *x.kthvalue(2, 1), *x.nanmedian(-1))), (3, 4))


def test_quantiles() -> None:
    assert_same(
        Of(lambda x: (x.quantile(0.3, dim=1), torch.quantile(x, 0.8, -1, True, interpolation="nearest"))), (3, 4)
    )


def test_one_number_with_an_offset_is_tested_below_it() -> None:
    """Few samples of few numbers would all lie above it."""
    with pytest.raises(UnsupportedError, match="results of Power that are NaN or infinity"):
        read_torch(Of(lambda x: torch.nan_to_num((x + 500.0).sqrt())), ReadOptions(input_shape=(1,)))


@pytest.mark.parametrize(
    ("guarded", "kind"),
    [
        (lambda x: torch.where(torch.isnan(x.log()), -3.0, x.log()), "Logarithm"),
        (lambda x: torch.where(torch.isfinite(x.sqrt()), x, -3.0), "Power"),
        (lambda x: torch.where(torch.isinf(1.0 / x), -3.0, x), "Power"),
        (lambda x: torch.where((y := x.log() * 2.0) != y, -3.0, y), "Logarithm"),
        (lambda x: torch.nan_to_num(x / x.sum(1, keepdim=True)), "Divide"),
        (lambda x: torch.nan_to_num(x // x.round()), "WholeQuotient"),
        (lambda x: x.log().nanmedian(1).values, "Logarithm"),
    ],
    ids=["isnan", "isfinite", "isinf", "itself", "nan_to_num", "floor", "nanmedian"],
)
def test_tests_for_what_may_be_no_number_are_refused(guarded: Callable[[Tensor], Tensor], kind: str) -> None:
    """torch takes the other number where an input is below 0; here a logarithm of any number is a number."""
    with pytest.raises(UnsupportedError, match=f"results of {kind} that are NaN or infinity"):
        read_torch(Of(guarded), ReadOptions(input_shape=(4,)))


def test_numbers_are_told_from_none() -> None:
    """A variance is a number whatever the inputs, and the guard of exported attention is of probabilities."""

    def guarded(x: Tensor) -> Tensor:
        x = torch.cat([x, torch.ones(len(x), 1)], 1)  # a constant, for each sample
        y = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-3).sqrt()
        y = torch.where(torch.isnan(y.softmax(1)), 0.0, y)
        return torch.nan_to_num(torch.where(torch.isfinite(y), y, -3.0)) + (y == y)

    assert_same(Of(guarded), (4,))


@pytest.mark.parametrize(
    "operand",
    [
        lambda x: (x.abs() + 0.5).log(),
        judged(lambda x: 1.0 / (x * x + 0.5)),
        judged(lambda x: x / (x.pow(2).sum(1, keepdim=True) + 0.5).sqrt()),
        judged(lambda x: (x.clamp(0.25, 5.0)).log2() + (functional.softplus(x) + 1.0).log1p()),
        judged(
            lambda x: (
                ((x + torch.tensor([0.0, 0.0, -math.inf, 0.0])).softmax(1) + 0.25).log()
                + 1.0 / (1.0 + x.std(1)[:, None])
            )
        ),
        judged(
            lambda x: x.cos() / (torch.exp(-x.abs()).mean(1, keepdim=True) + x.logsumexp(1, keepdim=True).relu() + 0.5)
        ),
    ],
    ids=["abs", "square", "norm", "clamp", "shares", "functions"],
)
def test_operands_that_are_proved_to_stay_in_the_domain(operand: Callable[[Tensor], Tensor]) -> None:
    guarded = Of(lambda x: torch.where(torch.isfinite(operand(x)), operand(x), -3.0))
    assert not read_torch(guarded, ReadOptions(input_shape=(4,))).notes
    assert_same(guarded, (4,))


def test_what_only_samples_say_is_said() -> None:
    """No sample is as large as 10**6, as inputs may be."""
    guarded = Of(lambda x: torch.where(torch.isnan((x + 1e6).log()), -3.0, x))
    model = bitsmith.convert(guarded, input_shape=(4,), config={"Model": {"Precision": "fixed<32,24>"}}, check=False)
    x = np.array([[1.0, -2e6, 0.0, 2.0]], dtype=np.float32)
    with pytest.warns(
        ApproximationWarning, match=r"NaN or infinity, which Logarithm in .*log may give for rare inputs"
    ):
        found = model.predict(x)
    wanted = guarded(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found == wanted, [[True, False, True, True]])


def test_medians_over_samples_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="mix samples"):
        read_torch(Of(lambda x: x + x.median()), ReadOptions(input_shape=(4,)))


def test_spreads_with_means() -> None:
    assert_same(Of(lambda x: (*torch.var_mean(x, (1, 2)), *torch.std_mean(x, -1, correction=0, keepdim=True))), (3, 4))


def test_operators_are_named_as_the_user_wrote_them_where_some_stay_unknown() -> None:
    with pytest.raises(UnsupportedError, match=r"fft_rfft \(fft_rfft\): Fourier transforms"):
        read_torch(Of(lambda x: torch.fft.rfft(x).abs()), ReadOptions(input_shape=(4,)))


def test_what_torch_computes_of_weights_alone() -> None:
    """A learned image that is resized or convolved, standardized weights."""
    image, kernel = torch.linspace(-1.0, 1.0, 32).reshape(1, 2, 4, 4), torch.linspace(-1.0, 1.0, 36).reshape(2, 2, 3, 3)

    def resized(x: Tensor) -> Tensor:
        return x + functional.interpolate(image, size=(5, 5), mode="bicubic", antialias=True)

    def standardized(x: Tensor) -> Tensor:
        rows = functional.batch_norm(kernel.reshape(1, 2, -1), None, None, training=True)
        return functional.conv2d(x, rows.reshape(kernel.shape))

    assert_same(Of(resized), (2, 5, 5))
    assert_same(Of(standardized), (2, 5, 5))
    assert_same(Of(lambda x: x * functional.conv2d(image, kernel)), (2, 2, 2))


def test_casts_of_weights_that_no_integer_holds_are_refused_still() -> None:
    def added(x: Tensor) -> Tensor:
        return x + torch.fft.rfft(torch.full((6,), 1e20)).abs().to(torch.int64)

    with pytest.raises(UnsupportedError, match="Fourier"):
        read_torch(Of(added), ReadOptions(input_shape=(4,)))


def test_graphs_within_graphs() -> None:
    """``torch.vmap``, as masks of transformers have it, and operators without autocast."""

    def masked(x: Tensor) -> Tensor:
        steps = torch.arange(4)
        later = torch.vmap(torch.vmap(lambda row, column: row < column, (None, 0)), (0, None))(steps, steps)
        return x.masked_fill(later, -1.0)

    def precise(x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return functional.relu(x) @ torch.ones(4, 2)

    assert_same(Of(masked), (4, 4))
    assert_same(Of(precise), (3, 4))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.adaptive_avg_pool2d(x, (2, 3)),
        lambda x: functional.pad(x, (1, 2, 0, 1), mode="reflect"),
        lambda x: functional.pad(x, (1, -1, 2, 1), mode="replicate"),
        lambda x: functional.pad(x[:, :, :, 0], (1, 2), mode="reflect"),
        lambda x: functional.pad(x[:, None], (1, 2, 1, 0, 0, 1), mode="replicate"),
        lambda x: functional.adaptive_avg_pool3d(x[:, None], (1, 2, 3)),
        lambda x: torch.cdist(x, x + 1.0),
    ],
)
def test_programs_of_core_operators(function: Callable[..., Tensor]) -> None:
    """``run_decompositions`` leaves operators of torch's core alone, which have names of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.export.export(Of(function), (torch.zeros(11, 2, 4, 6),)).run_decompositions()
    assert_same(Of(function), (2, 4, 6), network=read_torch(program))


@pytest.mark.slow
@pytest.mark.ci
def test_files_with_operators_that_torch_defines_by_others_lead_to_the_live_program(tmp_path: Path) -> None:
    folded = nn.Fold((2, 4), (2, 2))
    with pytest.raises(UnsupportedError, match=r"(?s)col2im.*torch\.export\.load"):
        read_torch(save_pt2(folded, tmp_path / "model.pt2", (4, 3)))
    assert_same(folded, (4, 3), network=read_torch(torch.export.load(tmp_path / "model.pt2")))
