"""Keras models: ``.keras`` archives, whole-model HDF5, JSON with weights, and live objects, of Keras 2 and 3.

Neither Keras nor TensorFlow is imported: files are parsed, live objects asked for their JSON and weights. ``files`` opens,
``graph`` unrolls nesting and sharing, the tables of ``layers`` and ``ops`` translate one layer each, and this module gives
names and collects what cannot be translated.
"""

from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.refusals import Refusal, Refusals
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.custom.call import Table
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.framework import NO_OPTIONS, ReadOptions
from bitsmith.frontends.keras.activations import check_functions, read_activation
from bitsmith.frontends.keras.call import LayerCall, Translation, dtype_policy
from bitsmith.frontends.keras.custom import CustomLayers
from bitsmith.frontends.keras.files import Source, opened
from bitsmith.frontends.keras.graph import Call, Entry, Graph, Result, read_graph
from bitsmith.frontends.keras.hgq1 import PROXIES, take_exactly
from bitsmith.frontends.keras.known import HGQ_PACKAGES, KNOWN
from bitsmith.frontends.keras.layers import LAYERS
from bitsmith.frontends.keras.live import LiveModel, ModelLike
from bitsmith.frontends.keras.masks import hand_on, masks_of_results, with_masks
from bitsmith.frontends.keras.operands import Constant
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.keras.qkeras.layers import QKERAS
from bitsmith.frontends.keras.qkeras.live import check_quantizers
from bitsmith.frontends.keras.sizes import resolved, sizes_of
from bitsmith.frontends.keras.subclassed import functional
from bitsmith.frontends.keras.tensorflow_ops import TENSORFLOW_OPS
from bitsmith.frontends.keras.weights import LayerPath, LiveWeights
from bitsmith.frontends.keras.wrappers import on_each_step
from bitsmith.layers.network import Network

_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})

_TRANSLATE = "say what it computes (convert(layers={...}), docs/custom-layers.md), or replace it by built-in layers"
_CUSTOM = (
    "a custom layer, whose code is not part of the file",
    f"of a file give the live model, load_model(path), whose calls are read; or {_TRANSLATE}",
)
_UNKNOWN = ("it is not a layer that is known here", _TRANSLATE)
_QUANTIZED = (
    "this kind of quantized layer is not translated",
    "use those of docs/layers.md, or the layer of Keras and give the quantizer's precision in the configuration",
)
_PRUNED = (
    "a layer with the masks of TensorFlow's pruning, which are for training",
    "give the model without them: tfmot.sparsity.keras.strip_pruning(model)",
)
_OF_HGQ = ("it is not a layer of HGQ2 that is known here", "replace it by layers that are")
_OF_HGQ1 = (
    "it is a layer of HGQ 1 as it is trained, whose formats are not in the file as hardware has them",
    "give the proxy model: HGQ's trace_minmax(model, data), then to_proxy_model(model), and save or convert what that returns",
)
_REASONS = {
    ("TFOpLambda", "TensorFlowOpLayer"): (
        "this operation of TensorFlow is not read",
        "use the layers Add, Multiply, Rescaling, Activation, ... instead",
    ),
    ("Lambda",): (
        "it holds Python code, which is not part of the file",
        "give the live model, or replace it by built-in layers or keras.ops, which are saved as such",
    ),
    ("QDense", "QActivation", "QConv"): _QUANTIZED,
    ("PruneLowMagnitude",): _PRUNED,
    ("ConvLSTM",): ("convolutions of volumes within a recurrence are not translated", "use ConvLSTM2D or Conv3D"),
    ("Conv",): (
        "this kind of convolution is not translated",
        "use Conv, DepthwiseConv, SeparableConv or ConvTranspose layers",
    ),
    ("CuDNN",): (
        "its weights are laid out for another library",
        "load the model with Keras as LSTM or GRU and save it again",
    ),
    ("LSTM", "GRU", "RNN"): (
        "this kind of recurrent layer is not translated",
        "use SimpleRNN, LSTM, GRU, or RNN with their cells",
    ),
    ("Attention",): (
        "this kind of attention is not translated",
        "use MultiHeadAttention, Attention or AdditiveAttention",
    ),
}
"""Messages about a class that has one of the texts in its name, the first that fits."""


