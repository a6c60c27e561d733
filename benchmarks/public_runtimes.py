"""Outputs of public model files as the frameworks compute them that wrote them: Keras 3 or 2, onnxruntime, qonnx or LiteRT.

Files that a framework no longer takes are repaired in a copy, where what they mean is clear.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bitsmith
from bitsmith.fidelity.framework import NotComparedError, framework_run
from bitsmith.layers.layer import Floats

Run = Callable[[Sequence[Floats]], Sequence[Floats]]

FEW_SAMPLES, MOST_ELEMENTS = 8, 1 << 18
"""Samples that are run where each takes long, and elements of all of their inputs."""


def runtimes(path: Path, model: bitsmith.Model, states: bool, samples: int | None = None) -> Iterator[Run]:
    """The function of the framework that wrote the file, and after it the framework's own approximation of this.

    LiteRT rounds the operands of layers whose weights alone are quantized; what the file means are their products with the
    numbers that codes of weights stand for. Of quantized layers its reference kernels are the meaning, from which its usual
    ones differ by single codes. qonnx computes what quantizers read in single precision, in which numbers next to a tie fall to
    either side; double precision is the meaning, of the first ``samples``, or of a few. With ``states`` each sample begins with
    those that the one before left.
    """
    if path.suffix == ".tflite":
        content, rounds = _lite_model(path)
        yield lambda inputs: _lite_outputs(content, inputs, states, reference=not rounds)
        yield lambda inputs: _lite_outputs(path.read_bytes() if rounds else content, inputs, states, reference=False)
        return
    keras = keras_model(path) if path.suffix in (".h5", ".hdf5", ".keras") else None
    source = path if keras is None else keras

    def run(inputs: Sequence[Floats]) -> Sequence[Floats]:
        if keras is not None:  # an open axis that no layer looks at has one element
            inputs = [x if len(y.shape) == x.ndim else x[:, None] for x, y in zip(inputs, keras.inputs, strict=True)]
        try:
            made = framework_run(source, model.network, inputs, None, insist=True)
        except NotComparedError:
            if path.suffix != ".onnx":
                raise
            try:
                made = framework_run(_onnx_model(path), model.network, inputs, None, insist=True)
            except NotComparedError:
                return _qonnx_outputs(path, inputs)
        assert made is not None
        return made.outputs

    if path.suffix == ".onnx" and _has_quantizers(path):
        yield lambda inputs: _double_outputs(path, inputs, samples)
    yield run


def _lite_outputs(content: bytes, inputs: Sequence[Floats], states: bool, *, reference: bool) -> list[Floats]:
    """The outputs of LiteRT's interpreter."""
    module = importlib.import_module("ai_edge_litert.interpreter")
    kernels = module.OpResolverType.BUILTIN_REF if reference else module.OpResolverType.AUTO
    interpreter = module.Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    places, results = interpreter.get_input_details(), interpreter.get_output_details()
    for entry, batch in zip(places, inputs, strict=False):
        if tuple(entry["shape"]) != (1, *batch.shape[1:]):
            interpreter.resize_tensor_input(entry["index"], (1, *batch.shape[1:]))
    interpreter.allocate_tensors()
    rows = []
    for sample in range(len(inputs[0])):
        if not states:
            interpreter.reset_all_variables()
        for entry, batch in zip(places, inputs, strict=False):
            interpreter.set_tensor(entry["index"], batch[sample : sample + 1].astype(entry["dtype"]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(entry["index"])[0].astype(np.float64) for entry in results])
    return [np.stack(batch) for batch in zip(*rows, strict=True)]


def _lite_model(path: Path) -> tuple[bytes, bool]:
    """A file as LiteRT takes it, with float weights in place of codes of weights alone; and whether there were any."""
    schema = importlib.import_module("tensorflow.lite.python.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    changed = rounds = False
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            # Today's interpreter refuses an axis beyond the shape, such as that of the weights for their bias.
            grid = tensor.quantization
            if grid is not None and grid.quantizedDimension and grid.quantizedDimension >= np.size(tensor.shape):
                grid.quantizedDimension, changed = 0, True
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            tensors = [graph.tensors[k] for k in operator.inputs if k >= 0]
            outputs = [graph.tensors[k] for k in operator.outputs]
            if schema.BuiltinOperator.DEQUANTIZE in (code.builtinCode, code.deprecatedBuiltinCode):
                continue
            if outputs and all(tensor.type == schema.TensorType.FLOAT32 for tensor in outputs):
                for tensor in tensors:
                    rounds |= _with_float_weights(model, tensor, schema)
    if not (changed or rounds):
        return path.read_bytes(), False
    builder = importlib.import_module("flatbuffers").Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), rounds


