"""Training in the loop: what a circuit pays most for is removed while PyTorch trains on.

Structures go first, the dearest one by `bitsmith.cost` before others: attention, normalizations, units of an LSTM, steps of a
sequence. The network is trained on without it, and it is gone if accuracy has enough to spare. Then weights go.
"""

from __future__ import annotations

import copy
from collections import defaultdict
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
"""What is kept of look-up tables in a round; the next one once a circuit is not good enough. All structures of a kind are needed
if so many in turn are."""
ROUNDS = 30

Masks = dict[str, torch.Tensor]
Outputs = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.generic]]


_ROUNDED = torch.nn.Linear, torch.nn.TransformerEncoderLayer


class Absent(torch.nn.Module):
    """In place of attention."""

    def forward(self, x: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, None]:
        """Zeros, and no weights."""
        return 0 * x, None


class Steps(torch.nn.Module):
    """A network of sequences that reads some steps of them."""

    def __init__(self, net: torch.nn.Module, kept: list[int]) -> None:
        super().__init__()
        self.net, self.kept = net, kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The network's outputs."""
        outputs: torch.Tensor = self.net(x[:, self.kept])
        return outputs


def rounded(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Numbers in steps of a power of two, with slopes as if they were not rounded."""
    whole = torch.ceil(torch.log2(x.detach().abs().max().clamp(min=1e-3)))
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
        """The outputs, with weights rounded, and with what linear layers and blocks read and give."""
        if self.bits is None:
            return self.net(x)
        (weight, result), parameters = self.bits, dict(self.net.named_parameters())
        values = {name: rounded(each, weight) for name, each in parameters.items() if each.dim() > 1}
        parts = [each for each in self.net.modules() if isinstance(each, _ROUNDED)]
        hooks = [each.register_forward_pre_hook(lambda _, x: rounded(x[0], result)) for each in parts]
        hooks += [each.register_forward_hook(lambda _, __, y: rounded(y, result)) for each in parts]
        outputs = torch.func.functional_call(self.net, values, (x,))
        for each in hooks:
            each.remove()
        return outputs

    def outputs(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The float network's outputs."""
        with torch.no_grad():
            found: npt.NDArray[np.float32] = self.net(torch.from_numpy(x)).numpy()
        return found

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
        """A copy without a module, a unit of an LSTM, ``cells[3]``, or a step of sequences, ``[0]``."""
        other = copy.deepcopy(self)
        path, _, unit = structure.rstrip("]").partition("[")
        if isinstance(other.net, Steps) and not path:
            for part in other.net.modules():
                if hasattr(part, "divisor"):  # a mean has nothing of it, and divides as before
                    part.divisor = part.divisor or len(other.net.kept)
            other.net.kept.remove(int(unit))
            return other
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

    def merged(self) -> Pruned | None:
        """The same in fewer layers, as a ``merged`` of the network of sequences says; None if there is none."""
        if not isinstance(self.net, Steps) or (merge := getattr(self.net.net, "merged", None)) is None:
            return None
        return Pruned(Steps(merge(), self.net.kept), self.bits)

    def structures(self, prices: Cost) -> Iterator[tuple[str, float]]:
        """What may be removed, and the look-up tables that it takes."""
        for path, module in self.net.named_modules():
            if isinstance(module, torch.nn.MultiheadAttention | torch.nn.LayerNorm):
                yield path, prices.whole(f"{path}*")
            elif isinstance(module, torch.nn.LSTM):
                mask = self.masks.get(f"{path}.bias_ih_l0", torch.ones(4 * module.hidden_size))
                units = np.flatnonzero(mask[: module.hidden_size].numpy())
                yield from ((f"{path}[{unit}]", prices.whole(f"{path}*") / len(units)) for unit in units)
            elif isinstance(module, Steps) and len(module.kept) > 1:
                yield from ((f"[{step}]", prices.whole("*") / len(module.kept)) for step in module.kept)

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
    circuit: Callable[[torch.nn.Module], Model],
    good: Callable[[Outputs], float],
    bits: tuple[int, int] | None = None,
    passes: int = PASSES,
) -> tuple[torch.nn.Module, Model]:
    """The network without what its ``circuit`` pays most for, and its circuit.

    Outputs are good if ``good`` of them, the accuracy that they have to spare, is no less than zero. Structures go while a float
    network without them has, trained on, no smaller share left of that than of look-up tables. Then weights go while their
    circuit is good. Weights and results of linear layers are rounded to ``bits`` meanwhile, as those of the circuit, unless None.
    """
    torch.manual_seed(1)
    x, labels = map(torch.from_numpy, seen)
    now, needed = Pruned(net.eval()), defaultdict[str, set[str]](set)
    model, spare = circuit(now.net), good(now.outputs)
    while True:
        prices = bitsmith.cost(model)
        whole, kinds = prices.whole("*"), {name: name.partition("[")[0] for name, _ in now.structures(prices)}
        found = {
            name: luts
            for name, luts in now.structures(prices)
            if name not in needed[kinds[name]] and len(needed[kinds[name]]) < CHANCES
        }
        if not found:
            break
        name = max(found, key=lambda each: (found[each], -now.without(each).loss(x, labels)))
        trial = now.without(name).train(x, labels, LONGER)
        left = good(trial.outputs)
        gone = left >= spare * (1 - found[name] / whole)
        print(f"  {name}: {found[name]:,.0f} LUT, {'gone' if gone else 'needed'}", flush=True)
        if gone:
            now, model, spare = trial, circuit(trial.net), left
            needed[kinds[name]].clear()
        else:
            needed[kinds[name]].add(name)
    if (merged := now.merged()) is not None:
        now = merged.train(x, labels, LONGER)
        model = circuit(now.net)
        print(f"  in fewer layers: {model.estimate().size.lut:,} LUT", flush=True)
    shares, best, now.bits = list(SHARES), (now.net, model), bits
    for _ in range(ROUNDS):
        trial = now.pruned(bitsmith.cost(model), shares[0], x, labels).train(x, labels, passes)
        tried = circuit(trial.net)
        if good(tried.predict) >= 0:
            now, model = trial, tried
            best = min(best, (now.net, model), key=lambda each: each[1].estimate().size.lut)
            print(f"  {model.estimate().size.lut:,} LUT", flush=True)
        elif len(shares) > 1:
            shares.pop(0)
        else:
            break
    return best
