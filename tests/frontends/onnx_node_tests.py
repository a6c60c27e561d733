"""Runs the ONNX project's own node tests: each operator on given inputs, against given results.

``python tests/frontends/onnx_node_tests.py docs/onnx-node-tests.md`` writes the table of what passes and what is rejected.

A test is read as it is, with all its inputs as tensors; if that is refused, with all but the first as constants, as trained
weights are. It passes if the float reference gives the test's results, and the emulator the float reference's: on inputs with 20
fractional bits, and with results that have 26 or 28, or automatic precision where tables of so many bits would be too large.
"""

from __future__ import annotations

import enum
import math
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnx_models import Floats, samples_first

from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, RangeError, UnsupportedError
from bitsmith.frontends.onnx.operators import CLASSICAL_OPERATORS, OPERATORS
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network

Array = npt.NDArray[np.generic]

_FRACTIONAL_BITS = 20
_WIDE = ((60, 34), (48, 20), None)
"""Bits and integer bits of results that are tried one after another: large numbers, small ones, and automatic."""
_MOST = 64
"""Integer bits beyond which results of automatic precision, which is relative to the largest of a tensor, lose the small ones."""

_ACCURACY = 2.0**-10
"""Of the emulator, relative to the largest result: 16 bits for each of a few layers, and steep functions in between."""


_TOLERANCES = {"float16": 4e-3, "bfloat16": 2.0**-6}
"""Of results that the tests have in such numbers, and what leads to them: a step of bfloat16 is 2**-7, of float16 2**-10."""


class Outcome(enum.Enum):
    """What became of one test."""

    PASSED = "passed"
    REFUSED = "rejected"
    TOO_WIDE = "rejected in fixed point"
    """The float reference is right, but some result would be infinitely large or too wide for a fixed-point number: each
    precision is refused, or too narrow for the float reference's results inside."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Case:
    """A test: a model, its inputs and its results."""

    name: str
    model: onnx.ModelProto
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    tolerance: float

    @property
    def operator(self) -> str:
        """The operator that it is about."""
        return self.model.graph.node[-1].op_type if len(self.model.graph.node) == 1 else "(several)"


def cases(every: int = 1) -> Iterator[Case]:
    """All tests with plain tensors and results, or one in ``every``."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in sorted(found, key=lambda case: case.name)[::every]:
        ((inputs, outputs), *_) = case.data_sets
        lists = [list(values.values()) if isinstance(values, Mapping) else list(values) for values in (inputs, outputs)]
        arrays = [[_array(value) for value in values] for values in lists]
        if all(
            array is not None and array.size and (array.dtype.kind in "fiub" or array.dtype.name == "bfloat16")
            for values in arrays
            for array in values
        ):
            first, second = ([array for array in values if array is not None] for values in arrays)
            tolerance = max(_TOLERANCES.get(array.dtype.name, 1e-3) for array in second)
            yield Case(case.name, case.model, *(tuple(map(_real, values)) for values in (first, second)), tolerance)


def _array(value: object) -> Array | None:
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None


def _real(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def outcome(case: Case) -> Outcome:
    """Runs one test."""
    try:
        network, inputs = _read(case)
    except BitsmithError:
        return Outcome.REFUSED
    shapes = network.shapes()
    fed = [samples_first(array, shapes[name]) for name, array in zip(network.inputs, inputs, strict=True)]
    longest = max(len(batch) for batch in fed)
    fed = [
        np.resize(batch, (longest, *batch.shape[1:])) for batch in fed
    ]  # those without a batch axis, for each sample
    if not all(bool(np.all(np.isfinite(batch))) for batch in fed):
        return Outcome.REFUSED
    with np.errstate(all="ignore"):
        reference = network.evaluate(fed)
    real = [reference[name] for name in network.outputs]
    if not all(_same(have, want, case.tolerance) for have, want in zip(real, case.outputs, strict=True)):
        return Outcome.WRONG
    if not all(bool(np.all(np.isfinite(values))) for values in real):
        return Outcome.TOO_WIDE
    greatest = _greatest(network, reference)
    held = False
    for bits in _WIDE:
        try:
            fixed = _emulator(network, fed, bits).run(fed)
        except UnsupportedError:  # minus infinity that turns out not to be a mask
            return Outcome.REFUSED
        except RangeError:
            continue
        if all(_close(have, want) for have, want in zip(fixed, real, strict=True)):
            return Outcome.PASSED
        held = held or greatest < 2.0 ** (
            (_MOST if bits is None else bits[1]) - 1
        )  # else what saturates may be far off
    return Outcome.WRONG if held else Outcome.TOO_WIDE


def _greatest(network: Network, reference: Mapping[str, Floats]) -> float:
    """The greatest finite magnitude of what the layers compute."""
    results = [reference[node.name] for node in network.nodes if node.inputs]
    return max((float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0)) for values in results), default=0.0)


