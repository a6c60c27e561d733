"""The ``HLSConfig`` dictionary (``Model``, ``LayerType``, ``LayerName``) -> typed choices per level."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from bitsmith.base.files import local_path
from bitsmith.config.files import read_file
from bitsmith.config.inert import LAYER_INERT, MODEL_INERT, SECTIONS_INERT
from bitsmith.config.precision import parse_precision
from bitsmith.config.reading import (
    Idle,
    Problems,
    Section,
    boolean,
    did_you_mean,
    integer,
    listed,
    mapping,
    member,
    named,
    number,
    shown,
    squash,
    within,
)
from bitsmith.config.values import BlockMemory, Blocks, read_bram
from bitsmith.config.variables import ALL_VARIABLES, OTHER_VARIABLES
from bitsmith.errors import ConfigError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.settings import LEAST_BITS, MOST_BITS, Binning, Outliers, SoftmaxImplementation, Strategy, Weights
from bitsmith.layers.tables import MAX_ENTRIES

DEFAULT = "default"
MAXIMUM = "maximum"

_LARGEST_TABLE_RANGE = 2.0**32


class Auto(enum.Enum):
    """An option that the user leaves to us in so many words."""

    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices made at one level (the model, a layer type, a layer). An option that is None is not mentioned.

    ``precision`` maps variables, or ``default``, to a format or to None, which is an explicit ``auto``; ``bits`` has the fields
    of :class:`~bitsmith.layers.settings.Bits` that are mentioned. ``softmax`` is the implementation that ``Strategy`` names, as
    older configurations have it.
    """

    precision: Mapping[str, FixedFormat | None] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    widest: int | None = None
    reuse_factor: int | None = None
    parallelization_factor: int | None = None
    register_slices: int | None = None
    strategy: Strategy | None = None
    weights: Weights | None = None
    trace: bool | None = None
    skip: bool | None = None
    table_size: int | Auto | None = None
    table_range: tuple[float, float] | Auto | None = None
    binning: Binning | Auto | None = None
    implementation: SoftmaxImplementation | Auto | None = None
    softmax: SoftmaxImplementation | None = None
    outliers: Outliers | None = None
    digit_price: float | None = None
    channel_price: float | None = None
    headroom: float | None = None
    bram: Blocks | None = None

    def overlaid(self, other: Choices) -> Choices:
        """Return the choices with all that ``other`` mentions in their place."""
        overlaid: dict[str, Any] = {}
        for each in fields(other):
            own, value = getattr(self, each.name), getattr(other, each.name)
            overlaid[each.name] = {**own, **value} if isinstance(value, Mapping) else own if value is None else value
        return Choices(**overlaid)


@dataclass(frozen=True, slots=True)
class HLSConfig:
    """Choices for the model, by layer type and by layer name.

    ``idle`` are the keys that were accepted and have no effect.
    """

    model: Choices = field(default_factory=Choices)
    types: Mapping[str, Choices] = field(default_factory=dict)
    names: Mapping[str, Choices] = field(default_factory=dict)
    idle: tuple[Idle, ...] = ()

    def overlaid(self, other: HLSConfig) -> HLSConfig:
        """Return the configuration with all that ``other`` mentions of the model and of layers in its place."""
        names = {name: self.names.get(name, Choices()).overlaid(choices) for name, choices in other.names.items()}
        return replace(self, model=self.model.overlaid(other.model), names={**self.names, **names})


_BUDGETS = ("weight", "result", "state", "gate")
_SECTIONS = ("Model", "LayerType", "LayerName")
_PROJECT_MARK = "HLSConfig"

# The variable that a layer's key `exp_table_t` means, and that a key within `Precision` means.
_TYPE_KEYS = {f"{name}_t": name for name in (*ALL_VARIABLES, *OTHER_VARIABLES)}
_VARIABLE_OF = {
    **{squash(name): name for name in (*ALL_VARIABLES, *OTHER_VARIABLES, DEFAULT, MAXIMUM)},
    **{squash(key): name for key, name in _TYPE_KEYS.items()},
}


