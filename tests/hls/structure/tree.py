"""Functions of generated C++ as small trees, their templates filled in: all that the analysis of structure needs.

Enter libclang's translation unit; leave functions. What has no part in loops, arrays or arithmetic is ``opaque``.
"""

from __future__ import annotations

import ast
import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from clang import cindex
from clang.cindex import CursorKind, TypeKind

from tests.hls.structure.reading import is_ours, place

_BINARIES = "* / % + - << >> <=> < > <= >= == != & ^ | && || = *= /= %= += -= <<= >>= &= ^= |= ,"
_BINARY = dict(enumerate(_BINARIES.split(" "), start=3))
_UNARIES = "x++ x-- ++ -- & * + - ~ !"
_UNARY = dict(enumerate(_UNARIES.split(" "), start=1))
"""Operators, by libclang's numbers."""

_TRANSPARENT = (
    CursorKind.UNEXPOSED_EXPR,
    CursorKind.PAREN_EXPR,
    CursorKind.CSTYLE_CAST_EXPR,
    CursorKind.CXX_STATIC_CAST_EXPR,
    CursorKind.CXX_FUNCTIONAL_CAST_EXPR,
)
_MOST_VALUES = 1 << 14

_ARRAYS = (TypeKind.CONSTANTARRAY, TypeKind.INCOMPLETEARRAY, TypeKind.POINTER)


@dataclass(frozen=True, slots=True)
class Node:
    """A statement or an expression.

    ``kind`` is one of: ``integer`` (``value``), ``variable``, ``index``, ``member``, ``binary``, ``unary``, ``assign``,
    ``choice``, ``call`` (of ``function``, the object first if it has one), ``opaque``; ``declare``, ``loop`` (start, condition,
    step, body), ``forever``, ``if``, ``block``, ``mark``, ``return``. ``name`` is that of a variable, member, operator or
    function, or a mark's text.
    """

    kind: str
    place: str
    name: str = ""
    parts: tuple[Node, ...] = ()
    value: int = 0
    sizes: tuple[int, ...] = ()
    """Sizes of an array that is declared."""
    bits: int = 0
    """Bits of an element of it."""
    is_constant: bool = False
    members: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Arrays in a structure that is declared."""
    function: str = ""
    """Key of a call, which :meth:`Functions.find` takes; empty for functions without a body."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its name, its parameters, those that are the caller's variables, and its body."""

    name: str
    place: str
    parameters: tuple[str, ...]
    shared: frozenset[str]
    body: Node


