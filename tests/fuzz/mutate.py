"""Mutations of files, by what they consist of: values of JSON and YAML, fields of messages, members of archives, words, bytes.

All of them follow from a random generator, so that a case is made again from its seed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    127,
    255,
    256,
    -128,
    4096,
    65535,
    1 << 24,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 32,
    (1 << 63) - 1,
    1 << 64,
)
VALUES: tuple[Any, ...] = (
    *INTEGERS,
    *(
        None,
        True,
        False,
        0.5,
        -1.5,
        1e30,
        1e308,
        float("inf"),
        float("nan"),
        "",
        "x",
        "auto",
        "valid",
        "causal",
        "\ud800",
        "a" * 300,
    ),
    *([], [0], [1, 2], [[1], [2, 3]], {}, {"a": 1}, {"class_name": "Dense", "config": {}}, {"as_int": 1}),
)


def mutated(name: str, content: bytes, random: Random) -> bytes:
    """``content`` of the file ``name`` with one to three changes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = _changed(name, content, random)
    return content


def _changed(name: str, content: bytes, random: Random) -> bytes:
    mutate = _BY_ENDING.get(name.rpartition(".")[2], changed_bytes)
    if random.random() < 0.15:
        return changed_bytes(content, random)
    try:
        return mutate(content, random)
    except Exception:  # an earlier change has broken its form
        return changed_bytes(content, random)


def changed_bytes(content: bytes, random: Random) -> bytes:
    """A few bytes changed, left out, repeated or cut off."""
    data = bytearray(content or b"\0")
    at = random.randrange(len(data))
    match random.randrange(7):
        case 0:
            data[at] ^= 1 << random.randrange(8)
        case 1:
            data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        case 2:
            size = random.choice((1, 2, 4, 8))
            data[at : at + size] = (random.choice(INTEGERS) % (1 << 8 * size)).to_bytes(size, "little")
        case 3:
            del data[at : at + random.choice((1, 2, 4, 8, 64))]
        case 4:
            data[at:at] = data[random.randrange(len(data)) :][: random.choice((1, 4, 16, 256))]
        case 5:
            return bytes(data[:at])
        case _:
            return changed_words(content, random)
    return bytes(data)


def changed_words(content: bytes, random: Random) -> bytes:
    """An aligned word, of 2, 4 or 8 bytes, replaced by another value or by another word of the file."""
    size = random.choice((2, 4, 4, 8))
    count = len(content) // size
    if not count:
        return content
    at, other = (size * random.randrange(count) for _ in range(2))
    now = int.from_bytes(content[at : at + size], "little")
    new = random.choice(
        (
            random.choice(INTEGERS),
            now + random.choice((-1, 1, size, -size)),
            int.from_bytes(content[other : other + size], "little"),
        )
    )
    return content[:at] + (new % (1 << 8 * size)).to_bytes(size, "little") + content[at + size :]


def changed_value(value: Any, random: Random) -> Any:
    """A value of JSON with one of its parts replaced, left out, repeated, or exchanged with another; in place."""
    places: list[tuple[Any, Any]] = []
    pending, seen = [value], set[int]()
    while pending:
        one = pending.pop()
        if isinstance(one, dict | list) and id(one) not in seen:
            seen.add(id(one))  # aliases of YAML may hold themselves
            keys = list(one) if isinstance(one, dict) else range(len(one))
            places += ((one, key) for key in keys)
            pending += (one[key] for key in keys)
    if not places:
        return random.choice(VALUES)
    holder, key = random.choice(places)
    other, other_key = random.choice(places)
    match random.randrange(6):
        case 0 if isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        case 0 | 1:
            del holder[key]
        case 2:
            holder[key] = json.loads(json.dumps(other[other_key]))  # a copy, so that nothing holds itself
        case 3 if isinstance(holder[key], int | float):
            holder[key] = random.choice((-holder[key], holder[key] + 1, holder[key] * 1000, random.choice(INTEGERS)))
        case _:
            holder[key] = random.choice(VALUES)
    return value