def read_hls_config(config: object) -> HLSConfig:
    """Check and type a dictionary with the sections ``Model``, ``LayerType`` and ``LayerName``, or the file that holds it.

    Args:
        config: a dictionary, the path of a YAML or JSON file, what was read of them, or None for an empty configuration.

    Raises:
        ConfigError: every key and value that is not understood, in one error.
    """
    if isinstance(config, HLSConfig):
        return config
    problems = Problems()
    read = collect_hls_config(loaded(config), "", problems)
    problems.finish()
    return read


def loaded(config: object) -> object:
    """``config``, or the content of the file that it names."""
    return read_file(local_path(config)) if isinstance(config, (str, Path)) else config


def collect_hls_config(config: object, where: str, problems: Problems) -> HLSConfig:
    """Read like :func:`read_hls_config` a dictionary at the key ``where``; faults go to ``problems``."""
    if isinstance(config, Mapping) and any(
        isinstance(key, str) and squash(key) == squash(_PROJECT_MARK) for key in config
    ):
        problems.add(
            "this is the configuration of a whole project, not of a model",
            where=where or _PROJECT_MARK,
            accepted=f"a dictionary with the keys {listed(_SECTIONS)}",
            remedy="pass config['HLSConfig'], or give the whole to keras_to_hls",
        )
        return HLSConfig()
    idle: list[Idle] = []
    sections = Section.read(config, where, _SECTIONS, problems, SECTIONS_INERT, dict.fromkeys(MODEL_KEYS, "Model"))
    model = _choices(sections.values.get("Model"), sections.at("Model"), problems, idle, whole_model=True)
    types, names = (
        {
            name: _choices(content, f"{sections.at(key)}.{name}", problems, idle, whole_model=False)
            for name, content in mapping(sections.values.get(key), sections.at(key), problems).items()
        }
        for key in ("LayerType", "LayerName")
    )
    return HLSConfig(model, types, names, (*sections.idle, *idle))


def _choices(content: object, where: str, problems: Problems, idle: list[Idle], *, whole_model: bool) -> Choices:
    section = _read_level(content, where, problems, whole_model)
    precision = _precision(section)
    named = None if whole_model else _SOFTMAX.get(_squashed(section.values.get("Strategy")))
    if named is not None and _squashed(section.values["Strategy"]) != Strategy.LATENCY.value:
        del section.values["Strategy"]  # of a softmax alone
    if _squashed(section.values.get("Implementation")) in _CONVOLUTIONS:
        del section.values["Implementation"]
        section.leave("Implementation", "the products of a convolution are the same, however its windows are formed")
    idle.extend(section.idle)
    chosen = {
        key.field: section.get(name, key.read)
        for name, key in KEYS.items()
        if key.read is not None and (key.of_model if whole_model else key.of_layers)
    }
    made: Callable[..., Choices] = Choices
    bits = read_bits(section.values.get("Bits", {}), section.at("Bits"), section.problems)
    return made(precision=precision, bits=bits, widest=_widest(section), softmax=named, **chosen)


def _read_level(content: object, where: str, problems: Problems, whole_model: bool) -> Section:
    """A level's section. Keys that exist, but only at other levels, are refused in words of their own."""
    known = (*(MODEL_KEYS if whole_model else LAYER_KEYS), *_TYPE_KEYS)
    inert = MODEL_INERT if whole_model else LAYER_INERT
    elsewhere = {squash(key) for key in (*MODEL_KEYS, *LAYER_KEYS, *MODEL_INERT, *LAYER_INERT)}
    elsewhere -= {squash(key) for key in (*known, *inert)}
    kept: dict[str, object] = {}
    for key, value in mapping(content, where, problems).items():
        if squash(key) not in elsewhere:
            kept[key] = value
            continue
        remedy = "TraceOutput traces every layer" if squash(key) == "trace" else ""
        place = "of a layer (LayerType or LayerName)" if whole_model else "of the whole model (Model)"
        problems.add(f"{key} is a key {place}", where=f"{where}.{key}", remedy=remedy)
    return Section.read(kept, where, known, problems, inert)


