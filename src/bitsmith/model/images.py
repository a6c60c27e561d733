"""Images of weights with which the circuit of one model computes another one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from bitsmith.base.project import Project
from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network
from bitsmith.model.model import Model
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.other_weights import with_weights_of


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
        The model that the circuit computes then, to predict with.

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
    from bitsmith.building.images import host_files
    from bitsmith.mapping.engine.images import images_of

    if model.target.weight_memory is None:
        raise ConfigError(
            "an image of a model whose weights lie in its circuit",
            where="write_image",
            accepted="a model with WeightMemory",
        )
    _require_alike(model.network, other.network)
    job = model._job()
    program = with_weights_of(job.program, drop_dead(other.program, keep_probes=False))
    files = host_files(job, program, images_of(job.program, program, model.directives))
    with Project.open(folder, model.target.project_name) as project:
        project.write(files)
    return Model(other.network, with_weights_of(model.program, other.program), model.target, model.notes)


def _require_alike(network: Network, other: Network) -> None:
    """Check that layers compute the same but for arrays: other functions or limits would stay those of the circuit unsaid."""
    for own, theirs in zip(network.nodes, other.nodes, strict=False):
        if _settings(own.layer) != _settings(theirs.layer):
            raise UnsupportedError(
                f"another {theirs.layer.kind}",
                where=f"layer {theirs.name!r}",
                accepted=f"a {own.layer.kind} with the settings of {own.name!r} in the circuit's model",
                remedy="build a circuit of the other model",
            )


def _settings(layer: Layer) -> list[object]:
    """The type of a layer, and what it is told besides arrays."""
    values = (getattr(layer, field.name) for field in fields(layer)) if hasattr(layer, "__dataclass_fields__") else ()
    return [
        type(layer),
        *(
            _settings(value) if isinstance(value, Layer) else value
            for value in values
            if not isinstance(value, np.ndarray)
        ),
    ]
