"""Live models whose class is the user's own: traced by symbolic inputs into a functional model of the same layers.

A file of such a model has no code, but a live one does: Keras itself runs its ``call``.
"""

import inspect
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Protocol, cast

import numpy as np

from bitsmith.errors import ConfigError, UnsupportedError, nearest
from bitsmith.frontends.framework import NO_OPTIONS, ReadOptions
from bitsmith.frontends.input_shapes import sample_shapes
from bitsmith.frontends.keras.live import MODEL_CLASSES, PACKAGES, REBUILT, WITH_KERAS, LiveLayer, LiveModel


class _Called(Protocol):
    """The attributes of a layer that is called."""

    def __call__(self, *args: object, **options: object) -> object: ...
    def call(self, *args: object, **options: object) -> object: ...


def functional(model: LiveModel, options: ReadOptions = NO_OPTIONS) -> LiveModel:
    """Return ``model``; of one that has classes of the user's, a functional model that shares all other layers.

    Traced are models, and layers without weights of their own.

    Args:
        model: a live model; one of the user's class has been called unless there are shapes.
        options: shapes; and ``layers``, classes and their names of which calls are left as they are.

    Raises:
        ConfigError: nothing says what the shapes of the inputs are, or layers are not built.
        UnsupportedError: ``call`` does not run on symbolic inputs.
    """
    kind, package, kept = type(model), package_of(type(model)), options.layers or ()
    if package is None:
        return model
    name = str(getattr(model, "name", kind.__name__))
    where = f"live model {name!r}"
    if kind.__name__ in MODEL_CLASSES:
        inputs = _own_inputs(model)
        own, plain = _traceable(model, kept), _without_functions(model, package, kept)
        if not (own or plain) or inputs is None:
            return model
    else:
        inputs = _own_inputs(model)
        inputs = _inputs(package, model, options, where) if inputs is None else inputs
        _check_built(model, package, where)
        _evaluated(cast("_Called", model), inputs, where)  # lets later calls know the shapes
        own, plain = _traceable(model, kept), _without_functions(model, package, kept)
    with _inlined(own, plain):
        try:
            outputs = _evaluated(cast("_Called", model).call, inputs, where)
        except UnsupportedError:
            if own or kind.__name__ not in MODEL_CLASSES:
                raise
            return model  # whose layers are refused by name
    return cast("LiveModel", package.Model(inputs, outputs, name=name))


def _check_built(model: LiveModel, package: ModuleType, where: str) -> None:
    """Refuse layers that get their weights in the first call: nobody has trained or loaded these."""
    plain = (package.layers.Layer.build, package.Model.build)
    layers: list[LiveLayer] = list(getattr(model, "_flatten_layers", tuple)())
    unbuilt = [x for x in layers if not getattr(x, "built", True) and getattr(type(x), "build", None) not in plain]
    if unbuilt:
        raise ConfigError(
            f"layers that are not built: {nearest((), (f'{x.name} ({type(x).__name__})' for x in unbuilt))}",
            where=where,
            accepted="a model that has been called",
            remedy="call it once, model(x[:1]), and train it or load its weights, which are random ones at first",
        )


def package_of(kind: type) -> ModuleType | None:
    """Return the package of Keras that a class derives from."""
    modules = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return next((sys.modules[name] for name in modules if name in PACKAGES), None)


def _traceable(model: LiveModel, kept: Container[object]) -> set[type]:
    """Return the classes of layers that are the user's, or hold code of the user's, and only call others.

    There are none where there are masks.
    """
    from bitsmith.frontends.keras.known import KNOWN_PACKAGES

    layers = _unmasked_layers(model)
    kinds: dict[type, bool] = {}
    for layer in layers:
        kind, package = type(layer), package_of(type(layer))
        known = kind.__module__.partition(".")[0] in KNOWN_PACKAGES and kind.__name__ != "Lambda"
        if layer is model or package is None or known:
            continue
        lists = ("_trainable_variables", "_non_trainable_variables", "_trainable_weights", "_non_trainable_weights")
        own = any(getattr(layer, name, ()) for name in lists)
        shown = kind in kept or kind.__name__ in kept or getattr(layer, "name", None) in kept
        kinds[kind] = kinds.get(kind, True) and not (own or shown or kind.__name__ in MODEL_CLASSES)
    return {kind for kind, traced in kinds.items() if traced}


def _unmasked_layers(model: LiveModel) -> list[object]:
    """Return all layers within; none where there are masks: what a mask does to a layer is the layer's own to say."""
    layers = list[object](getattr(model, "_flatten_layers", tuple)())
    return [] if any(type(one).__name__ == "Masking" or getattr(one, "mask_zero", False) for one in layers) else layers