def _precision(section: Section) -> dict[str, FixedFormat | None]:
    """The formats of a level: from ``Precision`` and from keys such as ``exp_table_t``, which win."""
    precision, where, problems = section.values.get("Precision", {}), section.at("Precision"), section.problems
    formats: dict[str, FixedFormat | None] = {}
    if isinstance(precision, Mapping):
        for key, value in mapping(precision, where, problems).items():
            variable, at = _VARIABLE_OF.get(squash(key)), f"{where}.{key}"
            if variable == MAXIMUM:
                continue
            if variable is None:
                names = (DEFAULT, *ALL_VARIABLES)
                problems.add(
                    f"unknown variable {shown(key)}",
                    where=where,
                    accepted=listed(names),
                    remedy=did_you_mean(key, (*names, *OTHER_VARIABLES)),
                )
            else:
                formats[variable] = problems.attempt(parse_precision, value, at)
    else:
        formats[DEFAULT] = problems.attempt(parse_precision, precision, where)
    for key in section.values.keys() & _TYPE_KEYS.keys():
        variable, fmt = _TYPE_KEYS[key], section.get(key, parse_precision)
        if formats.get(variable) not in (None, fmt):
            section.leave(f"Precision.{variable}", f"{key} says another one, which holds")
        formats[variable] = fmt
    return formats


def _widest(section: Section) -> int | None:
    """The most bits of an automatic result, from ``maximum`` in ``Precision``."""
    given = section.values.get("Precision")
    values = (
        [value for key, value in given.items() if squash(str(key)) == MAXIMUM] if isinstance(given, Mapping) else []
    )
    at = f"{section.at('Precision')}.{MAXIMUM}"
    return section.problems.attempt(read_maximum, values[-1], at) if values else None


def read_maximum(value: object, where: str) -> int | None:
    """The width of a format that caps those of automatic results; None caps nothing."""
    fmt = None if value is None else parse_precision(value, where)
    if fmt is not None and not fmt.width >= LEAST_BITS:
        raise ConfigError(f"a width of {fmt.width} bits", where=where, accepted=f"at least {LEAST_BITS}")
    return None if fmt is None else fmt.width


_some_bits = partial(integer, least=LEAST_BITS, most=MOST_BITS)


def read_bits(value: object, where: str, problems: Problems) -> dict[str, int]:
    """A budget of ``auto``: one number for weights and results, or a dictionary with some of them and of states."""
    if not isinstance(value, Mapping):
        both = problems.attempt(partial(_some_bits, also=", or {weight: 6, result: 8}"), value, where)
        return {} if both is None else {"weight": both, "result": both}
    section = Section.read(value, where, _BUDGETS, problems)
    found = {key: section.get(key, _some_bits) for key in section.values}
    return {key: bits for key, bits in found.items() if bits is not None}


def _squashed(value: object) -> str:
    return squash(value) if isinstance(value, str) else ""


_SOFTMAX = {one.value: one for one in SoftmaxImplementation} | {"legacy": SoftmaxImplementation.STABLE}
"""Names of softmax implementations; the other tools' ``legacy`` computes what ``stable`` computes."""


_CONVOLUTIONS = ("im2col", "winograd", "combination")
"""Implementations of a convolution that other tools choose from."""


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == "auto"


def _table_size(value: object, where: str) -> int | Auto:
    return Auto.AUTO if _is_auto(value) else integer(value, where, 2, MAX_ENTRIES)


def _table_range(value: object, where: str) -> tuple[float, float] | Auto:
    if _is_auto(value):
        return Auto.AUTO
    accepted = "[lowest, highest], or a positive number that means the same range on both sides of 0, or 'auto'"
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ConfigError(f"a list of {len(value)}", where=where, accepted=accepted)
        low, high = (number(bound, where, accepted) for bound in value)
    else:
        high = number(value, where, accepted)
        low = -high
    if not -_LARGEST_TABLE_RANGE <= low < high <= _LARGEST_TABLE_RANGE:
        raise ConfigError(f"a range from {low:g} to {high:g}", where=where, accepted=accepted)
    return low, high


