"""The exception tree. Every error says what was found, where, what is accepted and what to do.

BitsmithError
├── ModelFileError        a model file is malformed, truncated, hostile or inconsistent
├── UnsupportedError      a layer, argument or op that cannot be translated faithfully
│   └── ApproximateError  ... exactly, though it can be approximated: with allow_approximate
├── ConfigError           a key or value of the user's configuration
│   ├── ConfigKeyError           ... that a generated configuration has no entry for
│   └── ConfigProblemsError      ... and several of them
├── RangeError            a number format or size beyond what is supported
├── ProgramError          a core program that breaks a rule of the IR (a defect of ours, or of a parsed text)
├── InputDataError        arrays handed to predict, trace or calibration
├── ProjectError          a build directory: locked, foreign, unwritable
├── CapacityError         a design too large for the flow that was asked for
├── ToolMissingError      an external program or an optional package that was not found
├── ToolFailedError       an external program that failed
├── VerificationError     two executions of one program disagree
└── FidelityError         a program that does not compute what the user's model does

FidelityWarning, which is not an error, says the same where the user has not asked for strictness. ApproximationWarning repeats
what is approximate in predictions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from bitsmith.errors.remedies import Remedy, given

Entry = TypeVar("Entry")

_SHOWN_NAMES = 10
_ALIKE = 0.5
"""Names with fewer letters in common than this share stay in their order."""


class BitsmithError(Exception):
    """Base of all errors raised on purpose.

    Args:
        found: what was found, as a sentence.
        where: the layer, file, key or command it was found in.
        accepted: what would have been accepted.
        remedy: what the user can do next; calls in it are values, which each caller renders.
    """

    def __init__(self, found: str, *, where: str = "", accepted: str = "", remedy: Remedy | str = "") -> None:
        self.found = found
        self.where = where
        self.accepted = accepted
        self.remedy = remedy
        super().__init__(self.told(str))

    def told(self, worded: Callable[[Remedy | str], str]) -> str:
        """The message, with the remedy as ``worded`` has it."""
        lines = [f"{self.where}: {self.found}" if self.where else self.found]
        if self.accepted:
            lines.append(f"  accepted: {self.accepted}")
        if self.remedy:
            lines.append(f"  what to do: {worded(self.remedy)}")
        # Names of files may hold halves of characters, which nothing can print.
        return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def nearest(found: Iterable[str], names: Iterable[str], most: int = _SHOWN_NAMES) -> str:
    """The names, ``most`` of them, and how many more there are; first those that are like the ones that were found."""
    every, wanted = list(dict.fromkeys(names)), [name.lower() for name in found]

    def unlike(name: str) -> float:
        alike = max((difflib.SequenceMatcher(None, name.lower(), other).ratio() for other in wanted), default=0.0)
        return -alike if alike >= _ALIKE else 0.0

    rest = len(every) - most
    return ", ".join(sorted(every, key=unlike)[:most]) + (f" and {rest} more" if rest > 0 else "")


class ModelFileError(BitsmithError):
    """A model file is malformed, truncated, hostile or inconsistent."""


class UnsupportedError(BitsmithError):
    """A layer, argument or op that cannot be translated faithfully."""


def one_of(table: Mapping[str, Entry], name: str, asked: str, where: str = "") -> Entry:
    """The entry of a table of all that is translated; ``asked`` says what has the ``name``.

    Raises:
        UnsupportedError: there is none.
    """
    if name not in table:
        raise UnsupportedError(asked, where=where, accepted=", ".join(table))
    return table[name]


class ApproximateError(UnsupportedError):
    """Something that cannot be translated exactly, though it can be approximated, which the user has not allowed.

    Args:
        instead: what would be computed.
    """

    def __init__(self, found: str, *, where: str = "", accepted: str = "", instead: str = "") -> None:
        takes = f", for {instead}" if instead else " computes what is nearest"
        super().__init__(found, where=where, accepted=accepted, remedy=Remedy((given(allow_approximate=True), takes)))
        self.instead = instead


class ConfigError(BitsmithError):
    """A key or value of the user's configuration."""


class ConfigKeyError(ConfigError, KeyError):
    """A key that a generated configuration has no entry for."""

    __str__ = Exception.__str__


class ConfigProblemsError(ConfigError):
    """Several of them, of which ``most`` are shown."""

    def __init__(self, found: str, errors: Sequence[ConfigError], *, most: int) -> None:
        self.errors = tuple(errors)
        self._most = most
        super().__init__(found)

    def told(self, worded: Callable[[Remedy | str], str]) -> str:
        """All messages."""
        shown = [f"- {error.told(worded)}".replace("\n", "\n  ") for error in self.errors[: self._most]]
        rest = len(self.errors) - len(shown)
        return "\n".join([super().told(worded), *shown, *([f"- and {rest} more"] * (rest > 0))])


class RangeError(BitsmithError):
    """A number format or size beyond what is supported."""


class ProgramError(BitsmithError):
    """A core program that breaks a rule of the IR."""


class InputDataError(BitsmithError):
    """Arrays handed to predict, trace or calibration do not fit the model."""

    @classmethod
    def not_finite(cls, name: str, count: int, size: int) -> InputDataError:
        """Return the error on input ``name``: ``count`` of its ``size`` values are not finite."""
        return cls(
            f"{count:,} of {size:,} values are NaN or infinite",
            where=f"input {name!r}",
            accepted="finite numbers",
            remedy="leave these samples out, or replace the values, by numpy.nan_to_num for example",
        )


class ProjectError(BitsmithError):
    """A build directory that is locked, foreign or unwritable."""


class CapacityError(BitsmithError):
    """A design too large for the flow that was asked for."""


class ToolMissingError(BitsmithError):
    """An external program or an optional package that was not found."""


class ToolFailedError(BitsmithError):
    """An external program that failed; ``log`` is the path of its log."""

    def __init__(
        self, found: str, *, log: str = "", where: str = "", accepted: str = "", remedy: Remedy | str = ""
    ) -> None:
        super().__init__(found, where=where, accepted=accepted, remedy=remedy)
        self.log = log


class VerificationError(BitsmithError):
    """Two executions of one program disagree."""


class FidelityError(BitsmithError):
    """A program does not compute what the user's model does, beyond what its formats excuse."""


class BitsmithWarning(UserWarning):
    """The base of all warnings of bitsmith."""


class ProjectWarning(BitsmithWarning):
    """A project folder has the project of another name, which is replaced."""


class InputRangeWarning(BitsmithWarning):
    """Inputs outside the input type changed an output of the float model by 1 % of its range, or are indices of no row."""


class FewSamplesWarning(BitsmithWarning):
    """The samples that a fit held out are too few to tell a loss as small as its goal allows."""


class ApproximationWarning(BitsmithWarning):
    """A part of the user's model is not computed exactly as the framework does it, as the user allowed."""


class FidelityWarning(BitsmithWarning):
    """A program does not compute what the user's model does, or values leave the formats inside it."""
