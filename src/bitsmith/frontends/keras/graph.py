"""The wiring of a Keras model: nested, shared and sequential models become one flat list of layer calls.

Knows the JSON's structure, but no layer's meaning. Inbound nodes come in two dialects: ``[["dense", 0, 0, {}]]`` (Keras 2) and
``{"args": [...], "kwargs": {...}}`` with ``keras_history`` entries (Keras 3); models without wiring (``Sequential``) are chains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.files import Source, declared_shape
from bitsmith.frontends.keras.live import MODEL_CLASSES
from bitsmith.frontends.keras.operands import Constant, Operands, tensors
from bitsmith.frontends.keras.weights import LayerPath, Place, numbered_group

MAX_LAYERS = 10_000
"""Most layers, and most layer calls, of a model."""

Use: TypeAlias = tuple[str, int]
"""A call of a layer within one model: the layer's name, and the call's number as the file counts."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Result ``index`` of call ``node`` of the layer ``layer``, within one model; ``dtype`` if the reference says its type."""

    layer: str
    node: int
    index: int
    dtype: str = ""

    @property
    def use(self) -> Use:
        """The call."""
        return self.layer, self.node


@dataclass(frozen=True, slots=True)
class Result:
    """Result ``index`` of a call of the flat list; ``dtype`` if the model says its type."""

    call: Call
    index: int
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer as its model lists it. ``model`` is what a nested model holds; the file counts calls from ``first``.

    A ``custom`` layer is not one of Keras's; ``registered`` is the name under which another package has added it.
    ``each_step`` says that the model is the one of a TimeDistributed, and works on each time step.
    """

    name: str
    class_name: str
    module: str
    custom: bool
    config: Fields
    place: Place
    nodes: tuple[Operands[Tensor], ...]
    model: Model | None
    first: int = 0
    each_step: bool = False
    registered: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model's layers by name, with its inputs (all of them ``InputLayer`` entries) and outputs in order."""

    name: str
    where: str
    entries: Mapping[str, Entry]
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]

    def arguments(self, use: Use) -> Operands[Tensor]:
        """Arguments of a layer's call.

        Raises:
            ModelFileError: a call that does not exist.
        """
        (name, number), entry = use, self.entries[use[0]]
        if name in self.inputs and number == 0:
            return Operands((), {})
        if not 0 <= number - entry.first < len(entry.nodes):
            found = f"call {number} of {shown(name)}, which has {len(entry.nodes)} calls"
            raise ModelFileError(f"a reference to {found}", where=self.where)
        return entry.nodes[number - entry.first]

    def order(self) -> list[Use]:
        """The calls that the outputs need, operands first.

        Raises:
            ModelFileError: a call that does not exist, or one that needs itself.
        """
        order: dict[Use, None] = {}
        begun: set[Use] = set()
        pending = [tensor.use for tensor in reversed(self.outputs)]
        while pending:
            given = self.arguments(use := pending[-1])
            operands = tensors((*given.kwargs.values(), given.args))
            waiting = [tensor.use for tensor in reversed(operands) if tensor.use not in order]
            if not waiting:
                order[pending.pop()] = None
            elif use in begun:
                raise ModelFileError(f"the wiring runs in a circle through {shown(use[0])}", where=self.where)
            begun.add(use)
            pending += waiting
        return [*order]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A use of a layer in the flat list, perhaps on ``each_step``; ``repeat`` counts the earlier uses of the same layer."""

    entry: Entry
    path: LayerPath
    repeat: int
    arguments: Operands[Result]
    each_step: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """Layer calls in evaluation order, those of the inputs first, and the outputs among their results."""

    name: str
    calls: tuple[Call, ...]
    inputs: tuple[Result, ...]
    outputs: tuple[Result, ...]


def read_graph(source: Source, options: ReadOptions) -> Graph:
    """The flat list of the calls that the outputs need, and all inputs, whose open sizes the options fill.

    Raises:
        ModelFileError: wiring that dangles, runs in circles, or is not there; more than ``MAX_LAYERS`` layers.
        UnsupportedError: a model class that may do anything.
        ConfigError: shapes that are not those of the inputs.
    """
    class_name = source.model.text("class_name")
    if class_name not in MODEL_CLASSES:
        found = f"a model of class {shown(class_name)}, whose code is not part of the file"
        remedy = "rebuild it with the functional API, or give the live model"
        raise UnsupportedError(
            found, where=source.model.where, accepted=", ".join(sorted(MODEL_CLASSES)), remedy=remedy
        )
    model = _Parser(source.major).model(source.model, class_name)
    expansion = _Expansion()
    entries = [model.entries[name] for name in model.inputs]
    entries = _with_sizes(entries, options, source.model.where)
    inputs = tuple(expansion.add(entry, (entry.place,), Operands((), {})) for entry in entries)
    outputs = expansion.expand(model, (), inputs, {})
    needed = {result.call for result in (*inputs, *outputs)}
    for call in reversed(expansion.calls):
        if call in needed:
            needed |= {result.call for result in call.arguments.tensors}
    return Graph(model.name, tuple(call for call in expansion.calls if call in needed), inputs, outputs)


def _with_sizes(inputs: Sequence[Entry], options: ReadOptions, where: str) -> list[Entry]:
    """Inputs with the shapes of one sample of each where the model leaves sizes open."""
    shapes = [(entry.name, declared_shape(entry.config)) for entry in inputs]
    known = [(name, shape) for name, shape in shapes if isinstance(shape, list) and shape]
    filled = options.filled(known, where) if len(known) == len(inputs) else None
    if filled is None:
        return [*inputs]  # which is refused where inputs are read, if sizes are open
    return [
        replace(entry, config=Fields({**entry.config.values, "batch_shape": [None, *shape]}, entry.config.where))
        for entry, shape in zip(inputs, filled, strict=True)
    ]


@dataclass(slots=True)
class _Parser:
    """JSON to models; counts layers over all nesting levels."""

    major: int
    layers: int = 0

    def model(self, values: Fields, class_name: str) -> Model:
        config = values.get("config")  # a list of Sequential models before Keras 2.3
        fields = Fields({"layers": config}, values.where) if isinstance(config, list) else values.fields("config")
        name = "model" if fields.get("name") is None else fields.name("name")
        fields = fields.at(f"{values.where}, model {shown(name)}")
        return self._sequential(fields, name) if class_name == "Sequential" else self._functional(fields, name)

    def _entries(self, fields: Fields) -> list[Entry]:
        items = fields.objects("layers")
        self.layers += len(items)
        if self.layers > MAX_LAYERS:
            raise fields.error("the model has too many layers", f"at most {MAX_LAYERS}")
        groups: Counter[str] = Counter()
        return [self._entry(item, groups) for item in items]

    def _entry(self, item: Fields, groups: Counter[str]) -> Entry:
        class_name = item.name("class_name")
        config = item.get("config")
        named = item if item.get("name") is not None or not isinstance(config, dict) else Fields(config, item.where)
        name = named.name("name")
        item = item.at(f"{item.where}, layer {shown(name)}")
        module, registered = item.text("module", ""), item.text("registered_name", "")
        custom = ">" in registered or not (module + ".").startswith((".", "keras.", "tensorflow.", "tf_keras."))
        model = self.model(item, class_name) if class_name in MODEL_CLASSES and not custom else None
        group = numbered_group("Functional" if class_name == "Model" else class_name, groups)
        wrapped = item.fields("config").fields("layer") if class_name == "TimeDistributed" and not custom else None
        each_step = wrapped is not None and wrapped.get("class_name") in MODEL_CLASSES
        if wrapped is not None and each_step:
            model, group = self.model(wrapped, wrapped.text("class_name")), f"{group}/layer"
        place = Place(name, group)
        inbound = item.items("inbound_nodes") if item.get("inbound_nodes") else []
        nodes = tuple(_arguments(node, item) for node in inbound)
        fields = Fields({}, item.where) if model is not None and not each_step else item.fields("config")
        if custom and ">" not in registered:  # as Keras 2 writes it
            registered = f"{module.partition('.')[0]}>{class_name}"
        return Entry(
            name, class_name, module, custom, fields, place, nodes, model, each_step=each_step, registered=registered
        )

    def _functional(self, fields: Fields, name: str) -> Model:
        entries = _by_name(self._entries(fields), fields)
        inputs, outputs = _references(fields, "input_layers"), _references(fields, "output_layers")
        if not inputs or not outputs:
            raise fields.error("the model has no inputs or no outputs")
        inner = [tensor for entry in entries.values() for node in entry.nodes for tensor in node.tensors]
        for tensor in (*inputs, *outputs, *inner):
            if tensor.layer not in entries:
                raise fields.error(f"a reference to {shown(tensor.layer)}, which is not a layer")
        for tensor in inputs:
            if entries[tensor.layer].class_name != "InputLayer":
                raise fields.error(f"input {shown(tensor.layer)} is not an InputLayer")
        if len({tensor.layer for tensor in inputs}) != len(inputs):
            raise fields.error("the model lists an input twice")
        # Call 0 of a nested model is the one that it was built with, so that the first one of its own is 1: in Keras 2
        # everywhere (unless a Sequential model was built by its first call), in Keras 3 only for functional models in the
        # list of outputs. Only calls that something needs are saved, so the least number in use is the first.
        if self.major >= 3:
            built = {key for key, entry in entries.items() if entry.class_name in MODEL_CLASSES - {"Sequential"}}
            outputs = tuple(replace(one, node=one.node - (one.layer in built)) for one in outputs)
        else:
            from_0 = {tensor.layer for tensor in (*inner, *outputs) if tensor.node <= 0}
            for key, entry in entries.items():
                entries[key] = replace(entry, first=int(entry.class_name in MODEL_CLASSES and key not in from_0))
        return Model(name, fields.where, entries, tuple(tensor.layer for tensor in inputs), outputs)

    def _sequential(self, fields: Fields, name: str) -> Model:
        entries = self._entries(fields)
        if not entries:
            raise fields.error("the model has no layers")
        if entries[0].class_name != "InputLayer":
            entries.insert(0, _implied_input(entries[0], fields))
        chain = [replace(entries[0], nodes=())]
        for entry in entries[1:]:
            if entry.class_name == "InputLayer":
                raise fields.error(f"an InputLayer ({shown(entry.name)}) within a chain")
            chain.append(replace(entry, nodes=(Operands((Tensor(chain[-1].name, 0, 0),), {}),)))
        return Model(name, fields.where, _by_name(chain, fields), (chain[0].name,), (Tensor(chain[-1].name, 0, 0),))


def _by_name(entries: Sequence[Entry], fields: Fields) -> dict[str, Entry]:
    repeated = [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]
    if repeated:
        raise fields.error(f"several layers are called {shown(repeated[0])}")
    return {entry.name: entry for entry in entries}


def _implied_input(first: Entry, fields: Fields) -> Entry:
    """The input of a chain whose first layer, or whose own configuration, says the shape."""
    inner = first
    while inner.model is not None and not inner.each_step:
        inner = inner.model.entries[inner.model.inputs[0]]
    keys = ("batch_shape", "batch_input_shape", "build_input_shape")
    declared = [*(inner.config.get(key) for key in keys[:2]), *(fields.get(key) for key in keys)]
    shape = next((one for one in declared if one), None)
    name = f"{first.name}_input"
    config = Fields({"name": name, "batch_shape": shape}, f"{fields.where}, layer {shown(name)}")
    return Entry(name, "InputLayer", "", False, config, Place(name, "input_layer"), (), None)


def _arguments(node: Json, item: Fields) -> Operands[Tensor]:
    """An inbound node."""
    if isinstance(node, dict):
        values = Fields(node, item.where)
        named = values.fields("kwargs").values if values.get("kwargs") is not None else {}
        args = tuple(found for argument in values.items("args") for found in _argument(argument, item))
    elif isinstance(node, list) and node:
        listed = [node] if isinstance(node[0], str) else node
        named = {}
        for one in listed:
            if isinstance(one, list) and len(one) == 4 and isinstance(one[3], dict):
                named |= one[3]
        args = tuple(_constant(one) or _reference(one, item) for one in listed)
    else:
        raise item.error(f"inbound_nodes holds {shown(node)}")
    return Operands(args, {key: _argument(value, item) for key, value in named.items()})


def _references(fields: Fields, key: str) -> tuple[Tensor, ...]:
    """All tensors of a nested structure, in Keras's order (dictionaries by key)."""
    found = _argument(fields.get(key), fields)
    if any(isinstance(one, Constant) and one.value != [] for one in found):
        raise fields.wrong(key, "references to tensors")
    return tensors([found])


