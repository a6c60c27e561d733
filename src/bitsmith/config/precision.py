"""Number formats as users write them: text -> :class:`FixedFormat`.

Knows the spellings of ``ap_fixed``/``ap_int`` (AMD UG1399, arbitrary precision types), of ``ac_fixed``/``ac_int`` (the
Algorithmic C datatypes) and the bare ones. ``str(format)`` is one of the spellings, so text and format round-trip.
"""

import re
from enum import Enum
from typing import TypeVar

from bitsmith.config.reading import did_you_mean
from bitsmith.errors import ConfigError, RangeError
from bitsmith.errors.remedies import Remedy, given
from bitsmith.ir.types import MAX_WIDTH, FixedFormat, Overflow, Rounding

ACCEPTED = (
    "'auto', fixed<W,I> of W bits, of which I are integer bits, ufixed<W,I>, either with <...,rounding,overflow>, int<W>, "
    "uint<W>, or these names with ap_ or ac_ in front, such as fixed<16,6>"
)

_MAX_TEXT = 100
_SHAPE = re.compile(r"\s*([a-z_0-9]+)\s*(?:<([^<>]*)>|\(([^()]*)\))?\s*", re.IGNORECASE)
_BITS = re.compile(r"(u?int|[iu]?)([1-9][0-9]?)( ?bits?|_t|)", re.ASCII | re.IGNORECASE)
_FLOAT = re.compile(r"((ap|ac|std|ac_std|ac_ieee)_)?(float|bfloat|fp|bf)[0-9]*(_.*)?|double|half", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,6}")
_PREFIX = re.compile(r"^(?:AP|AC|SC)_")

# name -> (signed, or None where a parameter says it; whether integer bits are a parameter)
_NAMES: dict[str, tuple[bool | None, bool]] = {
    "fixed": (True, True),
    "ufixed": (False, True),
    "ap_fixed": (True, True),
    "ap_ufixed": (False, True),
    "ac_fixed": (None, True),
    "int": (True, False),
    "uint": (False, False),
    "ap_int": (True, False),
    "ap_uint": (False, False),
    "ac_int": (None, False),
}
_CALLED = "quantizers belong in the model, and take effect from there"
_REFUSED_MODES = {
    "RND_CONV_ODD": "rounding half to odd is not available; RND_CONV rounds half to even",
    "TRN_SMGN": "sign-magnitude truncation is called TRN_ZERO",
    "WRAP_SM": "sign-magnitude wrapping is not available; WRAP is two's complement wrapping",
}

_Mode = TypeVar("_Mode", bound=Enum)


def parse_precision(text: object, where: str = "") -> FixedFormat | None:
    """The format that ``text`` spells; None for ``'auto'``. A :class:`FixedFormat` is returned as it is.

    Args:
        text: a spelling, see :data:`ACCEPTED`. Names and modes are read without regard to case, spaces do not matter.
        where: the configuration key, for the message.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(text, FixedFormat):
        return text
    if not isinstance(text, str):
        found = f"a precision of type {type(text).__name__}"
        raise ConfigError(found, where=where, accepted=ACCEPTED, remedy=_of_bits(str(text)))
    if len(text) > _MAX_TEXT:
        raise ConfigError(f"a precision of {len(text)} characters", where=where, accepted=ACCEPTED)
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ConfigError(f"precision {text!r}", where=where, accepted=ACCEPTED, remedy=_of_bits(text))
    name, inside = match[1].lower(), match[2] if match[3] is None else match[3]
    if name == "auto" and inside is None:
        return None
    if _FLOAT.fullmatch(name):
        raise ConfigError(
            f"{text!r} is a floating-point format; the hardware computes in fixed point",
            where=where,
            accepted=ACCEPTED,
            remedy="'auto' keeps the accuracy of the float model",
        )
    if name not in _NAMES:
        remedy = _of_bits(text) or (_CALLED if match[3] is not None else did_you_mean(name, _NAMES))
        raise ConfigError(f"precision {text!r}", where=where, accepted=ACCEPTED, remedy=remedy)
    parameters = [] if inside is None else [part.strip() for part in inside.split(",")]
    return _Reading(text, where, name, parameters).format()


def _of_bits(text: str) -> Remedy | str:
    """Return what to do where ``text`` says how many bits there are, and not where their point is; nothing of other texts."""
    match = _BITS.fullmatch(text.strip())
    if match is None:
        return ""
    bits, integers = int(match[2]), f"{'u' * match[1].lower().startswith('u')}int<{match[2]}>"
    return Remedy((f"{integers} has integers alone; with ", given(bits=bits), " auto chooses the point of each tensor"))


class _Reading:
    """The parameters of one precision, taken from left to right."""

    def __init__(self, text: str, where: str, name: str, parameters: list[str]) -> None:
        self.text, self.where, self.name, self.parameters = text, where, name, parameters

    def format(self) -> FixedFormat:
        signed, has_integer = _NAMES[self.name]
        width = self.number("the width in bits")
        if not 1 <= width <= MAX_WIDTH:
            raise self.error(f"a width of {width} bits", accepted=f"1 to {MAX_WIDTH} bits")
        integer = self.number("the number of integer bits") if has_integer else width
        if signed is None:
            signed = self.signedness()
        rounding, overflow = Rounding.TRN, Overflow.WRAP
        if has_integer:
            rounding = self.mode(Rounding, "rounding", rounding)
            overflow = self.mode(Overflow, "overflow", overflow)
            if self.parameters and self.number("the number of saturation bits") != 0:
                raise self.error("saturation bits are not available", accepted="0 as the fifth parameter, or none")
        if self.parameters:
            raise self.error(f"{len(self.parameters)} parameters too many", accepted=ACCEPTED)
        try:
            return FixedFormat(signed, width, width - integer, rounding, overflow)
        except RangeError as error:
            raise self.error(error.found, accepted=error.accepted) from error

    def error(self, found: str, *, accepted: str = "", remedy: str = "") -> ConfigError:
        return ConfigError(f"precision {self.text!r}: {found}", where=self.where, accepted=accepted, remedy=remedy)

    def number(self, what: str) -> int:
        if not self.parameters:
            raise self.error(f"{what} is missing", accepted=ACCEPTED)
        part = self.parameters.pop(0)
        if not _NUMBER.fullmatch(part):
            raise self.error(f"{part!r} for {what}", accepted="an integer")
        return int(part)

    def signedness(self) -> bool:
        if not self.parameters:
            return True
        part = self.parameters.pop(0)
        if part.lower() not in ("true", "false", "1", "0"):
            raise self.error(f"{part!r} for the sign of {self.name}", accepted="true or false")
        return part.lower() in ("true", "1")

    def mode(self, modes: type[_Mode], kind: str, default: _Mode) -> _Mode:
        if not self.parameters:
            return default
        part = self.parameters.pop(0)
        name = _PREFIX.sub("", part.upper())
        for mode in modes:
            if mode.value == name:
                return mode
        accepted = ", ".join(str(mode.value) for mode in modes)
        remedy = _REFUSED_MODES.get(name) or did_you_mean(name, [str(mode.value) for mode in modes])
        if name in {mode.value for mode in (*Rounding, *Overflow)}:
            remedy = "the order is: width, integer bits, rounding, overflow"
        raise self.error(f"{part!r} as the {kind} mode", accepted=accepted, remedy=remedy)
