"""Writes the models, inputs and outputs of ``tests/quantized/test_tflite.py``.

Run it twice, in two environments:

    pip install ai-edge-litert==2.3.0 tensorflow-cpu==2.21.0 && python make.py single
    pip install tensorflow-cpu==2.14.1 "numpy<2" && python make.py double

The first writes the models and what the reference kernels of today's interpreter give, the second adds what those of
TensorFlow 2.14 do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from drafts import (
    SAMPLES,
    alike,
    binary,
    codes,
    conv,
    dense,
    depthwise,
    ints,
    join,
    lstm,
    matmul,
    mean,
    moved,
    outside,
    pool,
    prelu,
    rng,
    softmax,
    strided,
    table,
    thirds,
    transposed,
)
from refused import refused

HERE = Path(__file__).parent / "models"
FILES = ("int8", "int16", "uint8", "networks", "more")
WHOLE = (
    "dense_int8_fused1", "conv_uint8_valid", "lstm_int8_clipped", "mlp_int8_codes", "cnn_int8_codes", "residual_int8_codes",
    "sequence_int8_floats", "mlp_int16_codes", "float32_mlp", "dynamic_lstm", "float32_embedding",
)  # fmt: skip
"""Models that have files of their own, too: those that are built in tests of backends."""


def products(kind):
    """Products, with weights and of two operands."""
    per = kind != "uint8"
    for fused in (0, 1, 3) + ((2,) if per else ()):
        yield f"dense_{kind}_fused{fused}", dense(kind, fused=fused)
    if per:
        yield f"dense_{kind}_channels", dense(kind, True)
    yield f"dense_{kind}_image", dense(kind, shape=(1, 3, 3, 4), width=36)
    yield f"dense_{kind}_keep", dense(kind, shape=(1, 3, 9), keep=True)
    for key, more in {
        "plain": {}, "valid": {"padding": 1, "fused": 1}, "strided": {"stride": 2, "fused": 3}, "dilated": {"dilation": 2},
        "strided_valid": {"stride": 2, "padding": 1}, "wide": {"size": (1, 5)}, "pointwise": {"size": (1, 1)},
    }.items():  # fmt: skip
        yield f"conv_{kind}_{key}", conv(kind, per_channel=per, **more)
        yield f"depthwise_{kind}_{key}", depthwise(kind, per_channel=per, **more)
    yield f"depthwise_{kind}_multiplier", depthwise(kind, per_channel=per, multiplier=2)
    if per:
        yield f"conv_{kind}_groups", conv(kind, groups=2, channels=4)
        yield f"conv_{kind}_tensor", conv(kind, per_channel=False)
        for key, more in {
            "same": {},
            "valid": {"padding": 1, "fused": 1},
            "odd": {"odd": 1},
            "gap": {"size": (1, 1)},
        }.items():
            yield f"transposed_{kind}_{key}", transposed(kind, **more)
        yield f"matmul_{kind}", matmul(kind)
        yield f"matmul_{kind}_adjoint", matmul(kind, True)


def sums(kind):
    """Sums, extremes, windows and softmax."""
    per = kind != "uint8"
    for name in ("ADD", "SUB", "MUL"):
        options = f"{name.capitalize()}Options"
        yield f"{name.lower()}_{kind}", binary(name, kind, options)
        yield f"{name.lower()}_{kind}_relu", binary(name, kind, options, 1)
        yield f"{name.lower()}_{kind}_broadcast", binary(name, kind, options, 3, (1, 1, 5))
        yield f"{name.lower()}_{kind}_constant", binary(name, kind, options, 0, constant=True)
    for name in ("ADD", "SUB"):
        options = f"{name.capitalize()}Options"
        if kind == "int16":
            powers = (2.0**-12, 2.0**-10, 2.0**-10)
            yield f"{name.lower()}_{kind}_powers", binary(name, kind, options, 0, s=powers, pot=True)
        equal = (np.float32(0.05),) * 2 + (np.float32(0.1),)
        yield f"{name.lower()}_{kind}_equal", binary(name, kind, options, 0, s=equal)
    for name in ("MAXIMUM", "MINIMUM"):
        yield f"{name.lower()}_{kind}", alike(name, kind, "MaximumMinimumOptions")
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        short = name.split("_")[0].lower()
        yield f"{short}_pool_{kind}", pool(name, kind)
        yield f"{short}_pool_{kind}_same", pool(name, kind, (3, 3), 2, 0)
        yield f"{short}_pool_{kind}_relu", pool(name, kind, (2, 3), 1, 0, 1)
        yield f"{short}_pool_{kind}_even", pool(name, kind, (4, 4), 1, 0, 3)
    for key, axes, keep in (
        ("image", [1, 2], True),
        ("rows", [1], False),
        ("channels", [3], True),
        ("all", [1, 2, 3], False),
    ):
        yield f"mean_{kind}_{key}", mean(kind, axes, keep)
    yield f"mean_{kind}_same", mean(kind, [1, 2], False, same=True)
    yield f"mean_{kind}_same_keep", mean(kind, [1, 2], True, same=True)
    for s in (0.01, 0.1, 0.9):
        for n in (1, 2, 10):
            shown = 0.001 if kind == "int16" else 1
            yield f"softmax_{kind}_{s}_{n}", softmax(kind, s * shown, n=n)
    yield f"softmax_{kind}_rows", softmax(kind, 0.05 if per and kind == "int8" else 0.0003, 0.7, 5, 3)


def tables(kind):
    """Functions of one code, and what comes from floating point or goes there."""
    unit = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}[kind]
    for k, s in enumerate((0.0123, 0.07) if kind != "int16" else (2.0**-12, 0.0003, 0.00017, 0.002)):
        yield f"logistic_{kind}_{k}", table("LOGISTIC", kind, s=np.float32(s), out=unit[0], zout=unit[1])
    unit = {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)}[kind]
    for k, s in enumerate((0.0123, 0.07) if kind != "int16" else (2.0**-12, 2.0**-11, 0.0003, 0.002)):
        yield f"tanh_{kind}_{k}", table("TANH", kind, s=np.float32(s), out=unit[0], zout=unit[1])
    for name in ("RELU", "RELU6") + (("RELU_N1_TO_1",) if kind != "int16" else ()):
        yield f"{name.lower()}_{kind}", table(name, kind, s=np.float32(0.06), out=np.float32(0.031))
    for k, alpha in enumerate((0.2, 1.5) + ((-0.3,) if kind != "int16" else ())):
        yield (
            f"leaky_relu_{kind}_{k}",
            table("LEAKY_RELU", kind, "LeakyReluOptions", s=np.float32(0.041), alpha=alpha, version=2),
        )
    yield f"prelu_{kind}", prelu(kind)
    if kind != "int16":
        for k, (s, out) in enumerate(((0.05, 0.04), (0.4, 0.41), (0.001, 0.003), (0.0234, 0.02))):
            yield f"hard_swish_{kind}_{k}", table("HARD_SWISH", kind, s=np.float32(s), out=np.float32(out))
    yield f"quantize_{kind}", table("QUANTIZE", kind, "QuantizeOptions", version=2)
    yield f"quantize_{kind}_float", outside(kind, "QUANTIZE")
    yield f"dequantize_{kind}", outside(kind, "DEQUANTIZE")


def moves(kind):
    """Codes that move."""
    yield f"reshape_{kind}", moved("RESHAPE", kind, (1, 4, 6), (1, 3, 8), "ReshapeOptions", [ints(1, -1, 8)])
    yield f"squeeze_{kind}", moved("SQUEEZE", kind, (1, 4, 1, 6), (1, 4, 6), "SqueezeOptions", squeezeDims=[2])
    yield (
        f"expand_dims_{kind}",
        moved("EXPAND_DIMS", kind, (1, 4, 6), (1, 4, 1, 6), "ExpandDimsOptions", [np.array(2, np.int32)]),
    )
    yield (
        f"transpose_{kind}",
        moved("TRANSPOSE", kind, (1, 4, 5, 6), (1, 6, 4, 5), "TransposeOptions", [ints(0, 3, 1, 2)]),
    )
    pads = np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)
    yield f"pad_{kind}", moved("PAD", kind, (1, 4, 5, 2), (1, 7, 6, 2), "PadOptions", [pads])
    yield (f"slice_{kind}", moved("SLICE", kind, (1, 6, 7), (1, 3, 5), "SliceOptions", [ints(0, 2, 2), ints(1, 3, -1)]))
    yield f"strided_slice_{kind}", strided(kind)
    yield (
        f"split_{kind}",
        moved("SPLIT", kind, (1, 6, 4), (1, 3, 4), "SplitOptions", [np.array(1, np.int32)], True, 2, numSplits=2),
    )
    yield f"unpack_{kind}", moved("UNPACK", kind, (1, 3, 4), (1, 4), "UnpackOptions", outputs=3, num=3, axis=1)
    yield f"gather_{kind}", moved("GATHER", kind, (1, 6, 4), (1, 3, 4), "GatherOptions", [ints(4, 0, 4)], axis=1)
    yield f"pack_{kind}", join("PACK", kind, (1, 2, 4, 5), "PackOptions", valuesCount=2, axis=1)
    yield f"concatenation_{kind}", join("CONCATENATION", kind, (1, 4, 10), "ConcatenationOptions", axis=-1)


def cases():
    for kind in ("int8", "int16", "uint8"):
        for part in (products, sums, tables, moves):
            yield from part(kind)
    yield "dense_int8_sixths", thirds()
    yield "lstm_int8", lstm()
    yield "lstm_int8_coupled", lstm(2, coupled=True, power=-14)
    yield "lstm_int8_clipped", lstm(2, clip=1.5, power=-11)
    yield (
        "quantize_to_uint8",
        table("QUANTIZE", "int8", "QuantizeOptions", okind="uint8", s=0.05, out=0.05, z=3, zout=131),
    )
    yield "quantize_of_uint8", table("QUANTIZE", "uint8", "QuantizeOptions", okind="int8", s=0.05, out=0.04)
    yield "quantize_of_int16", table("QUANTIZE", "int16", "QuantizeOptions", okind="int8", s=0.0005, out=0.04)
    yield "quantize_to_int16", table("QUANTIZE", "int8", "QuantizeOptions", okind="int16", s=0.05, out=0.0004, zout=0)


def interpreters():
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        return Interpreter, OpResolverType.BUILTIN_REF
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter, tf.lite.experimental.OpResolverType.BUILTIN_REF


def outputs(content, inputs, interpreter=None):
    """What the reference kernels, or those of the ``interpreter``, give, sample by sample."""
    make, kernels = interpreters()
    interpreter = interpreter or make(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    places = [one["index"] for one in interpreter.get_input_details()]
    results = [one["index"] for one in interpreter.get_output_details()]
    found = []
    for row in zip(*inputs, strict=True):
        for place, value in zip(places, row, strict=True):
            interpreter.set_tensor(place, value[None])
        interpreter.invoke()
        found.append([interpreter.get_tensor(result)[0] for result in results])
        interpreter.reset_all_variables()
    return [np.stack(column) for column in zip(*found, strict=True)]


def networks():
    """What TensorFlow's converter makes of networks: inputs that saturate, too."""
    from networks import NETWORKS, converted

    for name in NETWORKS:
        for kind, ends in (("int8", "codes"), ("int8", "floats"), ("int16", "codes"), ("int16", "floats")):
            content = converted(name, kind, ends)
            interpreter = interpreters()[0](model_content=content)
            shape = interpreter.get_input_details()[0]["shape"]
            if ends == "codes":
                yield f"{name}_{kind}_codes", (content, codes(kind, shape))
            else:
                x = rng.normal(size=(SAMPLES, *shape[1:])) * np.linspace(0.5, 3, SAMPLES).reshape(
                    -1, *[1] * (len(shape) - 1)
                )
                yield f"{name}_{kind}_floats", (content, (np.rint(x * 256) / 256).astype("float32"))