def _argument(value: Json, fields: Fields) -> tuple[Tensor | Constant, ...]:
    """An argument of either dialect, lists with tensors opened; in that of Keras 2, a tensor is ``[name, node, tensor]``."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = Fields(value, fields.where).fields("config")
        dtype = config.get("dtype")
        found = _reference(config.get("keras_history"), fields)
        return (replace(found, dtype=dtype if isinstance(dtype, str) else ""),)
    if (tensor := _tensor(value)) is not None:
        return (tensor,)
    parts: list[Json] = value if isinstance(value, list) else []
    if isinstance(value, dict) and "class_name" not in value:
        parts = [value[key] for key in sorted(value)]
    items = tuple(item for part in parts for item in _argument(part, fields))
    return (Constant(value),) if all(isinstance(item, Constant) for item in items) else items


def _constant(value: Json) -> Constant | None:
    """A constant in place of the first tensor, which operations of TensorFlow may have."""
    match value:
        case ["_CONSTANT_VALUE", -1, found, *_]:
            return Constant(found)
        case [[*_], *_]:  # a list of them
            items = [_constant(item) for item in value]
            return Constant([item.value for item in items if item]) if all(items) else None
    return None


def _reference(value: Json, fields: Fields) -> Tensor:
    if (tensor := _tensor(value)) is None:
        raise fields.error(f"{shown(value)} is not a reference to a tensor")
    return tensor


def _tensor(value: Json) -> Tensor | None:
    """``[name, node, tensor]``, perhaps with more after it."""
    match value:
        case [str() as name, int() as node, int() as index, *_]:
            return Tensor(name, node, index)
    return None


Named: TypeAlias = Mapping[str, "tuple[Result | Constant, ...]"]


def _masks(arguments: Operands[Tensor], masks: Mapping[str, Result | Constant]) -> Named:
    """The argument ``mask`` of a layer that is given none, from those of its model's inputs."""
    given = () if arguments.kwargs.get("mask", (Constant(None),)) != (Constant(None),) else arguments.args
    found = tuple(masks.get(one.layer, Constant(None)) if isinstance(one, Tensor) else Constant(None) for one in given)
    return {"mask": found} if any(isinstance(one, Result) for one in found) else {}