def _without_functions(model: LiveModel, package: ModuleType, kept: Container[object]) -> dict[_Called, _Called]:
    """Return Keras's own layers that end with a function of the user's, each with a copy that lacks the function."""
    plain: dict[_Called, _Called] = {}
    for layer in cast("list[_Called]", _unmasked_layers(model)):
        own, kind = vars(layer).get("activation"), type(layer)
        ends = kind.__module__.partition(".")[0] in PACKAGES and not kind.__name__.endswith("Cell") and kind not in kept
        if ends and isinstance(own, FunctionType) and own.__module__.partition(".")[0] not in WITH_KERAS:
            plain[layer] = object.__new__(kind)  # Keras's own copies have other weights
            vars(plain[layer]).update(vars(layer), activation=package.activations.linear)
    return plain


@contextmanager
def _inlined(kinds: Iterable[type], plain: Mapping[_Called, _Called]) -> Iterator[None]:
    """Let calls of layers of these classes run what they call, and not become calls of a layer.

    A layer of ``plain`` is its copy there, and then its own function.
    """
    ending = {type(layer): type(layer).__call__ for layer in plain}
    own = {kind: vars(kind).get("__call__") for kind in {*kinds, *ending}}

    def ended(layer: _Called, *args: object, **options: object) -> object:
        result = ending[type(layer)](plain.get(layer, layer), *args, **options)
        return vars(layer)["activation"](result) if layer in plain else result

    def call(layer: _Called, *args: object, **options: object) -> object:
        taken = inspect.signature(layer.call).parameters
        return layer.call(
            *args, **{name: value for name, value in options.items() if name != "training" or name in taken}
        )

    try:
        for kind in own:
            kind.__call__ = ended if kind in ending else call  # type: ignore[method-assign]
        yield
    finally:
        for kind, method in own.items():
            if method is None:
                del kind.__call__
            else:
                kind.__call__ = method  # type: ignore[method-assign]


def _own_inputs(model: LiveModel) -> object:
    """Return the symbolic inputs of a wired model, in their structure; None of others."""
    inputs: Sequence[object] | None = getattr(model, "inputs", None)
    if not inputs:
        return None
    return inputs[0] if len(inputs) == 1 else getattr(model, "input", inputs)


def _inputs(package: ModuleType, model: LiveModel, options: ReadOptions, where: str) -> object:
    """Return symbolic inputs in the structure in which ``call`` takes them."""
    built: Mapping[str, object] = getattr(model, "_build_shapes_dict", None) or {}
    seen = next(iter(built.values()), None) if len(built) == 1 else getattr(model, "_saved_model_inputs_spec", None)
    shapes = options.shapes if seen is None else options.input_shape
    if shapes is not None:
        inputs = [package.Input(shape) for shape in sample_shapes(shapes, examples=False)]
        return inputs if len(inputs) > 1 else inputs[0]
    if seen is None:
        raise ConfigError(
            f"a model of class {type(model).__name__!r} that has not been called says nothing of its inputs",
            where=where,
            accepted="input_shape=(16,), that of one sample, or a list of several",
            remedy="give input_shape, or call the model once",
        )
    return _symbolic(package, seen)


def _symbolic(package: ModuleType, seen: object, name: str | None = None) -> object:
    """Return inputs for shapes with their batch axis, or for specifications of tensors, in any nesting."""
    if isinstance(seen, Mapping):
        return {key: _symbolic(package, value, str(key)) for key, value in seen.items()}
    shape = tuple(seen.shape) if hasattr(seen, "shape") else seen  # which TensorFlow has a class of its own for
    if isinstance(shape, Sequence) and all(size is None or isinstance(size, int) for size in shape):
        return package.Input(tuple(shape)[1:], dtype=getattr(seen, "dtype", None), name=name)
    return type(seen)(_symbolic(package, value) for value in seen)  # type: ignore[call-arg,attr-defined]


def _evaluated(run: Callable[..., object], inputs: object, where: str) -> object:
    """Return what a model, or its ``call``, makes of symbolic inputs in evaluation."""
    options = {"training": False} if "training" in inspect.signature(getattr(run, "call", run)).parameters else {}
    try:
        # Keras's NumPy backend finds shapes by computing with whatever numbers lie in fresh memory.
        with np.errstate(all="ignore"):
            return run(inputs, **options)
    except Exception as error:  # whatever the user's code raises
        lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
        said = [line.strip() for line in lines if line.strip()][:2]
        raise UnsupportedError(
            f"a model that does not run on symbolic inputs ({' '.join([type(error).__name__ + ':', *said])})",
            where=where,
            accepted="layers and functions of Keras (keras.ops) on the inputs",
            remedy=REBUILT,
        ) from error
