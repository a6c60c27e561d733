"""Random ONNX graphs of integers and truth values, whose results onnx's reference evaluator computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import onnx
from number_expressions import Numbers, data, is_compared
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

_CODES = {
    "bool": TensorProto.BOOL,
    "float32": TensorProto.FLOAT,
    **{
        name: int(getattr(TensorProto, name.upper()))
        for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
    },
}
_ALL = tuple(_CODES)
_INTEGERS = _ALL[2:]
_SIGNED = tuple(name for name in _INTEGERS if not name.startswith("u"))
_UNSIGNED = tuple(name for name in _INTEGERS if name.startswith("u"))
_LARGE = ("int32", "uint32", "int64")
_WEIGHTS = [[1, 2, 3, 4], [100, 5, 6, 7], [0, 1, 0, 2], [1, 1, 1, 1]]


@dataclass(frozen=True)
class Operator:
    """An operator on ``count`` operands of one of the types, then constants of that type, then other ones."""

    name: str
    types: Sequence[str]
    count: int = 1
    constants: Sequence[npt.ArrayLike] = ()
    others: Sequence[Numbers] = ()
    attributes: Mapping[str, int | str] = field(default_factory=dict)


_AXIS = np.array([1])
_integers = partial(Operator, types=_INTEGERS)

OPERATORS: list[Operator] = [
    *(
        _integers(name, count=2)
        for name in ("Add", "Sub", "Mul", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Max", "Min")
    ),
    *(_integers(name, count=2) for name in ("Equal", "Less", "GreaterOrEqual")),
    *(_integers(name, constants=[by]) for name in ("Add", "Sub", "Mul") for by in (3, 100, [1, 100, 3, 0])),
    *(_integers(name, constants=[by]) for name in ("Div", "Mod") for by in (3, 7, 8)),
    *(Operator(name, _SIGNED, constants=[by]) for name in ("Div", "Mod") for by in (-3, -7)),
    _integers("Mod", constants=[5], attributes={"fmod": 1}),
    Operator("Mod", _SIGNED, constants=[-5], attributes={"fmod": 1}),
    *(Operator(name, _SIGNED) for name in ("Neg", "Relu")),
    *(_integers(name) for name in ("Abs", "Sign", "BitwiseNot")),
    *(Operator("BitShift", _UNSIGNED, constants=[3], attributes={"direction": way}) for way in ("LEFT", "RIGHT")),
    _integers("Clip", constants=[3, 100]),
    _integers("Greater", constants=[3]),
    *(Operator(name, ["bool"], 2) for name in ("And", "Or", "Xor", "Equal")),
    Operator("Not", ["bool"]),
    Operator("ReduceSum", _LARGE, others=[_AXIS], attributes={"keepdims": 1}),
    Operator("ReduceProd", ["int32", "uint32"], others=[_AXIS], attributes={"keepdims": 1}),
    _integers("ReduceMax", others=[_AXIS], attributes={"keepdims": 1}),
    Operator("CumSum", _LARGE, others=[np.array(1)]),
    Operator("CumSum", ["int32"], others=[np.array(1)], attributes={"reverse": 1, "exclusive": 1}),
    _integers("ArgMax", attributes={"axis": 1}),
    Operator("MatMul", ["int32", "uint32"], constants=[_WEIGHTS]),
    Operator("Pow", ["int32", "int64"], constants=[2]),
    *(
        Operator("Cast", [name for name in _ALL if name != "float32"], attributes={"to": code})
        for code in _CODES.values()
    ),
    *(
        Operator("Cast", ["float32"], attributes={"to": _CODES[name]})
        for name in ("int8", "uint8", "int16", "int32", "bool", "int64")
    ),
    Operator("Slice", _ALL, others=[np.array([-1]), np.array([-99]), _AXIS, np.array([-1])]),
]


@dataclass
class Graph:
    """A graph while it grows: the types of its values by name."""

    inputs: Sequence[str]
    types: dict[str, str] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.types |= {f"x{number}": dtype for number, dtype in enumerate(self.inputs)}

    @property
    def last(self) -> str:
        """The name of the value that was made last."""
        return list(self.types)[-1]

    def model(self) -> onnx.ModelProto:
        """The graph with its last value as the result."""
        inputs = [
            helper.make_tensor_value_info(f"x{number}", _CODES[dtype], ["samples", 4])
            for number, dtype in enumerate(self.inputs)
        ]
        result = self.nodes[-1].output[0]
        graph = helper.make_graph(self.nodes, "numbers", inputs, [onnx.ValueInfoProto(name=result)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    def computed(self) -> Numbers:
        """The result on all numbers of the inputs' types."""
        given = {f"x{number}": data(dtype) for number, dtype in enumerate(self.inputs)}
        with np.errstate(all="ignore"):
            return np.asarray(ReferenceEvaluator(self.model()).run(None, given)[0])

    def add(self, operator: Operator, operands: Sequence[str]) -> Numbers | None:
        """The result of another node; None, and no other node, where it cannot be compared."""
        count = len(self.nodes)
        dtype = self.types[operands[0]]
        constants = [*(np.array(value).astype(dtype) for value in operator.constants), *operator.others]
        names = [f"c{count}_{number}" for number in range(len(constants))]
        self.nodes.append(
            helper.make_node(operator.name, [*operands, *names], [f"y{count}"], name=f"n{count}", **operator.attributes)
        )
        self.weights += [numpy_helper.from_array(value, name) for value, name in zip(constants, names, strict=True)]
        try:
            found = self.computed()
        except Exception:  # whatever the evaluator says of types that it does not take
            found = np.zeros(0)
        if not is_compared(found):
            self.nodes.pop()
            del self.weights[len(self.weights) - len(names) :]
            return None
        self.types[f"y{count}"] = found.dtype.name
        return found


def drawn_graph(seed: int) -> tuple[Graph, Numbers]:
    """A graph of a few operators, and its result."""
    rng = np.random.default_rng(seed)
    while True:
        graph = Graph([str(dtype) for dtype in rng.choice(np.array(_ALL), int(rng.integers(1, 4)))])
        result = None
        for _ in range(200):
            operator = OPERATORS[int(rng.integers(len(OPERATORS)))]
            name = graph.last if graph.nodes else str(rng.choice(np.array(list(graph.types))))
            if graph.types[name] not in operator.types:
                continue
            alike = [other for other, dtype in graph.types.items() if dtype == graph.types[name]]
            operands = [name, *rng.choice(np.array(alike), operator.count - 1)]
            found = graph.add(operator, [str(one) for one in rng.permutation(operands)])
            result = result if found is None else found
            if len(graph.nodes) == 3:
                break
        if result is not None:
            return graph, result