def made():
    """All models by the file that they are in."""
    for name, case in cases():
        yield next(kind for kind in ("uint8", "int16", "int8") if f"_{kind}" in name), name, case
    for name, case in networks():
        yield "networks", name, case
    import more

    for name, (content, *inputs) in more.cases():
        yield "more", name, (content, *(x[:8] for x in inputs))


def stored_with(stored, name, content, inputs, rounding):
    """The outputs of one model beside what is known of it."""
    try:
        results = outputs(content, inputs)
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"{name} has no reference: {str(error)[:200]}\n")
        return {}
    return stored | {f"{name}/{rounding}{k}": y for k, y in enumerate(results)}


def main(rounding: str) -> None:
    files: dict[str, dict[str, np.ndarray]] = {file: {} for file in FILES}
    if rounding == "single":
        for file, name, (content, *inputs) in made():
            first = {f"{name}/model": np.frombuffer(content, np.uint8)} | {
                f"{name}/x{k}": x for k, x in enumerate(inputs)
            }
            files[file] |= stored_with(first, name, content, inputs, rounding)
        import more

        for name, content, x, y in more.signed_sums():
            model = np.frombuffer(content, np.uint8)
            files["more"] |= {f"{name}/model": model, f"{name}/x0": x, f"{name}/single0": y}
    else:
        for file in FILES:
            files[file] = dict(np.load(HERE / f"{file}.npz"))
            for name in [key.split("/")[0] for key in files[file] if key.endswith("/model")]:
                inputs = [files[file][f"{name}/x{k}"] for k in range(9) if f"{name}/x{k}" in files[file]]
                files[file] |= stored_with({}, name, files[file][f"{name}/model"].tobytes(), inputs, rounding)
    HERE.mkdir(exist_ok=True)
    if rounding == "single":
        import floats
        import streams

        files["floats"], files["streams"] = floats.stored(), streams.stored()
    np.savez_compressed(HERE / "refused.npz", **{name: np.frombuffer(c, np.uint8) for name, c in refused()})
    for file, stored in files.items():
        np.savez_compressed(HERE / f"{file}.npz", **stored)
        for name in WHOLE:
            if f"{name}/model" in stored:
                (HERE / f"{name}.tflite").write_bytes(stored[f"{name}/model"].tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
