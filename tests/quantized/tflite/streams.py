"""Models that keep states between calls, for ``make.py``: what an interpreter gives, call after call."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from drafts import lstm
from flat import Draft

CALLS = 12
rng = np.random.default_rng(31)


def integers(shape, low=-127, high=128):
    return rng.integers(low, high, shape)


def svdf(rank, memory=4, fused=0, bias=True, inside=5, units=3):
    draft, filters = Draft(), units * rank
    x, y = (draft.tensor((1, n), "float32", name=name) for n, name in ((inside, "x"), (units, "y")))
    feature = draft.tensor((filters, inside), "float32", values=rng.normal(size=(filters, inside)))
    time = draft.tensor((filters, memory), "float32", values=rng.normal(size=(filters, memory)))
    b = draft.tensor((units,), "float32", values=rng.normal(size=units)) if bias else -1
    state = draft.tensor((1, filters * memory), "float32", variable=True)
    draft.operator("SVDF", [x, feature, time, b, state], [y], "SVDFOptions", rank=rank, fusedActivationFunction=fused)
    return draft.content([x], [y]), rng.normal(size=(CALLS, inside)).astype("float32")


def svdf_of_codes(rank, unit, memory=4, inside=6, units=4, large=False):
    draft, filters = Draft(), units * rank
    x, y = (
        draft.tensor((1, inside), "int8", 0.05, -11, name="x"),
        draft.tensor((1, units), "int8", 0.09, -128, name="y"),
    )
    feature = draft.tensor((filters, inside), "int8", 0.011, 0, values=integers((filters, inside)))
    top = 32767 if large else 900
    time = draft.tensor((filters, memory), "int16", 0.0004, 0, values=integers((filters, memory), -top, top))
    b = draft.tensor((units,), "int32", np.float32(unit) * np.float32(0.0004), 0, values=integers(units, -90000, 90000))
    state = draft.tensor((1, filters * memory), "int16", unit, 0, variable=True)
    draft.operator("SVDF", [x, feature, time, b, state], [y], "SVDFOptions", 3, rank=rank, fusedActivationFunction=1)
    return draft.content([x], [y]), integers((CALLS, inside), -128).astype("int8")


def cell():
    """An LSTM of one step in floating point."""
    draft, width, units = Draft(), 3, 4

    def trained(*shape):
        return draft.tensor(shape, "float32", values=rng.normal(size=shape))

    x, y = draft.tensor((1, 1, width), "float32", name="x"), draft.tensor((1, 1, units), "float32", name="y")
    inside, again = ([trained(units, n) for _ in range(4)] for n in (width, units))
    states = [draft.tensor((1, units), "float32", variable=True) for _ in range(2)]
    biases = [trained(units) for _ in range(4)]
    draft.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inside, *again, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1], [y],
        "UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4,
    )  # fmt: skip
    return draft.content([x], [y]), rng.normal(size=(CALLS, 1, width)).astype("float32")


def variables(kind):
    """Two variables: the last inputs, which a sum weighs, and the sum before; one is read again after it is assigned."""
    scale = (None, 0) if kind == "float32" else (0.05, 7)
    main, first = Draft(), Draft()
    x, y = main.tensor((1, 1, 3), kind, *scale, name="x"), main.tensor((1, 3, 3), kind, *scale, name="y")
    handles = [main.tensor((), "resource", name=name) for name in ("kept", "before")]
    read, again = main.tensor((1, 2, 3), kind, *scale), main.tensor((1, 2, 3), kind, *scale)
    joined, before, after = (main.tensor((1, 3, 3), kind, *scale) for _ in range(3))
    ends = [main.tensor((3,), "int32", values=np.array(v, np.int32)) for v in ([0, 1, 0], [1, 2, 3])]
    for handle, name in zip(handles, ("kept", "before"), strict=True):
        main.operator("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName=name)
    main.operator("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    main.operator("READ_VARIABLE", handles[:1], [read], "ReadVariableOptions")
    main.operator("CONCATENATION", [read, x], [joined], "ConcatenationOptions", axis=1)
    part = main.tensor((1, 2, 3), kind, *scale)
    main.operator("SLICE", [joined, *ends], [part], "SliceOptions")
    main.operator("ASSIGN_VARIABLE", [handles[0], part], [], "AssignVariableOptions")
    main.operator("READ_VARIABLE", handles[:1], [again], "ReadVariableOptions")
    main.operator("READ_VARIABLE", handles[1:], [before], "ReadVariableOptions")
    whole = main.tensor((1, 3, 3), kind, *scale)
    main.operator("CONCATENATION", [x, again], [whole], "ConcatenationOptions", axis=1)
    main.operator("ADD", [whole, before], [after], "AddOptions", 1, fusedActivationFunction=0)
    main.operator("ASSIGN_VARIABLE", [handles[1], after], [], "AssignVariableOptions")
    main.operator("MAXIMUM", [after, joined], [y], "MaximumMinimumOptions")
    for name, shape, value in (("kept", (1, 2, 3), 7), ("before", (1, 3, 3), 9)):
        handle = first.tensor((), "resource", name=name)
        given = first.tensor(shape, kind, *scale, values=np.full(shape, value))
        first.operator("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName=name)
        first.operator("ASSIGN_VARIABLE", [handle, given], [], "AssignVariableOptions")
    inputs = rng.normal(size=(CALLS, 1, 3)) if kind == "float32" else integers((CALLS, 1, 3), -40, 40)
    return joined_graphs(main, first, [x], [y]), inputs.astype(kind)


def joined_graphs(main, first, inputs, outputs):
    """A model of two graphs."""
    model, codes, buffers = main.model, len(main.model.operatorCodes), len(main.model.buffers)
    for operator in first.graph.operators:
        operator.opcodeIndex += codes
    for tensor in first.graph.tensors:
        tensor.buffer += buffers if tensor.buffer else 0
    model.operatorCodes += first.model.operatorCodes
    model.buffers += first.model.buffers
    main.graph.inputs, main.graph.outputs, first.graph.inputs, first.graph.outputs = inputs, outputs, [], []
    model.subgraphs = [main.graph, first.graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def cases():
    yield "svdf", svdf(1)
    yield "svdf_rank", svdf(2, fused=1)
    yield "svdf_short", svdf(1, memory=1, bias=False)
    yield "svdf_int8", svdf_of_codes(1, 0.002)
    yield "svdf_int8_rank", svdf_of_codes(2, 0.0003)
    yield "svdf_int8_wraps", svdf_of_codes(2, 0.00002, memory=9, large=True)
    yield "cell", cell()
    content, inputs = lstm(steps=1)
    yield "cell_int8", (content, np.concatenate([inputs[:6], inputs[6:]]))
    yield "variables", variables("float32")
    yield "variables_int8", variables("int8")


def called(content, inputs):
    """The results of one call after the other."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    (x,), (y,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in inputs:
        interpreter.set_tensor(x["index"], sample[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(y["index"])[0].copy())
    return np.stack(found)


def stored():
    """All models, inputs and outputs."""
    found = {}
    for name, (content, inputs) in cases():
        arrays = {"model": np.frombuffer(content, np.uint8), "x0": inputs, "single0": called(content, inputs)}
        found |= {f"{name}/{key}": value for key, value in arrays.items()}
    return found
