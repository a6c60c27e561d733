"""PyTorch's tensors that are written after they were made, and at computed places, against PyTorch itself."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_samples import Of, assert_fixed_point, assert_same

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.live import TorchModel
from bitsmith.frontends.torch.read import read_torch


def _masked(x: Tensor) -> list[Tensor]:
    """Assignments where a computed mask says."""
    y, rows, truths = x.clone(), x.clone(), x > 0.0
    y[y > 0.5] = -0.25
    y[:, 1][x[:, 0] < 0.0] = 1.5
    rows[x[..., 1] > 0.0] = torch.arange(5.0)
    truths[x > 0.5] = False
    return [y, rows, x * truths]


def _made(x: Tensor) -> list[Tensor]:
    """Tensors that are filled after they were made."""
    y, places, truths = x.new_empty(x.shape), torch.empty(4, 5), torch.empty_like(x, dtype=torch.bool)
    for k in range(3):
        y[:, k, :, 0:3] = x[:, 2 - k, :, 2:] * (k + 1.0)
        y[:, k, :, 3:] = x[:, k, :, :2]
    places[:, 0::2], places[:, 1::2] = torch.sin(torch.arange(4.0))[:, None], 0.5
    truths[:, :, 1:], truths[:, :, :1] = x[:, :, 1:] > 0.0, True
    return [y + places, x * truths]


def _picked(x: Tensor) -> list[Tensor]:
    """Elements that a computed mask picks, changed one by one and written where it holds."""
    doubled, others, parts, rows, inner = (x.clone() for _ in range(5))
    doubled[x > 0.0] *= 2.0
    others[x > 0.0] = (x * x)[x > 0.0]
    high = x > 0.25
    low = ~high
    parts[high] = torch.tanh(x[high]) * 2.0 + 1.0
    parts[low] = torch.where(x[low] < -0.5, x[low], x[low] * 0.5) - x[low]
    chosen = x[..., 1] > 0.0
    rows[chosen] = x[chosen] * 2.0 - 1.0
    inner[high] -= (x.flip(1) * x)[high]
    return [doubled, others, parts, rows, inner]


@pytest.mark.parametrize("function", [_masked, _made, _picked])
def test_tensors_that_are_written_later(function: Callable[[Tensor], list[Tensor]]) -> None:
    assert_fixed_point(assert_same(Of(function), (3, 4, 5)))


def _with(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Writes what is made of picked elements."""

    def write(x: Tensor) -> Tensor:
        y, mask = x.clone(), x > 0.0
        y[mask] = change(x[mask])
        return y

    return write


TOGETHER: dict[str, Callable[[Tensor], Tensor]] = {
    "running sum": _with(lambda z: z.cumsum(0)),
    "softmax": _with(lambda z: z.softmax(0)),
    "reversed": _with(lambda z: z.flip(0)),
    "greatest": _with(lambda z: z - z.max()),
    "sum": _with(lambda z: z - z.sum(-1, keepdim=True)),
    "sorted": _with(lambda z: z.sort()[0]),
    "number": _with(lambda z: z * z.shape[0]),
    "another mask": lambda x: x.index_put((x > 0.0,), x[x > 0.5]),
    "result": lambda x: x[x > 0.0],
    "constant mask": lambda x: x.index_put((x.new_ones(x.shape, dtype=torch.bool),), x[x > 0.5]),
}


@pytest.mark.parametrize("shape", [(3,), (4, 1), (1,)])
@pytest.mark.parametrize("name", TOGETHER)
def test_picked_elements_are_computed_one_by_one(name: str, shape: tuple[int, ...]) -> None:
    """Along an axis of one element nothing happens, but picked elements of all samples are along one of theirs."""
    with pytest.raises(UnsupportedError):
        read_torch(Of(TOGETHER[name]), ReadOptions(input_shape=shape))


class _Keeping(torch.nn.Module):
    """A state that each call adds to, as ``change`` does it."""

    def __init__(self, change: Callable[["_Keeping", Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.register_buffer("state", torch.zeros(4))
        self.own = torch.ones(4)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self, self.linear(x))


def _after(module: _Keeping, y: Tensor) -> Tensor:
    result = y * module.state
    module.state.mul_(0.5).add_(y.mean(0))
    return result


KEEPING: dict[str, Callable[[_Keeping, Tensor], Tensor]] = {
    "added": lambda module, y: y + module.state.add_(1.0),
    "read before it is changed": _after,
    "through a view": lambda module, y: y + module.state.view(4).add_(1.0),
    "a tensor of its own": lambda module, y: y + module.own.add_(1.0),
}
CHANGING: dict[str, Callable[[_Keeping, Tensor], Tensor]] = {
    "a copy": lambda module, y: y + module.state.clone().add_(1.0).mul_(module.own),
    "a constant": lambda module, y: y * torch.tensor([1.0, -2.0, 3.0, 0.5]).mul_(2.0),
    "a count that nothing reads": lambda module, y: y if module.state.add_(1.0) is None else y * 2.0,
}


def _programs(module: torch.nn.Module, path: Path) -> list[TorchModel]:
    """The module, its program, and a file of that."""
    program = torch.export.export(module, (torch.zeros(3, 4),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, path / "model.pt2")
    return [module, program, path / "model.pt2"]


@pytest.mark.parametrize("name", KEEPING)
def test_states_that_a_module_keeps_are_refused(name: str, tmp_path: Path) -> None:
    module = _Keeping(KEEPING[name]).eval()
    for source in _programs(module, tmp_path):
        with pytest.raises(
            UnsupportedError, match=r"(?s)keeps a state between calls: it changes '(state|own)'.*with_states"
        ):
            read_torch(source, ReadOptions(input_shape=(4,) if source is module else None))


@pytest.mark.parametrize("name", CHANGING)
def test_what_a_call_changes_for_itself_is_read(name: str, tmp_path: Path) -> None:
    module = _Keeping(CHANGING[name]).eval()
    for source in _programs(module, tmp_path):
        network = read_torch(source, ReadOptions(input_shape=(4,) if source is module else None))
        assert_same(module, network=network)
