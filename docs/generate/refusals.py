"""What the code refuses, read from the code: the messages of the errors that a function and all it calls may raise.

In: a function of ours. Out: sentences, for documentation. A refusal counts as a limit if it says what is accepted instead;
others are about operands that contradict each other.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from types import CodeType, FunctionType, MethodType, ModuleType

from bitsmith.errors import UnsupportedError, one_of

_UNKNOWN = "…"


def limits(function: object, within: str, owner: type | None = None) -> tuple[str, ...]:
    """The limits of ``function`` and of the functions in the package ``within`` that it calls.

    Methods that it calls may be those of classes of its module.

    Args:
        owner: the class whose methods are what ``function`` calls as ``x.name(...)``.
    """
    found: dict[str, None] = {}
    for called in _reachable(function, within, owner):
        code = called.__code__
        lines = [line for *_, line in code.co_lines() if line is not None]
        for raised in _refusals(called.__module__):
            if min(lines) <= raised.lineno <= max(lines):
                sentence = _sentence(raised, called)
                if sentence:
                    found[sentence] = None
    return tuple(found)


def _reachable(function: object, within: str, owner: type | None) -> Iterator[FunctionType]:
    seen: set[CodeType] = set()
    waiting, owners = [function], [owner]
    while waiting:
        one = waiting.pop()
        if isinstance(one, MethodType):
            owners.append(type(one.__self__))
            one = one.__func__
        if not isinstance(one, FunctionType) or not one.__module__.startswith(within) or one.__code__ in seen:
            continue
        seen.add(one.__code__)
        yield one
        waiting += [cell.cell_contents for cell in one.__closure__ or ()]
        names = sorted(_names(one.__code__))
        modules = [value for value in map(one.__globals__.get, names) if isinstance(value, ModuleType)]
        for name in names:
            value = one.__globals__.get(name)
            if isinstance(value, type) and value.__module__ == one.__module__:
                owners.append(value)
            waiting += list(value.values()) if isinstance(value, dict) else [value]
            waiting += [_attribute(holder, name) for holder in (*owners, *modules)]


@cache
def _attribute(owner: type | ModuleType, name: str) -> object:
    return inspect.getattr_static(owner, name, None)


@cache
def _names(code: CodeType) -> frozenset[str]:
    """Globals and attributes that the code or a function within it mentions."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return frozenset(code.co_names).union(*inner)


@lru_cache(maxsize=64)
def _refusals(module: str) -> tuple[ast.Call, ...]:
    """The calls that make the errors that ``module`` raises, or raise one where a table has no such name."""
    nodes = [*ast.walk(ast.parse(inspect.getsource(sys.modules[module])))]
    raised = [node.exc for node in nodes if isinstance(node, ast.Raise)]
    calls = [
        *((call, UnsupportedError) for call in raised if isinstance(call, ast.Call)),
        *((node, one_of) for node in nodes if isinstance(node, ast.Call)),
    ]
    return tuple(call for call, named in calls if isinstance(call.func, ast.Name) and call.func.id == named.__name__)


@lru_cache(maxsize=64)
def _texts(module: str) -> tuple[tuple[int, str, ast.expr], ...]:
    """The texts of errors that are given a name first: their lines, names and expressions, from top to bottom."""
    found: list[tuple[int, str, ast.expr]] = []
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = list(zip(targets, values, strict=False))
            case ast.Assign(targets=[target], value=value):
                pairs = [(target, value)]
            case _:
                continue
        named = ((target.id, value) for target, value in pairs if isinstance(target, ast.Name))
        found += [(node.lineno, name, value) for name, value in named if name in ("found", "accepted")]
    return tuple(sorted(found, key=lambda one: one[0]))


def _sentence(call: ast.Call, function: FunctionType) -> str:
    accepted = next((keyword.value for keyword in call.keywords if keyword.arg == "accepted"), None)
    if isinstance(call.func, ast.Name) and call.func.id == one_of.__name__:
        table, _, asked, *_ = call.args
        accepted = ast.parse(f"', '.join({ast.unparse(table)})", mode="eval").body
    elif accepted is not None and call.args:
        asked = call.args[0]
    else:
        return ""
    known = {name: value for name, value in function.__globals__.items() if name not in function.__code__.co_varnames}
    for line, name, value in _texts(function.__module__):
        if function.__code__.co_firstlineno <= line <= call.lineno:
            known[name] = _text(value, known)
    return f"{_text(asked, known)}; accepted: {_text(accepted, known)}"


def _text(node: ast.expr, known: Mapping[str, object]) -> str:
    """The text of an expression; what only a model can tell is left open."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, known) for part in parts)
        case ast.FormattedValue(value=inner):
            return _text(inner, known)
        case ast.Name(id=name) if name in known:
            return str(known[name])
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"), args=[argument]):
            return _joined(argument, glue, known)
        case ast.Call(func=ast.Name(id="nearest"), args=[_, argument]):  # of which an error shows some
            return _joined(argument, ", ", known)
        case _:
            return _UNKNOWN


def _joined(argument: ast.expr, glue: str, known: Mapping[str, object]) -> str:
    match argument:
        case ast.Call(func=ast.Name(id="sorted"), args=[inner]):
            return _joined(inner, glue, known)
        case ast.Name(id=name):
            items = known.get(name)
            if isinstance(items, (tuple, list, dict, frozenset)):
                return glue.join(sorted(map(str, items)) if isinstance(items, frozenset) else map(str, items))
            if isinstance(items, type) and hasattr(items, "__members__"):
                return glue.join(map(str, items.__members__.values()))
    return _UNKNOWN
