"""The record of a framework: all that is known of it outside of its reader's package.

The table is in ``frameworks.py``. How other packages add a record: ``docs/add-a-framework.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from bitsmith.base.files import local_path
from bitsmith.errors import ConfigError, InputDataError
from bitsmith.frontends.input_shapes import Example, InputShapes, filled_sizes
from bitsmith.frontends.outputs import FrameworkRun, ModelRun, Numbers
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.network import Network

if TYPE_CHECKING:
    from bitsmith.frontends.custom.call import Layers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading a model; those of :data:`TAKEN` are refused where a framework does not take them.

    Args:
        weights: the weight file of a model that consists of two, instead of its own or of the one beside it.
        example: an input, or one for each; the first axis counts samples.
        input_shape: the shape of one sample of the input, or one for each input; of a live module instead of an example, of other
            models where these leave sizes open.
        seen: the shapes of samples of the user's data, for a model that leaves sizes open which ``input_shape`` does not say.
        rounding: of fully connected layers of TensorFlow Lite.
        layers: translations of layers of the user's own, by class or name, which come before those that are known here.
        allow_approximate: take what can only be approximated, with a note.
    """

    weights: str | os.PathLike[str] | None = None
    example: Example | Sequence[Example] | None = None
    input_shape: InputShapes | None = None
    seen: Sequence[Shape] | None = None
    rounding: str | None = None
    layers: Layers | None = None
    allow_approximate: bool = False

    @property
    def shapes(self) -> InputShapes | None:
        """The shapes of one sample of each input of a model that says none itself."""
        return self.seen if self.input_shape is None else self.input_shape

    def filled(self, inputs: Sequence[tuple[str, Sequence[object]]], where: str) -> tuple[Shape, ...] | None:
        """The shape of one sample of each input, of its name and sizes with that of the batch, None where they are open.

        There is none if nobody says it, or if data would and no size is open.

        Raises:
            ConfigError, InputDataError: shapes, said or seen, that are not those of the model's inputs.
        """
        if self.input_shape is not None:
            return filled_sizes(inputs, self.input_shape, where)
        if self.seen is None or not any(None in sizes[1:] for _, sizes in inputs):
            return None
        return filled_sizes(inputs, self.seen, f"{where}, calibration data", InputDataError)


NO_OPTIONS = ReadOptions()
TAKEN = frozenset(field.name for field in fields(ReadOptions)) - {"allow_approximate", "seen"}
"""Options that not every framework takes."""


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A key of project configurations that names a model.

    Args:
        name: such as ``KerasModel``.
        suffixes: lower-case endings of the files that it names, with their dots; commands write the key for such files.
        weights: the key that names the file of its weights; None of models that have them within.
        live: whether a dictionary may have a live model there.
    """

    name: str
    suffixes: tuple[str, ...]
    weights: str | None
    live: bool


@dataclass(frozen=True, slots=True)
class Shapeless:
    """Live models that say nothing of the shapes of their inputs.

    Args:
        is_one: True of such a model.
        arguments: the names of the tensors that it takes, in order.
        weights: the elements of its trained tensors, by their names there.
    """

    is_one: Callable[[object], bool]
    arguments: Callable[[object], tuple[str, ...]]
    weights: Callable[[object], Mapping[str, Floats]]


def no_layer_results(model: object, network: Network, inputs: Sequence[Numbers]) -> Mapping[str, Floats]:
    """The layer results of a framework that gives outputs alone."""
    return {}


def no_content(first: bytes) -> bool:
    """The ``is_content`` of files that begin with nothing of their own."""
    return False


def own_inputs(model: object, inputs: object) -> object:
    """The ``with_inputs`` of a framework whose models say themselves what their inputs are; paths become local ones.

    Raises:
        ConfigError: there are ``inputs``.
    """
    if inputs is not None:
        raise ConfigError(
            "given with a model that has inputs of its own", where="inputs", accepted="it with formulas only"
        )
    return local_path(model) if isinstance(model, str | os.PathLike) else model


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework whose models are read.

    No field has a default, so that the type checker names what a record lacks. The module of a record is imported whenever a
    model is converted, so that it imports the reader, and the framework itself, within functions.

    Args:
        name: as errors and reports have it, such as ``PyTorch``.
        stem: of the familiar names, such as ``pytorch`` of ``convert_from_pytorch_model`` and ``pytorch_to_hls``.
        keys: those of project configurations.
        refused: endings of files that its users have, which the reader refuses with what to do instead.
        files: its files, as errors list them; empty of live models alone.
        live: its live models, as errors list them; None of files alone.
        is_live: True of such a model.
        is_content: True of the first ``FIRST_NAME_BYTES`` of its files, for those whose ending says nothing.
        folder: a file that each folder of a model has, where models are folders; else None.
        takes: those of :data:`TAKEN` that it takes.
        read: the network of a file or a live model.
        outputs: outputs of a model as the framework computes them, or None for a file whose framework is slow to load, unless the
            user insists. Whatever it raises is why they are not to be had; :class:`NotComparedError` says it in words for users.
        layer_results: results of a model's layers as the framework computes them, by names of nodes; empty if it does not give
            them.
        shapeless: None if all of its models say the shapes of their inputs.
        with_inputs: a model with the names and ranges of its inputs that the user gives, or with None, as the reader takes it.
    """

    name: str
    stem: str
    keys: tuple[ModelKey, ...]
    refused: tuple[str, ...]
    files: str
    live: str | None
    is_live: Callable[[object], bool]
    is_content: Callable[[bytes], bool]
    folder: str | None
    takes: frozenset[str]
    read: Callable[[object, ReadOptions], Network]
    outputs: Callable[[ModelRun], FrameworkRun | None]
    layer_results: Callable[[object, Network, Sequence[Numbers]], Mapping[str, Floats]]
    shapeless: Shapeless | None
    with_inputs: Callable[[object, object], object]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of the files that its reader gets."""
        return (*(suffix for key in self.keys for suffix in key.suffixes), *self.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFramework(Framework):
    """A framework that gives outputs alone, and whose models say themselves what their inputs are."""

    refused: tuple[str, ...] = field(init=False, default=())
    layer_results: Callable[[object, Network, Sequence[Numbers]], Mapping[str, Floats]] = field(
        init=False, default=no_layer_results
    )
    shapeless: Shapeless | None = field(init=False, default=None)
    with_inputs: Callable[[object, object], object] = field(init=False, default=own_inputs)
