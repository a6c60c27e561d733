"""Families by their names, and the boards of a kind."""

from bitsmith.devices.board import BOARDS, serial_boards
from bitsmith.devices.family import Family
from bitsmith.devices.parts import FAMILIES

SYSTEM_BOARDS = tuple(name for name in BOARDS if name not in serial_boards())
"""Names of our boards with a processor or in a host, for which the vendors' tools make bitstreams."""

_NAMED = {family.name: family for family in FAMILIES}


def family_named(name: str) -> Family:
    """The family with that name, such as "ecp5"."""
    return _NAMED[name]
