"""Several models as one circuit; the numbers stay the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bitsmith.conversion.splitting import grid_of
from bitsmith.errors import ConfigError
from bitsmith.ir.composition import OWN, joined
from bitsmith.ir.program import Program
from bitsmith.layers.axis_order import inverse
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantizer import as_floats
from bitsmith.layers.shape import Gather, Identity, Permute
from bitsmith.model import Model


def compose(
    models: Mapping[str, Model],
    wires: Mapping[str, str] | None = None,
    output_dir: str | Path | None = None,
    project_name: str | None = None,
) -> Model:
    """Several models as one circuit.

    Args:
        models: by the name that comes in front of the names of their layers, inputs and outputs: ``name.layer``. The part, the
            clock and the backend are those of the first.
        wires: inputs by the outputs that they come from: ``{"second.x": "first.dense"}``. The value is brought into the input's
            format as a real number from outside would be. All other inputs and outputs are those of the circuit.
        output_dir: the project folder; by default that of the first model.
        project_name: name of the circuit's top module; by default the models' names, joined.

    Raises:
        ConfigError: fewer than two models, wires between things that do not exist or do not fit, or that run in a circle.

    Examples:
        ```python
        first, second = bitsmith.split(model, at=["fc1_relu"], output_dir="halves").parts
        wires = {"b.fc1_relu": "a.fc1_relu"}
        whole = bitsmith.compose({"a": first, "b": second}, wires, output_dir="whole")
        assert (whole.predict(x) == model.predict(x)).all()
        ```
    """
    if len(models) < 2 or not all(isinstance(one, Model) for one in models.values()):
        raise ConfigError(f"{len(models)} models", where="compose", accepted="two or more, by name")
    if not all(isinstance(name, str) and name.isprintable() for name in models):
        raise ConfigError(f"the names {list(models)!a}", where="compose", accepted="names that can be printed")
    joints = {
        _end(reader, {name: [op.name for op in one.program.input_ops()] for name, one in models.items()}): _end(
            source, {name: [output.name for output in one.program.outputs] for name, one in models.items()}
        )
        for reader, source in (wires or {}).items()
    }
    for (reader, port), (source, output) in joints.items():
        wanted = next(op.shape for op in models[reader].program.input_ops() if op.name == port)
        program = models[source].program
        found = next(program.nodes[one.node].type.shape for one in program.outputs if one.name == output)
        if wanted != found:
            raise ConfigError(
                f"{reader}.{port} of shape {wanted} from {source}.{output} of shape {found}",
                where="compose",
                accepted="equal shapes",
            )
    program = joined({name: one.program for name, one in models.items()}, joints)
    network = _joined_networks(models, joints, program)
    first = next(iter(models.values()))
    target = replace(
        first.target,
        output_dir=first.output_dir if output_dir is None else Path(output_dir),
        project_name=project_name or "_".join(models),
        input_data=None,
    )
    notes = dict.fromkeys(note for one in models.values() for note in one.notes)
    composed = Model(network, program, target, tuple(notes))
    calibrated = [one._calibrated for one in models.values()]
    if None not in calibrated:
        composed._inherited = all(calibrated)
    return composed


def _end(text: str, known: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """A model and one of its inputs or outputs."""
    for name, ends in known.items():
        for end in ends:
            if text == f"{name}.{end}":
                return name, end
    accepted = ", ".join(f"{name}.{end}" for name, ends in known.items() for end in ends)
    raise ConfigError(f"a wire to or from {text!r}", where="compose", accepted=accepted)


def _joined_networks(
    models: Mapping[str, Model], joints: Mapping[tuple[str, str], tuple[str, str]], program: Program
) -> Network:
    """The layers of all networks, in an order in which each comes after those that it reads."""
    nodes: dict[str, NetworkNode] = {}
    views: dict[str, str] = {}
    sources = {
        f"{name}.{output.name}": f"{name}.{node}"
        for name, one in models.items()
        for output, node in zip(one.program.outputs, one.network.outputs, strict=True)
    }
    pending = [(name, node) for name, one in models.items() for node in one.network.nodes]
    while pending:
        name, node = pending.pop(0)
        joint = joints.get((name, node.name))
        inputs = (
            (sources[f"{joint[0]}.{joint[1]}"],) if joint is not None else tuple(f"{name}.{one}" for one in node.inputs)
        )
        if not nodes.keys() >= set(inputs):
            pending.append((name, node))
            continue
        if joint is not None:
            node, source = _wired(node, models[name].program), inputs[0]
            if source not in views:
                shape = models[joint[0]].network.shapes()[source.partition(".")[2]]
                views[source], steps = _in_user_form(nodes[source], shape)
                nodes |= {step.name: step for step in steps}
            inputs = (views[source],)
        nodes[f"{name}.{node.name}"] = replace(node, name=f"{name}.{node.name}", inputs=inputs)
    outputs = tuple(sources[one.name] for one in program.outputs)
    return Network(tuple(nodes.values()), tuple(op.name for op in program.input_ops()), outputs, "_".join(models))


def _in_user_form(node: NetworkNode, shape: Shape) -> tuple[str, list[NetworkNode]]:
    """The layers that make of the stored result of ``node``, of ``shape``, what the user's model has, and the last one's name."""
    steps, last = list[NetworkNode](), node.name

    def add(suffix: str, layer: Layer, *operands: str) -> str:
        steps.append(NetworkNode(f"{node.name}_{suffix}{OWN}", layer, operands, inner=True))
        return steps[-1].name

    if node.order is not None:
        back = inverse(node.order)
        last = add("reordered", Gather(back, 0) if len(shape) == 1 else Permute(back), last)
    if node.affine is not None:
        parts = [as_weights(as_floats(part)) for part in node.affine.full(node.shape_in_model(shape))]
        scale, offset = (add(name, Constant(part)) for name, part in zip(("scale", "offset"), parts, strict=True))
        last = add("shifted", Add(), add("scaled", Multiply(), last, scale), offset)
    return last, steps


def _wired(node: NetworkNode, program: Program) -> NetworkNode:
    """An input that a wire gives what it reads, in the format that it has."""
    form = next(grid_of(op).format for op in program.input_ops() if op.name == node.name)
    precision = {} if form is None else {"result": form}
    return replace(
        node, layer=Identity(), settings=replace(node.settings, precision={**precision, **node.settings.precision})
    )
