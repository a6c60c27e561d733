"""Models of the QONNX dialect that are being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GENERAL, CHANNELS_LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"


@dataclass
class Model:
    """A model being written: constants and nodes, each of which gives the name of its result."""

    name: str
    inputs: Mapping[str, Sequence[int]]
    version: int = 2
    opset: int = 13
    imported: Sequence[str] = (GENERAL,)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    shapes: dict[str, Sequence[int]] = field(default_factory=dict)

    def shaped(self, name: str, *shape: int) -> str:
        """The value, whose shape the executor does not find by itself."""
        self.shapes[name] = shape
        return name

    def constant(self, values: object, name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: object) -> str:
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], f"{name}_node", domain=domain, **attributes))
        return name

    def custom(self, kind: str, *inputs: str, name: str = "", domain: str = GENERAL, **attributes: object) -> str:
        return self.node(kind, *inputs, name=name, domain=domain, **attributes)

    def quant(
        self,
        x: str,
        scale: object,
        bits: float,
        signed: int = 1,
        narrow: int = 0,
        zero: object = 0.0,
        mode: str = "ROUND",
        name: str = "",
        kind: str = "Quant",
        domain: str = GENERAL,
    ) -> str:
        numbers = [self.constant(values) for values in (np.float32(scale), np.float32(zero), np.float32(bits))]
        return self.custom(
            kind, x, *numbers, name=name, domain=domain, signed=signed, narrow=narrow, rounding_mode=mode
        )

    def output(self, name: str) -> str:
        self.outputs.append(name)
        return name

    def _known(self) -> list[tuple[str, int, Sequence[int]]]:
        return [(name, TensorProto.FLOAT, shape) for name, shape in self.shapes.items() if name not in self.outputs]

    def proto(self) -> onnx.ModelProto:
        floats = TensorProto.FLOAT
        inputs = [helper.make_tensor_value_info(name, floats, shape) for name, shape in self.inputs.items()]
        outputs = [helper.make_tensor_value_info(name, floats, self.shapes.get(name)) for name in self.outputs]
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        graph.value_info.extend(helper.make_tensor_value_info(*one) for one in self._known())
        imports = [helper.make_opsetid("", self.opset)]
        imports += [helper.make_opsetid(domain, self.version) for domain in self.imported]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)
