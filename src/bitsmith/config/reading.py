"""Reading sections of untrusted dictionaries: keys in any case, "did you mean", and all problems told at once."""

from __future__ import annotations

import difflib
import enum
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TypeVar

from bitsmith.errors import ConfigError, ConfigProblemsError, nearest
from bitsmith.errors.remedies import NAMED, Remedy

_Read = TypeVar("_Read")
_Member = TypeVar("_Member", bound=enum.Enum)

_SHOWN = 60
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?(?:e[+-]?[0-9]{1,3})?\s*", re.ASCII | re.IGNORECASE)
_MOST_PROBLEMS = 20


@lru_cache(maxsize=4096)
def squash(key: str) -> str:
    """``key`` without case, underscores, hyphens and spaces: ``ReuseFactor``, ``reuse_factor`` and ``reuseFactor`` agree."""
    return re.sub(r"[_\- ]", "", key).lower()


def leaves(tree: Mapping[str, object], above: tuple[str, ...] = ()) -> Iterable[tuple[list[str], object]]:
    """Paths of keys, and what is there."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*above, key))
        else:
            yield [*above, key], value


def put(tree: dict[str, object], path: list[str], value: object) -> None:
    """Set what a path of keys names, in whatever spelling the keys are there."""
    *above, last = path
    for depth, key in enumerate(above):
        name = _spelled(tree, key, exact=depth == 1 and path[0] in ("LayerName", "LayerType"))
        inner = tree.get(name)
        if isinstance(inner, Mapping):
            tree[name] = inner = dict(inner)
        else:
            # A format for everything is short for the default.
            inner = {} if inner is None or squash(key) != "precision" else {"default": inner}
            tree[name] = inner
        tree = inner
    tree[_spelled(tree, last, exact=False)] = value


def _spelled(tree: Mapping[str, object], key: str, *, exact: bool) -> str:
    return key if exact or key in tree else next((name for name in tree if squash(name) == squash(key)), key)


def shown(value: object) -> str:
    """``value`` for a message, cut to a readable length."""
    if isinstance(value, (str, int, float)) or value is None:
        text = repr(value) if not isinstance(value, int) or abs(value) < 10**_SHOWN else "a huge number"
        return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return f"a {type(value).__name__}"


def did_you_mean(found: str, names: Iterable[str]) -> str:
    """A proposal for a mistyped name, or for one with more in front (``XilinxPart``); nothing if no name is close."""
    wanted, by_squashed = squash(found), {squash(name): name for name in names}
    close = difflib.get_close_matches(wanted, by_squashed, n=1)
    close = close or [name for name in by_squashed if len(name) > 3 and wanted.endswith(name)]
    return f"did you mean {by_squashed[close[0]]!r}?" if close else ""


def listed(names: Iterable[str], most: int = 40) -> str:
    """Names in a row, the first ``most``."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