class Functions:
    """The functions of a project, each converted when it is first looked for."""

    def __init__(self, unit: cindex.TranslationUnit, top: str) -> None:
        self._cursors: dict[str, cindex.Cursor] = {}
        self._known: dict[str, Function] = {}
        self._constants: dict[str, cindex.Cursor] = {}
        self._values: dict[str, tuple[int, ...]] = {}
        self.globals: dict[str, Node] = {}
        self.marks: dict[str, list[str]] = {}
        """Marks before functions and global variables, by the function's key or the variable's name."""
        self.top = ""
        self.inner: dict[str, str] = {}
        """Keys of functions of the project's own namespace, and their names."""
        pending = list[str]()
        for cursor in _all(unit.cursor):
            if cursor.kind is CursorKind.STATIC_ASSERT:
                pending.append(_mark(cursor))
                continue
            if not is_ours(cursor.location):
                continue
            if cursor.kind is CursorKind.FUNCTION_DECL and cursor.is_definition():
                self.marks[self._key(cursor)] = pending
                if cursor.semantic_parent.spelling == f"{top}_layers":
                    self.inner[self._key(cursor)] = cursor.spelling
            elif cursor.kind is CursorKind.VAR_DECL:
                self.marks[_variable(cursor)] = pending
            pending = []
            if cursor.kind is CursorKind.FUNCTION_DECL and cursor.spelling == top and cursor.is_definition():
                self.top = self._key(cursor)
            elif cursor.kind is CursorKind.VAR_DECL:
                node = self._declaration(cursor, with_value=False)
                self.globals[node.name] = node
                if node.is_constant and math.prod(node.sizes) <= _MOST_VALUES:
                    self._constants[node.name] = cursor

    def find(self, key: str) -> Function:
        """The function of a call."""
        if key not in self._known:
            self._known[key] = self._converted(self._cursors[key])
        return self._known[key]

    def calls(self, key: str) -> set[str]:
        """The functions that a function calls itself."""
        waiting, found = [self.find(key).body], set[str]()
        while waiting:
            node = waiting.pop()
            waiting += node.parts
            if node.function:
                found.add(node.function)
        return found

    def values(self, name: str) -> tuple[int, ...]:
        """The elements of a constant array of integers, row-major; none of other arrays and of very large ones."""
        if name not in self._values:
            cursor = self._constants.get(name)
            self._values[name] = tuple(_elements(cursor)) if cursor is not None else ()
        return self._values[name]

    def _key(self, cursor: cindex.Cursor) -> str:
        definition = cursor.get_definition() or cursor
        bodies = [child for child in definition.get_children() if child.kind is CursorKind.COMPOUND_STMT]
        if not bodies:
            return ""
        key = definition.get_usr()
        self._cursors.setdefault(key, definition)
        return str(key)

    def _converted(self, cursor: cindex.Cursor) -> Function:
        parameters = list(cursor.get_arguments())
        shared = frozenset(_variable(p) for p in parameters if p.type.kind in (*_ARRAYS, TypeKind.LVALUEREFERENCE))
        body = next(child for child in cursor.get_children() if child.kind is CursorKind.COMPOUND_STMT)
        names = tuple(_variable(parameter) for parameter in parameters)
        return Function(cursor.spelling, place(cursor.location), names, shared, self._node(body))

    def _node(self, cursor: cindex.Cursor) -> Node:
        kind, at = cursor.kind, place(cursor.location)
        children = list(cursor.get_children())
        if kind in _TRANSPARENT:
            inner = [child for child in children if not child.kind.is_reference()]
            return self._node(inner[-1]) if inner else Node("opaque", at)
        parts = children
        match kind:
            case CursorKind.INTEGER_LITERAL | CursorKind.CXX_BOOL_LITERAL_EXPR:
                return Node("integer", at, value=_evaluated(cursor) or 0)
            case CursorKind.DECL_REF_EXPR:
                return self._reference(cursor, children)
            case CursorKind.MEMBER_REF_EXPR:
                return Node("member", at, cursor.spelling, tuple(map(self._node, children[:1])))
            case CursorKind.ARRAY_SUBSCRIPT_EXPR:
                return Node("index", at, parts=tuple(map(self._node, children)))
            case CursorKind.BINARY_OPERATOR | CursorKind.COMPOUND_ASSIGNMENT_OPERATOR:
                name = _BINARY.get(cindex.conf.lib.clang_getCursorBinaryOperatorKind(cursor), "?")
                assigns = name.endswith("=") and name not in ("==", "!=", "<=", ">=")
                return Node("assign" if assigns else "binary", at, name, tuple(map(self._node, children)))
            case CursorKind.UNARY_OPERATOR:
                name = _UNARY.get(cindex.conf.lib.clang_getCursorUnaryOperatorKind(cursor), "?")
                return Node("unary", at, name, tuple(map(self._node, children)))
            case CursorKind.CONDITIONAL_OPERATOR:
                return Node("choice", at, parts=tuple(map(self._node, children)))
            case CursorKind.CALL_EXPR:
                return self._call(cursor, children)
            case CursorKind.DECL_STMT:
                if children and children[0].kind is CursorKind.STATIC_ASSERT:
                    return Node("mark", at, _mark(children[0]))
                declared = [child for child in children if child.kind is CursorKind.VAR_DECL]
                return Node("block", at, parts=tuple(map(self._declaration, declared)), name="declarations")
            case CursorKind.FOR_STMT:
                return Node("loop", at, parts=tuple(map(self._node, parts)))
            case CursorKind.WHILE_STMT:
                return Node("forever", at, parts=tuple(map(self._node, parts)))
            case CursorKind.IF_STMT:
                return Node("if", at, parts=tuple(map(self._node, parts)))
            case CursorKind.COMPOUND_STMT:
                return Node("block", at, parts=tuple(map(self._node, parts)))
            case CursorKind.RETURN_STMT:
                return Node("return", at, parts=tuple(map(self._node, parts)))
            case _:
                shown = [child for child in children if not child.kind.is_reference()]
                return Node("opaque", at, parts=tuple(map(self._node, shown)))

    def _reference(self, cursor: cindex.Cursor, children: list[cindex.Cursor]) -> Node:
        at, target = place(cursor.location), cursor.referenced
        if not cursor.spelling and children:  # a template's parameter, filled in
            value = _evaluated(cursor)
            return Node("integer", at, value=value) if value is not None else Node("opaque", at)
        if target is not None and target.kind is CursorKind.ENUM_CONSTANT_DECL:
            return Node("integer", at, value=target.enum_value)
        if target is not None and target.kind in (CursorKind.VAR_DECL, CursorKind.PARM_DECL):
            value = _evaluated(cursor) if target.type.is_const_qualified() and not _sizes(target.type) else None
            if value is not None:
                return Node("integer", at, value=value)
            return Node("variable", at, _variable(target))
        return Node("opaque", at)

    def _call(self, cursor: cindex.Cursor, children: list[cindex.Cursor]) -> Node:
        at, target = place(cursor.location), cursor.referenced
        arguments = tuple(map(self._node, cursor.get_arguments()))
        if target is None or target.kind is CursorKind.CONSTRUCTOR:
            return arguments[0] if len(arguments) == 1 else Node("opaque", at, parts=arguments)
        name = cursor.spelling
        operator = name.removeprefix("operator")
        if name != operator and not operator[0].isspace() and operator not in ("()", "[]"):
            if operator in ("=", "+=", "-="):
                return Node("assign", at, operator, arguments)
            return Node("binary" if len(arguments) == 2 else "unary", at, f"number {operator}", arguments)
        if children and children[0].kind is CursorKind.MEMBER_REF_EXPR:
            owner = [self._node(child) for child in children[0].get_children() if not child.kind.is_reference()]
            arguments = (*owner[:1], *arguments)
        return Node("call", at, name, arguments, function=self._key(target))

    def _declaration(self, cursor: cindex.Cursor, with_value: bool = True) -> Node:
        values = [child for child in cursor.get_children() if child.kind.is_expression()] if with_value else []
        members = tuple(
            (field.spelling, _sizes(field.type))
            for field in cursor.type.get_canonical().get_fields()
            if _sizes(field.type)
        )
        element = cursor.type
        while element.kind is TypeKind.CONSTANTARRAY:
            element = element.get_array_element_type()
        sizes = _sizes(cursor.type)
        initial = (self._node(values[-1]),) if values and not sizes else ()
        constant = element.is_const_qualified()
        return Node(
            "declare", place(cursor.location), _variable(cursor), initial, 0, sizes, _bits(element), constant, members
        )


