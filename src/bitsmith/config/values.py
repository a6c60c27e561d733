"""Values of a project's keys, each with its reader: text, numbers and names as users write them -> what they say."""

import enum
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from bitsmith.backends import BACKENDS, Backend
from bitsmith.base.files import local_path
from bitsmith.config.accelerators import accelerator_named
from bitsmith.config.reading import did_you_mean, integer, number, plain, shown, squash, text
from bitsmith.errors import ConfigError
from bitsmith.errors.remedies import NAMED

_LONGEST_CLOCK_PERIOD_NS = 1e6
_LONGEST_PATH = 4096
_MOST_SAMPLES = 1 << 12
_MOST_BLOCKS = 1 << 16
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,31}", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]{0,63}", re.ASCII)
_PLATFORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_BLOCKS = re.compile(r"[0-9]{1,5}", re.ASCII)
_CLOCK = re.compile(r"\s*([0-9]{1,7}(?:\.[0-9]{1,6})?)\s*(ns|mhz|)\s*", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(r"\s*([0-9]{1,2}(?:\.[0-9]{1,6})?)\s*%\s*", re.ASCII)


BackendName: TypeAlias = Backend | Literal["VivadoAccelerator", "VitisAccelerator", "VitisUnified"] | str
"""A backend in any case, for editors to propose; or a name of other tools for one with a board."""

IOTypeName: TypeAlias = Literal["io_parallel", "io_stream"] | str
"""The value of an :class:`IOType`."""


class IOType(enum.Enum):
    """Way in which data enter and leave the circuit."""

    PARALLEL = "io_parallel"
    STREAM = "io_stream"


class BlockMemory(enum.Enum):
    """Choice of what is block memory, in place of what costs the smaller share of a part."""

    NONE = 0
    TABLES = "tables"
    """Constant tables of pipelines wherever that saves look-up tables."""


Blocks: TypeAlias = BlockMemory | int
"""Choice of what is block memory, or the most blocks."""


def blocks_value(blocks: Blocks) -> int | str:
    """The value as users write it."""
    return blocks if isinstance(blocks, int) else blocks.value


_ACCEPTED = ", ".join(map(repr, BACKENDS))

_SYMBOLIC = "symbolicexpression"

AP_VLD = "ap_vld"
"""The value of ``Interface`` for vector ports."""

AP_NONE = "ap_none"
"""Interface of a pipeline without signals that say which samples are valid."""

AXI_MASTER = "axi_master"
"""Interface of a circuit that reads and writes the memory of a board's processor itself."""

NO_MONITORS = "none"
"""The value of ``Monitors`` for a circuit that watches nothing."""

MEMORIES = "memories"
"""The monitor that reads memories back which can be loaded."""

RANGES = "ranges"
"""The monitor of the values of inputs and outputs."""

PARITY, ECC = "parity", "ecc"
"""Monitors of memories by check bits of each word: one finds flipped bits, the other corrects one of a word, and finds two."""

LAYERS = "layers"
"""The monitor of the results of all layers, and of inputs and outputs."""

MONITORS = (MEMORIES, PARITY, ECC, RANGES, LAYERS)
"""Monitors that are not there by default."""

INTERFACES = (AP_VLD, AP_NONE, AXI_MASTER)
"""All values of ``Interface``."""

OTHER_INTERFACES = ("axi_stream", "axi_lite")
"""Values of the interface in other tools, of systems for boards."""


def read_backend(value: object, where: str) -> Backend:
    """A backend's name; those of other tools are refused, not replaced."""
    name = squash(value) if isinstance(value, str) else ""
    known = {backend: backend for backend in BACKENDS}
    accelerator = accelerator_named(value)
    if accelerator is not None:
        return accelerator.backend
    if name in known:
        return known[name]
    if name == _SYMBOLIC:
        raise ConfigError(
            f"backend {value!r}",
            where=where,
            accepted=_ACCEPTED,
            remedy="all backends take formulas: convert_from_symbolic_expression, or bitsmith.convert(expr, inputs=...)",
        )
    remedy = did_you_mean(name, list(known)) if name else ""
    remedy = "'rtl' writes SystemVerilog, and none writes VHDL" if name.endswith(("verilog", "vhdl")) else remedy
    raise ConfigError(f"backend {shown(value)}", where=where, accepted=_ACCEPTED, remedy=remedy)


def read_interface(value: object, where: str) -> str:
    """One of `INTERFACES`, in any case."""
    name = value.lower() if isinstance(value, str) else value
    if name not in INTERFACES:
        accepted = f"{AP_VLD} for HLS C++, {AP_NONE} for SystemVerilog, or with a board {AXI_MASTER}"
        buses = "leave it out: SystemVerilog has wrappers for AXI4-Stream and more beside the circuit (docs/bus-wrappers.md)"
        raise ConfigError(shown(value), where=where, accepted=accepted, remedy=buses)
    return str(name)


def read_monitors(value: object, where: str) -> str:
    """``NO_MONITORS``, or names of `MONITORS` with commas between them, in their order."""
    if value == NO_MONITORS:
        return NO_MONITORS
    names = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    monitors = [name.strip() if isinstance(name, str) else name for name in names]
    if not monitors or any(name not in MONITORS for name in monitors) or {PARITY, ECC} <= set(monitors):
        some = f"some of {', '.join(MONITORS)} besides the counters that there are by default"
        accepted = f"{NO_MONITORS}, or {some}, but not both {PARITY} and {ECC}"
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return ",".join(name for name in MONITORS if name in monitors)


def has_ranges(monitors: str | None) -> bool:
    """Return True if the values of tensors are monitored."""
    return is_monitored(monitors, RANGES) or is_monitored(monitors, LAYERS)


def is_monitored(monitors: str | None, name: str) -> bool:
    """Return True if the monitor ``name`` is among those that `read_monitors` has read."""
    return monitors is not None and name in monitors.split(",")


def read_bram(value: object, where: str) -> Blocks:
    """0, tables, or the most blocks."""
    for each in BlockMemory:
        if not isinstance(value, bool) and value in (each, each.value, str(each.value)):
            return each
    most = int(value) if isinstance(value, str) and _BLOCKS.fullmatch(value) else plain(value)
    if isinstance(most, int) and not isinstance(most, bool) and 0 < most <= _MOST_BLOCKS:
        return most
    accepted = (
        f"the most memory blocks, 0 to {_MOST_BLOCKS}, or 'tables'; by default tables and memories are what costs less"
    )
    raise ConfigError(shown(value), where=where, accepted=accepted)


def read_batch(value: object, where: str) -> int:
    """A number of samples."""
    return integer(value, where, 1, _MOST_SAMPLES)


def read_name(value: object, where: str) -> str:
    """The name of a project."""
    return text(value, where, _NAME, "letters, digits and underscores, starting with a letter, at most 64")


def read_version(value: object, where: str) -> str:
    """The version of a design."""
    return text(value, where, _VERSION, "text such as '1.0.0', at most 32 characters")


def read_part(value: object, where: str) -> str:
    """The name of a part; which parts there are is not known here."""
    return text(value, where, _PART, "the part's ordering code, such as 'LFE5U-85F-6BG381C'")


def read_board(value: object, where: str) -> str:
    """The name of a board, or the path of its file; which names there are is not known here."""
    if not isinstance(value, str | Path):
        raise ConfigError(
            shown(value), where=where, accepted="the name of a board, such as 'pynq-z2', or a .toml file with one"
        )
    return str(read_path(value, where))


def read_platform(value: object, where: str) -> str:
    """The name of a card's platform."""
    return text(value, where, _PLATFORM, "the name of a card's platform, such as 'xilinx_u50_gen3x16_xdma_5_202210_1'")


def read_path(value: object, where: str) -> Path:
    """The path of a file or folder."""
    accepted = "the path of a file or folder"
    path = str(value) if isinstance(value, Path) else value
    if not isinstance(path, str) or not path.strip() or len(path) > _LONGEST_PATH or not path.isprintable():
        remedy = "" if isinstance(path, str) else NAMED
        raise ConfigError(shown(path), where=where, accepted=accepted, remedy=remedy)
    return local_path(path)


def read_data_path(value: object, where: str) -> Path:
    """The path of a file of samples."""
    if not isinstance(value, str | Path):
        raise ConfigError(
            shown(value),
            where=where,
            accepted="the path of an .npy or .npz file",
            remedy="build(inputs=x) takes arrays, or numpy.save('x.npy', x) writes a file",
        )
    return read_path(value, where)


def read_input_shape(value: object, where: str) -> Sequence[object]:
    """Shapes of inputs, which the reader of a model checks; a single size is a shape of one axis."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(shown(value), where=where, accepted="the shape of one sample, or a list of them")
    return value


def read_inputs(value: object, where: str) -> object:
    """Names of a formula's inputs, perhaps with ranges, which their reader checks."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        raise ConfigError(shown(value), where=where, accepted="['x', 'y'], or {'x': [-1, 1], 'y': [0, 4]}")
    return value


def read_clock_period(value: object, where: str) -> float:
    """The clock period in ns, also of a frequency in MHz."""
    accepted = f"nanoseconds, above 0 and at most {_LONGEST_CLOCK_PERIOD_NS:g}, or text such as '5 ns' or '200 MHz'"
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    period = number(value if match is None else float(match[1]), where, accepted)
    if match is not None and match[2].lower() == "mhz" and period > 0:
        period = 1000 / period
    if not 0 < period <= _LONGEST_CLOCK_PERIOD_NS:
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return period


def read_clock_uncertainty(value: object, where: str) -> float:
    """The clock uncertainty as a fraction of the period."""
    accepted = "a percentage such as '12.5%', or a fraction of the period, from 0 to below 1"
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return float(match[1]) / 100.0
    fraction = number(value, where, accepted)
    if not 0 <= fraction < 1:
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return fraction
