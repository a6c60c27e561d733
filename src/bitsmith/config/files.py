"""Configuration files: YAML and JSON as plain data, read without trusting them.

Bounds: file size, number of values once aliases are written out, nesting. No tags beyond YAML's plain data but hls4ml's tag of a
model, which is the name of the file that it writes beside the configuration.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Never

from bitsmith.base.files import open_file
from bitsmith.config.reading import shown
from bitsmith.errors import ConfigError

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1 << 19
MAX_VALUES = 200_000
MAX_DEPTH = 50

_MODEL, _TEXT = "!keras_model", "tag:yaml.org,2002:str"


def read_file(path: Path) -> dict[Any, object]:
    """The dictionary in a YAML or JSON (``.json``) file.

    Raises:
        ConfigError: a file that cannot be read, is not plain data, or is beyond the bounds above.
    """
    where = str(path)
    try:
        with open_file(path) as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(f"a configuration file of more than {MAX_BYTES >> 10} KiB", where=where)
        text = raw.decode("utf-8")
        content = _json(text, where) if path.suffix.lower() == ".json" else _yaml(text, where)
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", where=where) from error
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8 text", where=where) from error
    except RecursionError as error:
        raise ConfigError("nested beyond reason", where=where, accepted=f"{MAX_DEPTH} levels") from error
    except ValueError as error:
        raise ConfigError(f"not valid: {_first_lines(error)}", where=where) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{shown(content)} where a dictionary is needed", where=where)
    return content


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _json(text: str, where: str) -> object:
    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        members: dict[str, object] = {}
        for key, value in items:
            if key in members:
                raise ConfigError(f"key {shown(key)} is given twice", where=where)
            members[key] = value
        return members

    def constant(name: str) -> Never:
        raise ConfigError(f"{name} is not a number", where=where)

    content: object = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    return content


def _yaml(text: str, where: str) -> object:
    import yaml

    try:
        return _constructed(yaml.SafeLoader(text), where)
    except yaml.YAMLError as error:
        found = _first_lines(error).replace(' in "<unicode string>"', "")
        raise ConfigError(f"not valid YAML: {found}", where=where) from error


def _constructed(loader: yaml.SafeLoader, where: str) -> object:
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        # Checked before construction, because merge keys write aliases out while values are constructed.
        _check(node, where, {}, ())
        content: object = loader.construct_document(node)
        return content
    except (LookupError, AttributeError, TypeError) as error:
        raise ConfigError(
            "a value that is not what its tag says", where=where, accepted="values without tags"
        ) from error
    finally:
        loader.dispose()


def _check(node: yaml.Node, where: str, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """The number of values under ``node`` with aliases written out.

    Raises:
        ConfigError: beyond the bounds, a value within itself, a key given twice, or a tag that is not plain data.
    """
    from yaml import MappingNode, ScalarNode, SequenceNode

    place = f"{where}, line {node.start_mark.line + 1}"
    if id(node) in above:
        raise ConfigError("a value that contains itself", where=place)
    if len(above) > MAX_DEPTH:
        raise ConfigError("nested beyond reason", where=place, accepted=f"{MAX_DEPTH} levels")
    if id(node) in sizes:
        return sizes[id(node)]
    if node.tag == _MODEL and isinstance(node, ScalarNode):
        node.tag, node.value = _TEXT, PurePosixPath(node.value).name
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        raise ConfigError(
            f"tag {shown(node.tag)}", where=place, accepted="plain data: text, numbers, lists, dictionaries"
        )
    size = 1
    inside = (*above, id(node))
    if isinstance(node, SequenceNode):
        size += sum(_check(child, where, sizes, inside) for child in node.value)
    elif isinstance(node, MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            size += _check(key, where, sizes, inside) + _check(value, where, sizes, inside)
            if not isinstance(key, ScalarNode):
                raise ConfigError("a key that is not text", where=place)
            if key.value in keys:
                raise ConfigError(
                    f"key {shown(key.value)} is given twice", where=f"{where}, line {key.start_mark.line + 1}"
                )
            keys.add(key.value)
    if size > MAX_VALUES:
        raise ConfigError("too many values once its aliases are written out", where=place, accepted=f"{MAX_VALUES}")
    sizes[id(node)] = size
    return size
