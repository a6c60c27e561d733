"""Random expressions of integers and truth values that a framework computes, and whether the emulator gives the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.layers.network import Network

Numbers = npt.NDArray[Any]
Function = Callable[..., Any]

COLUMNS = 4
_SAMPLES = 48
_MOST_STEPS, _MOST_TRIES = 3, 200
_EXACT = {"f": 2.0**15, "i": 2.0**53, "u": 2.0**53, "b": 2.0}
"""Greatest numbers of a kind of type that are compared: those of floating point have 16 bits."""


def data(dtype: str) -> Numbers:
    """Numbers of a type: all over its range, the ends among them; of 64 bits a few, and floating point in quarters."""
    rng = np.random.default_rng(len(dtype))
    shape = (_SAMPLES, COLUMNS)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype == "float32":
        return (rng.integers(-400, 400, shape) / 4).astype(np.float32)
    bounds = np.iinfo(dtype)
    lo, hi = (-1000, 1000) if bounds.bits == 64 else (int(bounds.min), int(bounds.max))
    values = rng.integers(lo, hi, shape, endpoint=True)
    near = np.array([lo, hi, 0, 1, lo + 1, hi - 1, 2, 3, max(lo, -1), max(lo, -2), 7, max(lo, -7)])
    return np.where(rng.random(shape) < 0.3, rng.choice(near, shape), values).astype(dtype)


def is_compared(result: Numbers) -> bool:
    """Return True of a result that has columns, and no number that is not exact."""
    most = np.abs(result.astype(np.float64)).max(initial=0.0)
    return result.ndim == 2 and result.shape[1] in (1, COLUMNS) and most < _EXACT[result.dtype.kind]


@dataclass
class Expression:
    """Steps on inputs of the ``dtypes`` and on earlier results, by their numbers; the last is the expression."""

    dtypes: Sequence[str]
    steps: list[tuple[str, Function, tuple[int, ...]]] = field(default_factory=list)

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for _, function, places in self.steps:
            values.append(function(*(values[place] for place in places)))
        return values[-1]

    def __str__(self) -> str:
        texts = list(self.dtypes)
        for name, _, places in self.steps:
            texts.append(f"{name}({', '.join(texts[place] for place in places)})")
        return texts[-1]


def drawn(
    seed: int,
    operations: Mapping[str, tuple[int, Function]],
    real: frozenset[str],
    dtypes: Sequence[str],
    tensor: Function,
) -> Expression:
    """An expression of operations on so many operands that the framework computes; only the ``real`` are on real numbers."""
    rng = np.random.default_rng(seed)
    found = Expression([str(dtype) for dtype in rng.choice(np.array(dtypes), int(rng.integers(1, 4)))])
    values = [tensor(data(dtype)) for dtype in found.dtypes]
    wanted = int(rng.integers(1, _MOST_STEPS + 1))
    for _ in range(_MOST_TRIES):
        if len(found.steps) == wanted:
            break
        name = str(rng.choice(np.array(list(operations))))
        count, function = operations[name]
        last = len(values) - 1 if found.steps else int(rng.integers(len(values)))
        places = tuple(int(place) for place in rng.permutation([last, *rng.integers(0, len(values), count - 1)]))
        operands = [values[place] for place in places]
        if name not in real and any("float" in str(one.dtype) for one in operands):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function(*operands)
        except Exception:  # whatever a framework says of what it does not do
            continue
        if is_compared(np.asarray(result)):
            found.steps.append((name, function, places))
            values.append(result)
    return found


def refusal(read: Callable[[], Network], inputs: Sequence[Numbers], wanted: Numbers, text: str) -> str | None:
    """Compare what the emulator computes, exactly. Returns why the model is refused, None if it is not."""
    given = [np.asarray(x, dtype=np.float64) for x in inputs]
    try:
        program = compile_network(read(), given).program
    except (UnsupportedError, RangeError) as error:
        return f"{text}: {error}"
    (found,) = Emulator(program).run(given)
    wanted = np.asarray(wanted).astype(np.float64)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted, err_msg=text)
    return None