@dataclass(slots=True)
class _Expansion:
    """The flat list while nested models are opened."""

    calls: list[Call] = field(default_factory=list)
    repeats: Counter[LayerPath] = field(default_factory=Counter)
    steps: int = 0

    def add(self, entry: Entry, path: LayerPath, arguments: Operands[Result], *, each_step: bool = False) -> Result:
        self.calls.append(Call(entry, path, self.repeats[path], arguments, each_step))
        self.repeats[path] += 1
        return Result(self.calls[-1], 0)

    def expand(
        self, model: Model, path: LayerPath, inputs: tuple[Result, ...], inherited: Named, *, each_step: bool = False
    ) -> tuple[Result, ...]:
        """Adds the calls of ``model`` used on ``inputs``, perhaps on ``each_step``; the values of its outputs.

        What a nested model is called with, ``inherited``, reaches its layers; masks reach those that read the inputs.
        """
        if len(inputs) != len(model.inputs):
            defect = f"the model is called on {len(inputs)} tensors"
            raise ModelFileError(defect, where=model.where, accepted=f"{len(model.inputs)} tensors")
        given_inputs = zip(model.inputs, inputs, strict=True)
        inherited, masks = {**inherited}, dict(zip(model.inputs, inherited.get("mask", ()), strict=False))
        inherited.pop("mask", None)
        results: dict[Use, tuple[Result, ...]] = {(name, 0): (one,) for name, one in given_inputs}

        def result(tensor: Tensor) -> Result:
            tensors_of_use = results[tensor.use]
            if model.entries[tensor.layer].model is None and tensor.index >= 0:
                return replace(tensors_of_use[0], index=tensors_of_use[0].index + tensor.index, dtype=tensor.dtype)
            if not 0 <= tensor.index < len(tensors_of_use):
                missing = f"output {tensor.index} of {shown(tensor.layer)}"
                raise ModelFileError(f"a reference to {missing}", where=model.where)
            return replace(tensors_of_use[tensor.index], dtype=tensor.dtype)

        for use in model.order():
            if use not in results:
                self.steps += 1
                if self.steps > MAX_LAYERS:
                    defect = "the model calls too many layers"
                    raise ModelFileError(defect, where=model.where, accepted=f"at most {MAX_LAYERS}")
                entry, arguments = model.entries[use[0]], model.arguments(use)
                operands = arguments.mapped(result)
                operands = replace(operands, kwargs={**operands.kwargs, **inherited, **_masks(arguments, masks)})
                inner = (*path, entry.place)
                if entry.model is None:
                    results[use] = (self.add(entry, inner, operands, each_step=each_step),)
                else:
                    passed = {key: item for key, item in operands.kwargs.items() if item != (Constant(None),)}
                    if each_step and entry.each_step:
                        raise UnsupportedError("a model on each step of each step", where=model.where)
                    own, steps = tensors([operands.args]), each_step or entry.each_step
                    results[use] = self.expand(entry.model, inner, own, passed, each_step=steps)
        return tuple(result(tensor) for tensor in model.outputs)
