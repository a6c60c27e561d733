"""The license line of generated files: ``docs/license.md`` has the reasons.

A circuit is the user's. Drivers, benches and scripts come from templates of this package, and carry the line of its license.
"""

from pathlib import PurePosixPath

LINE = "SPDX-License-Identifier: Apache-2.0"

CIRCUIT = frozenset({"rtl", "firmware"})
"""Folders of circuits; scripts for a vendor's tool may stand beside one."""

LIBRARY = "bitsmith"
"""The folder of our headers within those."""

_HASH = ".py .tcl .ys .cfg .mk .cmake Makefile CMakeLists.txt"
_SLASHES = ".c .h .hpp .cpp .sv .v"
_SIGNS = {kind: sign for kinds, sign in ((_HASH, "#"), (_SLASHES, "//")) for kind in kinds.split()}
"""Signs that begin a comment, by suffixes or whole names. All other files are data or the user's constraints."""

_HEAD = 500
"""Characters in which the line stands."""


def licensed(name: str, text: str) -> str:
    """The text of the file ``name`` of a project, which begins with the line unless it is the user's or has one."""
    path = PurePosixPath(name)
    sign = _SIGNS.get(path.name) or _SIGNS.get(path.suffix)
    users = sign == "//" and path.parts[0] in CIRCUIT and LIBRARY not in path.parts
    if sign is None or users or LINE in text[:_HEAD]:
        return text
    return f"{sign} {LINE}\n{text}"