def changed_json(content: bytes, random: Random) -> bytes:
    """JSON with one value changed."""
    return json.dumps(changed_value(json.loads(content), random)).encode("utf-8", "surrogatepass")


def changed_yaml(content: bytes, random: Random) -> bytes:
    """YAML with one value changed, or a piece of its language put in."""
    if random.random() < 0.5:
        return yaml.safe_dump(changed_value(yaml.safe_load(content), random)).encode("utf-8", "surrogatepass")
    lines = content.decode(errors="replace").splitlines() or [""]
    at = random.randrange(len(lines))
    piece = random.choice(
        (
            "!!bool x",
            "!!int ''",
            "!!python/name:os.system",
            "&a [*a]",
            "<<: *b",
            "? [1]: 2",
            "{",
            "- -",
            "\t",
            "!!set {a}",
            "!!binary x",
            "!x y",
            "2001-01-01",
            "0x",
            "1_0",
            ".inf",
            "*",
            "%YAML 9",
            "---",
        )
    )
    lines[at] = random.choice((f"{lines[at].partition(':')[0]}: {piece}", piece, lines[at] + piece))
    return "\n".join(lines).encode()


def changed_archive(content: bytes, random: Random) -> bytes:
    """An archive with one member changed, left out or given twice."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if not members:
        return content
    # The text of a model has more to say than its weights.
    texts = [k for k, (name, _) in enumerate(members) if name.endswith((".json", ".h5"))]
    at = random.choice(texts) if texts and random.random() < 0.8 else random.randrange(len(members))
    name, data = members[at]
    match random.randrange(12):
        case 0:
            del members[at]
        case 1:
            members.append((random.choice((name, "../x", "/x", name + "/")), data))
        case _:
            members[at] = name, _changed(name, data, random)
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return found.getvalue()


def changed_message(content: bytes, random: Random, depth: int = 0) -> bytes:
    """A protocol buffer with one field changed, at any depth."""
    fields = _fields(content)
    if not fields:
        return changed_bytes(content, random)
    at = random.randrange(len(fields))
    number, form, value = fields[at]
    choice = random.randrange(10)
    if isinstance(value, bytes) and choice < 6 and depth < 12:
        try:
            fields[at] = number, form, changed_message(value, random, depth + 1)
        except ValueError:  # no message
            fields[at] = number, form, changed_bytes(value, random)
    elif choice == 6:
        del fields[at]
    elif choice == 7:
        fields.insert(random.randrange(len(fields)), fields[at])
    elif choice == 8:
        fields[at] = random.choice((number + 1, max(number - 1, 1))), form, value
    elif isinstance(value, int):
        fields[at] = number, form, random.choice((random.choice(INTEGERS), value + 1)) % (1 << 64)
    else:
        fields[at] = number, form, changed_bytes(value, random)
    return b"".join(_field(*field) for field in fields)


def _fields(content: bytes) -> list[tuple[int, int, int | bytes]]:
    """The fields of a message: number, form and value."""
    found: list[tuple[int, int, int | bytes]] = []
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, form = key >> 3, key & 7
        if form == 0:
            value, at = _varint(content, at)
            found.append((number, form, value))
            continue
        size, at = _varint(content, at) if form == 2 else ({1: 8, 5: 4}.get(form, -1), at)
        if not number or not 0 <= size <= len(content) - at:
            raise ValueError("no message")
        found.append((number, form, content[at : at + size]))
        at += size
    return found


def _field(number: int, form: int, value: int | bytes) -> bytes:
    key = _varint_of(number << 3 | form)
    if isinstance(value, int):
        return key + _varint_of(value)
    return key + (_varint_of(len(value)) if form == 2 else b"") + value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("no message")
        byte, at = content[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("no message")


def _varint_of(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


_BY_ENDING: dict[str, Callable[[bytes, Random], bytes]] = {
    "json": changed_json,
    "ndjson": changed_json,
    "yml": changed_yaml,
    "keras": changed_archive,
    "pt2": changed_archive,
    "npz": changed_archive,
    "onnx": changed_message,
    "tflite": changed_words,
}