@dataclass(frozen=True, slots=True)
class LayerKey:
    """A key of layers, of the whole model or of both.

    Attributes:
        field: that of :class:`Choices`.
        read: checks a value; None where the value is read together with others.
        of_model, of_layers: the levels that have it.
        is_option: only layers have it whose ``options`` name the field.
        first: the value in configurations to start from, of layers with such an option; None: they do not mention it.
        words: the values, if they are words.
    """

    field: str
    read: Callable[[object, str], object] | None
    of_model: bool
    of_layers: bool
    is_option: bool
    first: object
    words: type[enum.Enum] | None


_STABLE = SoftmaxImplementation.STABLE.value
_PRICE = "a share of the outputs' variance from 0 to 1, such as 0.000003"

read_reuse_factor = partial(integer, least=1, most=1 << 30)
read_outliers = member(Outliers)
_STRATEGIES = {
    "Latency": Strategy.LATENCY,
    "Resource": Strategy.RESOURCE,
    "Unrolled": Strategy.UNROLLED,
    "ResourceUnrolled": Strategy.UNROLLED,
    "MultiplierBlocks": Strategy.MULTIPLIER_BLOCKS,
    "DistributedArithmetic": Strategy.DISTRIBUTED_ARITHMETIC,
    "da": Strategy.DISTRIBUTED_ARITHMETIC,
    "Shared": Strategy.SHARED,
}
_BINNINGS = {
    "floor": Binning.FLOOR,
    "centre": Binning.CENTER,
    "center": Binning.CENTER,
    "linear": Binning.LINEAR,
    "auto": Auto.AUTO,
}

_strategy = partial(named, names=_STRATEGIES)
_binning = partial(named, names=_BINNINGS)
_implementation = partial(named, names={**_SOFTMAX, "auto": Auto.AUTO})
_register_slices = partial(integer, least=0, most=16)
_digit_price = partial(within, least=0.0, most=1.0, accepted=_PRICE)
_headroom = partial(within, least=0.25, most=16.0, accepted="a factor from 0.25 to 16, such as 1")

KEYS: Mapping[str, LayerKey] = {
    "Precision": LayerKey("precision", None, True, True, False, None, None),
    "Bits": LayerKey("bits", None, True, True, False, None, None),
    "Headroom": LayerKey("headroom", _headroom, True, True, False, None, None),
    "ReuseFactor": LayerKey("reuse_factor", read_reuse_factor, True, True, False, None, None),
    "ParallelizationFactor": LayerKey("parallelization_factor", read_reuse_factor, True, True, False, None, None),
    "RegisterSlices": LayerKey("register_slices", _register_slices, True, True, False, None, None),
    "Strategy": LayerKey("strategy", _strategy, True, True, False, None, Strategy),
    "Weights": LayerKey("weights", member(Weights), True, True, True, None, Weights),
    "TableSize": LayerKey("table_size", _table_size, True, True, True, "auto", None),
    "TableRange": LayerKey("table_range", _table_range, False, True, True, "auto", None),
    "Binning": LayerKey("binning", _binning, True, True, True, "auto", Binning),
    "Implementation": LayerKey("implementation", _implementation, True, True, True, _STABLE, SoftmaxImplementation),
    "DigitPrice": LayerKey("digit_price", _digit_price, True, True, True, None, None),
    "ChannelPrice": LayerKey("channel_price", _digit_price, True, True, True, None, None),
    "Skip": LayerKey("skip", boolean, False, True, True, False, None),
    "Outliers": LayerKey("outliers", read_outliers, True, True, True, Outliers.KEEP.value, Outliers),
    "BRAM": LayerKey("bram", read_bram, True, False, False, None, BlockMemory),
    "TraceOutput": LayerKey("trace", boolean, True, False, False, None, None),
    "Trace": LayerKey("trace", boolean, False, True, False, None, None),
}
"""Keys by the names that are shown; users may spell them in any case."""

MODEL_KEYS = tuple(name for name, key in KEYS.items() if key.of_model)
LAYER_KEYS = tuple(name for name, key in KEYS.items() if key.of_layers)
OPTION_KEYS: Mapping[str, LayerKey] = {name: key for name, key in KEYS.items() if key.is_option}
"""Keys of some layers alone."""
