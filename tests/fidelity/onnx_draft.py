"""An ONNX graph that grows node by node, each tried in onnxruntime on data before it stays.

What is drawn is of use if it has finite results that no sample shares with another and that hold still: each value is computed
a second time from operands that are a little off, as they are in fixed point. Where that changes a truth value or an integer, or
makes more of the error than the comparison allows, arithmetic of 16 bits has no right answer, and something else is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[np.generic]

_T = TypeVar("_T")

SAMPLES = 13
"""The batch's size while a graph is drawn. It is that of no other axis."""

CLASSICAL, FUNCTIONS = "ai.onnx.ml", "drawn"
"""Domains besides ONNX's own: classical models, and the model's functions."""

_NOISE, _MOST_NOISE = 2.0**-13, 8e-3
"""How far operands are off, relative to each element's greatest magnitude, and how far results may be, to that of them all."""

_STEP, _ROUNDINGS = 2.0**-15, 4
"""Greatest error of a result of 16 bits with weights of 16 bits, as a share of its greatest magnitude; the number of tries."""

_FINEST = 2.0**-11
"""Magnitude of elements, as a share of the greatest, below which they are off by as much as in single precision."""

_MOST = 2.0**14

_JUMPS = {
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign", "Hardmax", "Binarizer"), 0.0),
    **dict.fromkeys(("Mod", "ThresholdedRelu", "Shrink"), 0.05),
}
"""Operators whose results jump though they are floating point, and the greatest difference that cannot be a jump."""

_CONSTANT = ("Shape", "Size", "IsNaN", "IsInf")
"""Operators whose results do not depend on the values of the samples."""

_ORT_ERRORS = onnxruntime.capi.onnxruntime_pybind11_state
_NotImplemented = _ORT_ERRORS.NotImplemented
REFUSALS = (
    *(getattr(_ORT_ERRORS, name) for name in ("Fail", "InvalidArgument", "InvalidGraph", "RuntimeException")),
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    _NotImplemented,
    RuntimeError,  # of its optimizer
)


class UnfitError(Exception):
    """What was drawn does not fit the graph."""


@dataclass(frozen=True)
class Tensor:
    """A value that depends on an input: for the samples as they are, and a little off."""

    name: str
    clean: Array
    noisy: Array
    rounded: tuple[Array, ...]
    """What it may be where each result has 16 bits, and one step for all elements."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes, the batch's among them."""
        return self.clean.shape

    @property
    def rank(self) -> int:
        """The number of its axes."""
        return self.clean.ndim

    @property
    def batch(self) -> int | None:
        """The axis of the samples; None if it is merged with another."""
        return self.shape.index(SAMPLES) if SAMPLES in self.shape else None

    @property
    def kind(self) -> str:
        """numpy's letter of its type."""
        return self.clean.dtype.kind

    @property
    def own(self) -> list[int]:
        """Its axes without that of the samples."""
        return [axis for axis, size in enumerate(self.shape) if size % SAMPLES]


