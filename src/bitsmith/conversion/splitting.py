"""One model as several circuits that hand values on; the numbers stay the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Unpack

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.building.csim import real
from bitsmith.emulate.batches import Arrays, Batch, Results
from bitsmith.emulate.transfer import Raws
from bitsmith.errors import ConfigError, VerificationError
from bitsmith.ir.composition import OWN, crossings, numbered_parts, part
from bitsmith.ir.ops import Cast, Const
from bitsmith.ir.ops import Gather as GatherOp
from bitsmith.ir.ops import Input as InputOp
from bitsmith.ir.ops import Transpose as TransposeOp
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import TensorType
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Identity
from bitsmith.model import Model
from bitsmith.options.building import BuildOptions, building
from bitsmith.options.signature import answering
from bitsmith.passes.program.drop_dead import drop_dead
from bitsmith.passes.program.load import values_of
from bitsmith.report import Report


@dataclass(frozen=True, slots=True)
class Split:
    """A model in parts: the ports of each have exactly the types of what crosses, and the names of the layers that give it."""

    whole: Model
    parts: tuple[Model, ...]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, number: int) -> Model:
        return self.parts[number]

    def __iter__(self) -> Iterator[Model]:
        return iter(self.parts)

    def predict(self, x: Arrays) -> Results:
        """Compute the parts one after the other, as :meth:`Model.predict` of the whole.

        Raises:
            ConfigError: a part has other weights than the whole: one of them was given others since the split.
            InputDataError: as of :meth:`Model.predict`.
        """
        self._check_weights()
        alerts, batches = self.whole._alerts, self.whole._batches(x)
        alerts.tell_approximate()
        known, warned = self._values(batches)
        outputs = [real(_own(known, output), kind) for output, kind in self._outputs()]
        _, _, left, near = alerts.watched(self.whole.emulator, batches, {})
        alerts.tell_lost(batches, left, batches)
        if not warned:
            alerts.tell_off(batches, outputs, self.whole.emulator, left, near)
        return outputs[0] if len(outputs) == 1 else outputs

    def _outputs(self) -> list[tuple[Output, TensorType]]:
        """The outputs of the whole with their types."""
        program = self.whole.program
        return [(output, program.nodes[output.node].type) for output in program.outputs]

    @building
    def build(self, *, inputs: Arrays, **asked: Unpack[BuildOptions]) -> list[Report]:
        """Build and verify all parts, each with what the parts before it give for the same inputs of the whole.

        Raises:
            ConfigError: as of :meth:`predict`.
            VerificationError: the parts together are not the whole, or a circuit is not its part.
            BitsmithError: as of :meth:`Model.build`.
        """
        self._check_weights()
        known, _ = self._values(self.whole._batches(inputs))
        raws = self.whole.emulator.run_raw([known[op.name] for op in self.whole.program.input_ops()])
        for (output, _), wanted in zip(self._outputs(), raws, strict=True):
            if not np.array_equal(_own(known, output), wanted):
                raise VerificationError(f"the parts give another {output.name!r} than the whole model", where="split")
        return [one.build(inputs=_given(one.program, known), **asked) for one in self.parts]

    def _check_weights(self) -> None:
        """Raise an error if a part has other weights than the whole, which keep their own after the split."""
        weights = values_of(self.whole.program)
        for number, one in enumerate(self.parts):
            for (layer, name), raw in values_of(one.program).items():
                if not np.array_equal(raw, weights[layer, name]):
                    raise ConfigError(
                        f"other {name} of {layer!r} in part {number} than in the whole model",
                        where="split",
                        accepted="the same weights in both",
                        remedy=f"parts[{number}].load_weights({layer!r}, ...) with what the whole was given, or the reverse",
                    )

    def _values(self, batches: Sequence[Batch]) -> tuple[dict[str, Raws], bool]:
        """All values that reach a port, by name, as the integers that they are: 53 bits would not do for all.

        Besides, True if there was a warning of values outside the inputs' formats.
        """
        ops = self.whole.program.input_ops()
        quantized = [self.whole.emulator.quantize(k, batch) for k, batch in enumerate(batches)]
        warned = self.whole._alerts.tell_outside(self.whole.emulator, batches, [outside for _, outside in quantized])
        known = {op.name: raw for op, (raw, _) in zip(ops, quantized, strict=True)}
        for one in self.parts:
            found = one.emulator.run_raw([known[op.name] for op in one.program.input_ops()])
            for output, raw in zip(one.program.outputs, found, strict=True):
                known.setdefault(output.name, raw)
        return known, warned


def _given(program: Program, known: Mapping[str, Raws]) -> list[Batch]:
    """The real values of the inputs of a part."""
    types = program.types(program.inputs)
    return [real(known[op.name], kind) for op, kind in zip(program.input_ops(), types, strict=True)]


def _own(known: Mapping[str, Raws], output: Output) -> Raws:
    """The values of an output of the whole; its name may be that of a port that has them as they are stored."""
    return known.get(output.name + OWN, known[output.name])


@answering
def split(model: Model, at: Sequence[str], output_dir: str | Path | None = None) -> Split:
    """A model as several circuits that hand values on.

    Args:
        at: the layers after which parts end, in order, by the names that ``model.trace`` has. A part is what the result of its
            layer needs and no part before it has; the last part is the rest.
        output_dir: where the parts' projects are, each in a folder ``part0``, ``part1``, ...; by default that of the model.

    Raises:
        ConfigError: a layer that does not exist, or after which the model cannot be cut.

    Examples:
        ```python
        first, second = bitsmith.split(model, at=["fc1_relu"], output_dir="halves").parts
        assert (second.predict(first.predict(x)) == model.predict(x)).all()
        ```
    """
    program, moved = _with_stored_results(model.program, model.network.live())
    places = {one.name: one.node for one in (*program.probes, *program.outputs)}
    names, shown = _named(program, _as_stored(model.network, moved), places)
    undone = {name: any(map(_moves, (program.nodes[node] for node in chain[:-1]))) for name, chain in shown.items()}
    network = _as_stored(model.network, {**moved, **undone})
    cuts = [_place(name, places) for name in at]
    if not cuts:
        raise ConfigError("no layers to split at", where="split", accepted=f"one or more of {', '.join(places)}")
    numbers = numbered_parts(program, cuts)
    readers = _readers(program)
    for chain in shown.values():
        for place, node in enumerate(chain[:-1]):
            if not readers[node] <= {*chain[:place]}:
                break
            numbers[node] = numbers[chain[-1]]

    def constant(node: int) -> bool:
        return isinstance(program.nodes[node].op, Const)

    used = {
        numbers[node] for node in program.ancestors(output.node for output in program.outputs) if not constant(node)
    }
    empty = next((number for number in range(len(cuts) + 1) if number not in used), None)
    if empty is not None:
        gap = (
            f"nothing between {at[empty - 1]!r} and {at[empty]!r}"
            if 0 < empty < len(at)
            else "nothing after the last layer"
        )
        raise ConfigError(gap, where="split", accepted="layers in the order of the model, the last one not its output")
    crossing = crossings(program, numbers)
    for one in crossing:
        if one.node not in names:
            raise ConfigError(
                f"a cut through the layer {program.nodes[one.node].layer!r}",
                where="split",
                accepted="layers after which nothing of others is half done",
                remedy=f"split after another one of {', '.join(places)}",
            )
    folder = model.output_dir if output_dir is None else Path(output_dir)
    programs = [part(program, numbers, number, names) for number in range(len(cuts) + 1)]
    stored = places | {name: chain[-1] for name, chain in shown.items()}
    layers = _layers(network, at, {name: numbers[node] for name, node in stored.items() if not constant(node)})
    handed = [sum(one.source == number for one in crossing) for number in range(len(cuts) + 1)]
    each = zip(programs, layers, handed, strict=True)
    return Split(model, tuple(_part(model, network, *one, number, folder) for number, one in enumerate(each)))


def _with_stored_results(program: Program, layers: Collection[str]) -> tuple[Program, Mapping[str, bool]]:
    """The program whose probes are the results of ``layers`` as the circuit has them, and nothing else that outputs do not need.

    Where those are in another order or scale than the user's, probes are moved or multiplied only to be shown: these layers are
    listed, and whether their result is in another order.
    """
    needed, moved = program.ancestors(output.node for output in program.outputs), dict[str, bool]()
    probes = []
    for probe in program.probes:
        place: int | None = probe.node
        while place is not None and place not in needed:
            node = program.nodes[place]
            moved[probe.name] = _moves(node) or moved.get(probe.name, False)
            operands = [arg for arg in node.args if not isinstance(program.nodes[arg].op, Const)]
            place = operands[0] if len(operands) == 1 else None
        if place is not None and probe.name in layers:
            probes.append(Output(probe.name, place))
    return drop_dead(replace(program, probes=tuple(probes))), moved


def _named(
    program: Program, network: Network, places: Mapping[str, int]
) -> tuple[dict[int, str], Mapping[str, Sequence[int]]]:
    """The names of values, and the results that are shown in another form than they are stored in.

    These are listed with the nodes that show them, and last the result as it is stored. Of a value that has several names the
    network has it as it is by one, if it has one.
    """
    forms = {node.name: node.order is not None or node.affine is not None for node in network.nodes}
    names: dict[int, str] = {}
    for name, place in sorted(places.items(), key=lambda item: forms.get(item[0], True)):
        names.setdefault(place, name)
    readers, shown = _readers(program), dict[str, Sequence[int]]()
    for name in places:
        chain = _showing(program, network.node(name), places[name], readers) if forms.get(name) else []
        if chain and chain[-1] not in names:
            names[chain[-1]], shown[name] = name, chain
            if names[chain[0]] == name:
                del names[chain[0]]
    return names, shown


def _showing(program: Program, layer: NetworkNode, last: int, readers: Sequence[Collection[int]]) -> list[int]:
    """The nodes from that which shows the result of a layer back to the result as it is stored; none if they are not known."""
    chain = [last]
    while True:
        node = program.nodes[chain[-1]]
        operands = [arg for arg in node.args if not isinstance(program.nodes[arg].op, Const)]
        if len(operands) != 1 or isinstance(node.op, Cast):
            return []
        chain.append(operands[0])
        if _moves(node) or (layer.order is None and not {*readers[operands[0]]} <= {*chain}):
            return chain if layer.order is None or _moves(node) else []


def _moves(node: Node) -> bool:
    """Return True if an operation brings elements into another order."""
    return isinstance(node.op, TransposeOp | GatherOp)


def _readers(program: Program) -> list[set[int]]:
    """The nodes that read each node."""
    readers: list[set[int]] = [set() for _ in program.nodes]
    for index, node in enumerate(program.nodes):
        for arg in node.args:
            readers[arg].add(index)
    return readers


def _as_stored(network: Network, moved: Mapping[str, bool]) -> Network:
    """The network in which results of layers are as they are stored, those ``moved`` in their order, too."""
    return network.with_changed(
        moved, lambda node: replace(node, affine=None, order=None if moved[node.name] else node.order)
    )


def _place(name: str, places: Mapping[str, int]) -> int:
    if name not in places:
        raise ConfigError(f"no layer {name!r} in the circuit", where="split", accepted=", ".join(places))
    return places[name]


def _layers(network: Network, at: Sequence[str], placed: Mapping[str, int]) -> list[list[NetworkNode]]:
    """The layers of each part: those that compute what it does, as ``placed`` says of layers with a result of their own.

    Of others, those that the layer at a part's end needs and that no part before it has.
    """
    parts = dict.fromkeys((node.name for node in network.nodes), len(at))
    for number, end in reversed(list(enumerate(at))):
        parts |= {node.name: number for node in network.ancestors([end])}
    parts |= placed
    return [[node for node in network.nodes if parts[node.name] == number] for number in range(len(at) + 1)]


def grid_of(op: InputOp) -> Quantizer:
    """The numbers that a port takes."""
    return Quantizer.uniform(
        np.frompyfunc(lambda frac: Fraction(2) ** -int(frac), 1, 1)(op.frac), op.lo, op.hi, op.rounding, op.overflow
    )


def _with_other_names(whole: Network, layers: Sequence[NetworkNode], ports: Collection[str]) -> Sequence[NetworkNode]:
    """The layers of a part, and those of other parts that these read and no port has.

    The value of such a layer crosses by another name, as one does that only moves what is stored.
    """

    def onward(name: str) -> list[str]:
        inputs = whole.node(name).inputs
        return [one for one in inputs if one not in ports and not isinstance(whole.node(one).layer, Input)]

    names = {*reached((node.name for node in layers), onward)}
    return [node for node in whole.nodes if node.name in names]


def _part(
    model: Model,
    whole: Network,
    program: Program,
    layers: Sequence[NetworkNode],
    handed: int,
    number: int,
    folder: Path,
) -> Model:
    """A model of a part of the ``whole``, with its layers and an input for each layer of other parts that these read.

    Ports of the program have results as they are stored, as the ``whole`` says. Outputs of the model, which come after so many
    that are ``handed`` on, are as the user's model has them.
    """
    shapes, name = model.network.shapes(), f"{model.network.name}, part {number}"
    layers = _with_other_names(whole, layers, [op.name for op in program.input_ops()])
    read = {source for node in layers for source in node.inputs} - {node.name for node in layers}
    ports = {op.name: Input(op.shape, quantizer=grid_of(op), rounds=bool(op.ladders)) for op in program.input_ops()}
    entries = {
        port: NetworkNode(port, ports.get(port) or Input(shapes[port]), inner=True) for port in (*ports, *sorted(read))
    }
    entries |= {node.name: node for node in layers if node.name in entries}
    nodes = (*entries.values(), *(node for node in layers if node.name not in entries))
    shown = {output.name: node for output, node in zip(model.program.outputs, model.network.outputs, strict=True)}
    made = {node.name for node in nodes}
    sources = [one.name if one.name in made else shown[one.name.removesuffix(OWN)] for one in program.outputs]
    views, taken = list[NetworkNode](), set(made)
    for place, source in list(enumerate(sources))[handed:]:
        own, now = model.network.node(source), whole.node(source)
        if (own.order, own.affine) != (now.order, now.affine):
            view = free_name(source + OWN, taken)
            views.append(NetworkNode(view, Identity(), (source,), inner=True, order=own.order, affine=own.affine))
            sources[place] = view
    network = Network((*nodes, *views), tuple(ports), tuple(sources), name)
    target = replace(
        model.target,
        output_dir=folder / f"part{number}",
        project_name=f"{model.target.project_name}_part{number}",
        input_data=None,
        board=None,
    )
    piece = Model(network, program, target, model.notes)
    crossing = [whole.node(name) for name in (*ports, *sources[:handed]) if name not in model.network.inputs]
    known = {*ports}.issuperset(node.name for node in nodes if isinstance(node.layer, Input))
    if known and all(node.order is None and node.affine is None for node in crossing):
        piece._inherited = model._calibrated
    return piece
