"""Training in the loop: what a circuit pays most for is removed while PyTorch trains on.

Structures go first: attention, normalizations, units of an LSTM. The one is tried that takes most for the loss that its removal
adds; it is gone for good if the network, trained on, is as good as is asked. Then weights go, by `bitsmith.cost`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

import bitsmith
from bitsmith.model.cost import Cost
from bitsmith.model.model import Model

PASSES, LONGER, RATE, BATCH = 30, 60, 3e-3, 100
"""Passes after weights are removed, and after a structure is."""
SHARES, CHANCES = (0.7, 0.85, 0.93, 0.97), 2
"""What is kept of look-up tables in a round; the next one once a network is not good enough. Structures are needed if so many
in turn are."""
ROUNDS, LEAST = 30, 1e-3

Masks = dict[str, torch.Tensor]


class Absent(torch.nn.Module):
    """In place of attention."""

    def forward(self, x: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, None]:
        """Zeros, and no weights."""
        return 0 * x, None


def rounded(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Numbers in steps of a power of two, with slopes as if they were not rounded."""
    whole = torch.ceil(torch.log2(x.detach().abs().max() + LEAST))
    step = 2.0 ** (whole + 1 - bits)
    places = torch.clamp(torch.round(x / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return x + (places * step - x).detach()


@dataclass
class Pruned:
    """A network, the bits of weights and results that it trains with, if any, and masks of its parameters by their names."""

    net: torch.nn.Module
    bits: tuple[int, int] | None = None
    masks: Masks = field(default_factory=dict)

    def called(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs, with weights and results of linear layers rounded."""
        if self.bits is None:
            return self.net(x)
        (weight, result), parameters = self.bits, dict(self.net.named_parameters())
        values = {name: rounded(each, weight) for name, each in parameters.items() if each.dim() > 1}
        linear = [each for each in self.net.modules() if isinstance(each, torch.nn.Linear)]
        hooks = [each.register_forward_hook(lambda _, __, y: rounded(y, result)) for each in linear]
        outputs = torch.func.functional_call(self.net, values, (x,))
        for each in hooks:
            each.remove()
        return outputs

    def settle(self) -> None:
        """Round the weights."""
        with torch.no_grad():
            for parameter in (each for each in self.net.parameters() if self.bits and each.dim() > 1):
                parameter.copy_(rounded(parameter, self.bits[0]))

    def train(self, x: torch.Tensor, labels: torch.Tensor, passes: int = PASSES) -> Pruned:
        """Some passes over the samples."""
        rate = torch.optim.Adam(self.net.train().parameters(), lr=RATE)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(rate, passes, RATE / 20)
        for _ in range(passes):
            for rows in torch.randperm(len(x)).split(BATCH):
                rate.zero_grad()
                torch.nn.functional.cross_entropy(self.called(x[rows]), labels[rows]).backward()
                rate.step()
                self.apply()
            slower.step()
        self.net.eval()
        self.settle()
        return self

    def apply(self) -> None:
        """What was removed stays away."""
        with torch.no_grad():
            for name, parameter in self.net.named_parameters():
                if name in self.masks:
                    parameter *= self.masks[name]

    def without(self, structure: str) -> Pruned:
        """A copy without a module, or without a unit of an LSTM: ``cells[3]``."""
        other = copy.deepcopy(self)
        path, _, unit = structure.rstrip("]").partition("[")
        module = other.net.get_submodule(path)
        if unit:
            for name, parameter in module.named_parameters():
                mask = other.masks.setdefault(f"{path}.{name}", torch.ones_like(parameter))
                mask.view(4, -1, *mask.shape[1:])[:, int(unit)] = 0
                if "weight_hh" in name:
                    mask[:, int(unit)] = 0
            other.apply()
        else:
            parent, _, name = path.rpartition(".")
            instead = Absent() if isinstance(module, torch.nn.MultiheadAttention) else torch.nn.Identity()
            setattr(other.net.get_submodule(parent), name, instead)
        return other

    def structures(self, prices: Cost) -> Iterator[tuple[str, float]]:
        """What may be removed, and the look-up tables that it takes."""
        for path, module in self.net.named_modules():
            if isinstance(module, torch.nn.MultiheadAttention | torch.nn.LayerNorm):
                yield path, prices.whole(f"{path}*")
            elif isinstance(module, torch.nn.LSTM):
                mask = self.masks.get(f"{path}.bias_ih_l0", torch.ones(4 * module.hidden_size))
                units = np.flatnonzero(mask[: module.hidden_size].numpy())
                yield from ((f"{path}[{unit}]", prices.whole(f"{path}*") / len(units)) for unit in units)

    def weights(self, prices: Cost) -> dict[str, str]:
        """The names of parameters by those of prices: ``cells.recurrent_weight`` is ``cells.weight_hh_l0``."""
        names = dict(self.net.named_parameters())
        found = {}
        for name in prices:
            path = name.rpartition(".")[0]
            known = f"{name}.weight", f"{name}.weight_ih_l0", f"{path}.weight_hh_l0"
            known += (f"{name}.out_proj.weight", f"{name.removesuffix('_linear')}.in_proj_weight")
            found[name] = next(each for each in known if each in names)
        return found

    def importance(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, npt.NDArray[np.float64]]:
        """About the loss that the removal of each weight adds, by the slopes of single batches."""
        found = {name: np.zeros(parameter.shape) for name, parameter in self.net.named_parameters()}
        for rows in torch.arange(len(x)).split(BATCH // 5):
            self.net.zero_grad()
            torch.nn.functional.cross_entropy(self.net(x[rows]), labels[rows]).backward()
            for name, parameter in self.net.named_parameters():
                if parameter.grad is not None:
                    found[name] += (parameter * parameter.grad).detach().numpy() ** 2
        return found

    def pruned(self, prices: Cost, share: float, x: torch.Tensor, labels: torch.Tensor) -> Pruned:
        """A copy with weights that take a share of what they take now."""
        other, every = copy.deepcopy(self), self.importance(x, labels)
        names = self.weights(prices)
        importance = {name: every[names[name]] for name in names}
        for name, stays in prices.masks(importance, {"lut": share}).items():
            kept = torch.tensor(stays, dtype=torch.float32)
            other.masks[names[name]] = kept * other.masks.get(names[name], torch.ones(()))
        other.apply()
        return other

    def loss(self, x: torch.Tensor, labels: torch.Tensor) -> float:
        """The loss of the network as it is."""
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(self.net(x), labels))


def loop(
    net: torch.nn.Module,
    seen: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    good: Callable[[torch.nn.Module], bool],
    circuit: Callable[[torch.nn.Module], Model],
    bits: tuple[int, int] | None = None,
) -> torch.nn.Module:
    """The network without what its ``circuit`` pays most for, as long as it is ``good`` once it was trained on.

    Weights and results of linear layers are rounded to ``bits`` while weights are removed, unless None.
    """
    torch.manual_seed(1)
    x, labels = map(torch.from_numpy, seen)
    now, needed = Pruned(net.eval()), set[str]()
    while True:
        prices = bitsmith.cost(circuit(now.net))
        found = {name: luts for name, luts in now.structures(prices) if name not in needed}
        if not found or len(needed) == CHANCES:
            break
        before = now.loss(x, labels)
        worth = {name: luts / max(now.without(name).loss(x, labels) - before, LEAST) for name, luts in found.items()}
        name = max(worth, key=lambda each: worth[each])
        trial = now.without(name).train(x, labels, LONGER)
        print(f"  {name}: {found[name]:,.0f} LUT, {'gone' if good(trial.net) else 'needed'}", flush=True)
        if good(trial.net):
            now, needed = trial, set()
        else:
            needed.add(name)
    shares, now.bits = list(SHARES), bits
    for _ in range(ROUNDS):
        trial = now.pruned(prices, shares[0], x, labels).train(x, labels)
        if good(trial.net):
            now, prices = trial, bitsmith.cost(circuit(trial.net))
            print(f"  weights of {prices.total('lut'):,.0f} LUT", flush=True)
        elif len(shares) > 1:
            shares.pop(0)
        else:
            break
    return now.net
