"""The wiring of a Keras model: nested, shared and sequential models become one flat list of layer calls.

Knows the JSON's structure, but no layer's meaning. Inbound nodes come in two dialects: ``[["dense", 0, 0, {}]]`` (Keras 2) and
``{"args": [...], "kwargs": {...}}`` with ``keras_history`` entries (Keras 3); models without wiring (``Sequential``) are chains.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Fields, Json, is_integer, shown
from bitsmith.frontends.keras.files import Source
from bitsmith.frontends.keras.weights import LayerPath, Place

MAX_LAYERS = 10_000
"""Most layers, and most layer calls, of a model."""

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """Result ``index`` of call ``node`` of the layer ``layer``, within one model."""

    layer: str
    node: int
    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """Result ``index`` of the flat list's call ``call``."""

    call: int
    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that is no tensor: a plain value, or a list without tensors."""

    value: Json


Argument: TypeAlias = "Tensor | Constant | tuple[Argument, ...]"
Operand: TypeAlias = "Value | Constant | tuple[Operand, ...]"


@dataclass(frozen=True, slots=True)
class Node:
    """One use of a layer."""

    args: tuple[Argument, ...]
    kwargs: Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer as its model lists it. ``model`` is what a nested model holds."""

    name: str
    class_name: str
    module: str
    custom: bool
    config: Fields
    place: Place
    nodes: tuple[Node, ...]
    model: Model | None