@dataclass(slots=True)
class Problems:
    """Errors found so far; a user sees all of them in one message."""

    errors: list[ConfigError] = field(default_factory=list)

    def add(self, found: str, *, where: str, accepted: str = "", remedy: Remedy | str = "") -> None:
        """Note one problem."""
        self.errors.append(ConfigError(found, where=where, accepted=accepted, remedy=remedy))

    def attempt(self, read: Callable[[object, str], _Read], value: object, where: str) -> _Read | None:
        """``read(value, where)``, or None after noting why that is refused."""
        try:
            return read(value, where)
        except ConfigError as error:
            self.errors.append(error)
            return None

    def finish(self) -> None:
        """Raise what was found, if anything."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            found = f"{len(self.errors)} problems in the configuration"
            raise ConfigProblemsError(found, self.errors, most=_MOST_PROBLEMS)


@dataclass(frozen=True, slots=True)
class Inert:
    """A key without meaning here, and why. ``harmless`` values need no note; a ``refused`` key asks for too much to be left."""

    why: str
    harmless: tuple[object, ...] = ()
    refused: bool = False

    def accepts(self, value: object) -> bool:
        """Return True if leaving ``value`` out would change nothing."""
        return any(type(value) is type(one) and _same(value, one) for one in self.harmless)


@dataclass(frozen=True, slots=True)
class Idle:
    """A key that was accepted and has no effect: its name, its owner (a layer, a type, a section, or nothing), and why."""

    key: str
    owner: str
    why: str


def _same(value: object, harmless: object) -> bool:
    if isinstance(value, str) and isinstance(harmless, str):
        return squash(value) == squash(harmless)
    return bool(value == harmless)


@dataclass(slots=True)
class Section:
    """One dictionary of a configuration whose keys have been matched against the known ones.

    ``values`` has canonical keys; of a key in two spellings the later holds. ``idle`` are accepted keys that have no effect.
    """

    where: str
    problems: Problems
    values: dict[str, object] = field(default_factory=dict)
    idle: list[Idle] = field(default_factory=list)

    @staticmethod
    def read(
        content: object,
        where: str,
        known: Sequence[str],
        problems: Problems,
        inert: Mapping[str, Inert] | None = None,
        inside: Mapping[str, str] | None = None,
        former: Mapping[str, str] | None = None,
    ) -> Section:
        """Match the keys of ``content``; unknown ones are noted as problems. None counts as empty.

        Keys that belong ``inside`` another section, by key, are proposed there. ``former`` names of keys are taken as those.
        """
        section = Section(where, problems)
        inert = inert or {}
        names = {squash(key): key for key in (*known, *inert)} | {
            squash(old): key for old, key in (former or {}).items()
        }
        elsewhere = {squash(key): f"{section}.{key}" for key, section in (inside or {}).items()}
        for key, value in mapping(content, where, problems).items():
            name = names.get(squash(key))
            if name is None:
                place = elsewhere.get(squash(key))
                remedy = f"did you mean {place!r}?" if place else did_you_mean(key, names.values())
                problems.add(
                    f"unknown key {shown(key)}", where=where, accepted=nearest([str(key)], known), remedy=remedy
                )
            elif name in inert:
                section._read_inert(name, value, inert[name])
            else:
                if name in section.values and str(section.values[name]) != str(value):
                    section.leave(name, f"of its two spellings the later holds, {shown(value)}")
                section.values[name] = value
        return section

    def _read_inert(self, key: str, value: object, inert: Inert) -> None:
        if inert.accepts(value):
            return
        if inert.refused:
            accepted = " or ".join(map(repr, inert.harmless))
            self.problems.add(
                f"{shown(value)}: {inert.why}", where=self.at(key), accepted=accepted, remedy="leave the key out"
            )
        else:
            self.leave(key, inert.why)

    def leave(self, key: str, why: str) -> None:
        """Note that ``key`` has no effect."""
        self.idle.append(Idle(key, self.owner, why))

    @property
    def owner(self) -> str:
        """The layer or type, or the section of the configuration, that this is about; nothing for the whole model."""
        name = self.where.removeprefix("HLSConfig.").removeprefix("HLSConfig")
        return name.removeprefix("LayerName.").removeprefix("LayerType.").removeprefix("Model")

    def at(self, key: str) -> str:
        """The path of ``key``."""
        return f"{self.where}.{key}" if self.where else key

    def get(self, key: str, read: Callable[[object, str], _Read]) -> _Read | None:
        """The value of ``key`` as ``read`` understands it; None if it is absent or refused."""
        if key not in self.values:
            return None
        return self.problems.attempt(read, self.values[key], self.at(key))


def mapping(content: object, where: str, problems: Problems) -> dict[str, object]:
    """``content`` as a dictionary with text keys; None counts as empty, what does not fit is noted."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        remedy = "" if where else NAMED
        problems.add(
            f"{shown(content)} where a dictionary is needed", where=where or "the configuration", remedy=remedy
        )
        return {}
    texts = {key: value for key, value in content.items() if isinstance(key, str)}
    for key in content:
        if not isinstance(key, str):
            problems.add(f"key {shown(key)} is not text", where=where, remedy="put it in quotes")
    return texts


def plain(value: object) -> object:
    """``value`` as Python's own number, if it is one of numpy, which the command line does without as long as it can."""
    numpy = sys.modules.get("numpy")
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def _of_text(value: object) -> object:
    """``value`` as Python's own, also of a number that a file has in quotes."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return plain(value)
    return int(value) if _INTEGER.fullmatch(value) else float(value)


def named(value: object, where: str, names: Mapping[str, _Read]) -> _Read:
    """The meaning of one of ``names``, in any spelling, or of the value of an enumeration that is such a name."""
    if isinstance(value, enum.Enum):
        value = value.value
    if not isinstance(value, str) or squash(value) not in {squash(name) for name in names}:
        remedy = did_you_mean(value, names) if isinstance(value, str) else ""
        raise ConfigError(shown(value), where=where, accepted=listed(names), remedy=remedy)
    return {squash(name): meant for name, meant in names.items()}[squash(value)]


def member(kind: type[_Member]) -> Callable[[object, str], _Member]:
    """A reader of the values of an enumeration, in any spelling."""
    return partial(named, names={each.value: each for each in kind})


def boolean(value: object, where: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{shown(value)}", where=where, accepted="true or false")
    return value


def integer(value: object, where: str, least: int, most: int, also: str = "") -> int:
    """An integer from ``least`` to ``most``; ``also`` says what else is accepted in its place."""
    found = _of_text(value)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise ConfigError(shown(value), where=where, accepted=f"an integer from {least} to {most}{also}")
    return found


def number(value: object, where: str, accepted: str) -> float:
    """A finite number."""
    found = _of_text(value)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or abs(found) > 1e300 or math.isnan(found):
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return float(found)


def within(value: object, where: str, least: float, most: float, accepted: str) -> float:
    """A number from ``least`` to ``most``."""
    read = number(value, where, accepted)
    if not least <= read <= most:
        raise ConfigError(f"{read:g}", where=where, accepted=accepted)
    return read


def text(value: object, where: str, pattern: re.Pattern[str], accepted: str) -> str:
    """Text that matches ``pattern`` from end to end."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return value
