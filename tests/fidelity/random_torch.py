"""Random PyTorch modules: layers with random options, functions and views, as live modules, exported programs and ONNX.

A forward is drawn line by line, each run at once. A line is kept if torch takes it, if samples stay independent, and if the
result is one that numbers can hold: single precision and 16 bits of fixed point give what double precision does.
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import random
import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.fidelity.comparison import LEAST, LEAST_CHANNEL, Case
from tests.fidelity.torch_exports import MOST_JUMPS, WAYS, handed, results_of
from tests.fidelity.torch_steps import STEPS

SAMPLES = 61
"""A prime, by which the batch axis is told from others."""

_HALF = SAMPLES // 2
_MOST_ELEMENTS, _LEAST_SIZE, _MOST_SIZE = 300, 2.0**-6, 2.0**12
_SINGLE_ERROR, _MANTISSA_ERROR = 1e-4, 5e-3
"""Greatest differences from double precision, as a share of the greatest magnitude of a channel: of single precision, and of
values in fixed point of 16 bits, each element of a sample with a format of its own."""
_STEP = 2.0**-14
"""That of 16 bits, as a share of the greatest magnitude, at worst."""
_JUMPS = re.compile(
    r"floor|ceil|round|trunc|frac|sign\(|shrink|threshold|fmod|remainder|long|count|//|%|where|masked_fill|[<>]|\[1\]|arg"
)
_FIELD = re.compile(r"\{([^{}]*)\}")
_VALUE, _IN_PLACE = re.compile(r"\bv\d+\b"), re.compile(r"\bv\d+\.\w+_\(|inplace")
_PART = re.compile(r"`([^`]*)`")


class _RejectedError(Exception):
    """A step that does not go with its operands."""


class _Run:
    """The lines so far on one batch, in one precision; with the ``noise`` of this seed each result is rounded at random."""

    def __init__(self, inputs: Sequence[Tensor], *, double: bool = False, noise: int = 0) -> None:
        self.double, self.noise = double, noise
        self.module = nn.Module()
        self.names: dict[str, Any] = {"self": self.module, "torch": torch, "nn": nn, "F": functional}
        for number, x in enumerate(inputs):
            self.names[f"v{number}"] = x.double() if double and x.is_floating_point() else x.clone()
        self.random = torch.Generator().manual_seed(noise)

    def compute(self, text: str, parts: dict[str, Any]) -> Tensor:
        """What an expression gives, with the new parts that it uses."""
        for name, part in parts.items():
            setattr(self.module, name, copy.deepcopy(part).double() if self.double else part)
        result = eval(text.replace(".float()", ".double()") if self.double else text, self.names)
        if not isinstance(result, Tensor):
            raise _RejectedError
        if self.noise and result.is_floating_point() and SAMPLES in result.shape:
            sizes = result.abs().amax(result.shape.index(SAMPLES), keepdim=True)
            result = result + _STEP * sizes * (torch.rand(result.shape, generator=self.random) - 0.5)
        return result


class Draft:
    """A module under construction."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.inputs = [self._input() for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
        turned = [torch.cat([x[_HALF:], x])[:SAMPLES] for x in self.inputs]
        self._runs = (
            _Run(self.inputs),
            _Run(turned),
            _Run(self.inputs, double=True),
            *(_Run(self.inputs, double=True, noise=seed) for seed in (1, 2, 3)),
        )
        self.shapes = {f"v{number}": tuple(x.shape) for number, x in enumerate(self.inputs)}
        self.used: set[str] = set()
        self.parts: dict[str, Any] = {}
        self.made: list[str] = []
        self.lines: list[str] = []
        self.jumps = False

    def _input(self) -> Tensor:
        rng, size = self.rng, self.rng.randint
        shape = rng.choice(
            (
                (size(2, 9),),
                (size(2, 6), size(2, 9)),
                (size(1, 5), size(3, 7), size(3, 7)),
                (size(1, 5), size(3, 7), size(3, 7)),
            )
        )
        if rng.random() < 0.05:
            shape = (size(1, 3), 3, 4, size(3, 4))
        draw = np.random.default_rng(rng.randrange(1 << 30))
        if rng.random() < 0.08:
            return torch.from_numpy(draw.integers(0, 7, (SAMPLES, *shape[:2])))
        x = draw.normal(0.0, rng.choice((0.3, 1.0, 1.0, 4.0)), (SAMPLES, *shape))
        if rng.random() < 0.15:
            x = np.abs(x) / 4
        if rng.random() < 0.1:
            x *= 2.0 ** draw.integers(-8, 9, (shape[0], *(1,) * (len(shape) - 1)))
        if rng.random() < 0.1:
            x += rng.choice((-20.0, 5.0, 100.0))
        if rng.random() < 0.1:
            level = rng.choice((0.0, 1.0))
            x[:, : shape[0] > 1] = level  # of an only channel nothing would follow, which is warned of
        return torch.from_numpy(x.astype(np.float32))

    def step(self) -> bool:
        """Add a line if the one that is drawn can be computed."""
        (family,) = self.rng.choices([family for family, _ in STEPS], [weight for _, weight in STEPS])
        step = Step(self, self.rng.choice(family))
        try:
            text = step.text()
            found = [run.compute(text, step.parts) for run in self._runs]
        except Exception:  # whatever torch raises for operands that do not go with the step
            return False
        jumps = self.jumps or bool(_JUMPS.search(text))
        if not _holds(*found, jumps=jumps):
            return False
        name = f"v{len(self.shapes)}"
        for run, result in zip(self._runs, found, strict=True):
            run.names[name] = result
        self.jumps = jumps
        self.shapes[name] = tuple(found[0].shape)
        self.used |= set(_VALUE.findall(text))
        self.parts |= step.parts
        self.made += step.made
        self.lines.append(f"{name} = {text}")
        return True

    def results(self) -> list[str]:
        """The last value, and sometimes others that nothing reads."""
        *others, last = [name for name in self.shapes if name not in self.used]
        more = [name for name in others if int(name[1:]) >= len(self.inputs) and self.rng.random() < 0.8][:3]
        names = [*more, last]
        for place, name in enumerate(names):
            axis = self.shapes[name].index(SAMPLES)
            if axis:
                names[place] = f"{name}.transpose(0, {axis})"
        return names