@dataclass(frozen=True, slots=True)
class Model:
    """A model's layers by name, with its inputs (all of them ``InputLayer`` entries) and outputs in order."""

    name: str
    where: str
    entries: Mapping[str, Entry]
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A use of a layer in the flat list; ``repeat`` counts the earlier uses of the same layer."""

    entry: Entry
    path: LayerPath
    repeat: int
    args: tuple[Operand, ...]
    kwargs: Mapping[str, Operand]

    @property
    def operands(self) -> tuple[Value | Constant, ...]:
        """All positional arguments, lists opened."""
        return tuple(flat(self.args))

    @property
    def tensors(self) -> tuple[Value, ...]:
        """All tensors: the positional ones, then those that keywords name."""
        return tuple(operand for operand in flat((*self.args, *self.kwargs.values())) if isinstance(operand, Value))


@dataclass(frozen=True, slots=True)
class Graph:
    """Layer calls in evaluation order, those of the inputs first, and the outputs among their results."""

    name: str
    calls: tuple[Call, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def read_graph(source: Source) -> Graph:
    """The flat list of the calls that the outputs need, and all inputs.

    Raises:
        ModelFileError: wiring that dangles, runs in circles, or is not there; more than ``MAX_LAYERS`` layers.
        UnsupportedError: a model class that may do anything.
    """
    class_name = source.model.text("class_name")
    if class_name not in MODEL_CLASSES:
        raise UnsupportedError(
            f"a model of class {shown(class_name)}, whose code is not part of the file",
            where=source.model.where,
            accepted=", ".join(sorted(MODEL_CLASSES)),
            remedy="rebuild it with the functional API, from built-in layers",
        )
    model = _Parser(source.major).model(source.model, class_name)
    expansion = _Expansion()
    inputs = tuple(
        expansion.add(Call(model.entries[name], (model.entries[name].place,), 0, (), {})) for name in model.inputs
    )
    outputs = expansion.expand(model, (), inputs, {})
    return _pruned(Graph(model.name, tuple(expansion.calls), inputs, outputs))


class _Parser:
    """JSON to models; counts layers over all nesting levels."""

    def __init__(self, major: int) -> None:
        self.major = major
        self.layers = 0

    def model(self, values: Fields, class_name: str) -> Model:
        config = values.get("config")
        if isinstance(config, list):  # Sequential before Keras 2.3
            config = {"layers": config}
        if not isinstance(config, dict):
            raise values.wrong("config", "an object")
        fields = Fields(config, values.where)
        name = "model" if fields.get("name") is None else fields.name("name")
        fields = fields.at(f"{values.where}, model {shown(name)}")
        if class_name == "Sequential":
            return self._sequential(fields, name)
        return self._functional(fields, name)

    def _entries(self, fields: Fields) -> list[Entry]:
        items = fields.items("layers")
        self.layers += len(items)
        if self.layers > MAX_LAYERS:
            raise ModelFileError("the model has too many layers", where=fields.where, accepted=f"at most {MAX_LAYERS}")
        groups: Counter[str] = Counter()
        entries = [
            self._entry(Fields(item, fields.where) if isinstance(item, dict) else _no_object(fields), groups)
            for item in items
        ]
        repeated = [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]
        if repeated:
            raise ModelFileError(f"several layers are called {shown(repeated[0])}", where=fields.where)
        return entries

    def _entry(self, item: Fields, groups: Counter[str]) -> Entry:
        class_name = item.name("class_name")
        config = item.get("config")
        named = item if item.get("name") is not None or not isinstance(config, dict) else Fields(config, item.where)
        name = named.name("name")
        item = item.at(f"{item.where}, layer {shown(name)}")
        module, registered = item.text("module", ""), item.text("registered_name", "")
        custom = ">" in registered or not (module + ".").startswith((".", "keras.", "tensorflow.", "tf_keras."))
        is_model = class_name in MODEL_CLASSES and not custom
        model = self.model(item, class_name) if is_model else None
        group = snake_case("Functional" if class_name == "Model" else class_name)
        place = Place(name, f"{group}_{groups[group]}" if groups[group] else group)
        groups[group] += 1
        nodes = (
            tuple(self._node(node, item) for node in item.items("inbound_nodes")) if item.get("inbound_nodes") else ()
        )
        fields = Fields({}, item.where) if model is not None else item.fields("config")
        return Entry(name, class_name, module, custom, fields, place, nodes, model)

    def _node(self, node: Json, item: Fields) -> Node:
        if isinstance(node, dict):
            values = Fields(node, item.where)
            kwargs = values.fields("kwargs").values if values.get("kwargs") is not None else {}
            return Node(
                tuple(_argument(argument, item) for argument in values.items("args")),
                {key: _argument(argument, item) for key, argument in kwargs.items()},
            )
        if not isinstance(node, list) or not node:
            raise ModelFileError(f"inbound_nodes holds {shown(node)}", where=item.where)
        tensors = [node] if isinstance(node[0], str) else node
        kwargs = {}
        for tensor in tensors:
            if isinstance(tensor, list) and len(tensor) == 4 and isinstance(tensor[3], dict):
                kwargs.update(tensor[3])
        args = tuple(_reference(tensor, item) for tensor in tensors)
        named = {key: _keyword(value, item) for key, value in kwargs.items()}
        return Node(args if len(args) == 1 else (args,), named)

    def _functional(self, fields: Fields, name: str) -> Model:
        entries = self._entries(fields)
        inputs = list(_references(fields.get("input_layers"), fields, "input_layers"))
        outputs = tuple(_references(fields.get("output_layers"), fields, "output_layers"))
        if not inputs or not outputs:
            raise ModelFileError("the model has no inputs or no outputs", where=fields.where)
        by_name = {entry.name: entry for entry in entries}
        inner = [tensor for entry in entries for node in entry.nodes for tensor in _node_tensors(node)]
        for tensor in (*inputs, *outputs, *inner):
            if tensor.layer not in by_name:
                raise ModelFileError(f"a reference to {shown(tensor.layer)}, which is no layer", where=fields.where)
        for tensor in inputs:
            if by_name[tensor.layer].class_name != "InputLayer":
                raise ModelFileError(f"input {shown(tensor.layer)} is no InputLayer", where=fields.where)
        if len({tensor.layer for tensor in inputs}) != len(inputs):
            raise ModelFileError("the model lists an input twice", where=fields.where)
        first_inner, first_outer = self._first_calls(by_name, inner, outputs)
        numbered = {
            entry.name: replace(entry, nodes=tuple(_renumbered(node, first_inner) for node in entry.nodes))
            for entry in entries
        }
        outputs = tuple(replace(tensor, node=tensor.node - first_outer[tensor.layer]) for tensor in outputs)
        return Model(name, fields.where, numbered, tuple(tensor.layer for tensor in inputs), outputs)

    def _first_calls(
        self, entries: Mapping[str, Entry], inner: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """The number that references use for each layer's first call: between layers, and in the list of outputs.

        It is 0, but 1 for nested models, whose call 0 is the one that they were built with: in Keras 2 everywhere (unless a
        Sequential model was built by its first call), in Keras 3 only for functional models in the list of outputs.
        """
        first_inner, first_outer = dict.fromkeys(entries, 0), dict.fromkeys(entries, 0)
        if self.major >= 3:
            for name, entry in entries.items():
                first_outer[name] = int(entry.model is not None and entry.class_name != "Sequential")
            return first_inner, first_outer
        # Only calls that something needs are saved, so the least number in use is the first.
        least: dict[str, int] = {}
        for tensor in (*inner, *outputs):
            least[tensor.layer] = min(least.get(tensor.layer, 1), max(tensor.node, 0))
        for name, number in least.items():
            if entries[name].model is not None:
                first_inner[name] = first_outer[name] = number
        return first_inner, first_outer

    def _sequential(self, fields: Fields, name: str) -> Model:
        entries = self._entries(fields)
        if not entries:
            raise ModelFileError("the model has no layers", where=fields.where)
        if entries[0].class_name != "InputLayer":
            entries.insert(0, _implied_input(entries[0], fields))
        chain = [replace(entries[0], nodes=())]
        for entry in entries[1:]:
            if entry.class_name == "InputLayer":
                raise ModelFileError(f"an InputLayer ({shown(entry.name)}) within a chain", where=fields.where)
            before = Tensor(chain[-1].name, 0, 0)
            chain.append(replace(entry, nodes=(Node((before,), {}),)))
        if len({entry.name for entry in chain}) != len(chain):
            raise ModelFileError(f"several layers are called {shown(chain[0].name)}", where=fields.where)
        return Model(
            name,
            fields.where,
            {entry.name: entry for entry in chain},
            (chain[0].name,),
            (Tensor(chain[-1].name, 0, 0),),
        )


def _no_object(fields: Fields) -> Fields:
    raise ModelFileError("layers holds something else than objects", where=fields.where)


def _implied_input(first: Entry, fields: Fields) -> Entry:
    """The input of a chain whose first layer, or whose own configuration, says the shape."""
    config: dict[str, Json] = {"name": f"{first.name}_input"}
    candidates = [(fields, "batch_shape"), (fields, "batch_input_shape"), (fields, "build_input_shape")]
    config["batch_shape"] = _declared_shape(first) or next(
        (values.get(key) for values, key in candidates if values.get(key) is not None), None
    )
    name = f"{first.name}_input"
    return Entry(
        name,
        "InputLayer",
        "",
        False,
        Fields(config, f"{fields.where}, layer {shown(name)}"),
        Place(name, "input_layer"),
        (),
        None,
    )


def _declared_shape(entry: Entry) -> Json:
    while entry.model is not None:
        entry = entry.model.entries[entry.model.inputs[0]]
    return entry.config.get("batch_shape") or entry.config.get("batch_input_shape")


def snake_case(class_name: str) -> str:
    """``LeakyReLU`` -> ``leaky_re_lu``, the way Keras numbers its weight groups."""
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", re.sub(r"\W+", "", class_name)).lower()


def _reference(value: Json, fields: Fields) -> Tensor:
    """``[name, node, tensor]``, perhaps with more behind."""
    if isinstance(value, list) and len(value) >= 3:
        name, node, index = value[:3]
        if isinstance(name, str) and is_integer(node) and is_integer(index):
            return Tensor(name, node, index)
    raise ModelFileError(f"{shown(value)} is no reference to a tensor", where=fields.where)


def _references(value: Json, fields: Fields, key: str) -> Iterator[Tensor]:
    """All tensors of a nested structure, in Keras's order (dictionaries by key)."""
    if isinstance(value, dict):
        for name in sorted(value):
            yield from _references(value[name], fields, key)
    elif isinstance(value, list) and value and isinstance(value[0], str):
        yield _reference(value, fields)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, fields, key)
    else:
        raise fields.wrong(key, "references to tensors")


