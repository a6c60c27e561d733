"""Writes `.tflite` files of single operators through the schema classes that TensorFlow brings."""

from __future__ import annotations

import flatbuffers
import numpy as np

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    from tensorflow.lite.python import schema_py_generated as schema

TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "resource": 13,
}


class Draft:
    """One subgraph, tensor by tensor and operator by operator."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "test"
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, shape, kind, scale=None, zero=0, values=None, axis=0, name="", variable=False) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.hasRank = list(shape), TYPES[kind], True
        tensor.name = name or f"t{len(self.graph.tensors)}"
        tensor.isVariable = variable
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            zeros = np.broadcast_to(np.asarray(zero), (len(q.scale),))
            q.zeroPoint, q.quantizedDimension = zeros.tolist(), axis
            tensor.quantization = q
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype=kind).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        else:
            tensor.buffer = 0
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options=None, version=1, intermediates=None, **fields) -> None:
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.builtinCode, code.version = min(number, 127), number, version
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        op.intermediates = intermediates
        if options:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            op.builtinOptions = getattr(schema, options + "T")()
            for key, value in fields.items():
                assert hasattr(op.builtinOptions, key), key
                setattr(op.builtinOptions, key, value)
        self.graph.operators.append(op)

    def content(self, inputs, outputs) -> bytes:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