def _holds(x: Tensor, turned: Tensor, exact: Tensor, *noisy: Tensor, jumps: bool) -> bool:
    """True if a result is small, keeps samples apart, and does not depend on the last places."""
    if x.shape.count(SAMPLES) != 1 or x.ndim > 5 or not 0 < x.numel() <= _MOST_ELEMENTS * SAMPLES or x.is_complex():
        return False
    axis = x.shape.index(SAMPLES)
    values, turned, exact, *others = (each.double().movedim(axis, 0) for each in (x, turned, exact, *noisy))
    largest = float(exact.abs().max()) if math.isfinite(float(exact.abs().sum())) else math.inf
    if not _LEAST_SIZE <= largest <= _MOST_SIZE or not bool(values.isfinite().all()):
        return False
    channels = exact.abs().amax(tuple(range(max(exact.ndim - 1, 1))), keepdim=True)
    size = channels.clamp(min=max(LEAST_CHANNEL * largest, LEAST))
    allowed = MOST_JUMPS if jumps else 0.0
    return (
        bool(((turned[: SAMPLES - _HALF] - values[_HALF:]).abs() <= 1e-4 * size).all())
        and float(((values - exact).abs() > _SINGLE_ERROR * size).double().mean()) <= allowed
        and all(float(((other - exact).abs() > _MANTISSA_ERROR * size).double().mean()) <= allowed for other in others)
    )


