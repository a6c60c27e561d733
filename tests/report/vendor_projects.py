"""Small projects of vendors' tools, in the shapes that the tools leave, to be copied and spoiled by tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bitsmith.report import (
    parse_catapult_report,
    parse_libero_report,
    parse_oneapi_report,
    parse_quartus_report,
    parse_vivado_report,
)

DATA = Path(__file__).parent / "data"

READERS: Mapping[str, Callable[[Path], Mapping[str, object]]] = {
    "vivado": parse_vivado_report,
    "vitis": parse_vivado_report,
    "quartus": lambda folder: parse_quartus_report(folder, write_to_file=False),
    "oneapi": parse_oneapi_report,
    "catapult": parse_catapult_report,
    "libero": parse_libero_report,
}

FILES = [
    (name, str(path.relative_to(DATA / name)))
    for name in READERS
    for path in sorted((DATA / name).rglob("*"))
    if path.is_file()
]


def project(name: str, tmp_path: Path) -> Path:
    """A copy of a project that may be spoiled."""
    return Path(shutil.copytree(DATA / name, tmp_path / name))


def section_named(report: Mapping[str, object], name: str) -> dict[str, object]:
    section = report[name]
    assert isinstance(section, dict)
    return section


def with_types(value: object) -> object:
    """``value`` with the types of its numbers, as 1 == 1.0 in Python."""
    if isinstance(value, dict):
        return {key: with_types(inner) for key, inner in value.items()}
    return [with_types(inner) for inner in value] if isinstance(value, list) else (type(value), value)
