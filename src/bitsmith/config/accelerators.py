"""The names under which other tools know systems for boards: ``VivadoAccelerator``, ``VitisAccelerator`` and ``VitisUnified``.

In: a project configuration with such a backend. Out: the same with our backend, board and platform, and what of it has no effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsmith.backends import Backend
from bitsmith.config.reading import Idle, Inert, Problems, Section, shown, squash
from bitsmith.errors import ConfigError

_MOST_BITS = 32
"""Bits of a word of other tools' buses."""

_BUS = "the bus carries the network's own formats, and the driver takes and gives real numbers"
STREAMS = "frames come by DMA through AXI4-Streams; the driver is called in the same way"
_OWN = "the board's system says it"
C_DRIVER = Idle("Driver", "c", "the driver is in Python; circuits in C++ with axi_master have none in C")
"""Message about a driver in C where there is none."""

_FILE = "the board's system is made by Vivado from its parts, without a platform's file"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A backend of other tools: its name, ours for its circuits, and the board where none is named."""

    name: str
    backend: Backend
    board: str


ACCELERATORS = {
    squash(each.name): each
    for each in (
        Accelerator("VivadoAccelerator", "vivado", "pynq-z2"),
        Accelerator("VitisAccelerator", "vitis", "alveo-u55c"),
        Accelerator("VitisUnified", "vitis", "zcu102"),
    )
}
"""By their names without case."""

SECTIONS = ("AcceleratorConfig", "VitisUnifiedConfig", "UnifiedConfig")
_KEYS = ("Board", "Platform", "Part", "ClockPeriod", "ClockUncertainty", "IOType")
_TYPES = ("InputType", "OutputType", "InputDtype", "OutputDtype")
"""Keys of the bus: as arguments, and as the configuration of ``VitisUnified`` has them."""

_CHECKED = ("Interface", "AxiMode", "Driver", "Precision", *_TYPES)
_INERT: Mapping[str, Inert] = {
    "Num_Kernel": Inert("one circuit takes a sample in as few cycles as its reuse factors say", (1,)),
    "Num_Worker": Inert("the driver is one thread", (1,)),
    "Batchsize": Inert("the driver sends as many samples as it is given"),
    "HW_Quant": Inert(_BUS, (False,)),
    "Vivado_Directives": Inert("write them into the scripts of the folder system", (None,)),
    "In_Stream_Buf_Size": Inert(_OWN),
    "Out_Stream_Buf_Size": Inert(_OWN),
}


def accelerator_named(value: object) -> Accelerator | None:
    """The backend of that name, in any case."""
    return ACCELERATORS.get(squash(value)) if isinstance(value, str) else None


def new_section(accelerator: Accelerator, config: dict[str, object]) -> dict[str, object]:
    """The ``AcceleratorConfig`` of a new configuration, to be edited; its keys are taken out of ``config``."""
    section: dict[str, object] = {"Board": accelerator.board, "Interface": "axi_stream", "Driver": "python"}
    section |= {key: config.pop(key) for key in (*section, "Platform") if config.get(key) is not None}
    words = {name: config.pop(f"{name}Type", "float") for name in ("Input", "Output")}
    return section | {"Precision": words}


def split_accelerator(
    content: Mapping[str, object], problems: Problems
) -> tuple[Accelerator | None, Mapping[str, object], tuple[Idle, ...]]:
    """The backend that ``content`` names if it is such a one, ``content`` with the keys that others have, and idle ones."""
    names = {squash(key): key for key in content if isinstance(key, str)}
    accelerator = accelerator_named(content.get(names.get("backend", "")))
    if accelerator is None:
        return None, content, ()
    taken = {*map(squash, (*SECTIONS, *_CHECKED, "Board", "Platform")), "backend"}
    merged = {key: value for key, value in content.items() if not isinstance(key, str) or squash(key) not in taken}
    idle = list[Idle]()
    top = {key: content[key] for key in content if isinstance(key, str) and squash(key) in taken - {"backend"}}
    inner = [(key, top.pop(key)) for key in list(top) if squash(key) in map(squash, SECTIONS)]
    for where, values in (("", top), *inner):
        section = Section.read(values, where, (*_KEYS, *_CHECKED), problems, _INERT)
        idle += section.idle
        idle += _checked(section)
        kept = {key: value for key, value in section.values.items() if key in _KEYS and value is not None}
        file = kept.get("Platform")  # what ``VitisUnified`` links to, on boards that are not cards
        if isinstance(file, str | Path) and Path(file).suffix in (".xpfm", ".xsa"):
            idle.append(Idle("Platform", str(kept.pop("Platform"))[:80], _FILE))
        merged |= kept | _words(section)
        if "axi_master" in (section.values.get("Interface"), section.values.get("AxiMode")):
            merged["Interface"] = "axi_master"
    merged["Backend"] = accelerator.backend
    merged.setdefault("Board", accelerator.board)
    return accelerator, merged, tuple(idle)


def _checked(section: Section) -> Iterator[Idle]:
    """Settings that say how other tools' hardware is made: those that are unlike ours have no effect."""
    for key, known, usual, why in (
        ("Interface", ("axi_stream", "axi_master", "axi_lite"), ("axi_stream", "axi_master"), STREAMS),
        ("AxiMode", ("axi_stream", "axi_master"), ("axi_stream", "axi_master"), STREAMS),
        ("Driver", ("python", "c", "xrt"), ("python", "xrt"), C_DRIVER.why),
    ):
        value = section.values.get(key)
        if value is None:
            continue
        if value not in known:
            section.problems.add(shown(value), where=section.at(key), accepted=" or ".join(known))
        elif value not in usual:
            yield Idle(key, str(value), why)


def _words(section: Section) -> dict[str, str]:
    """The fixed-point formats of other tools' buses by our keys; integers that the driver takes and gives are words of them."""
    precision = section.values.get("Precision")
    inner = Section.read(precision, section.at("Precision"), ("Input", "Output"), section.problems)
    types = [(inner, key, value) for key, value in inner.values.items()]
    types += [(section, key, section.values[key]) for key in _TYPES if key in section.values]
    formats = dict[str, str]()
    for of, key, value in types:
        if value in (None, "float", "double"):
            continue
        words = section.problems.attempt(bus_format, value, of.at(key))
        if words is not None:
            formats["BusInput" if key.startswith("In") else "BusOutput"] = words
    return formats


def bus_format(value: object, where: str) -> str:
    """The format of the words of a bus of other tools, as text."""
    from bitsmith.config.precision import parse_precision

    accepted = f"'float', 'double' or a type of at most {_MOST_BITS} bits such as 'ap_fixed<16,6>'"
    try:
        words = parse_precision(value, where)
    except ConfigError:
        words = None
    if words is None or words.width > _MOST_BITS:
        raise ConfigError(shown(value), where=where, accepted=accepted)
    return str(words)


def check_arguments(arguments: Mapping[str, object]) -> tuple[Mapping[str, str], tuple[Idle, ...]]:
    """Arguments of other tools' converters that say the same: formats of words by our keys, and arguments without effect.

    Raises:
        ConfigError: values that they do not have.
    """
    problems = Problems()
    section = Section.read(arguments, "", _CHECKED, problems, _INERT)
    words, idle = _words(section), (*section.idle, *_checked(section))
    problems.finish()
    return words, idle
