"""Keras's wrappers of any layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.hdf5 import Stored
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.recurrent import wrapped

_ACCEPTED = "one layer that is translated itself"


def each_step(call: LayerCall, translation: Translation, class_name: str) -> tuple[Value, ...]:
    """Apply ``translation``, that of the class, to each time step of the operands."""
    shapes = [x.shape for x in call.given.tensors]
    if len({shape[0] for shape in shapes if len(shape) > 1}) != 1 or any(len(shape) < 2 for shape in shapes):
        raise call.config.error(f"TimeDistributed on inputs of shapes {shapes}")
    if call.config.flag("stateful", False):
        raise UnsupportedError("a stateful layer", accepted="layers without a state between samples")
    steps = shapes[0][0]
    build = replace(call.build, steps=steps, source=class_name.rpartition(">")[2])
    one = replace(call, given=call.given.mapped(lambda x: replace(x, shape=x.shape[1:])), build=build)
    results = (build.at_each_step(value) for value in translation.results(one))
    return tuple(
        value if value.constant is not None else replace(value, shape=(steps, *value.shape)) for value in results
    )


def on_each_step(translation: Translation, class_name: str) -> Translation:
    """The ``translation`` of a class, on each time step of the operands."""
    return replace(translation, read=lambda call: each_step(call, translation, class_name))


def distributed(translation: Translation, class_name: str) -> Translation:
    """The wrapper around a layer of the class, whose own ``translation`` is given."""

    def translate(call: LayerCall) -> tuple[Value, ...]:
        if len(call.given.tensors) != 1 or len(call.given.args) != 1:
            raise call.config.error(f"called on {len(call.given.args)} arguments", "one tensor")
        config = call.config.fields("layer").fields("config")
        return each_step(_inner(call, config), translation, class_name)

    return replace(translation, read=translate)


def time_distributed(known: Callable[[], Mapping[str, Translation]]) -> Translation:
    """The wrapper, for ``known`` layers; models within it are opened by the graph."""

    def translate(call: LayerCall) -> tuple[Value, ...]:
        class_name, _ = wrapped("TimeDistributed", call.config, "layer", known(), _ACCEPTED)
        return distributed(known()[class_name], class_name).results(call)

    return Translation(translate, "the wrapped layer, or TimeDistributed")


def spectral_normalization(known: Callable[[], Mapping[str, Translation]]) -> Translation:
    """The wrapper, for ``known`` layers: outside of training it is the layer, whose kernel is stored normalized."""

    def translate(call: LayerCall) -> tuple[Value, ...]:
        class_name, config = wrapped("SpectralNormalization", call.config, "layer", known(), _ACCEPTED)
        inner = _inner(call, config)
        build = replace(call.build, source=class_name)
        return known()[class_name].results(
            replace(inner, stored=lambda parts: _without_vector(inner.stored(parts), call.config), build=build)
        )

    return Translation(translate, "Dense, Conv, ConvTranspose or Embedding, whichever is wrapped")


def _inner(call: LayerCall, config: Fields) -> LayerCall:
    """The call of the wrapped layer, whose weights are those of the attribute ``layer``."""

    def stored(parts: Sequence[str]) -> Sequence[Stored]:
        return call.stored(["layer", *(f"layer/{part}" for part in parts)])

    return replace(call, config=config, stored=stored)


def _without_vector(stored: Sequence[Stored], config: Fields) -> Sequence[Stored]:
    """The layer's tensors without the vector (1, channels) after the kernel, or after the bias, which only training uses.

    Files of Keras 3 have the kernel twice: as the wrapper's and as the layer's.
    """
    shapes = [one.shape for one in stored]
    vector = next((k for k, shape in enumerate(shapes) if k and shape == (1, *shapes[0][-1:])), 0)
    if not vector:
        raise config.error(f"weights of shapes {shapes}", "a kernel and its vector (1, channels)")
    kernel, *others = (*stored[:vector], *stored[vector + 1 :])
    return others if others and others[0].shape == kernel.shape else [kernel, *others]
