"""Opens the ``.pt2`` archives that ``torch.export.save`` writes: a graph in JSON and tensors as raw bytes.

Nothing in the archive is executed and nothing is unpickled; torch is not needed. All sizes are checked before anything is read.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS, MAX_WEIGHTS
from bitsmith.frontends.files.archive import MAX_ARCHIVE_BYTES, Members, first_bytes, opened_archive
from bitsmith.frontends.files.json import Fields, is_integer, shown
from bitsmith.layers.layer import Floats, as_weights

BRAIN_FLOAT = 13
DTYPES: Mapping[int, str] = {
    1: "u1",
    2: "i1",
    3: "i2",
    4: "i4",
    5: "i8",
    6: "f2",
    7: "f4",
    8: "f8",
    12: "?",
    BRAIN_FLOAT: "u2",
    28: "u2",
}
"""numpy's names of torch's element types by their number in the archive; a bfloat16 is the upper half of a float32."""

FLOATS, BOOL = frozenset({6, 7, 8, BRAIN_FLOAT}), 12

_SAVE = "save it again: torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')"
_PICKLES = (".pkl", "serialized_state_dict.pt", "serialized_exported_program.json")
_WEIGHTS_ONLY = "weights without the module that they belong to"
_PICKLE = f"a pickle: {_WEIGHTS_ONLY}, or Python objects, whose loading could run arbitrary code"
_LIVE = "the live module, or a .pt2 file of torch.export.save"
_CONVERT = "bitsmith.convert(model, input_shape=...)"
_PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_SCHEMA = 8
"""The major version of the archive's schema, that of torch 2.5 and newer."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Contents of a .pt2 archive: the program as JSON, and its tensors by name, trained ones before constants."""

    program: Fields
    tensors: Mapping[str, Floats]


def open_archive(source: Path | bytes, where: str) -> Archive:
    """The contents of a .pt2 archive, given as a file or as its bytes.

    Raises:
        ModelFileError: no such archive, or one that is damaged or hostile.
        UnsupportedError: an archive of another version, or one with pickled tensors.
    """
    if isinstance(source, Path) and not first_bytes(source, 2).startswith(b"PK"):
        raise _other_file(source, where)
    with opened_archive(source, where, _SAVE) as members:
        return _read(members)


def _other_file(path: Path, where: str) -> ModelFileError:
    """The error for a file that is no archive: weights without their module, or something else."""
    first = first_bytes(path, 16)
    name = repr(where)
    if first[8:9] == b"{":
        load = f"model.load_state_dict(safetensors.torch.load_file({name}))"
        return ModelFileError(
            f"safetensors: {_WEIGHTS_ONLY}", where=where, accepted=_LIVE, remedy=f"{load}; {_CONVERT}"
        )
    if first.startswith(_PICKLED):
        return ModelFileError(_PICKLE, where=where, accepted=_LIVE, remedy=_loaded(name))
    return ModelFileError("the file is not an archive of torch.export", where=where, accepted="*.pt2", remedy=_SAVE)


def _loaded(name: str) -> str:
    """Return the way to load a pickle: a state dictionary, by itself or within a checkpoint, or a whole module."""
    return (
        f"of weights: model.load_state_dict(torch.load({name}, weights_only=True)), or of its entry 'state_dict'; "
        f"of a whole module, if you trust the file: model = torch.load({name}, weights_only=False); then {_CONVERT}"
    )


