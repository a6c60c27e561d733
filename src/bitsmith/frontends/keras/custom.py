"""Keras layers of the user's own, by the user's translations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.frontends.builder.builder import finite
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.custom.call import Call, Table, Translate, translated
from bitsmith.frontends.custom.tensor import Tensor
from bitsmith.frontends.files.json import Fields, parse_json
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.graph import Call as Use
from bitsmith.frontends.keras.live import LiveLayer
from bitsmith.frontends.keras.operands import Operands
from bitsmith.frontends.keras.weights import sub_layer
from bitsmith.frontends.keras.wrappers import distributed
from bitsmith.layers.layer import Floats, as_weights


@dataclass(frozen=True, slots=True)
class CustomLayers:
    """The user's translations, and those of the layers that are ``known`` here, for sub-layers."""

    table: Table
    known: Mapping[str, Translation]

    def translation(self, use: Use, live: LiveLayer | None) -> Translation | None:
        """Return the user's translation of a layer; None if it is not among the user's.

        ``live`` is the layer itself, None of a file.
        """
        entry, keywords = use.entry, frozenset(use.arguments.kwargs)
        translate = self.table.of_object(live) or self.table.named(entry.registered, entry.class_name)
        if translate is not None:
            return self._of(translate, live, keywords)
        if entry.class_name != "TimeDistributed" or entry.custom or entry.model is not None:
            return None
        wrapped, inside = getattr(live, "layer", None), entry.config.fields("layer")
        class_name = inside.text("class_name")
        translate = self.table.of_object(wrapped) or self.table.named(inside.text("registered_name", ""), class_name)
        return None if translate is None else distributed(self._of(translate, wrapped, keywords), class_name)

    def _of(self, translate: Translate, live: object, keywords: frozenset[str]) -> Translation:
        return Translation(lambda call: self._read(translate, live, call), "what the user says", keywords)

    def _read(self, translate: Translate, live: object, call: LayerCall) -> tuple[Value, ...]:
        build = call.build

        def stored(parts: Sequence[str]) -> tuple[Floats, ...]:
            return tuple(as_weights(finite(one.read(), "a weight", build.where)) for one in call.stored(parts))

        def part(name: str, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            values = tuple(x.value.plain() for x in operands)
            return tuple(Tensor(build, one) for one in self._part(call, live, name, values))

        inputs = tuple(Tensor(build, x) for x in call.given.tensors)
        return translated(translate, Call(inputs, dict(call.config.values), live, build, stored, part), build.where)

    def _part(self, call: LayerCall, live: object, name: str, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        """The results of the sub-layer that is an attribute of a live layer."""
        layer = None if live is None else sub_layer(live, name)
        where = f"{call.build.where}, {name}"
        if layer is None:
            found = "a sub-layer of a layer in a file" if live is None else f"the layer has no attribute {name!r}"
            raise ConfigError(found, where=where, accepted="attributes of live layers", remedy="convert the live model")
        class_name = type(layer).__name__
        translate = self.table.of_object(layer)
        known = self.known.get(class_name) or self.known.get(f"{type(layer).__module__.partition('.')[0]}>{class_name}")
        translation = known if translate is None else self._of(translate, layer, frozenset())
        if translation is None:
            raise UnsupportedError(
                f"{class_name} is not a layer that is known here", where=where, remedy="give its translation in layers"
            )
        build = replace(call.build.within(name.replace("/", "_")), source=class_name)
        given: Operands[Value] = Operands(operands, {})
        inner = replace(call, config=_config(layer, where), given=given, stored=call.stored_of(name), build=build)
        return translation.results(inner)


def _config(layer: object, where: str) -> Fields:
    """The configuration of a live layer, as a file would have it."""
    try:
        text = json.dumps(layer.get_config())  # type: ignore[attr-defined]  # an error like any other of the user's class
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedError(
            f"a sub-layer without a configuration ({str(error)[:200]})", where=where, accepted="layers with get_config"
        ) from error
    return Fields(parse_json(text, where), where)