def _with_float_weights(model: Any, tensor: Any, schema: Any) -> bool:
    """Give a tensor of codes the numbers that these stand for; False of any other."""
    kinds = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8}
    data, grid = model.buffers[tensor.buffer].data, tensor.quantization
    if tensor.type not in kinds or data is None or grid is None or grid.scale is None:
        return False
    codes = np.frombuffer(bytes(bytearray(data)), kinds[tensor.type]).reshape(tensor.shape).astype(np.float64)
    sizes = [1] * codes.ndim
    if len(grid.scale) > 1:
        sizes[grid.quantizedDimension] = len(grid.scale)
    zeros = np.zeros(len(grid.scale)) if grid.zeroPoint is None else np.asarray(grid.zeroPoint)
    values = (codes - zeros.reshape(sizes)) * np.asarray(grid.scale, dtype=np.float64).reshape(sizes)
    buffer = type(model.buffers[0])()
    buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.type, tensor.quantization = len(model.buffers) - 1, schema.TensorType.FLOAT32, None
    return True


def keras_model(path: Path) -> Any:
    """A file's model as Keras 3 loads it, with HGQ's layers, or as Keras 2 does, with those of QKeras or of HGQ 1."""
    path = _with_slashes(path)
    errors = []
    # Where qkeras-v3 is installed in place of QKeras, Keras 3 has its layers.
    for package, load_objects in (("keras", _hgq_objects), ("tf_keras", _qkeras_objects), ("keras", _qkeras_objects)):
        try:
            keras = importlib.import_module(package)
            return keras.models.load_model(path, custom_objects=load_objects(), compile=False)
        except Exception as error:  # whatever one of them raises for what the other one wrote
            errors.append(f"{package}: {error}".replace("\n", " ")[:200])
    try:
        return _chain_of_keras_2(path)
    except (ImportError, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise NotComparedError("; ".join([*errors, f"as a chain: {error}"[:200]])) from error


def _chain_of_keras_2(path: Path) -> Any:
    """A chain of QKeras's layers from a file of Keras 2 in layers of qkeras-v3, of which QKeras 0.9 lacks some."""
    keras, qkeras, h5py = (importlib.import_module(name) for name in ("keras", "qkeras", "h5py"))

    def meant(value: Any) -> Any:
        return getattr(qkeras, value["class_name"])(**value["config"]) if isinstance(value, dict) else value

    with h5py.File(path) as file:
        first, *others = json.loads(file.attrs["model_config"])["config"]["layers"]
        inputs = outputs = keras.Input(first["config"]["batch_input_shape"][1:])
        layers = []
        for entry in others:
            config = {key: value for key, value in entry["config"].items() if not key.endswith(_OF_TRAINING)}
            if isinstance(config.get("axis"), list):
                (config["axis"],) = config["axis"]
            layers.append(getattr(qkeras, entry["class_name"])(**{key: meant(value) for key, value in config.items()}))
            outputs = layers[-1](outputs)
        for layer in layers:
            group = file["model_weights"][layer.name]
            values = {
                name.rpartition("/")[2].partition(":")[0]: group[name][()] for name in group.attrs["weight_names"]
            }
            for weight in layer.weights:
                weight.assign(values[weight.path.rpartition("/")[2]])
    return keras.Model(inputs, outputs)


_OF_TRAINING = ("initializer", "regularizer", "constraint", "trainable", "dtype", "_range")
"""Ends of the names of settings that a trained layer does not need."""


def _hgq_objects() -> Mapping[str, object]:
    """The layers of HGQ 2, by the names of its versions; those of HGQ 1 where Keras 2 is installed alone."""
    for name in ("hgq.layers", "HGQ.proxy.fixed_point_quantizer"):
        with contextlib.suppress(ImportError):
            known = vars(importlib.import_module(name))
            classes = {kind: value for kind, value in known.items() if isinstance(value, type)}
            return classes | {f"hgq2>{kind}": value for kind, value in classes.items()}
    return {}


def _qkeras_objects() -> Mapping[str, object]:
    objects = {
        name: value for name, value in vars(importlib.import_module("qkeras")).items() if isinstance(value, type)
    }
    importlib.import_module("qkeras.utils")._add_supported_quantized_objects(objects)
    return objects


def _with_slashes(path: Path) -> Path:
    r"""A copy of a .keras file that Keras 2 wrote on Windows, where names in the file of weights have ``\``."""
    if not zipfile.is_zipfile(path):
        return path
    h5py = importlib.import_module("h5py")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        wrong = [name for name in names if "\\" in name and "\\" not in name.rpartition("/")[0]]
        for name in wrong:
            file.move(name, name.replace("\\", "/"))
    if not wrong:
        return path
    copy = path.with_name(f"with_slashes_{path.name}")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in (parts | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)
    return copy


_QUANTIZERS = {"Quant", "BipolarQuant"}

_CHANNELS_LAST = "qonnx.custom_op.channels_last"
"""The domain of operators that are ONNX's own but for the place of channels, also in kernels."""


def _has_quantizers(path: Path) -> bool:
    """Whether the file has quantizers of qonnx, and no other operators than ONNX's besides, wherever channels are."""
    nodes = importlib.import_module("onnx").load(path).graph.node
    own = {node.op_type for node in nodes if node.op_type in _QUANTIZERS or node.domain not in ("", _CHANNELS_LAST)}
    return bool(own) and own <= _QUANTIZERS


def _double_outputs(path: Path, inputs: Sequence[Floats], samples: int | None) -> list[Floats]:
    """The outputs of qonnx's quantizers and of ONNX's reference evaluator in double precision, for the first samples.

    The file is as it is: qonnx takes a time that is cubic in the number of nodes to prepare it for its executor.
    """
    model = importlib.import_module("onnx").load(path)
    graph, opset = model.graph, next(entry.version for entry in model.opset_import if not entry.domain)
    to_array = importlib.import_module("onnx.numpy_helper").to_array
    trained = {entry.name: _double(to_array(entry)) for entry in graph.initializer}
    places = [entry for entry in graph.input if entry.name not in trained]
    shapes = {entry.name: [size.dim_value for size in entry.type.tensor_type.shape.dim] for entry in places}
    steps, rows = [], []
    for node in graph.node:
        step = _double_step(node, opset)
        if trained.keys() >= set(node.input):
            operands = {name: trained[name] for name in node.input}
            results = [_on_grid(operands, step)] if node.op_type == "Quant" else step(operands)
            trained |= {name: _double(result) for name, result in zip(node.output, results, strict=True)}
        else:
            steps.append((node, step))
    few = samples or min(max(MOST_ELEMENTS // sum(batch[0].size for batch in inputs), 1), FEW_SAMPLES)
    for sample in zip(*(batch[:few] for batch in inputs), strict=True):
        values = trained | {name: x.reshape(shape) for (name, shape), x in zip(shapes.items(), sample, strict=True)}
        for node, step in steps:
            results = step({name: values[name] for name in node.input if name})
            values |= {name: _double(result) for name, result in zip(node.output, results, strict=True)}
        rows.append([values[entry.name][0] for entry in graph.output])
    return [np.stack(batch) for batch in zip(*rows, strict=True)]


def _on_grid(operands: Mapping[str, Any], step: Callable[[Mapping[str, Any]], Sequence[Any]]) -> Floats:
    """A trained tensor whose codes are those of single precision, as the executor has them, and their exact products."""
    (found,) = step({name: values.astype(np.float32) for name, values in operands.items()})
    _, scale, zero, *_ = operands.values()
    return np.asarray((np.rint(found / scale + zero) - zero) * scale, dtype=np.float64)


def _double_step(node: Any, opset: int) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Function of a node, of its operands by name."""
    if node.op_type == "BipolarQuant":
        signs = importlib.import_module("qonnx.custom_op.general.bipolar_quant").binary_quant
        return lambda operands: [signs(*operands.values())]
    if node.op_type != "Quant":
        plain = copy.deepcopy(node)
        plain.domain = ""
        # Normalizations of older opsets would be trained by the evaluator.
        opset = max(opset, 15) if node.op_type == "BatchNormalization" else opset
        helper, given = importlib.import_module("onnx.helper"), [name for name in plain.input if name]
        alone = helper.make_function("alone", "step", given, plain.output, [plain], [helper.make_opsetid("", opset)])
        evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(alone)
        if not node.domain:
            return lambda operands: evaluator.run(None, operands, {})
        return lambda operands: [
            np.moveaxis(result, 1, -1)
            for result in evaluator.run(None, {name: _first(values) for name, values in operands.items()}, {})
        ]
    quantize = importlib.import_module("qonnx.custom_op.general.intquant").int_quant
    known = copy.deepcopy(node)
    known.domain = "qonnx.custom_op.general"  # its registry has lost the names of older exporters
    custom = importlib.import_module("qonnx.custom_op.registry").getCustomOp(known)
    modes = [custom.get_nodeattr(key) for key in ("signed", "narrow", "rounding_mode")]
    return lambda operands: [quantize(*operands.values(), *modes)]


def _first(values: Floats) -> Floats:
    """A tensor of positions with its channels, which come last, before these."""
    return np.moveaxis(values, -1, 1) if values.ndim > 2 else values


def _double(values: Any) -> Any:
    """Floats in double precision, and all else as it is."""
    return np.asarray(values, dtype=np.float64) if np.issubdtype(np.asarray(values).dtype, np.floating) else values


_OLD_ATTRIBUTES = ("broadcast", "is_test", "spatial")
"""What operators before opset 7 say of themselves, and what is the rule since."""


@functools.cache
def _onnx_model(path: Path) -> Any:
    """A file of old exporters as onnxruntime takes it, with any number of samples.

    Exporters of opset 7 transposed the operands of normalizations, whose features then lie along the first axis.
    """
    model = importlib.import_module("onnx").load(path)
    graph = model.graph
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    normalized = {name for node in norms for name in (node.input[0], node.output[0])}
    sources = {}
    for node in [node for node in graph.node if node.op_type == "Transpose" and not node.attribute]:
        if node.input[0] in normalized or node.output[0] in normalized:
            sources[node.output[0]] = node.input[0]
            graph.node.remove(node)
    if any(value.name in sources for value in graph.output):
        raise NotComparedError("a result is transposed")
    for node in graph.node:
        node.input[:] = [sources.get(name, name) for name in node.input]
        attributes = [attribute for attribute in node.attribute if attribute.name not in _OLD_ATTRIBUTES]
        del node.attribute[:]
        node.attribute.extend(attributes)
    constants = {tensor.name for tensor in graph.initializer}
    for value in [value for value in (*graph.input, *graph.output) if value.name not in constants]:
        for axis in value.type.tensor_type.shape.dim[:1]:
            axis.dim_param = "batch"
    del graph.value_info[:]
    for opset in model.opset_import:
        opset.version = max(opset.version, 9) if opset.domain in ("", "ai.onnx") else opset.version
    return model


@functools.cache
def _qonnx_model(path: Path) -> Any:
    """A file as qonnx's executor takes it."""
    model = importlib.import_module("qonnx.core.modelwrapper").ModelWrapper(str(path))
    model = importlib.import_module("qonnx.util.cleanup").cleanup_model(model)
    del model.graph.quantization_annotation[:]  # inputs need not be integers, which annotations may say of data sets
    # Operators that lie channels-last have attributes that their first version has not.
    model.model.opset_import.add(domain=_CHANNELS_LAST, version=13)
    for node in model.graph.node:
        if any(attribute.name == "data_layout" for attribute in node.attribute):
            node.domain = _CHANNELS_LAST
    return model


def _qonnx_outputs(path: Path, inputs: Sequence[Floats]) -> list[Floats]:
    """The outputs of qonnx's executor for the first few samples."""
    model = _qonnx_model(path)
    execute = importlib.import_module("qonnx.core.onnx_exec").execute_onnx
    places = [(entry.name, model.get_tensor_shape(entry.name)) for entry in model.graph.input]
    rows = []
    for sample in zip(*(batch[:FEW_SAMPLES] for batch in inputs), strict=True):
        feeds = {name: x.astype(np.float32).reshape(shape) for (name, shape), x in zip(places, sample, strict=True)}
        rows.append([np.atleast_1d(value)[0].astype(np.float64) for value in execute(model, feeds).values()])
    return [np.stack(batch) for batch in zip(*rows, strict=True)]