class Draft:
    """The graph so far, and random choices for what comes next."""

    def __init__(self, rng: np.random.Generator, opset: int) -> None:
        self.rng, self.opset = rng, opset
        self.inputs: list[Tensor] = []
        self.values: list[Tensor] = []
        self.known: dict[str, Array] = {}
        self.initializers: dict[str, Array] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.count = 0

    # Choices

    def chance(self, part: float = 0.5) -> bool:
        """True in this part of the draws."""
        return bool(self.rng.random() < part)

    def whole(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, options: Sequence[_T]) -> _T:
        """One of some."""
        if not options:
            raise UnfitError
        return options[self.whole(0, len(options) - 1)]

    def some(self, **options: _T) -> dict[str, _T]:
        """Some of these; those that are left out have their defaults."""
        return {key: value for key, value in options.items() if self.chance(0.6)}

    def real(self, low: float, high: float) -> float:
        """A number with few digits, so that it is the same in single precision."""
        return float(np.float32(np.round(self.rng.uniform(low, high), 3)))

    def pick(self, *ranks: int, kinds: str = "f", test: Callable[[Tensor], bool] = lambda x: True) -> Tensor:
        """A value of one of these ranks (any if none are given), the newest more often."""
        fit = [x for x in self.values if (not ranks or x.rank in ranks) and x.kind in kinds and test(x)]
        return fit[-1] if fit and self.chance() else self.choice(fit)

    def schema(self, operator: str, domain: str = "") -> onnx.defs.OpSchema:
        """The operator in this operator set."""
        try:
            found = onnx.defs.get_schema(operator, 3 if domain else self.opset, domain)
        except onnx.defs.SchemaError as error:
            raise UnfitError from error
        if found.deprecated:
            raise UnfitError
        return found

    # Parts of the graph

    def name(self, prefix: str) -> str:
        """A new name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def node(
        self, operator: str, inputs: Iterable[str], results: int = 1, domain: str = "", **attributes: object
    ) -> list[str]:
        """Add a node; the names of its results."""
        if domain != FUNCTIONS:
            self.schema(operator, domain)
        names = [self.name(operator.lower()) for _ in range(results)]
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        self.nodes.append(helper.make_node(operator, given, names, names[0] + "_node", domain=domain, **attributes))
        return names

    def one(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add a node of one result; its name."""
        return self.node(operator, inputs, **attributes)[0]

    def hold(self, array: npt.ArrayLike) -> str:
        """A constant: an initializer, perhaps shared, or a node."""
        values = np.asarray(array)
        same = [
            key for key, old in self.initializers.items() if old.dtype == values.dtype and np.array_equal(old, values)
        ]
        if same and self.chance(0.7):
            return same[0]
        if self.chance(0.3):
            return self.one("Constant", value=numpy_helper.from_array(values))
        name = self.name("w")
        self.initializers[name] = self.known[name] = values
        return name

    def integers(self, values: Iterable[int], like: Tensor | None = None) -> str:
        """A list of integers; ``SAMPLES`` stands for the batch's size, which is computed of ``like``."""
        wanted = list(values)
        if not wanted or (SAMPLES not in wanted and not (like and self.chance(0.15))):
            return self.hold(np.array(wanted, np.int64))
        if like is None:
            raise UnfitError
        sizes = self.one("Shape", like.name)
        parts = []
        for size in wanted:
            axes = [k for k, other in enumerate(like.shape) if other == size]
            if axes:
                gathered = self.one("Gather", sizes, self.hold(np.array([self.choice(axes)])), axis=0)
                parts.append(self._around(gathered) if self.chance(0.3) else gathered)
            elif size == SAMPLES:
                raise UnfitError
            else:
                parts.append(self.hold(np.array([size])))
        return self.one("Concat", *parts, axis=0)

    def _around(self, name: str) -> str:
        """The same integers, by a way that exporters take."""
        if self.chance():
            real = self.one("Cast", name, to=TensorProto.FLOAT)
            return self.one("Cast", self.one("Mul", real, self.hold(np.float32(1.0))), to=TensorProto.INT64)
        return self.one("Mul", self.one("Add", name, self.hold(np.array([0]))), self.hold(np.array([1])))

    def weights(self, shape: Sequence[int], low: float = -1.0, high: float = 1.0, *, plain: bool = False) -> str:
        """Trained numbers: perhaps with rows of zeros and of unlike scale, and perhaps computed of others."""
        like = [key for key, old in self.initializers.items() if old.shape == tuple(shape) and old.dtype == np.float32]
        if like and not plain and self.chance(0.15):
            return self.choice(like)
        values = self.rng.uniform(low, high, shape).astype(np.float32)
        if not plain and values.ndim and self.chance(0.3):
            row = np.moveaxis(values, self.whole(0, values.ndim - 1), 0)
            row *= np.exp2(self.rng.integers(-8, 3, (len(row), *(1,) * (row.ndim - 1)))).astype(np.float32)
            row[self.whole(0, max(len(row) - 1, 0)) :][:1] *= float(self.choice((0.0, 1.0, 256.0)))
        way = self.whole(0, 9)
        if way == 0 and values.ndim == 2:
            return self.one("Transpose", self.hold(np.ascontiguousarray(values.T)))
        if way == 1:
            return self.one("Mul", self.hold(values), self.hold(np.float32(1.0)))
        if way == 2:
            return self.one("Cast", self.hold(values.astype(np.float64)), to=TensorProto.FLOAT)
        if way == 3:
            return self.one("Reshape", self.hold(values.ravel()), self.hold(np.array(shape, np.int64)))
        return self.hold(values)

    def scalar(self, value: float) -> str:
        """A number, of no axis or of one."""
        return self.hold(np.float32(value) if self.chance(0.7) else np.array([value], np.float32))

    def listed(
        self, operator: str, key: str, values: Iterable[int] | None, position: int, given: Sequence[str]
    ) -> dict[str, object]:
        """Integers that became operand ``position`` in some operator set: the arguments of ``node`` besides ``operator``."""
        wanted = None if values is None else list(values)
        if key in self.schema(operator).attributes:
            return {"inputs": given} | ({} if wanted is None else {key: wanted})
        fill = [""] * (position - len(given))
        return {"inputs": [*given, *fill, "" if wanted is None else self.hold(np.array(wanted, np.int64))]}

    # Growth

    def add_input(self, values: Array) -> None:
        """An input with these samples."""
        name = self.name("x")
        self.inputs.append(Tensor(name, values, self._off(values), self._rounded([values] * _ROUNDINGS)))
        self.values.append(self.inputs[-1])

    def attempt(self, drawer: Callable[[Draft], None]) -> bool:
        """Let ``drawer`` add nodes; False if it found none, or none of use."""
        counts, held = (len(self.nodes), len(self.functions), len(self.values)), set(self.known)
        try:
            drawer(self)
            self._evaluate(self.nodes[counts[0] :])
            if len(self.values) > counts[2]:
                return True
        except (UnfitError, *REFUSALS):
            pass
        del self.nodes[counts[0] :], self.functions[counts[1] :], self.values[counts[2] :]
        for name in set(self.known) - held:
            del self.known[name]
            self.initializers.pop(name, None)
        return False

    def _off(self, values: Array, *, farthest: bool = False, alike: bool = False) -> Array:
        """Values that are a little off, ``alike`` if all elements have the same steps; except zeros, which are exact."""
        if values.dtype.kind != "f":
            return values
        size = np.abs(values).max(None if alike else 0, keepdims=True, initial=0.0)
        size = np.maximum(size, np.abs(values).max(initial=0.0) * _FINEST)
        direction = self.rng.choice((-1.0, 1.0), values.shape) if farthest else self.rng.uniform(-1, 1, values.shape)
        return np.where(values == 0, values, values + direction * size * _NOISE).astype(values.dtype)

    def _evaluate(self, nodes: Sequence[onnx.NodeProto]) -> None:
        """Compute the results of new nodes, and keep them."""
        values = {x.name: x for x in self.values}
        used = names_read(nodes)
        feeds = [values[name] for name in values if name in used]
        names = [name for node in nodes for name in node.output if name]
        run = runner(self.model(nodes, feeds, [onnx.ValueInfoProto(name=name) for name in names], self.known))
        with np.errstate(all="ignore"):
            clean = run([x.clean for x in feeds])
            jumps = any(node.op_type in _JUMPS for node in nodes) or any(
                np.asarray(one).dtype.kind != "f" for one in clean
            )
            others = [run(arrays) for arrays in self._variants(feeds, jumps=jumps)]
            rounded = [run([x.rounded[k] for x in feeds]) for k in range(_ROUNDINGS)]
        depends = set(values)
        for node in nodes:
            if names_read([node]) & depends and node.op_type not in _CONSTANT:
                depends |= set(node.output)
        jumps_of = {name: _JUMPS.get(node.op_type, np.inf) for node in nodes for name in node.output}
        for number, (name, one) in enumerate(zip(names, clean, strict=True)):
            if name in depends:
                variants = [np.asarray(other[number]) for other in others]
                noisy = self._checked(np.asarray(one), variants, jumps_of[name])
                tries = self._rounded([np.asarray(run[number]) for run in rounded])
                self.values.append(Tensor(name, np.asarray(one), noisy, tries))
            else:
                self.known[name] = np.asarray(one)

    def _variants(self, feeds: Sequence[Tensor], *, jumps: bool) -> list[list[Array]]:
        """Operands that are a little off: as the nodes before make them, and as far off as they may be, in some directions.

        Where a node ``jumps`` that is the most with one step for all elements: then the last place decides.
        """
        ways = [False] * 8 + [True] * 8 * jumps
        return [
            [x.noisy for x in feeds],
            *([self._off(x.clean, farthest=True, alike=alike) for x in feeds] for alike in ways),
        ]

    def _rounded(self, tries: Sequence[Array]) -> tuple[Array, ...]:
        """Values after a result's rounding; integers and zeros are exact."""
        if tries[0].dtype.kind != "f":
            return tuple(tries)
        steps = [np.abs(values).max(initial=0.0) * _STEP * self.rng.uniform(-1, 1, values.shape) for values in tries]
        found = zip(tries, steps, strict=True)
        return tuple(np.where(values == 0, values, values + step).astype(values.dtype) for values, step in found)

    def _checked(self, clean: Array, variants: Sequence[Array], jump: float) -> Array:
        """A result from operands that are off, if it is of use."""
        merged = [size for size in clean.shape if size % SAMPLES == 0]
        same = all(other.shape == clean.shape for other in variants)
        if len(merged) != 1 or clean.size == 0 or clean.size > 20_000 or clean.ndim > 7 or not same:
            raise UnfitError
        if clean.dtype.kind != "f":
            if not all(np.array_equal(clean, other) for other in variants):
                raise UnfitError
            return clean
        size = float(np.abs(clean).max())
        most = min(_MOST_NOISE * size, jump)
        if not (size < _MOST and all(np.all(np.abs(other - clean) <= most) for other in variants)):
            raise UnfitError
        return self._off(variants[0])

    def model(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[Tensor],
        outputs: Sequence[onnx.ValueInfoProto],
        constants: dict[str, Array],
        samples: int | str = SAMPLES,
    ) -> onnx.ModelProto:
        """A model of some nodes; ``samples`` is the size of its batch."""
        used = names_read(nodes)
        held = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items() if name in used]
        graph = helper.make_graph(list(nodes), "drawn", [described(x, samples) for x in inputs], list(outputs), held)
        imports = [helper.make_opsetid("", self.opset)]
        domains = {node.domain for node in nodes} - {""}
        imports += [helper.make_opsetid(domain, 3 if domain == CLASSICAL else 1) for domain in sorted(domains)]
        ir_version = 8 if self.opset < 20 else 10
        made = helper.make_model(graph, opset_imports=imports, ir_version=ir_version, functions=self.functions)
        return onnx.shape_inference.infer_shapes(made)