def _argument(value: Json, fields: Fields) -> Argument:
    if isinstance(value, list):
        items = tuple(_argument(item, fields) for item in value)
        return Constant(value) if all(isinstance(item, Constant) for item in items) else items
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return _reference(Fields(value, fields.where).fields("config").get("keras_history"), fields)
    if isinstance(value, dict) and "class_name" not in value:
        return tuple(_argument(value[key], fields) for key in sorted(value))
    return Constant(value)


def _keyword(value: Json, fields: Fields) -> Argument:
    """A keyword argument as Keras 2 writes it: tensors in it are bare ``[name, node, tensor]``."""
    if not isinstance(value, list):
        return Constant(value)
    if len(value) in (3, 4) and isinstance(value[0], str) and is_integer(value[1]) and is_integer(value[2]):
        return _reference(value, fields)
    items = tuple(_keyword(item, fields) for item in value)
    return Constant(value) if all(isinstance(item, Constant) for item in items) else items


def _renumbered(node: Node, first: Mapping[str, int]) -> Node:
    """``node`` with calls counted from 0."""

    def moved(argument: Argument) -> Argument:
        if isinstance(argument, tuple):
            return tuple(moved(item) for item in argument)
        if isinstance(argument, Tensor):
            return replace(argument, node=argument.node - first[argument.layer])
        return argument

    return Node(
        tuple(moved(argument) for argument in node.args),
        {key: moved(argument) for key, argument in node.kwargs.items()},
    )


