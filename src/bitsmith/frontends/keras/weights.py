"""Places of the trained tensors of a Keras model: three layouts for one question, "the variables of this layer"."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import h5py
import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.hdf5 import H5File, Stored, h5_errors
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.live import LiveLayer


@dataclass(frozen=True, slots=True)
class Place:
    """A layer within its model: its name, and the group that the Keras 3 layout numbers it by (``dense_1``)."""

    name: str
    group: str


LayerPath = tuple[Place, ...]
"""A layer's place, from the outermost model inwards."""


def snake_case(class_name: str) -> str:
    """``LeakyReLU`` -> ``leaky_re_lu``, the way Keras numbers its weight groups."""
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", re.sub(r"\W+", "", class_name)).lower()


def numbered_group(class_name: str, groups: Counter[str]) -> str:
    """The weight group of the next layer of a class: ``dense``, ``dense_1``, ...; ``groups`` counts those before."""
    group = snake_case(class_name)
    groups[group] += 1
    return f"{group}_{groups[group] - 1}" if groups[group] > 1 else group


class WeightStore(Protocol):
    """The variables of the layers of one model."""

    def variables(self, path: LayerPath, parts: Sequence[str] = ()) -> Sequence[Stored]:
        """The layer's variables in its own order, then those of its sub-layers ``parts``; none if the store has none for it."""


_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_WINDOWS = "\\"


@dataclass(frozen=True, slots=True)
class NumberedWeights:
    """Keras 3 (and the ``.keras`` files of 2.13 and 2.14): ``layers/dense_1/vars/0``, numbered by class in layer order;
    a sub-layer's are at ``layers/multi_head_attention/query_dense/vars/0``.

    Newer files also note each layer's own name there. Keras goes by the number alone, so the name only helps to find a layer
    whose class was renamed. On Windows, some versions make a group of the root that is called ``layers\\dense_1``: the
    ``separator`` is a backslash in these.
    """

    file: H5File
    separator: str

    def variables(self, path: LayerPath, parts: Sequence[str] = ()) -> Sequence[Stored]:
        group: str | None = ""
        for place in path:
            group = None if group is None else self._layer(group, place)
        if group is None:
            return ()
        label = "/".join(place.name for place in path)
        stored = self._own(group, label)
        for part in parts:
            # Keras 2.13 and early Keras 3 go by the private attribute.
            inner = next((name for name in (part, f"_{part}") if self._exists(self._within(group, name))), None)
            stored += [] if inner is None else self._own(self._within(group, inner), f"{label}/{part}")
        return stored

    def _within(self, group: str, name: str) -> str:
        parts = ([group] if group else []) + name.split("/")
        return self.separator.join(parts)

    def _exists(self, group: str) -> bool:
        return self.file.group(self.file.root, group) is not None

    def _names(self, container: str) -> list[str]:
        """Return the names in a container; none if it is missing."""
        if self.separator == "/":
            found = self.file.group(self.file.root, container)
            with h5_errors(self.file.where):
                return [] if found is None else list(found)
        prefix = container + self.separator
        with h5_errors(self.file.where):
            names = [name.removeprefix(prefix) for name in self.file.root if name.startswith(prefix)]
        return [name for name in names if self.separator not in name]

    def _own(self, layer: str, label: str) -> list[Stored]:
        variables = self.file.group(self.file.root, f"{layer}/vars")
        with h5_errors(self.file.where):
            count = 0 if variables is None else sum(name.isdecimal() for name in variables)
        return [self.file.stored(self.file.child(variables, str(k)), f"{label}, variable {k}") for k in range(count)]

    def _layer(self, model: str, place: Place) -> str | None:
        containers = (self._within(model, name) for name in _CONTAINERS)
        container = next((name for name in containers if self._names(name)), None)
        if container is None:
            return None
        numbered = self._within(container, place.group)
        if self._exists(numbered):
            return numbered
        layers = [self._within(container, name) for name in self._names(container)]
        groups = {name: self.file.group(self.file.root, f"{name}/vars") for name in layers}
        named = [name for name, group in groups.items() if group and self.file.attribute(group, "name") == place.name]
        return named[0] if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class NamedWeights:
    """Keras 2 and the legacy HDF5 format of Keras 3: one group per layer, which lists its ``weight_names``.

    A nested model is one group; its layers are told apart by the names, ``dense/kernel:0`` or ``model/dense/kernel``.
    """

    file: H5File
    layers: h5py.Group

    def variables(self, path: LayerPath, parts: Sequence[str] = ()) -> Sequence[Stored]:
        group = self.file.group(self.layers, path[0].name)
        names = None if group is None else self.file.names(group, "weight_names")
        if group is None or not names:
            return ()
        if len(path) > 1:
            names = _names_within(names, [place.name for place in path])
        return [self.file.stored(self.file.child(group, name), f"weight {shown(name)}") for name in names]