def _close(have: Floats, want: Floats) -> bool:
    largest = max(float(np.max(np.abs(want))), 2.0**-8)
    return bool(np.all(np.abs(have - want) <= _ACCURACY * largest))


def _read(case: Case) -> tuple[Network, Sequence[Array]]:
    try:
        return read_onnx(case.model), case.inputs
    except BitsmithError:
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        names = [value.name for value in model.graph.input]
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in zip(names[1:], case.inputs[1:], strict=False)
        )
        return read_onnx(model), case.inputs[:1]


def _same(have: Floats, want: Array, tolerance: float) -> bool:
    """Whether results with the samples first are those of the test, wherever its samples are."""
    for axis in range(min(have.ndim, want.ndim + 1)):
        moved = np.moveaxis(have, 0, axis)
        if moved.size == want.size:
            close = np.isclose(
                moved.reshape(want.shape), want.astype(np.float64), rtol=tolerance, atol=tolerance / 32, equal_nan=True
            )
            if bool(np.all(close)):
                return True
    return False


def _emulator(network: Network, fed: Sequence[Floats], bits: tuple[int, int] | None) -> Emulator:
    """With results of ``bits`` and integer bits that saturate, or of automatic precision."""
    model = {} if bits is None else {"Model": {"Precision": {"result": f"fixed<{bits[0]},{bits[1]},RND,SAT>"}}}
    precisions = {}
    for name, batch in zip(network.inputs, fed, strict=True):
        layer = network.node(name).layer
        whole = max(math.frexp(float(np.max(np.abs(batch))))[1], 0) + 1
        if isinstance(layer, Input) and not layer.integer:
            precisions[name] = {"Precision": {"result": f"fixed<{whole + _FRACTIONAL_BITS},{whole}>"}}
    return Emulator(compile_network(resolve(network, {**model, "LayerName": precisions}), fed).program)


_TRANSLATED = {*OPERATORS, *CLASSICAL_OPERATORS}
"""Operators of ONNX's two domains; no name is in both."""

_HEAD = """# ONNX node tests

The ONNX project tests every operator with small models, inputs and expected results. This table says how many of them bitsmith
passes: its float reference has the expected results, and the emulator has those of the float reference to 10 bits. Inputs have 20
fractional bits, and results are wide (or automatic, where tables would be too large). A test whose operands
are no constants where bitsmith wants trained weights is run with constants. The others are rejected: a mode that is not
translated; a result (also one inside) that is not finite or too wide for these formats; or an integer that wraps around. None
may be wrong.
"""


def table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """The page: for each operator how many of its tests pass."""
    total = Counter(found for values in outcomes.values() for found in values)
    refused = total[Outcome.REFUSED] + total[Outcome.TOO_WIDE]
    lines = [
        _HEAD,
        f"onnx {onnx.__version__}: {total[Outcome.PASSED]} passed, {refused} rejected, {total[Outcome.WRONG]} wrong.",
        "Tests of text, sequences and empty tensors are left out.",
        "",
        "| operator | passed | rejected | rejected in fixed point |",
        "|---|---:|---:|---:|",
    ]
    for operator in sorted(outcomes, key=lambda name: (name.startswith("("), name)):
        counts = Counter(outcomes[operator])
        if operator in _TRANSLATED or operator.startswith("("):
            numbers = (counts[kind] for kind in (Outcome.PASSED, Outcome.REFUSED, Outcome.TOO_WIDE))
            lines.append(f"| {operator} | {' | '.join(map(str, numbers))} |")
    rest = sorted(operator for operator in outcomes if operator not in _TRANSLATED and not operator.startswith("("))
    lines += ["", f"Operators that are not translated, so that all their tests are rejected: {', '.join(rest)}."]
    return "\n".join([*lines, ""])


def collected(found: Iterator[Case]) -> tuple[dict[str, list[Outcome]], list[str]]:
    """Outcomes by operator, and the names of the tests that are wrong."""
    outcomes: dict[str, list[Outcome]] = {}
    wrong = []
    for case in found:
        became = outcome(case)
        outcomes.setdefault(case.operator, []).append(became)
        if became is Outcome.WRONG:
            wrong.append(case.name)
    return outcomes, wrong


if __name__ == "__main__":
    by_operator, failures = collected(cases())
    Path(sys.argv[1]).write_text(table(by_operator))
    sys.stderr.write(f"wrong: {failures}\n")