def _node_tensors(node: Node) -> Iterator[Tensor]:
    pending: list[Argument] = [*node.kwargs.values(), *node.args]
    while pending:
        argument = pending.pop()
        if isinstance(argument, tuple):
            pending += argument
        elif isinstance(argument, Tensor):
            yield argument


def flat(operands: tuple[Operand, ...]) -> Iterator[Value | Constant]:
    """Operands with lists opened."""
    for operand in operands:
        if isinstance(operand, tuple):
            yield from flat(operand)
        else:
            yield operand


class _Expansion:
    """The flat list while nested models are opened."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._repeats: Counter[LayerPath] = Counter()
        self._steps = 0

    def add(self, call: Call) -> Value:
        self.calls.append(call)
        return Value(len(self.calls) - 1, 0)

    def expand(
        self, model: Model, path: LayerPath, inputs: tuple[Value, ...], inherited: Mapping[str, Operand]
    ) -> tuple[Value, ...]:
        """Adds the calls of ``model`` used on ``inputs``; the values of its outputs."""
        if len(inputs) != len(model.inputs):
            raise ModelFileError(
                f"the model is called on {len(inputs)} tensors",
                where=model.where,
                accepted=f"{len(model.inputs)} tensors",
            )
        results: dict[tuple[str, int], tuple[Value, ...]] = {
            (name, 0): (value,) for name, value in zip(model.inputs, inputs, strict=True)
        }

        def resolve(argument: Argument) -> Operand:
            if isinstance(argument, tuple):
                return tuple(resolve(item) for item in argument)
            return argument if isinstance(argument, Constant) else result(argument)

        def result(tensor: Tensor) -> Value:
            values = results[tensor.layer, tensor.node]
            if model.entries[tensor.layer].model is None and tensor.index >= 0:
                return replace(values[0], index=values[0].index + tensor.index)
            if not 0 <= tensor.index < len(values):
                raise ModelFileError(
                    f"a reference to output {tensor.index} of {shown(tensor.layer)}", where=model.where
                )
            return values[tensor.index]

        for name, number in _order(model):
            if (name, number) in results:
                continue
            self._steps += 1
            if self._steps > MAX_LAYERS:
                raise ModelFileError(
                    "the model calls too many layers", where=model.where, accepted=f"at most {MAX_LAYERS} calls"
                )
            entry = model.entries[name]
            node = entry.nodes[number]
            args = tuple(resolve(argument) for argument in node.args)
            # What a nested model is called with reaches its layers.
            own = {key: resolve(argument) for key, argument in node.kwargs.items()}
            kwargs = {**own, **{key: operand for key, operand in inherited.items() if operand != Constant(None)}}
            inner = (*path, entry.place)
            if entry.model is None:
                results[name, number] = (self.add(Call(entry, inner, self._repeats[inner], args, kwargs)),)
                self._repeats[inner] += 1
            else:
                operands = tuple(operand for operand in flat(args) if isinstance(operand, Value))
                results[name, number] = self.expand(entry.model, inner, operands, kwargs)
        return tuple(result(tensor) for tensor in model.outputs)


def _order(model: Model) -> list[tuple[str, int]]:
    """The layer uses that the outputs need, operands first.

    Raises:
        ModelFileError: a use that does not exist, or one that needs itself.
    """
    order: list[tuple[str, int]] = []
    done: dict[tuple[str, int], bool] = {}
    pending = [(tensor.layer, tensor.node) for tensor in reversed(model.outputs)]
    while pending:
        use = pending[-1]
        if done.get(use, False):
            pending.pop()
            continue
        operands = [(tensor.layer, tensor.node) for tensor in _node_tensors(_node_of(model, *use))]
        waiting = [operand for operand in operands if not done.get(operand, False)]
        if not waiting:
            pending.pop()
            order.append(use)
            done[use] = True
            continue
        if use in done:
            raise ModelFileError(f"the wiring runs in a circle through {shown(use[0])}", where=model.where)
        done[use] = False
        pending += waiting
    return order


def _node_of(model: Model, name: str, number: int) -> Node:
    entry = model.entries[name]
    if entry.class_name == "InputLayer" and number == 0:
        if name not in model.inputs:
            raise ModelFileError(f"{shown(name)} is an InputLayer but no input of the model", where=model.where)
        return Node((), {})
    if not 0 <= number < len(entry.nodes):
        raise ModelFileError(
            f"a reference to call {number} of {shown(name)}, which has {len(entry.nodes)} calls", where=model.where
        )
    return entry.nodes[number]


def _pruned(graph: Graph) -> Graph:
    """Only the inputs and what the outputs need."""
    needed = {value.call for value in (*graph.inputs, *graph.outputs)}
    for number in range(len(graph.calls) - 1, -1, -1):
        if number in needed:
            call = graph.calls[number]
            needed |= {value.call for value in flat((*call.args, *call.kwargs.values())) if isinstance(value, Value)}
    moved = {old: new for new, old in enumerate(sorted(needed))}

    def move(operand: Operand) -> Operand:
        if isinstance(operand, tuple):
            return tuple(move(item) for item in operand)
        return operand if isinstance(operand, Constant) else _moved(operand, moved)

    calls = tuple(
        replace(
            call,
            args=tuple(move(operand) for operand in call.args),
            kwargs={key: move(operand) for key, operand in call.kwargs.items()},
        )
        for call in (graph.calls[old] for old in sorted(needed))
    )
    return Graph(
        graph.name,
        calls,
        tuple(_moved(value, moved) for value in graph.inputs),
        tuple(_moved(value, moved) for value in graph.outputs),
    )


def _moved(value: Value, moved: Mapping[int, int]) -> Value:
    return Value(moved[value.call], value.index)
