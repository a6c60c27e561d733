"""Models that are to be refused."""

from __future__ import annotations

import numpy as np
from flat import Draft


def refused():
    """Models that are to be refused, by the reason."""
    draft = Draft()
    x, y = draft.tensor((1, 4), "int8", 0.1, 3, name="x"), draft.tensor((1, 3), "float32", name="y")
    w = draft.tensor((3, 4), "int8", 0.01, 0, values=np.ones((3, 4)))
    draft.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 3)
    yield "mixed", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    draft.operator("MATRIX_DIAG", [x], [y])
    yield "unknown", draft.content([x], [y])
    for name, kind, code, given in (
        ("top", "int8", "TOPK_V2", np.array(2, np.int32)), ("quotient", "int16", "DIV", None),
        ("zero", "int8", "DIV", np.zeros((1, 4), np.int8)), ("sum", "int16", "SUM", np.array([1], np.int32)),
    ):  # fmt: skip
        draft = Draft()
        x, y = (draft.tensor((1, 4), kind, 0.1, 0, name=tensor) for tensor in "xy")
        other = x if given is None else draft.tensor(given.shape, given.dtype.name, 0.1, 0, values=given)
        draft.operator(code, [x, other], [y])
        yield name, draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "float32", name=tensor) for tensor in "xy")
    draft.operator("FAKE_QUANT", [x], [y], "FakeQuantOptions", min=-1.0, max=1.0, numBits=8, narrowRange=True)
    yield "narrow", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, n), "int8", 0.1, 3, name=name) for n, name in ((9000, "x"), (1, "y")))
    w = draft.tensor((1, 9000), "int8", 0.01, 0, values=np.full((1, 9000), 127))
    b = draft.tensor((1,), "int32", 0.001, 0, values=[2**31 - 5])
    draft.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 3)
    yield "overflow", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    room = draft.tensor((64,), "uint8", name="scratch")
    draft.operator("CUSTOM", [x, room], [y])
    draft.model.operatorCodes[0].customCode = "ethos-u"
    yield "vela", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, *sizes), "float32", name=name) for sizes, name in (((2, 3), "x"), ((6,), "y")))
    wanted = draft.tensor((2,), "int32", name="wanted")
    draft.operator("RESHAPE", [x, wanted], [y], "ReshapeOptions")
    yield "shape", draft.content([x, wanted], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), kind, name=name) for kind, name in (("resource", "x"), ("float32", "y")))
    draft.operator("ABS", [x], [y], "AbsOptions")
    yield "resource", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    draft.operator("SQRT", [x], [y])
    yield "codes", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, n), "int8", 0.1, 3, name=name) for n, name in ((4, "x"), (3, "y")))
    w = draft.tensor((3, 4), "int8", [0.01, 0.02, 0.03], 0, values=np.ones((3, 4)), axis=0)
    b = draft.tensor((3,), "int32", [0.001, 0.002, 0.003], 0, values=[5, 6, 7], axis=3)
    draft.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 4)
    yield "axis", draft.content([x], [y])
    yield from far_finer()


def far_finer():
    """Results in steps so small that kernels lose upper bits of 32, as where a converter saw nothing but zeros."""
    draft = Draft()
    x, y = draft.tensor((1, 4), "int8", 20.0, 3, name="x"), draft.tensor((1, 3), "int8", 8e-9, 0, name="y")
    w = draft.tensor((3, 4), "int8", 0.1, 0, values=np.ones((3, 4)))
    draft.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 3)
    yield "dead_dense", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 3, 3, 1), "int8", step, 0, name=name) for step, name in ((20.0, "x"), (8e-9, "y")))
    w = draft.tensor((1, 1, 1, 1), "int8", 0.1, 0, values=np.full((1, 1, 1, 1), -3))
    b = draft.tensor((1,), "int32", 2.0, 0, values=[0])
    options = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1, "fusedActivationFunction": 1}
    draft.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", 3, **options)
    yield "dead_conv", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int16", step, 0, name=name) for step, name in ((1.0, "x"), (1e-5, "y")))
    draft.operator("QUANTIZE", [x], [y])
    yield "fine", draft.content([x], [y])
    for name in ("ADD", "SUB"):
        draft = Draft()
        x, y = (draft.tensor((1, 4), "int8", step, 0, name=name) for step, name in ((0.0625, "x"), (5e-8, "y")))
        draft.operator(name, [x, x], [y], f"{name.title()}Options", 2)
        yield f"fine_{name.lower()}", draft.content([x], [y])
