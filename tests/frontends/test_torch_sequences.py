"""Projected LSTMs, bags of rows, and several greatest elements, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.properties import few
from torch import Tensor, nn

import bitsmith
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model


class _Projected(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        units = int(rng.integers(2, 6))
        options = {
            "bidirectional": bool(rng.integers(2)),
            "bias": bool(rng.integers(2)),
            "num_layers": int(rng.integers(1, 3)),
        }
        self.lstm = nn.LSTM(3, units, proj_size=int(rng.integers(1, units)), batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        y, (hidden, cell) = self.lstm(x)
        return torch.cat([y.flatten(1), hidden[-1], cell[0]], 1)


class _Begun(_Projected):
    """The same from initial states, which are inputs of the model."""

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:  # type: ignore[override]
        y, (hidden, cell) = self.lstm(x, (hidden, cell))
        return torch.cat([y.flatten(1), hidden[-1], cell[0]], 1)

    def inputs(self, rng: np.random.Generator) -> list[Any]:
        cells = self.lstm.num_layers * (1 + self.lstm.bidirectional)
        shapes = [(40, 4, 3), (cells, 40, self.lstm.proj_size), (cells, 40, self.lstm.hidden_size)]
        return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


class _Bags(nn.Module):
    def __init__(self, mode: str, **options: Any) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(7, 4, mode=mode, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x.long())


class _Top(nn.Module):
    def __init__(self, count: int, dim: int, *, largest: bool) -> None:
        super().__init__()
        self.options: dict[str, Any] = {"k": count, "dim": dim, "largest": largest}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values, places = x.topk(**self.options)
        return values * 2.0, places


_SAMPLES = torch.export.Dim("samples", min=4)


def _agrees(module: nn.Module, x: Any) -> None:
    circuit = bitsmith.convert(module.eval(), calibration=x, input_shape=x.shape[1:], strict=True, check=True)
    found, wanted = circuit.predict(x), module(torch.from_numpy(x))
    pairs = zip(found, wanted, strict=True) if isinstance(found, list) else [(found, wanted)]
    for one, other in pairs:
        right = other.detach().numpy()
        np.testing.assert_allclose(one, right, rtol=0.0, atol=2e-3 * max(float(np.ptp(right)), 1e-3))


@few("seed", range(12), 0)
def test_projected_states(seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    _agrees(_Projected(rng), rng.normal(size=(40, 4, 3)).astype(np.float32))


@few("seed", range(12), 0)
def test_projected_states_that_begin_with_inputs(seed: int) -> None:
    """Whose hidden states have the size of the projection."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = _Begun(rng).eval()
    inputs = module.inputs(rng)
    tensors = [torch.from_numpy(x) for x in inputs]
    samples = [inputs[0], *(np.moveaxis(state, 1, 0) for state in inputs[1:])]
    network = read_model(module, ReadOptions(example=tensors))
    wanted = module(*tensors).detach().numpy()
    np.testing.assert_allclose(network.evaluate(samples)[network.outputs[0]], wanted, atol=1e-5)
    circuit = bitsmith.convert(module, calibration=samples, input_shape=[one.shape[1:] for one in samples])
    np.testing.assert_allclose(circuit.predict(samples), wanted, atol=2e-3 * np.ptp(wanted))


def test_initial_states_that_no_projection_gives_are_refused() -> None:
    module = _Begun(np.random.default_rng(0)).eval()
    module.lstm = nn.LSTM(3, 4, proj_size=2, batch_first=True)
    with torch.no_grad():
        module.lstm.weight_hr_l0[1] = 2 * module.lstm.weight_hr_l0[0]
    with pytest.raises(UnsupportedError, match="whose projection to 2 outputs has rank 1; accepted: initial states"):
        bitsmith.convert(module, input_shape=[(4, 3), (1, 2), (1, 4)])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("make", [_Bags, lambda mode: nn.EmbeddingBag(7, 4, mode=mode)])
