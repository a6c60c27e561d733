"""The JSON schema of project files: editors complete keys and values by it, and show what they mean.

It follows from the records of options and the keys of the configuration. It takes the spellings of keys that are written here;
a project may spell them in any case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ForwardRef, TypeAlias

from bitsmith.config.model import KEYS, LAYER_KEYS, MODEL_KEYS
from bitsmith.frontends.named import model_keys
from bitsmith.options.option import Option
from bitsmith.options.project import PROJECT_KEYS, WRITER_KEYS
from bitsmith.options.table import OPTIONS, Arguments

Schema: TypeAlias = dict[str, object]

_TYPES = {"bool": "boolean", "int": "integer", "float": "number", "str": "string", "Path": "string", "None": "null"}
"""Types of arguments, and what JSON calls them."""


def schema() -> Schema:
    """The schema (draft 2020-12) of a project, as plain values."""
    options = {option.key.path: _option(option) for option in OPTIONS if option.key is not None}
    model = _section(MODEL_KEYS, options, "HLSConfig.Model.")
    layer = _section(LAYER_KEYS, options, "HLSConfig.Model.")
    layers: Schema = {"type": "object", "additionalProperties": {"$ref": "#/$defs/layer"}}
    configuration = {
        "type": ["object", "string", "null"],
        "description": "Precision and more: of the model, of types of layers, and of layers by name.",
        "properties": {"Model": model, "LayerType": layers, "LayerName": layers},
    }
    own = {key: options.get(key, {}) for key in (*PROJECT_KEYS, *(key.name for key in model_keys()))}
    writer = _section(WRITER_KEYS, options, "WriterConfig.")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A project of bitsmith",
        "type": "object",
        "properties": {**own, "HLSConfig": configuration, "WriterConfig": writer},
        "$defs": {"layer": layer},
    }


def _section(keys: Sequence[str], options: Mapping[str, Schema], section: str) -> Schema:
    """A section of so many keys."""
    words = {name: {"examples": [word.value for word in key.words]} for name, key in KEYS.items() if key.words}
    return {
        "type": ["object", "null"],
        "properties": {key: {**words.get(key, {}), **_untyped(options.get(f"{section}{key}", {}))} for key in keys},
    }


def _untyped(option: Schema) -> Schema:
    """An option's meaning without its type: a layer may say ``auto``, or more than the argument can."""
    return {key: value for key, value in option.items() if key != "type"}


def _option(option: Option) -> Schema:
    """The values and the meaning of an option."""
    flag = option.flag
    words = None if flag is None or isinstance(flag.values, str | None) else flag.values
    annotation = Arguments.__annotations__.get(option.name)
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else ""
    types = [_TYPES.get(name.strip(), "") for name in text.split("|")]
    schema: Schema = {"description": _plain(option.doc)}
    if all(types):
        schema["type"] = sorted({*types, "null"})
    if words is not None:
        schema["examples"] = list(words() if callable(words) else words)
    return schema


def _plain(text: str) -> str:
    """A text without the marks of documentation."""
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("``", "")