class Step:
    """The fields of one line: each name is drawn once."""

    def __init__(self, draft: Draft, template: str) -> None:
        self.draft, self.rng, self.template = draft, draft.rng, template
        self.parts: dict[str, Any] = {}
        self.made: list[str] = []
        names = list(draft.shapes)
        unread = [name for name in names if name not in draft.used]
        self.x = self.rng.choices((names[-1], self.rng.choice(unread), self.rng.choice(names)), (5, 3, 1))[0]
        self.shape = draft.shapes[self.x]
        self.batch = self.shape.index(SAMPLES)
        self.drawn: dict[str, str] = {"x": self.x}

    def text(self) -> str:
        """The line."""
        text = self.template
        while (field := _FIELD.search(text)) is not None:
            text = text[: field.start()] + self._field(field[1]) + text[field.end() :]
        return _PART.sub(lambda match: self._module(match[1]), text)

    def _field(self, key: str) -> str:
        if "|" in key:
            return self.rng.choice(key.split("|"))
        if key not in self.drawn:
            name, *sizes = key.split()
            if sizes:
                return self._parameter([int(size) for size in sizes])
            self.drawn[key] = str(getattr(self, f"_{name.rstrip('0123456789') if name not in _NUMBERED else name}")())
        return self.drawn[key]

    def _part(self, part: Any, text: str) -> str:
        name = f"m{len(self.draft.parts) + len(self.parts)}"
        self.parts[name] = part
        self.made.append(f"self.{name} = {text}")
        return f"self.{name}"

    def _module(self, text: str) -> str:
        module = eval(text, {"nn": nn})
        if not isinstance(module, nn.Module):
            raise _RejectedError
        return self._part(weighted(module, self.rng), text)

    def _parameter(self, sizes: Sequence[int]) -> str:
        values = np.random.default_rng(self.rng.randrange(1 << 30)).normal(0.0, self.rng.choice((0.3, 1.0)), sizes)
        return self._part(
            nn.Parameter(torch.from_numpy(values.astype(np.float32))), f"nn.Parameter(torch.randn({tuple(sizes)}))"
        )

    def _axes(self) -> list[int]:
        axes = [axis for axis in range(len(self.shape)) if axis != self.batch]
        if not axes:
            raise _RejectedError
        return axes

    def _d(self) -> int:
        taken = [int(self.drawn[name]) % len(self.shape) for name in ("d", "d2") if name in self.drawn]
        free = [axis for axis in self._axes() if axis not in taken]
        if not free:
            raise _RejectedError
        return self.rng.choice(free) - self.rng.choice((0, len(self.shape)))

    def _i(self) -> int:
        size = self.shape[int(self._field("d"))]
        return self.rng.randrange(-size, size)

    def _c(self) -> float:
        return self.rng.choice((0, 1, -1, 0.5, 2, round(self.rng.uniform(-3, 3), 2), round(self.rng.uniform(-1, 1), 3)))

    def _p(self) -> float:
        return self.rng.choice((1, 0.5, 2, 0.1, round(self.rng.uniform(0.1, 3), 2)))

    def _k(self) -> int:
        return self.rng.choice((1, 2, 2, 3))

    def _k5(self) -> int:
        return self.rng.randint(2, 7)

    def _o(self) -> int:
        return self.rng.randint(1, 6)

    def _g(self) -> int:
        return self.rng.choice(
            [n for n in range(1, self._C() + 1) if self._C() % n == 0 and (n == 1 or self.rng.random() < 0.6)]
        )

    def _og(self) -> int:
        return int(self._field("g")) * self.rng.randint(1, 3)

    def _h(self) -> int:
        """A number of attention heads."""
        if len(self.shape) != 3 or self.batch:  # torch would take the samples for positions
            raise _RejectedError
        return self.rng.choice([n for n in range(1, 4) if self._last() % n == 0])

    def _C(self) -> int:
        return self.shape[1] if len(self.shape) > 1 else 1

    def _last(self) -> int:
        return self.shape[-1]

    def _last2(self) -> str:
        return ", ".join(map(str, self.shape[-2:]))

    def _r(self) -> int:
        return len(self.shape) - 2

    def _r1(self) -> int:
        return max(len(self.shape) - 2, 1)

    def _taps(self) -> str:
        return " ".join(str(self._k()) for _ in range(self._r()))

    def _lin(self) -> str:
        return {1: "linear", 2: "bilinear", 3: "trilinear"}.get(self._r(), "linear")

    def _N(self) -> str:
        return self.rng.choice((f"{self.x}.shape[0]", f"{self.x}.size(0)", f"len({self.x})", "-1"))

    def _sizes(self) -> str:
        """A new shape for the elements of a sample."""
        if self.batch:
            raise _RejectedError
        rest, sizes = math.prod(self.shape[1:]), []
        for _ in range(self.rng.randint(0, 2)):
            sizes.append(self.rng.choice([n for n in range(1, rest + 1) if rest % n == 0]))
            rest //= sizes[-1]
        return ", ".join(map(str, [*sizes, rest]))

    def _perm(self) -> str:
        axes = list(range(len(self.shape)))
        moved = axes[1:] if self.rng.random() < 0.9 else axes
        self.rng.shuffle(moved)
        return ", ".join(map(str, moved if len(moved) == len(axes) else [0, *moved]))

    def _cut(self) -> str:
        """An index that takes parts of axes."""
        kinds = (":", ":", "1:", ":-1", "::2", "-2:", "1::2", "0", "-1", "[0, -1]", "None, :", "..., :")
        cuts = [
            ":" if axis == self.batch else self.rng.choice(kinds)
            for axis in range(self.rng.randint(1, len(self.shape)))
        ]
        return ", ".join(cuts)

    def _pads(self) -> str:
        count = 2 * self.rng.randint(1, max(self._r(), 1))
        return ", ".join(str(self.rng.choice((0, 1, 1, 2, -1))) for _ in range(count))

    def _each(self) -> str:
        return ", ".join(["-1"] * (len(self.shape) - 1))

    def _ones(self) -> str:
        return ", ".join(["1"] * max(len(self.shape) - 2, 1))

    def _each_but_last(self) -> str:
        return ", ".join([f"{self.x}.shape[0]", *map(str, self.shape[1:-1])])

    def _shared(self) -> str:
        """A module that the model has already."""
        names = [name for name, part in self.draft.parts.items() if not isinstance(part, nn.Parameter)]
        return f"self.{self.rng.choice(names)}"

    def _codes(self) -> str:
        return (
            self.x
            if self.draft._runs[0].names[self.x].dtype == torch.int64
            else f"({self.x}.abs() * 2).long().clamp(max=6)"
        )

    def _w(self) -> str:
        sizes = [1 if axis == self.batch or self.rng.random() < 0.4 else size for axis, size in enumerate(self.shape)]
        return self._parameter(sizes[self.rng.randrange(len(sizes) - self.batch) :] if self.batch == 0 else sizes)

    def _y(self) -> str:
        """Another operand: a value that broadcasts, or one of ``x``."""
        others = [name for name, shape in self.draft.shapes.items() if name != self.x and self._broadcasts(shape)]
        d = self._field("d")
        return self.rng.choice(
            [
                *others,
                *others,
                f"{self.x}.mean({d}, keepdim=True)",
                f"{self.x}.flip({d})",
                f"{self.x}.narrow({d}, 0, 1)",
            ]
        )

    _z = _y

    def _broadcasts(self, shape: Sequence[int]) -> bool:
        try:
            return torch.broadcast_shapes(self.shape, shape).count(SAMPLES) == 1
        except RuntimeError:
            return False