def _all(cursor: cindex.Cursor) -> Iterator[cindex.Cursor]:
    """Yield the declarations of files and namespaces."""
    for child in cursor.get_children():
        if child.kind is CursorKind.NAMESPACE:
            yield from _all(child)
        else:
            yield child


def _variable(cursor: cindex.Cursor) -> str:
    """A name that tells variables apart within a function, and begins with that in the text."""
    return f"{cursor.spelling}@{cursor.location.offset}"


def _elements(cursor: cindex.Cursor) -> Iterator[int]:
    """The integers in the braces of a definition."""
    for child in cursor.get_children():
        if child.kind is CursorKind.INIT_LIST_EXPR:
            yield from _elements(child)
        elif cursor.kind is CursorKind.INIT_LIST_EXPR:
            value = _evaluated(child)
            if value is None:
                return
            yield value


def _mark(cursor: cindex.Cursor) -> str:
    """The text of a pragma, from what stands in its place."""
    return str(ast.literal_eval(list(cursor.get_children())[-1].spelling))


def _bits(kind: cindex.Type) -> int:
    """Return the bits of a number."""
    found = re.match(r"[\w: ]+<(\d+)", kind.get_canonical().spelling)
    return int(found[1]) if found else 8 * max(int(kind.get_size()), 1)


def _sizes(kind: cindex.Type) -> tuple[int, ...]:
    sizes = list[int]()
    kind = kind.get_canonical()
    while kind.kind is TypeKind.CONSTANTARRAY:
        sizes.append(kind.element_count)
        kind = kind.element_type
    return tuple(sizes)


def _evaluated(cursor: cindex.Cursor) -> int | None:
    """The value of a constant expression that is an integer."""
    lib = cindex.conf.lib
    lib.clang_Cursor_Evaluate.argtypes, lib.clang_Cursor_Evaluate.restype = [cindex.Cursor], ctypes.c_void_p
    result = lib.clang_Cursor_Evaluate(cursor)
    if not result:
        return None
    pointer = ctypes.c_void_p(result)
    lib.clang_EvalResult_getAsLongLong.restype = ctypes.c_longlong
    value = int(lib.clang_EvalResult_getAsLongLong(pointer)) if lib.clang_EvalResult_getKind(pointer) == 1 else None
    lib.clang_EvalResult_dispose(pointer)
    return value
