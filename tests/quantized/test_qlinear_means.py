"""Means of quantized integers compute what onnxruntime computes with the numbers that these stand for."""

import numpy as np
import onnx
import onnxruntime
import pytest
from qdq.quantized_operators import Model

import bitsmith


@pytest.mark.parametrize("opset", [13, 21])
@pytest.mark.parametrize(("axes", "keepdims"), [((2, 3), 1), ((-1,), 0), ((1,), 1)])
def test_means_of_codes_take_their_axes_from_the_attribute(axes: tuple[int, ...], keepdims: int, opset: int) -> None:
    """onnxruntime has the operator for other processors only, and the same with numbers between."""

    def model(*, quantized: bool) -> onnx.ModelProto:
        m = Model(4, 2, 8, opset=opset)
        grid, result = m.grid(0.0625, 6), m.grid(0.03125, 128)
        x = m.q("x", grid)
        if quantized:
            y = m.node("QLinearReduceMean", x, *grid, *result, domain="com.microsoft", axes=axes, keepdims=keepdims)
        else:
            operand = {} if opset >= 18 else {"axes": axes}
            mean = m.node(
                "ReduceMean", m.dq(x, grid), *[m.const(axes, np.int64)] * (opset >= 18), keepdims=keepdims, **operand
            )
            y = m.q(mean, result)
        m.out(y)
        return m.made()

    x = (np.random.default_rng(0).integers(-100, 800, (5, 4, 2, 8)) / 64).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model(quantized=False).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(bitsmith.convert(model(quantized=True)).predict(x), expected)
