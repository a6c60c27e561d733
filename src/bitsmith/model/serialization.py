"""Saved models: a JSON file for structure and an npz file beside it for the weights. No code, no pickle.

Both are untrusted input: whatever is wrong with them is one ModelFileError.
"""

from __future__ import annotations

import json
import lzma
import reprlib
import tokenize
import types
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from bitsmith.base.files import open_file
from bitsmith.base.project import write_atomically
from bitsmith.config.precision import parse_precision
from bitsmith.errors import BitsmithError, ModelFileError, ProjectError
from bitsmith.frontends.files.json import Json, parse_json
from bitsmith.ir.check import check
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Program
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import MAX_FRAC, FixedFormat, Fracs
from bitsmith.layers.axis_order import unchanged
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, broadcasts
from bitsmith.layers.network import Network, NetworkNode, TiedState
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import LEAST_BITS, MOST_BITS, Bits, Settings
from bitsmith.layers.table import LAYERS
from bitsmith.model.saved_values import (
    Arrays,
    decode_affine,
    decode_quantizer,
    encode_affine,
    encode_quantizer,
    keyed,
    listed,
)

Record = TypeVar("Record")

VERSION = 2

_MAX_JSON_BYTES = 128 << 20
"""The program has all weights in text: five bytes each."""

_DAMAGE = (
    BitsmithError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,  # of an encrypted member, too
    ArithmeticError,
    MemoryError,  # of an array whose header says that it is huge
    tokenize.TokenError,
    SyntaxError,  # of numpy's reader of headers, too
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""Errors that reading a damaged file may raise."""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """Contents of a file: the network, its program, and the target as plain JSON values."""

    network: Network
    program: Program
    target: Mapping[str, Json]
    notes: tuple[str, ...]
    fidelity: Mapping[str, object] | None = None
    """The certificate as plain values, if there is one."""
    calibrated: bool | None = None
    """True if formats follow from calibration data; None of a model whose results are off, or of which nothing is known."""


def weights_path(path: Path) -> Path:
    """The npz file that belongs to the JSON file ``path``."""
    return path.with_suffix(".npz")


def encode(model: SavedModel) -> tuple[str, dict[str, npt.NDArray[np.float64]]]:
    """The JSON text and the arrays of ``model``."""
    arrays: dict[str, npt.NDArray[np.float64]] = {}
    document: dict[str, object] = {
        "format": "bitsmith-model",
        "version": VERSION,
        "name": model.network.name,
        "inputs": list(model.network.inputs),
        "outputs": list(model.network.outputs),
        "states": [[each.input, each.output, each.initial.tolist()] for each in model.network.states],
        "nodes": [_encode_node(node, arrays) for node in model.network.nodes],
        "target": dict(model.target),
        "notes": list(model.notes),
        "fidelity": None if model.fidelity is None else dict(model.fidelity),
        "calibrated": model.calibrated,
        "program": [*to_text(model.program).splitlines()],
    }
    return json.dumps(document, indent=1), arrays


def save(model: SavedModel, path: Path) -> None:
    """Write ``model`` as the JSON file ``path`` and an npz file beside it.

    Raises:
        ProjectError: they cannot be written.
    """
    if not path.name or not str(path).isprintable():
        raise ProjectError(f"{str(path)!r} is not the name of a file", accepted="a path such as model.json")
    text, arrays = encode(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror}", where=str(path)) from error
    write_atomically(weights_path(path), lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
    write_atomically(path, text.encode())


def load(path: Path) -> SavedModel:
    """Read the model that was saved as ``path`` and its npz file.

    Raises:
        ModelFileError: not such files, or damaged ones.
    """
    try:
        with open_file(path) as file:
            document = parse_json(file.read(_MAX_JSON_BYTES + 1), str(path), _MAX_JSON_BYTES)
        if document["format"] != "bitsmith-model" or document["version"] != VERSION:
            raise ModelFileError("another format or version", where=str(path), accepted=f"version {VERSION}")
        with open_file(weights_path(path)) as file, zipfile.ZipFile(file) as archive:
            return _decode(document, Arrays(archive, str(weights_path(path))))
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise ModelFileError(
            "no such file", where=str(error.filename), remedy="convert the model, and save it: model.save(...)"
        ) from error
    except _DAMAGE as error:
        raise ModelFileError(f"not a saved bitsmith model ({error})", where=str(path)) from error


def _decode_state(state: Json, network: Network, shapes: Mapping[str, Shape]) -> TiedState:
    name, output, values = listed(state)
    initial = np.array(values, dtype=np.float64)
    names = [node.name for node in network.nodes if isinstance(node.layer, Input)]
    if name not in names or output not in shapes or initial.shape != shapes[str(name)]:
        raise ValueError("a state that is not the network's")
    return TiedState(str(name), str(output), initial)


def _decode(document: dict[str, Json], arrays: Arrays) -> SavedModel:
    nodes = tuple(_decode_node(node, arrays) for node in listed(document["nodes"]))
    network = Network(nodes, _names(document["inputs"]), _names(document["outputs"]), _name(document["name"]))
    shapes = network.shapes()
    tied = (_decode_state(each, network, shapes) for each in listed(document["states"]))
    network = replace(network, states=tuple(tied))
    if any(node.order is not None and tuple(sorted(node.order)) != unchanged(shapes[node.name]) for node in nodes):
        raise ValueError("a layer whose axes are in no order")
    program = parse("\n".join(str(line) for line in listed(document["program"])) + "\n")
    check(program)
    ends = [(op.name, op.shape) for op in program.input_ops()]
    if ends != [(name, network.node(name).shape_in_model(shapes[name])) for name in network.inputs]:
        raise ValueError("a program whose inputs are not the network's")
    if not set(network.outputs) <= set(shapes) or len(program.outputs) != len(network.outputs):
        raise ValueError("a program whose outputs are not the network's")
    target, fidelity, calibrated = keyed(document["target"], "a target"), document["fidelity"], document["calibrated"]
    if not isinstance(calibrated, bool | None):
        raise ValueError("calibrated is neither true nor false")
    certificate = None if fidelity is None else keyed(fidelity, "a certificate")
    notes = tuple("\n".join(map(_name, str(note).split("\n"))) for note in listed(document["notes"]))
    return SavedModel(network, program, target, notes, certificate, calibrated)


def _names(value: Json) -> tuple[str, ...]:
    return tuple(map(_name, listed(value)))


def _name(value: Json) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{reprlib.repr(value)}, which is no name or sentence")
    return value


def _encode_node(node: NetworkNode, arrays: dict[str, npt.NDArray[np.float64]]) -> Json:
    settings = node.settings
    return {
        "name": node.name,
        **_encode_layer(node.layer, arrays),
        "inputs": list(node.inputs),
        "source": node.source,
        "folded": node.folded,
        "order": None if node.order is None else list(node.order),
        "inner": node.inner,
        "fracs": {name: fracs.tolist() for name, fracs in node.fracs.items()},
        "quantizers": {name: encode_quantizer(each) for name, each in node.quantizers.items()},
        "layouts": {name: list(astuple(layout)) for name, layout in node.layouts.items()},
        "finer": node.finer,
        "whole": node.whole,
        "affine": encode_affine(node.affine),
        "settings": {
            **{field.name: _plain(getattr(settings, field.name)) for field in fields(settings)},
            "precision": {name: str(fmt) for name, fmt in settings.precision.items()},
            "bits": asdict(settings.bits),
        },
    }


def _plain(value: Json | Enum) -> Json:
    """A value of an enumeration, or a tuple, as JSON has it; others as they are."""
    plain: Json = value.value if isinstance(value, Enum) else value
    return list(plain) if isinstance(plain, tuple) else plain


def _decode_quantizers(value: Json, trained: Mapping[str, Floats]) -> dict[str, Quantizer]:
    quantizers = {name: decode_quantizer(each) for name, each in keyed(value, "a map of quantizers").items()}
    for name, each in quantizers.items():
        if name not in trained or not broadcasts(each.shape, trained[name].shape) or not each.holds(trained[name]):
            raise ValueError(f"a quantizer of {name}")
    return quantizers


def _encode_layer(layer: Layer, arrays: dict[str, npt.NDArray[np.float64]]) -> dict[str, Json]:
    """A layer; those that it holds are objects of the same form."""
    if LAYERS.get(type(layer).__name__) is not type(layer):
        raise ProjectError(
            f"a layer of the class {type(layer).__name__}, whose code is not part of bitsmith",
            where="save",
            accepted="layers that are there when the model is loaded",
            remedy="compute it with operators and layers of bitsmith, or convert the model again",
        )
    values: dict[str, Json] = {}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if isinstance(value, np.ndarray):
            key = f"{len(arrays)}"
            arrays[key] = value
            values[field.name] = {"array": key}
        elif isinstance(value, Layer):
            values[field.name] = _encode_layer(value, arrays)
        elif isinstance(value, Quantizer):
            values[field.name] = encode_quantizer(value)
        else:
            values[field.name] = _plain(value)
    return {"kind": type(layer).__name__, "fields": values}


def _decode_node(value: Json, arrays: Arrays) -> NetworkNode:
    parts = keyed(value, "a node")
    layer = _decode_layer(parts, arrays)
    return NetworkNode(
        _name(parts["name"]),
        layer,
        _names(parts["inputs"]),
        _name(parts["source"]),
        _decode_settings(parts["settings"], arrays),
        bool(parts["folded"]),
        None if parts["order"] is None else _integers(parts["order"]),
        bool(parts["inner"]),
        _decode_quantizers(parts["quantizers"], layer.weights()),
        fracs=_decode_fracs(parts["fracs"], layer.weights()),
        finer=min(max(int(str(parts["finer"])), 0), MAX_FRAC),
        whole=bool(parts["whole"]),
        affine=decode_affine(parts["affine"]),
        layouts=_decode_layouts(parts["layouts"], layer.weights()),
    )


def _decode_layouts(value: Json, trained: Mapping[str, Floats]) -> dict[str, ModelLayout]:
    layouts = {}
    for name, entry in keyed(value, "a map of layouts").items():
        shape, starts, places, factor, argument, cell = listed(entry)
        lines = tuple(map(_integers, listed(places)))
        owner = None if cell is None else _cell(cell)
        layouts[name] = ModelLayout(
            _integers(shape), _integers(starts), lines, float(str(factor)), str(argument), owner
        )
        if name not in trained or not layouts[name].fits(trained[name].shape):
            raise ValueError(f"the layout of {name}")
    return layouts


def _cell(value: Json) -> tuple[str, str]:
    name, variable = listed(value)
    return _name(name), str(variable)


def _integers(value: Json) -> tuple[int, ...]:
    return tuple(int(entry) for entry in listed(value) if isinstance(entry, int))


def _decode_fracs(value: Json, trained: Mapping[str, Floats]) -> dict[str, Fracs]:
    fracs_of = {name: np.array(fracs, dtype=np.int64) for name, fracs in keyed(value, "fractional bits").items()}
    for name, fracs in fracs_of.items():
        if np.any(np.abs(fracs) > MAX_FRAC) or (name in trained and not broadcasts(fracs.shape, trained[name].shape)):
            raise ValueError(f"fractional bits of {name}")
    return fracs_of


def _decode_layer(value: Mapping[str, Json], arrays: Arrays) -> Layer:
    found = keyed(value["fields"], "a layer's content")
    values = {name: _decode_field(field, arrays) for name, field in found.items()}
    return _of_fields(LAYERS[str(value["kind"])], values)


def _of_fields(kind: Callable[..., Record], values: dict[str, object]) -> Record:
    """A record of ``kind`` with ``values``, which must be of the types that its fields have."""
    for name, hint in get_type_hints(kind).items():
        choices = [part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, Enum)]
        if choices and values.get(name) is not None:
            values[name] = choices[0](values[name])
        if name in values and not _fits(values[name], hint):
            raise ValueError(f"{getattr(kind, '__name__', kind)}.{name} is {reprlib.repr(values[name])}")
    return kind(**values)


def _fits(value: object, hint: object) -> bool:
    """Return True if ``value`` is of the type that a layer's field has."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is types.UnionType:
        return any(_fits(value, part) for part in parts)
    if origin is tuple and isinstance(value, tuple):
        each = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(each) == len(value) and all(map(_fits, value, each))
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _decode_field(value: Json, arrays: Arrays) -> object:
    if isinstance(value, dict):
        if "scale" in value:
            return decode_quantizer(value)
        return _decode_layer(value, arrays) if "kind" in value else arrays[str(value["array"])]
    return tuple(_decode_field(item, arrays) for item in value) if isinstance(value, list) else value


def _decode_settings(value: Json, arrays: Arrays) -> Settings:
    parts = keyed(value, "a record of settings")
    plain = {name: _decode_field(entry, arrays) for name, entry in parts.items() if name not in ("precision", "bits")}
    formats, bits = _decode_formats(parts["precision"]), _decode_bits(parts["bits"])
    return replace(_of_fields(Settings, plain), precision=formats, bits=bits)


def _decode_formats(value: Json) -> dict[str, FixedFormat]:
    """Formats by variable."""
    formats = {name: parse_precision(str(text)) for name, text in keyed(value, "a map of formats").items()}
    return {name: fmt for name, fmt in formats.items() if fmt is not None}


def _decode_bits(value: Json) -> Bits:
    """A budget, bounded."""
    known = keyed(value, "a budget of bits")
    counts = {part.name: int(str(known[part.name])) for part in fields(Bits)}
    if not all(LEAST_BITS <= each <= MOST_BITS for each in counts.values()):
        raise ValueError(f"a budget of {counts} bits")
    return Bits(**counts)
