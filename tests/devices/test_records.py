"""Numbers and names in the records of families and their parts, as they were: what changes one is for review.

They are copied from product tables and manuals or were measured, and a slip in one is no error anywhere else.
``python -m tests.devices.test_records`` writes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from bitsmith.devices.parts import FAMILIES

RECORDS = Path(__file__).parent / "records.txt"


def told(value: object, name: str) -> Iterator[str]:
    """A line for each number and name in a record, and one for each record of nothing else; none for functions and sources."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        if all(isinstance(part, int | float) for part in parts.values()):
            yield f"{name} = {value}"
        else:
            for key, part in parts.items():
                yield from told(part, f"{name}.{key}")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from told(part, f"{name}[{key}]")
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for place, part in enumerate(value):
            yield from told(part, f"{name}[{place}]")
    elif isinstance(value, tuple) and any("\n" in str(part) for part in value):
        yield from told(tuple(part for part in value if "\n" not in part), name)
    elif not callable(value):
        yield f"{name} = {value!r}"


def lines() -> list[str]:
    """The lines of all families; blocks and memories as areas have them, no corrections, which sweeps give."""
    found = [line for family in FAMILIES for line in told(family, family.name)]
    left_out = (".delays.block.", ".delays.memory.", ".correction")
    return [line for line in found if not any(part in line for part in left_out)]


def test_records_are_as_they_were() -> None:
    remedy = "if records are meant to be others: python -m tests.devices.test_records"
    assert lines() == RECORDS.read_text(encoding="utf-8").splitlines(), remedy


if __name__ == "__main__":
    RECORDS.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