def test_bags_of_the_rows_of_each_sample(mode: str, make: Callable[[str], nn.Module]) -> None:
    _agrees(make(mode), np.random.default_rng(0).integers(0, 7, (60, 5)))


class _Weighted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(7, 4, mode="sum", max_norm=0.5)
        self.shares = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x, per_sample_weights=self.shares(self.rows(x)))


@pytest.mark.parametrize("module", [_Weighted(), nn.Embedding(7, 4, max_norm=1.0, norm_type=1.0)])
def test_rows_that_a_call_makes_shorter(module: nn.Module) -> None:
    before = {name: x.clone() for name, x in module.named_parameters()}
    _agrees(module, np.random.default_rng(0).integers(0, 7, (60, 5)))
    bitsmith.convert(module, input_shape=(5,))
    assert all(part.max_norm is not None for part in module.modules() if hasattr(part, "max_norm"))
    assert all(x.requires_grad for x in module.parameters())
    assert not torch.equal(next(iter(before.values())), next(module.parameters()))  # by the module's own calls


class _Direct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(7, 4, max_norm=0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x) @ self.rows.weight.T


def test_rows_that_lookups_before_made_shorter_are_not_read_directly() -> None:
    with pytest.raises(UnsupportedError, match=r"rows\.weight: an embedding's weights with max_norm"):
        bitsmith.convert(_Direct(), input_shape=(5,))


class _Parts(nn.Module):
    """Bags that begin at places of all rows after one another."""

    def __init__(self, first: int, step: int, last: int = 0, **options: Any) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(7, 4, mode="sum", **options)
        self.first, self.step, self.last = first, step, last

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x.reshape(-1), torch.arange(self.first, x.numel() + self.last, self.step))


def test_bags_that_begin_with_each_sample() -> None:
    _agrees(_Parts(0, 4), np.random.default_rng(0).integers(0, 7, (60, 4)))


@pytest.mark.parametrize("module", [_Parts(0, 2), _Parts(0, 8), _Parts(0, 1), _Parts(0, 4, 4)])
@pytest.mark.parametrize("samples", [3, None])
def test_bags_that_are_no_samples_are_refused(module: nn.Module, samples: int | None) -> None:
    """Of open and fixed numbers of samples."""
    exported = torch.export.export(
        module,
        (torch.zeros((samples or 4, 4), dtype=torch.int64),),
        dynamic_shapes=None if samples else ({0: _SAMPLES},),
    )
    with pytest.raises(UnsupportedError, match="bags of several lengths; accepted: all rows of a sample, alike"):
        bitsmith.convert(exported)


def test_a_last_bag_that_only_ends_the_one_before_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="include_last_offset; accepted: all rows of a sample, alike"):
        bitsmith.convert(_Parts(0, 4, 1, include_last_offset=True), input_shape=(4,))


class _Fixed(nn.Module):
    """Two bags of all rows, whatever their number."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.EmbeddingBag(7, 4, mode="sum")

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x.reshape(-1), torch.tensor([0, 4]))


def test_bags_of_as_many_samples_as_an_example_had_are_refused() -> None:
    x = torch.zeros((2, 4), dtype=torch.int64)
    exported = torch.export.export(_Fixed(), (x,), dynamic_shapes=({0: torch.export.Dim("samples")},))
    with pytest.raises(UnsupportedError, match="bags of several lengths"):
        bitsmith.convert(exported)
    bitsmith.convert(torch.export.export(_Fixed(), (x,)))


def test_rows_that_count_for_nothing_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"padding_idx; accepted: all rows of a sample, alike; with kept = .*clamp"
    ):
        bitsmith.convert(_Bags("mean", padding_idx=2), input_shape=(5,))


@few("seed", range(30), 0)
def test_the_greatest_or_least_elements_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.permuted(np.arange(160.0).reshape(8, 20), axis=1).reshape(8, 4, 5) / 8 - 9
    count, dim = int(rng.integers(1, 5)), int(rng.choice([1, 2, -1]))
    _agrees(_Top(count, dim, largest=bool(rng.integers(2))), x.astype(np.float32))
