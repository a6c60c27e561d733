"""Where the pragmas and attributes of generated C++ stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from clang.cindex import Cursor, CursorKind, TypeKind

from tests.hls.structure.reading import is_ours, parse, place
from tests.hls.structure.tools import READINGS

_LOOPS = (CursorKind.FOR_STMT, CursorKind.WHILE_STMT, CursorKind.DO_STMT, CursorKind.CXX_FOR_RANGE_STMT)
_FUNCTIONS = (CursorKind.FUNCTION_DECL, CursorKind.FUNCTION_TEMPLATE, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR)
_CLASSES = (CursorKind.CLASS_DECL, CursorKind.STRUCT_DECL, CursorKind.CLASS_TEMPLATE)
_VARIABLES = (CursorKind.VAR_DECL, CursorKind.FIELD_DECL, CursorKind.PARM_DECL)


@dataclass(frozen=True, slots=True)
class Known:
    """A variable that a pragma may name: a parameter, a local or global variable or a member; axes of its array, else 0."""

    role: str
    axes: int
    stream: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A pragma or an attribute: its text, its file and line, all names for where it stands, and the variables it sees.

    ``names`` has what follows it, if that is a declaration; ``beside`` the other pragmas in the same braces.
    """

    text: str
    where: str
    places: frozenset[str]
    known: Mapping[str, Known]
    beside: tuple[str, ...] = ()
    names: str = ""


def marks(files: Mapping[str, str], main: str, dialect: str, *tops: str) -> list[Mark]:
    """All marks of a project with these top functions, each once, however many files include it."""
    unit = parse(files, main, READINGS[dialect].defines)
    found = _Finder(tops)
    ours = [cursor for cursor in unit.cursor.get_children() if is_ours(cursor.location)]
    found.siblings(ours, ("file",), dict(_globals(ours)))
    return list({(mark.where, mark.text, mark.places): mark for mark in found.marks}.values())


def _globals(cursors: Sequence[Cursor]) -> Iterator[tuple[str, Known]]:
    for cursor in cursors:
        if cursor.kind is CursorKind.NAMESPACE:
            yield from _globals(list(cursor.get_children()))
        else:
            yield from _variables(cursor, "global")


class _Finder:
    def __init__(self, tops: Sequence[str]) -> None:
        self.marks: list[Mark] = []
        self._tops = tops

    def siblings(self, cursors: Sequence[Cursor], scope: tuple[str, ...], known: Mapping[str, Known]) -> None:
        """What stands in one pair of braces, in order; ``scope``: the names of that place."""
        known, first = dict(known), len(self.marks)
        statements = [(cursor, _text(cursor)) for cursor in cursors]
        at_head = True
        for k, (cursor, text) in enumerate(statements):
            if text is not None:
                follower = next((other for other, mark in statements[k + 1 :] if mark is None), None)
                places = {*scope, *_before(follower), *(f"{name} head" for name in scope if at_head)}
                names = _declared(follower).spelling if follower and _declared(follower) else ""
                self.marks.append(Mark(text, place(cursor.location), frozenset(places), dict(known), names=names))
                continue
            at_head = at_head and "file" in scope
            self._inside(cursor, known)
            known |= dict(_variables(cursor, "local"))
        beside = tuple(text for _, text in statements if text is not None)
        own = {place(cursor.location) for cursor, text in statements if text is not None}
        self.marks[first:] = [replace(m, beside=beside) if m.where in own else m for m in self.marks[first:]]

    def _inside(self, cursor: Cursor, known: Mapping[str, Known]) -> None:
        children = [] if cursor.kind in _VARIABLES or cursor.kind.is_expression() else list(cursor.get_children())
        if cursor.kind in _FUNCTIONS:
            parameters = {n: k for child in children for n, k in _variables(child, "parameter")}
            names = ("function", "top function") if cursor.spelling in self._tops else ("function", "inner function")
            if cursor.kind is CursorKind.CONSTRUCTOR:
                names = ("function", "constructor")
            for body in (child for child in children if child.kind is CursorKind.COMPOUND_STMT):
                self.siblings(list(body.get_children()), names, {**known, **parameters})
        elif cursor.kind in _CLASSES:
            members = {name: known for child in children for name, known in _variables(child, "member")}
            self.siblings(children, ("class",), {**known, **members})
        elif cursor.kind in _LOOPS:
            inner = {name: k for child in children for name, k in _variables(child, "local")}
            for child in children:
                if child.kind is CursorKind.COMPOUND_STMT:
                    self.siblings(list(child.get_children()), ("loop",), {**known, **inner})
        elif cursor.kind is CursorKind.COMPOUND_STMT:
            self.siblings(children, ("block",), known)
        elif cursor.kind is CursorKind.NAMESPACE:
            self.siblings(children, ("file",), known)
        else:
            for child in children:
                self._inside(child, known)


def _text(cursor: Cursor) -> str | None:
    """The text of a mark; None for anything else."""
    if cursor.kind is CursorKind.DECL_STMT:
        children = list(cursor.get_children())
        return _text(children[0]) if len(children) == 1 else None
    if cursor.kind is not CursorKind.STATIC_ASSERT:
        return None
    literal = list(cursor.get_children())[-1].spelling
    return str(ast.literal_eval(literal))


def _declared(cursor: Cursor) -> Cursor | None:
    """The first variable that ``cursor`` declares."""
    if cursor.kind in _VARIABLES:
        return cursor
    if cursor.kind is CursorKind.DECL_STMT:
        return next((child for child in cursor.get_children() if child.kind in _VARIABLES), None)
    return None


def _before(cursor: Cursor | None) -> Iterator[str]:
    """The name of a place before ``cursor``."""
    if cursor is None:
        return
    if cursor.kind in _LOOPS:
        yield "before loop"
    elif cursor.kind in _FUNCTIONS:
        yield "before function"
    elif _declared(cursor):
        yield "before declaration"


def _variables(cursor: Cursor, role: str) -> Iterator[tuple[str, Known]]:
    if cursor.kind is CursorKind.DECL_STMT:
        for child in cursor.get_children():
            yield from _variables(child, role)
    elif cursor.kind in _VARIABLES:
        axes, kind = 0, cursor.type
        while kind.kind in (TypeKind.CONSTANTARRAY, TypeKind.DEPENDENTSIZEDARRAY, TypeKind.INCOMPLETEARRAY):
            axes, kind = axes + 1, kind.get_array_element_type()
        spelling = kind.get_canonical().spelling
        is_stream = any(word in spelling for word in ("stream", "FIFO", "ac_channel", "pipe"))
        yield cursor.spelling, Known(role, axes, is_stream)
