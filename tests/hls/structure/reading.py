"""Generated C++ as libclang reads it: the vendor's view of a project, with each pragma a mark in the syntax tree.

Enter the files of a project; leave libclang's translation unit. Compilers forget pragmas that they do not know, so each becomes a
``static_assert(true, "the pragma")``, which may stand wherever a pragma may; attributes of oneAPI likewise. Vendors' headers
are those of ``tests/hls/declared``, which only declare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from clang import cindex

from bitsmith.errors import ProgramError

_DECLARED = Path(__file__).parents[1] / "declared"
_FOLDER = "project"


_PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+(.*?)[ \t]*$", re.MULTILINE)
_OPERATOR = re.compile(r'_Pragma\("((?:[^"\\]|\\.)*)"\)')
_MACRO = re.compile(r"^(#define \w+\(([\w, ]+)\) )(static_assert\(.*)$", re.MULTILINE)
"""A mark that has a macro's parameters."""

_ATTRIBUTE = re.compile(r"\[\[(intel::(?:[^\]\"]|\"[^\"]*\")*)\]\]")


def marked(text: str) -> str:
    """``text`` with a mark in place of each pragma and attribute; lines stay where they are."""
    text = _PRAGMA.sub(lambda found: _mark(found[1].replace("\\", "\\\\").replace('"', '\\"')), text)
    text = _OPERATOR.sub(lambda found: _mark(found[1]), text)
    text = _ATTRIBUTE.sub(lambda found: _mark("[[" + found[1].replace('"', '\\"') + "]]"), text)
    return _MACRO.sub(_with_parameters, text)


def _with_parameters(found: re.Match[str]) -> str:
    words = found[2].replace(",", " ").split()
    return found[1] + re.sub(rf"\b({'|'.join(words)})\b", r'" #\1 "', found[3])


def _mark(quoted: str) -> str:
    return "" if quoted == "once" else f'static_assert(true, "{quoted}");'


def parse(files: Mapping[str, str], main: str, defines: Sequence[str]) -> cindex.TranslationUnit:
    """The translation unit of the file ``main`` of the project ``files``, as a compiler with ``defines`` sees it.

    Raises:
        ProgramError: it is not C++.
    """
    arguments = ["-x", "c++", "-std=c++20", "-nostdinc", "-isystem", str(_DECLARED), "-Wno-everything"]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / _FOLDER
        for name, text in files.items():
            if name.endswith((".h", ".hpp", ".cpp")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(marked(text), encoding="utf-8", newline="\n")
        unit = cindex.Index.create().parse(str(folder / main), args=[*arguments, *defines, f"-I{folder}"])
    errors = [found for found in unit.diagnostics if found.severity >= cindex.Diagnostic.Error]
    if errors:
        raise ProgramError(f"{errors[0].spelling}", where=place(errors[0].location))
    return unit


def is_ours(location: cindex.SourceLocation) -> bool:
    """Return True if the project has the file."""
    return location.file is not None and f"/{_FOLDER}/" in location.file.name


def place(location: cindex.SourceLocation) -> str:
    """The file of the project, and the line."""
    name = location.file.name.rpartition(f"/{_FOLDER}/")[2] if location.file else "?"
    return f"{name}:{location.line}"
