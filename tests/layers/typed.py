"""Layers on operands of any type: each element with a number of fractional bits, an interval or a constant of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.builder import Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import Fracs, Ints, Overflow, Rounding, TensorType, objects
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from tests.ir.oracle import evaluate
from tests.layers.cases import Case

RELATIVE = 2.0**-22
"""The relative accuracy that is left where a result would have more bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Typed(Input):
    """An input of a given type."""

    type: TensorType | None = None

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        assert self.type is not None
        frac, lo, hi = self.type.full()
        op = ops.Input(lowering.name, self.shape, frac, objects(lo), objects(hi), Rounding.RND, Overflow.SAT, ())
        return lowering.builder.apply(op)


@dataclass(frozen=True)
class Elements:
    """Fixed-point and float results, and the greatest error that each element may have."""

    fixed: Floats
    real: Floats
    allowed: Floats
    program: Program

    def worst(self) -> float:
        """The greatest error in terms of the allowed one, where the float model has a number."""
        defined = np.isfinite(self.real)
        error = np.abs(self.fixed - self.real)[defined] / self.allowed[defined]
        return float(np.max(error, initial=0.0))


def typed(shape: Sequence[int], elements: Sequence[tuple[int, int, int]]) -> TensorType:
    """A type by its elements' ``frac``, ``lo`` and ``hi``."""
    frac, lo, hi = (np.array(part, dtype=np.object_).reshape(shape) for part in zip(*elements, strict=True))
    return TensorType.of(shape, frac, lo, hi)


def elements_of(
    layer: Layer, types: Sequence[TensorType], settings: Settings | None = None, samples: int = 32, seed: int = 0
) -> Elements:
    """``layer`` on operands of ``types``; ``auto`` sees values from everywhere in them, so the error has a step as its limit."""
    names = tuple(f"x{k}" for k in range(len(types)))
    inputs = [
        NetworkNode(name, Typed(kind.shape, type=kind), settings=Settings())
        for name, kind in zip(names, types, strict=True)
    ]
    network = Network((*inputs, NetworkNode("layer", layer, names, settings=settings or Settings())), names, ("layer",))
    rng = np.random.default_rng(seed)
    raws = [_drawn(rng, kind, samples) for kind in types]
    reals = [_real(raw, kind.frac) for raw, kind in zip(raws, types, strict=True)]
    observed = {name: _unmeasured(each) for name, each in calibrate(network, reals).items()}
    program = lower(network, observed)
    result = program.nodes[program.outputs[0].node].type
    (raw,) = Emulator(program).run_raw([np.asarray(each, dtype=np.int64) for each in raws])
    for k in range(2):
        (truth,) = evaluate(program, [each[k] for each in raws])
        np.testing.assert_array_equal(objects(raw[k]), truth)
    with np.errstate(all="ignore"):
        real = network.evaluate(reals)["layer"]
    given = (settings or Settings()).precision.get("result")
    if given is not None:
        bounds = given.lo * 2.0**-given.frac, given.hi * 2.0**-given.frac
        real = np.where(np.isfinite(real), np.clip(real, *bounds), real)
    step = 2.0 ** -(
        Lowering("layer", None, Settings(), observed["layer"], (), ()).result_frac() if given is None else given.frac
    )
    return Elements(_real(objects(raw), result.frac), real, step + RELATIVE * np.abs(real), program)


def drawn_type(rng: np.random.Generator, case: Case, shape: Sequence[int]) -> TensorType:
    """Elements as different as a tensor can have them: narrow, wide, far from 0, constant, 0 throughout."""
    elements = [_element(rng, case) for _ in range(math.prod(shape))]
    if rng.integers(0, 4) == 0:
        elements = elements[:1] * len(elements)
    return typed(shape, elements)


def _element(rng: np.random.Generator, case: Case) -> tuple[int, int, int]:
    frac = int(rng.integers(-2, 15))
    if case.index:
        most = int(rng.integers(0, case.index))
        return max(frac, 0), 0, most << max(frac, 0)
    top = int(rng.integers(-2, case.bits + 1))
    most = 1 << max(top + frac, 1)
    ends = sorted(int(end) for end in rng.integers(-most, most, 2))
    match int(rng.integers(0, 8)):
        case 0:
            ends = [0, 0]
        case 1:
            ends = [ends[0], ends[0]]
        case 2 | 3:
            ends = [-most, most - 1]
        case 4:
            ends = [0, most - 1]
        case _:
            pass
    return frac, *(sorted(abs(end) for end in ends) if case.positive else ends)


def _unmeasured(seen: ObservedRange) -> ObservedRange:
    return replace(seen, measured=False, inner={name: _unmeasured(each) for name, each in seen.inner.items()})


def _real(raw: Ints, frac: Fracs) -> Floats:
    return np.asarray(raw.astype(np.float64) * np.exp2(-frac.astype(np.float64)))


def _drawn(rng: np.random.Generator, kind: TensorType, samples: int) -> Ints:
    """Raw values: the least, the greatest, those next to 0, some of each magnitude, and any others."""
    _, lo, hi = kind.full()
    any_ = lo + objects(rng.integers(0, 1 << 40, (samples, *kind.shape))) * (hi - lo + 1) // (1 << 40)
    near: npt.NDArray[np.int64] = rng.integers(-2, 3, any_.shape)
    small = objects(any_ >> objects(rng.integers(1, 24, any_.shape)))
    picked = rng.integers(0, 8, any_.shape)
    picked = np.select(
        [picked == k for k in range(5)], [lo + 0 * any_, hi + 0 * any_, objects(near), small, small], any_
    )
    picked[0], picked[-1] = lo, hi
    return objects(np.minimum(np.maximum(objects(picked), lo), hi))