def _read(members: Members) -> Archive:
    """The whole archive."""
    programs = [name for name in members.by_name if name.endswith(".json") and "/models/" in f"/{name}"]
    if len(programs) != 1:
        file = repr(members.where)
        if any("code/" in name for name in members.by_name):
            raise ModelFileError(
                "TorchScript, which holds code that loading and calling runs",
                where=members.where,
                accepted=_LIVE,
                remedy=f"if you trust the file: bitsmith.convert(torch.jit.load({file}), input_shape=...)",
            )
        if any(name.rpartition("/")[2] == "data.pkl" for name in members.by_name):
            raise ModelFileError(_PICKLE, where=members.where, accepted=_LIVE, remedy=_loaded(file))
        if any(name.endswith(_PICKLES) for name in members.by_name):
            raise UnsupportedError(
                "pickled tensors, whose reading could run arbitrary code",
                where=members.where,
                accepted="*.pt2 of torch 2.9 or newer, which are read without executing anything",
                remedy=_SAVE,
            )
        raise ModelFileError(
            f"{len(programs)} programs in the archive", where=members.where, accepted="one", remedy=_SAVE
        )
    folder = programs[0].rpartition("models/")[0]
    program = members.json(programs[0])
    version = program.fields("schema_version").integer("major")
    if version != _SCHEMA:
        raise UnsupportedError(f"an archive of version {version}", where=members.where, accepted=f"version {_SCHEMA}")
    order = members.bytes(f"{folder}byteorder", 16) if f"{folder}byteorder" in members.by_name else b"little"
    if order.strip() != b"little":
        raise UnsupportedError(f"the byte order {shown(order)}", where=members.where, accepted="little")
    stem = program.where.rpartition("/")[2].removesuffix(".json")
    tensors: dict[str, Floats] = {}
    for kind in ("weights", "constants"):
        name = f"{folder}data/{kind}/{stem}_{kind}_config.json"
        if name in members.by_name:
            tensors.update(_tensors(members, members.json(name), f"{folder}data/{kind}/"))
    return Archive(program, tensors)


def _tensors(members: Members, described: Fields, folder: str) -> Iterator[tuple[str, Floats]]:
    """The tensors that a list in the archive describes; several may be views of the same bytes."""
    entries: dict[str, Fields] = {}
    for name, entry in described.fields("config").values.items():
        if not isinstance(entry, dict):
            raise ModelFileError(f"the entry {shown(name)} is {shown(entry)}", where=described.where)
        entries[name] = Fields(entry, f"{members.where}, tensor {shown(name)}")
        if entries[name].flag("use_pickle", False):
            raise UnsupportedError(
                "a pickled tensor, whose reading could run arbitrary code",
                where=entries[name].where,
                accepted="plain tensors",
                remedy="turn special tensors into plain ones: torchao.utils.unwrap_tensor_subclass(model)",
            )
    metas = {name: fields.fields("tensor_meta").at(fields.where) for name, fields in entries.items()}
    total = sum(math.prod(_whole(meta, "sizes")) for meta in metas.values())
    if total > MAX_WEIGHTS:
        accepted = f"at most {MAX_ELEMENTS} in each tensor, and {MAX_WEIGHTS} in all"
        raise ModelFileError(f"tensors of {total} numbers", where=members.where, accepted=accepted)
    stored: dict[str, bytes] = {}
    for name, fields in entries.items():
        file = fields.name("path_name")
        if file not in stored:
            stored[file] = members.bytes(folder + file)
        yield name, _strided(stored[file], metas[name])


def _strided(data: bytes, meta: Fields) -> Floats:
    """The tensor that ``meta`` describes within ``data``."""
    number = meta.integer("dtype")
    if number not in DTYPES:
        raise UnsupportedError(
            f"a tensor of type number {number}", where=meta.where, accepted="real numbers and integers"
        )
    dtype = np.dtype(f"<{DTYPES[number]}")
    flat = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    sizes, strides = _whole(meta, "sizes"), _whole(meta, "strides")
    (offset,) = _whole(meta, "storage_offset")
    if len(sizes) != len(strides) or math.prod(sizes) > MAX_ELEMENTS:
        raise ModelFileError(
            f"a tensor of sizes {shown(sizes)}", where=meta.where, accepted=f"at most {MAX_ELEMENTS} elements"
        )
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if 0 in sizes:
        return as_weights(np.zeros(sizes))
    if last >= len(flat):
        remedy = "" if data else "load the weights before: tensors on the device 'meta' have none"
        raise ModelFileError(f"{len(data)} bytes for a tensor of sizes {sizes}", where=meta.where, remedy=remedy)
    steps = tuple(stride * dtype.itemsize for stride in strides)
    values = np.lib.stride_tricks.as_strided(flat[offset:], sizes, steps, writeable=False)
    if number == BRAIN_FLOAT:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return as_weights(values)


def _whole(meta: Fields, key: str) -> tuple[int, ...]:
    """Sizes, strides or an offset, none of which may be negative."""
    value = meta.get(key)
    listed = value if isinstance(value, list) else [value]
    found = [item.get("as_int") if isinstance(item, dict) else None for item in listed]
    if len(found) > 32 or not all(is_integer(item) and 0 <= item <= MAX_ARCHIVE_BYTES for item in found):
        raise meta.wrong(key, f"integers from 0 to {MAX_ARCHIVE_BYTES}")
    return tuple(item for item in found if is_integer(item))