def described(x: Tensor, samples: int | str) -> onnx.ValueInfoProto:
    """The name, type and shape of a value."""
    sizes = [samples if size == SAMPLES else size for size in x.shape]
    return helper.make_tensor_value_info(x.name, helper.np_dtype_to_tensor_dtype(x.clean.dtype), sizes)


def names_read(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """The values that nodes and the graphs within them read."""
    found: set[str] = set()
    for node in nodes:
        found |= set(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= names_read(attribute.g.node) | {output.name for output in attribute.g.output}
    return found - {""}


def runner(model: onnx.ModelProto) -> Callable[[Sequence[Array]], list[Array]]:
    """What computes the outputs of a model: onnxruntime, or ONNX's own evaluator where that lacks an operator."""
    names = [value.name for value in model.graph.input]
    session = _session(model)
    run = ReferenceEvaluator(model).run if session is None else session.run
    return lambda arrays: list(run(None, dict(zip(names, arrays, strict=True))))


def runtime(model: onnx.ModelProto) -> Callable[[Sequence[Array]], list[Array]] | None:
    """What computes the outputs of a model in onnxruntime; None if that lacks an operator."""
    return None if _session(model) is None else runner(model)


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession | None:
    if any(attribute.name == "layout" for node in model.graph.node for attribute in node.attribute):
        return None  # it says so in words
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except _NotImplemented:
        return None