def read_keras(source: ModelLike, options: ReadOptions = NO_OPTIONS) -> Network:
    """The network of a Keras model, a file or a live one, with the user's layer names.

    An activation within a layer becomes a node of its own, ``<layer>_<activation>``; layers of nested models keep their names
    unless these are taken; a layer used again is ``<layer>_1``. Layers that no output needs are left out. The weights of
    ``X.json`` are those of ``X_weights.h5``, ``X.weights.h5`` or ``X.h5`` beside it, unless the options name others.

    Raises:
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: layers that cannot be translated, all of them in one message.
        ConfigError: an input shape that is not one of the model's.
    """
    if isinstance(source, LiveModel):
        source = functional(source, options)
        check_quantizers(source)
    with opened(source, options.weights) as found:
        custom = CustomLayers(Table.of(options.layers), KNOWN)
        draft = Draft(allow_approximate=options.allow_approximate)
        return _Reading(read_graph(found, options), found, custom, draft).network()


@dataclass(slots=True)
class _Reading:
    """The translation of a graph.

    ``results`` are those of its calls so far, ``masks`` those of their nodes, and ``uses`` has each layer's first call.
    """

    graph: Graph
    source: Source
    custom: CustomLayers
    draft: Draft
    names: UniqueNames = field(default_factory=UniqueNames)
    refusals: Refusals = field(default_factory=Refusals)
    results: dict[Call, tuple[Value | Known, ...]] = field(default_factory=dict)
    uses: dict[LayerPath, int] = field(default_factory=dict)
    masks: dict[int, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def network(self) -> Network:
        """The network.

        Raises:
            BitsmithError: of all layers that cannot be translated.
        """
        graph, draft = self.graph, self.draft
        for call, name in zip(graph.calls, _node_names(graph, self.names), strict=True):
            entry = call.entry
            place = draft.begin(name, entry.class_name)
            build = Builder(draft, place, entry.config.where, source=entry.class_name, built=True)
            with self.refusals.collected(entry.name, entry.class_name):
                self._translate(call, build)
        if self.refusals.found:
            raise self.refusals.error(self.source.model.where, LAYERS)
        if any(call.entry.class_name in PROXIES for call in graph.calls):
            take_exactly(draft)
        inputs, outputs = ([self._number(build, one) for one in ends] for ends in (graph.inputs, graph.outputs))
        named = draft.named(range(len(draft.nodes)), self.names)
        return draft.network(named, inputs, outputs, graph.name, tuple(self.notes))

    def _number(self, build: Builder, result: Result) -> int:
        """The number of a value in the draft."""
        value = self._value(result)
        if isinstance(value, Known):
            raise UnsupportedError("an output that is computed of sizes alone", where=self.source.model.where)
        return build.number(value)

    def _value(self, result: Result) -> Value | Known:
        if not result.index < len(self.results[result.call]):
            raise self.source.model.error("a result that its layer does not have")
        value = self.results[result.call][result.index]
        # Of integers in a layer Keras says its policy's type, whatever it computes.
        if isinstance(value, Known) or (
            value.kind is not Kind.REAL and not _is_operation(result.call.entry, self.source.major)
        ):
            return value
        return _of_type(value, result.dtype)

    def _translate(self, call: Call, build: Builder) -> None:
        """Translate a call, if all that it reads was translated."""
        if (sizes := self._sizes(call, build)) is not None:
            self.results[call] = sizes
            return
        entry, weights = call.entry, self.source.weights
        is_operation = _is_operation(entry, self.source.major)
        live = weights.at(call.path) if isinstance(weights, LiveWeights) else None
        translation = self.custom.translation(call, live) or _translation(entry, is_operation)
        if translation is None:
            self.refusals.add(_unknown(entry))
            return
        _check_config(entry.config, is_operation, stateful=translation.stateful)
        if not entry.custom:
            check_functions(entry.config, live)
        masked = not is_operation and "mask" not in translation.keywords
        _check_arguments(call, translation, masked=masked)
        if not all(one.call in self.results for one in call.arguments.tensors):  # after a layer that is refused
            if entry.class_name not in QKERAS:
                read_activation(entry.config, self.source.major)
            return
        layer_call = self._layer_call(call, build)
        layer_call = with_masks(layer_call) if masked else layer_call
        own = () if is_operation else masks_of_results(_kind(entry), layer_call, each_step=call.each_step)
        if call.each_step:
            translation = on_each_step(translation, entry.class_name)
        self.results[call] = results = _results(layer_call, translation)
        _share(self.draft, self.uses.setdefault(call.path, build.origin), build.origin)
        hand_on(_kind(entry), layer_call, results, own, self.masks)

    def _sizes(self, call: Call, build: Builder) -> tuple[Known, ...] | None:
        """The results of an operation of TensorFlow on sizes alone; None of all others, and of those on each step."""
        known = all(one.call in self.results for one in call.arguments.tensors)
        if not known or call.each_step or call.entry.class_name not in ("TFOpLambda", "SlicingOpLambda"):
            return None
        return sizes_of(call.entry.config, call.arguments.mapped(self._value), build.counts)

    def _layer_call(self, call: Call, build: Builder) -> LayerCall:
        """The layer on the values of its operands, with its variables."""
        config, weights = call.entry.config, self.source.weights
        stored = partial(weights.variables, call.path)
        live = partial(weights.part, call.path) if isinstance(weights, LiveWeights) else lambda _: None
        given = resolved(call.arguments.mapped(self._value), build.counts)
        on_torch = isinstance(weights, LiveWeights) and weights.on_torch
        given_to = (config, self.source.major, given, stored, build, self.masks, self.notes)
        return LayerCall(*given_to, live=live, masked=False, on_torch=on_torch)


def _translation(entry: Entry, is_operation: bool) -> Translation | None:
    """Return the translation of a class; None if it is not known."""
    if entry.custom:
        return KNOWN.get(entry.registered) if ">" in entry.registered else None
    if entry.class_name == "TFOpLambda":
        return TENSORFLOW_OPS.get(entry.config.text("function"))
    return (OPS if is_operation else KNOWN).get(entry.class_name)


def _kind(entry: Entry) -> str:
    """The class of Keras's that does with masks what the layer does."""
    return entry.class_name.removeprefix("Q") if _is_of_hgq(entry) else entry.class_name


def _is_of_hgq(entry: Entry) -> bool:
    return entry.registered.partition(">")[0] in HGQ_PACKAGES


def _results(call: LayerCall, translation: Translation) -> tuple[Value, ...]:
    """The results of a call, which have the batch as their first axis."""
    before = len(call.build.draft.nodes)
    found = translation.results(call)
    if len(found) == 1:
        found = (call.build.named(found[0], before),)
    return tuple(value.plain() for value in found)


def _share(draft: Draft, first: int, again: int) -> None:
    """The layers of the call ``again`` get the arrays of the ``first`` call of the same layer, which they have the values of."""
    before = {(type(node.layer), node.suffix): node.layer for node in draft.nodes if node.origin == first}
    for number, node in enumerate(draft.nodes if first != again else ()):
        known = before.get((type(node.layer), node.suffix))
        if node.origin != again or known is None:
            continue
        tensors = {one.name: (getattr(known, one.name), getattr(node.layer, one.name)) for one in fields(node.layer)}
        same = {
            name: old
            for name, (old, new) in tensors.items()
            if isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and np.array_equal(old, new)
        }
        draft.nodes[number] = replace(node, layer=replace(node.layer, **same))


def _of_type(value: Value, dtype: str) -> Value:
    """A value as of the type that the model says.

    Raises:
        UnsupportedError: integers that wrap around, and are not computed as such.
    """
    kind = Kind.named(dtype) if dtype else value.kind
    if kind.wraps and kind is not value.kind and value.kind is not Kind.INT64:
        raise UnsupportedError(f"a tensor of type {kind.value}", accepted="floating point", remedy="cast its operands")
    return replace(value, kind=kind)


def _is_operation(entry: Entry, major: int) -> bool:
    """Return True for functional operations; for those of the legacy format, which says no module, by their names.

    There, only layers have the key "trainable".
    """
    if entry.module:
        return entry.module.startswith(("keras.src.ops", "keras.ops", "keras.src.activations"))
    return major >= 3 and entry.class_name in OPS and "trainable" not in entry.config.values


def _unknown(entry: Entry) -> Refusal:
    """Return the message about a class that no table has."""
    name = entry.class_name
    if _is_of_hgq(entry):
        return Refusal(entry.name, name, *_OF_HGQ)
    if "HGQ" in (name.partition(">")[0], entry.registered.partition(">")[0]):
        return Refusal(entry.name, name, *_OF_HGQ1)
    reason = next((reason for parts, reason in _REASONS.items() if any(part in name for part in parts)), _UNKNOWN)
    if reason not in (_QUANTIZED, _PRUNED) and entry.custom:
        reason = _CUSTOM
    return Refusal(entry.name, name, *reason, class_known=reason not in (_UNKNOWN, _CUSTOM, _QUANTIZED))


def _check_config(config: Fields, is_operation: bool, *, stateful: bool) -> None:
    """Refuses what a layer may ask for that changes its numbers, whatever its class.

    An operation's dtype is a parameter of its own (of a cast, for example), no policy.
    """
    if config.flag("stateful", False) and not stateful:
        raise UnsupportedError("a stateful layer", accepted="layers without a state between samples")
    for key in ("quantization_config", "quantization_mode"):
        if (asked := config.get(key)) is not None:
            raise UnsupportedError(
                f"{key} is set: {_of_quantization(asked)}",
                accepted="plain floating-point weights",
                remedy="give the model as it was before quantize, with bits=8 or a precision of weights in its configuration",
            )
    dtype = dtype_policy(config)
    is_input = "batch_shape" in config.values or "batch_input_shape" in config.values
    numbers = {"int32", "int64"} if config.get("output_mode") == "int" else set()  # those of tokens or bins
    known = dtype is None or (isinstance(dtype, str) and dtype in _DTYPES | numbers)
    if not known and not is_input and not is_operation:
        raise UnsupportedError(f"the dtype policy {shown(dtype)}", accepted=", ".join(sorted(_DTYPES)))


def _of_quantization(asked: Json) -> str:
    """Return what Keras does to a layer with such a configuration of its quantization."""
    kind = asked.get("class_name") if isinstance(asked, dict) else asked
    inner = asked.get("config") if isinstance(asked, dict) else None
    method = kind.removesuffix("QuantizationConfig").removesuffix("Config").lower() if isinstance(kind, str) else ""
    if method == "float8":
        return "float8, whose scales follow the data of training; Keras rounds operands and weights to floating point of 8 bits"
    if isinstance(inner, dict) and "activation_quantizer" in inner and inner["activation_quantizer"] is None:
        return f"{method}, weights alone, whose packed codes and scales are not read"
    if method in ("gptq", "awq"):
        return f"{method}, whose packed codes and scales of groups are not read"
    return "Keras rounds activations by the greatest magnitude of each sample, which no fixed circuit does"


def _check_arguments(call: Call, translation: Translation, *, masked: bool) -> None:
    """Refuses arguments that are not understood; a layer that is ``masked`` may be given the mask of its operand."""
    for key, items in call.arguments.kwargs.items():
        harmless = ((Constant(None),), (Constant(False),)) if key == "training" else ((Constant(None),),)
        if key not in translation.keywords and items not in harmless and not (masked and key == "mask"):
            found, remedy = f"called with the argument {key}", "call the layer without it"
            raise UnsupportedError(found, accepted="tensors as the only arguments", remedy=remedy)


def _node_names(graph: Graph, names: UniqueNames) -> list[str]:
    """Names of the calls: first those of the outermost model's layers, which are kept, then all others in order."""
    outermost = [len(call.path) == 1 and call.repeat == 0 for call in graph.calls]
    chosen = {k: names.take(graph.calls[k].entry.name) for k, own in enumerate(outermost) if own}
    first: dict[LayerPath, str] = {}
    for number, call in enumerate(graph.calls):
        path = [place.name for place in call.path]
        if number not in chosen and call.path not in first:
            chosen[number] = names.take(path[-1], "_".join(path[-2:]), "_".join(path))
        elif number not in chosen:
            chosen[number] = names.take(f"{first[call.path]}_{call.repeat}")
        first.setdefault(call.path, chosen[number])
    return [chosen[number] for number in range(len(graph.calls))]