_NUMBERED = ("r1", "k5", "last2")


def weighted(module: nn.Module, rng: random.Random) -> nn.Module:
    """``module`` with weights as after training, or after bad training: zero rows, rows of unlike size, large biases."""
    draw = np.random.default_rng(rng.randrange(1 << 30))
    odd = rng.choice(("", "", "", "", "zeros", "unlike", "biases", "statistics"))
    with torch.no_grad():
        for name, values in (*module.named_parameters(), *module.named_buffers()):
            if not values.is_floating_point():
                continue
            new = draw.normal(0.0, 1.0, values.shape)
            if "var" in name:
                new = (
                    np.exp2(draw.uniform(-8, 8, values.shape))
                    if odd == "statistics"
                    else draw.uniform(0.3, 3.0, values.shape)
                )
            elif values.ndim > 1:
                new = new / math.sqrt(max(math.prod(values.shape[1:]), 1))
                scale = 2.0 ** draw.integers(-8, 9, len(new)) if odd == "unlike" else np.ones(len(new))
                new *= (draw.random(len(new)) < 0.7 if odd == "zeros" else scale).reshape(-1, *(1,) * (values.ndim - 1))
            elif "bias" in name or "mean" in name:
                new *= 20.0 if odd == "biases" or (odd == "statistics" and "mean" in name) else 0.5
            values.copy_(torch.from_numpy(np.asarray(new)))
    return module.eval()


def drawn(rng: random.Random) -> Draft:
    """A module of a few steps."""
    draft = Draft(rng)
    steps = rng.randint(1, 9)
    for _ in range(12 * steps):
        if draft.step() and len(draft.lines) == steps:
            break
    return draft


def built(draft: Draft) -> tuple[nn.Module, str, list[Tensor]]:
    """The module, its source, and its inputs; without what no result depends on."""
    results = ", ".join(draft.results())
    needed, lines = set(_VALUE.findall(results)), []
    for line in reversed(draft.lines):
        if line.split()[0] in needed or _IN_PLACE.search(line):
            needed.update(_VALUE.findall(line))
            lines.insert(0, f"    {line}")
    inputs = {f"v{number}": x for number, x in enumerate(draft.inputs) if f"v{number}" in needed}
    forward = "\n".join([f"def forward(self, {', '.join(inputs)}):", *lines, f"    return {results}"])
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": functional}
    exec(forward, names)
    module: nn.Module = type("Random", (nn.Module,), {"forward": names["forward"]})()
    parts = {name: part for name, part in draft.parts.items() if re.search(rf"self\.{name}\b", forward)}
    for name, part in parts.items():
        setattr(module, name, part)
    shapes = ", ".join(f"{name} {tuple(x.shape)} {x.dtype}" for name, x in inputs.items())
    made = [line for line in draft.made if line.split()[0].removeprefix("self.") in parts]
    return module.eval(), "\n".join([f"# {shapes}", *made, forward]), list(inputs.values())


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bitsmith-random-torch-")


def case(seed: int, way: str = "") -> Case:
    """The random module number ``seed``."""
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draft = next(draft for attempt in range(1000) if (draft := drawn(random.Random(f"{seed}.{attempt}"))).lines)
        module, text, tensors = built(draft)
        wanted = results_of(module, tensors)
        way = way or WAYS[seed % len(WAYS)]
        model, options = handed(module, tensors, wanted, way, draft.rng, Path(_folder().name) / f"{seed}.pt2")
    inputs = [x.numpy().astype(np.float64) for x in tensors]
    return Case(model, inputs, wanted, f"# {way}: {type(model).__name__}\n{text}", options, draft.jumps)
