"""The rule book: what each vendor's tool accepts of what generators write, from the TOML files beside this one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.hls.rules.marks import Mark

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Rule:
    """What a pragma, attribute or command accepts.

    Args:
        options: by name, what its value may be: a list of words, or a word that :meth:`Book._value` knows.
        arguments: the same for words without a name, in order; ``optional`` of them may be missing.
        places: of pragmas, where it may stand, any of these; ``only`` the same for single options.
        excludes: options that exclude each other; ``alone``: pragmas that may not stand in the same braces.
        since, until: releases of single options or values.
    """

    name: str
    source: str
    note: str = ""
    places: tuple[str, ...] = ()
    options: Mapping[str, str | list[str]] = field(default_factory=dict)
    arguments: tuple[str | list[str], ...] = ()
    optional: int = 0
    required: tuple[str, ...] = ()
    only: Mapping[str, list[str]] = field(default_factory=dict)
    excludes: tuple[tuple[str, str], ...] = ()
    alone: tuple[str, ...] = ()
    since: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    tests: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """The table of one tool: the releases that our projects are for, and a rule for each name."""

    tool: str
    releases: tuple[str, str]
    spelling: str
    pragmas: Mapping[str, Rule]
    commands: Mapping[str, Rule]

    def refusal(self, mark: Mark) -> str | None:
        """Why the tool does not accept ``mark``; None if it does."""
        name, options, arguments = _words(mark.text, self.spelling, self.pragmas)
        rule = self.pragmas.get(name)
        if rule is None:
            return self._said(mark.text, mark.where, f"is not in the table, which has {', '.join(self.pragmas)}")
        problem = self._problem(rule, options, arguments, mark)
        return problem and self._said(mark.text, mark.where, f"{problem} ({rule.source})")

    def command_refusal(self, words: Sequence[str], where: str) -> str | None:
        """Why the tool does not accept a command of its script language; None if it does."""
        known = [" ".join(words[:length]) for length in (2, 1) if " ".join(words[:length]) in self.commands]
        text = " ".join(words)
        if not known:
            return self._said(text, where, "is not a command of the table")
        rule = self.commands[known[0]]
        options, arguments = _options(words[len(known[0].split()) :], rule)
        problem = self._problem(rule, options, arguments, None)
        return problem and self._said(text, where, f"{problem} ({rule.source})")

    def _said(self, text: str, where: str, problem: str) -> str:
        return f"{self.tool}, {where}: {text!r}: {problem}"

    def _problem(
        self, rule: Rule, options: Mapping[str, str], arguments: Sequence[str], mark: Mark | None
    ) -> str | None:
        if mark and not mark.places & {*rule.places}:
            return f"stands in {_listed(sorted(mark.places))}, may stand in {_listed(rule.places)}"
        if mark and (beside := [other for other in mark.beside for name in rule.alone if f"{other} ".startswith(name)]):
            return f"stands with {beside[0]!r}, which excludes it"
        if unknown := [name for name in options if name not in rule.options]:
            return f"has {unknown[0]}, accepts {', '.join(rule.options) or 'no option'}"
        least = len(rule.arguments) - rule.optional
        if not least <= len(arguments) <= len(rule.arguments):
            return f"has {len(arguments)} plain words, takes {least} to {len(rule.arguments)}"
        if missing := [name for name in rule.required if name not in options]:
            return f"lacks {', '.join(missing)}"
        for one, other in rule.excludes:
            if one in (have := {*options, *arguments}) and other in have:
                return f"has both {one} and {other}"
        named = [(name, value, rule.options[name]) for name, value in options.items()]
        named += [(f"argument {k}", value, rule.arguments[k]) for k, value in enumerate(arguments)]
        for name, value, wanted in named:
            if (problem := self._value(value, wanted, mark)) is not None:
                return f"{name}: {value!r} is not {problem}"
        for word in {*options, *options.values(), *arguments}:
            if mark and word in rule.only and not mark.places & {*rule.only[word]}:
                return f"{word} stands in {_listed(sorted(mark.places))}, may stand in {_listed(rule.only[word])}"
            if _release(rule.since.get(word, "0")) > _release(self.releases[0]):
                return f"{word} is of {rule.since[word]} or later, the project is for {self.releases[0]} too"
            if _release(rule.until.get(word, "9999")) < _release(self.releases[1]):
                return f"{word} is of {rule.until[word]} or earlier, the project is for {self.releases[1]} too"
        return None

    def _value(self, value: str, wanted: str | list[str], mark: Mark | None) -> str | None:
        """None if ``value`` is what is ``wanted``, else that in words."""
        if mark is None and ("$" in value or value.startswith("[")):
            return None  # only the script knows
        if isinstance(wanted, list):
            return None if value in wanted else f"one of {', '.join(wanted)}"
        known = mark.known.get(value.split(".")[0]) if mark else None
        match wanted:
            case "flag":
                fits = value == ""
            case "count":
                # A template's parameter will do, as in `PIPELINE II=CONFIG_T::reuse_factor` of hls4ml.
                fits = (value.isdigit() and int(value) >= 1) or (mark is not None and value == "INTERVAL")
            case "natural":
                fits = value.isdigit()
            case "number":
                fits = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None
            case "array":
                fits = known is not None and known.axes > 0
            case "variable":
                fits = known is not None
            case "parameter":
                fits = known is not None and known.role == "parameter"
            case "port":
                fits = value == "return" or (known is not None and known.role == "parameter")
            case "stream":
                fits = known is not None and known.stream and known.role == "local"
            case "following":
                fits = mark is not None and value == mark.names
            case "any":
                fits = True
            case _:
                fits = re.fullmatch(wanted, value) is not None
        return None if fits else wanted


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no known place"


def _release(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _options(words: Sequence[str], rule: Rule) -> tuple[dict[str, str], list[str]]:
    """Options of a command with a minus (or that the rule knows without one), with their values, and the other words."""
    options, arguments, waiting = dict[str, str](), list[str](), list(words)
    while waiting:
        word = waiting.pop(0)
        if not re.match(r"--?[A-Za-z]", word) and word.partition("=")[0] not in rule.options:
            arguments.append(word)
            continue
        word, joined, value = word.partition("=")
        takes = not joined and rule.options.get(word, "flag") != "flag" and bool(waiting)
        options[word] = waiting.pop(0) if takes else value
    return options, arguments


def _words(text: str, spelling: str, pragmas: Mapping[str, Rule]) -> tuple[str, dict[str, str], list[str]]:
    """The name, the options and the plain words of a pragma's or attribute's text."""
    if text.startswith("[[") or (spelling == "attributes" and re.match(r"\w+(\(|$)", text)):
        name, _, inside = text.strip("[]").partition("(")
        return name, {}, [part.strip() for part in inside.rstrip(")").split(",") if part.strip()]
    parts = re.findall(r"[^\s()]+\([^)]*\)|\S+", text)
    length = max((k for k in range(len(parts) + 1) if " ".join(parts[:k]) in pragmas), default=0)
    if not length:
        return text, {}, []
    options, arguments = dict[str, str](), list[str]()
    for part in parts[length:]:
        if spelling == "parentheses" and (found := re.fullmatch(r"(\w+)\((.*)\)", part)):
            options[found[1]] = found[2]
        elif spelling == "equals" and "=" in part:
            name, _, value = part.partition("=")
            options[name] = value
        elif spelling == "equals" and pragmas[" ".join(parts[:length])].options.get(part) == "flag":
            options[part] = ""
        else:
            arguments.append(part)
    return " ".join(parts[:length]), options, arguments


@cache
def book(dialect: str) -> Book:
    """The table of a dialect's tool."""
    data = tomllib.loads((FOLDER / f"{dialect}.toml").read_text())
    tables = [data, *(tomllib.loads((FOLDER / f"{name}.toml").read_text()) for name in data.get("with", []))]
    pragmas, commands = (
        {row["name"]: _rule(row) for table in tables for row in table.get(kind, [])} for kind in ("pragma", "command")
    )
    return Book(data["tool"], tuple(data["releases"]), data["spelling"], pragmas, commands)


def _rule(row: Mapping[str, object]) -> Rule:
    lists = ("places", "arguments", "required", "alone")
    given = {key: tuple(value) if key in lists else value for key, value in row.items()}  # type: ignore[arg-type]
    given["excludes"] = tuple(tuple(pair) for pair in row.get("excludes", ()))  # type: ignore[attr-defined]
    return Rule(**given)  # type: ignore[arg-type]
