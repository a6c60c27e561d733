"""Models without the quantization of their weights."""

from __future__ import annotations

import flatbuffers
import numpy as np
from flat import schema


def dequantized(content):
    """The model with the numbers that quantized weights of operators on floating point stand for, in their place."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    kinds = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    kinds_of = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    exact = {
        tensor
        for one in graph.operators
        if kinds_of[one.opcodeIndex] in (schema.BuiltinOperator.DEQUANTIZE, schema.BuiltinOperator.GATHER)
        for tensor in one.inputs
    }
    for number, tensor in enumerate(graph.tensors):
        if number in exact:
            continue
        found, data = tensor.quantization, model.buffers[tensor.buffer].data
        if data is None or found is None or found.scale is None or kinds[tensor.type] not in ("int8", "uint8"):
            continue
        codes = np.frombuffer(bytes(data), kinds[tensor.type]).reshape(tensor.shape)
        several = len(found.scale) > 1
        shape = [-1 if several and axis == found.quantizedDimension else 1 for axis in range(codes.ndim)]
        scale = np.asarray(found.scale, np.float64).reshape(shape)
        values = (codes - np.asarray(found.zeroPoint).reshape(shape)) * scale
        tensor.type, tensor.quantization, buffer = schema.TensorType.FLOAT32, None, schema.BufferT()
        buffer.data = np.frombuffer(values.astype("float32").tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
