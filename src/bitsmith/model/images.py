"""Images of weights with which the circuit of one model computes another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from bitsmith.base.progress import warn
from bitsmith.base.project import Project
from bitsmith.building.capacity import Room
from bitsmith.building.design import Circuit
from bitsmith.building.job import Job, circuit_program
from bitsmith.building.rtl_stages import Rtl
from bitsmith.building.stages import together
from bitsmith.errors import ConfigError, FidelityWarning, UnsupportedError
from bitsmith.fidelity.certificate import certify
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.model.model import Model
from bitsmith.options.building import Asked
from bitsmith.options.signature import answering
from bitsmith.passes.program.other_weights import unlike, with_weights_of
from bitsmith.rtl.driver import DrivenCircuit, driver, image_file, images
from bitsmith.systems.system import EXPORT


@answering
def write_image(model: Model, other: Model, folder: str | Path) -> Model:
    """Write the host's files with which the circuit of ``model`` computes another one of the same layers and shapes.

    They take the place of those in ``driver``, or on a board in ``system/export``: the driver, and the image of weights from
    memory (``WeightMemory``). The circuit stays. All formats are those of ``model``, to which weights and biases of ``other`` are
    rounded.

    Args:
        model: the model of the circuit.
        other: a model that was converted with the same arguments, from other trained weights.
        folder: where the files go, in folders as those of a project.

    Returns:
        The model that the circuit computes then, to predict with, with the names of ``model``.

    Warns:
        FidelityWarning: that model is not what ``other`` computes as floats, on the calibration data of ``model``.

    Raises:
        ConfigError: a model whose weights do not come from memory.
        UnsupportedError: other layers or shapes, numbers that lie in the circuit, or that need more bits than it has.
        ProjectError: the folder cannot be used.

    Examples:
        ```python
        target = {"io_type": "io_stream", "strategy": "shared", "reuse_factor": 512, "part": "xc7z020clg400-1"}
        memory = "32 bits, 533 MHz, 200 ns, 75 %"
        first, trained_on = (
            bitsmith.convert("digits.keras", folder, calibration=x, weight_memory=memory, **target)
            for folder in ("first", "trained_on")  # here with the same weights
        )
        computed = bitsmith.write_image(first, trained_on, "image")
        print(computed.predict(x))
        ```
    """
    from bitsmith.mapping.engine.images import images_of

    if model.target.weight_memory is None:
        raise ConfigError(
            "an image of a model whose weights lie in its circuit",
            where="write_image",
            accepted="a model with WeightMemory",
        )
    network = _with_layers_of(model.network, other.network)
    job = model._job()
    program = with_weights_of(job.program, circuit_program(other.program, model.target))
    files = host_files(job, program, images_of(job.program, program, model.directives))
    circuit, known = with_weights_of(model.program, other.program), model.source or other.source
    fidelity = certify(network, network, circuit, known.calibration if known else None)
    with Project.open(folder, model.target.project_name) as project:
        project.write(files)
    if fidelity.message:
        found, *_ = fidelity.message.split(". It starts here")
        remedy = "the image is of use where this does not matter; else build a circuit of the other model"
        message = f"{found}. Formats and ranges stay those of the circuit's model: {remedy}"
        warn(message, FidelityWarning)
    return Model(network, circuit, model.target, model.notes, fidelity)


def _with_layers_of(network: Network, other: Network) -> Network:
    """``network`` with the layers of ``other``, which pair up in order, whatever their names.

    Raises:
        UnsupportedError: layers that differ in more than trained arrays, for functions or limits would stay those of the circuit
            unsaid; or that read others.
    """
    places = [{node.name: k for k, node in enumerate(one.nodes)} for one in (network, other)]
    for own, theirs in zip(network.nodes, other.nodes, strict=False):
        reads = [[at[name] for name in node.inputs] for node, at in zip((own, theirs), places, strict=True)]
        if reads[0] != reads[1] or _settings(own) != _settings(theirs):
            raise UnsupportedError(
                f"another {theirs.layer.kind}",
                where=f"layer {theirs.name!r}",
                accepted=f"a {own.layer.kind} with the settings and inputs of {own.name!r} in the circuit's model",
                remedy="build a circuit of the other model",
            )
    ends = [
        [[at[name] for name in names] for names in (one.inputs, one.outputs)]
        for one, at in zip((network, other), places, strict=True)
    ]
    if len(network.nodes) != len(other.nodes) or ends[0] != ends[1]:
        raise unlike(
            "", f"{len(other.nodes)} layers", f"{len(network.nodes)}, and the same inputs and outputs in order"
        )
    return network.with_nodes(
        [
            replace(own, layer=theirs.layer, quantizers=theirs.quantizers, affine=theirs.affine)
            for own, theirs in zip(network.nodes, other.nodes, strict=True)
        ]
    )


def _settings(node: NetworkNode) -> list[object]:
    """All that decides what a node computes besides trained arrays."""
    return [node.folded, node.inner, node.whole, *map(_comparable, (node.order, node.layer))]


def _comparable(value: object) -> object:
    """A setting as a value that is equal where all in it is equal, but for the trained arrays of layers."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tolist()
    if isinstance(value, tuple | list):
        return [_comparable(each) for each in value]
    if isinstance(value, Layer) or (is_dataclass(value) and not isinstance(value, type)):
        trained = set(value.trained.values()) if isinstance(value, Layer) else set[str]()
        names = [field.name for field in fields(value)] if is_dataclass(value) else []
        return [type(value), *(_comparable(getattr(value, name)) for name in names if name not in trained)]
    return value


def host_files(job: Job, program: Program, words: Sequence[Ints]) -> Mapping[str, str | bytes]:
    """The driver and the images, by their paths in the project, for other ``words`` in the memories of the circuit of ``job``."""
    return _OtherWords(job, program, words).host_files()


class _OtherWords(Rtl):
    """A circuit, executing another program."""

    def __init__(self, job: Job, program: Program, words: Sequence[Ints]) -> None:
        super().__init__(job, Room.of(job), Asked())
        self._program, self._words = program, words

    @cached_property
    def _circuit(self) -> Circuit:
        return super()._circuit.with_words(self._program, self._words)

    def host_files(self) -> Mapping[str, str | bytes]:
        """Files beside the circuit: of a board those that go to it."""
        if self._system is not None:
            system, files = self._system
            return {path: text for path, text in together(files, system.files).items() if path.startswith(f"{EXPORT}/")}
        interface = self._circuit.interface
        texts = {
            self._driver: driver(DrivenCircuit(self._program, interface, self.job.layouts, self.job.target.samples))
        }
        return together({f"driver/{image_file(self._top, port)}": data for port, data in images(interface)}, texts)