def _names_within(names: list[str], path: list[str]) -> list[str]:
    """Those of a nested model's weight names that belong to the layer at ``path``.

    Names leave out some of the enclosing models; where several fit, the one that leaves out fewest does. Where none does, names
    may have more than the path: Keras 3 writes the whole model and the model within a TimeDistributed, too.
    """
    scopes: dict[tuple[str, ...], list[str]] = {}
    longer: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        parts = name.split("/")[:-1]
        while parts and parts[-1] != path[-1]:
            parts.pop()
        rest = iter(path)
        if parts and all(part in rest for part in parts):  # in this order
            scopes.setdefault(tuple(parts), []).append(name)
        rest = iter(parts)
        if all(part in rest for part in path):
            longer.setdefault(tuple(parts), []).append(name)
    return scopes[max(scopes, key=len)] if scopes else longer[min(longer, key=len)] if longer else []


def numbered_weights(file: H5File) -> NumberedWeights:
    """The weights of a file of Keras 3's layout, in which there may be none."""
    with h5_errors(file.where):
        windows = any(name.startswith(f"{container}{_WINDOWS}") for name in file.root for container in _CONTAINERS)
    return NumberedWeights(file, _WINDOWS if windows else "/")


def weights_of(file: H5File) -> WeightStore:
    """The weights of a file of any layout."""
    own = file.names(file.root, "layer_names") is not None
    named = file.root if own else file.group(file.root, "model_weights")
    if named is not None:
        return NamedWeights(file, named)
    numbered = numbered_weights(file)
    if numbered.separator == _WINDOWS or any(file.group(file.root, name) for name in _CONTAINERS):
        return numbered
    raise ModelFileError("the file holds no Keras weights", where=file.where)


@runtime_checkable
class SavingLayer(Protocol):
    """Layer that writes its own variables, without those of its sub-layers, by number."""

    def save_own_variables(self, store: dict[str, npt.ArrayLike]) -> None: ...


@dataclass(frozen=True, slots=True)
class LiveWeights:
    """The variables of a live model's layers."""

    layers: Sequence[LiveLayer]

    @property
    def on_torch(self) -> bool:
        """True of Keras on PyTorch, whose layers are modules."""
        return any(hasattr(layer, "named_buffers") for layer in self.layers)

    def variables(self, path: LayerPath, parts: Sequence[str] = ()) -> Sequence[Stored]:
        layer = self.at(path)
        if layer is None:
            return ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras's, about its own arrays
            subs = (sub_layer(layer, part) for part in parts)
            saving = [layer, *(one for one in subs if one is not None)]
            own = [one for one in saving if isinstance(one, SavingLayer)]
            if len(own) == len(saving):
                return [stored for one in own for stored in _own_variables(one)]
            return [_live(values) for values in layer.get_weights()]

    def part(self, path: LayerPath, part: str) -> object:
        """The object that is the attribute ``part`` (a path, if need be) of a layer; None if there is none."""
        layer = self.at(path)
        return None if layer is None else sub_layer(layer, part)

    def at(self, path: LayerPath) -> LiveLayer | None:
        """The layer at a place; None if there is none, or several."""
        layers, matches = self.layers, list[LiveLayer]()
        for place in path:
            matches = [layer for layer in layers if layer.name == place.name]
            if len(matches) != 1:
                return None
            wrapped = getattr(matches[0], "layer", None)  # the model of a TimeDistributed
            layers = getattr(matches[0], "layers", getattr(wrapped, "layers", ()))
        return matches[0] if matches else None


def sub_layer(layer: object, part: str) -> object:
    """The attribute at a path, in which the layers of a list are named by class and number; None if there is none."""
    for name in part.split("/"):
        if isinstance(layer, list | tuple):
            groups: Counter[str] = Counter()
            layer = {numbered_group(type(one).__name__, groups): one for one in layer}.get(name)
        else:
            layer = getattr(layer, name, getattr(layer, f"_{name}", None))
    return layer


def _own_variables(layer: SavingLayer) -> list[Stored]:
    store: dict[str, npt.ArrayLike] = {}
    layer.save_own_variables(store)
    # Kernels that enable_lora has changed are computed, and so have gradients on PyTorch.
    return [_live(np.asarray(values.detach() if hasattr(values, "detach") else values)) for values in store.values()]


def _live(values: npt.NDArray[np.generic]) -> Stored:
    return Stored(values.shape, partial(values.astype, np.float64))
