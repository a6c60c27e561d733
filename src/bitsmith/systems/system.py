"""A system as a value: files, and the calls that make a bitstream of them; and the circuit as it sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitsmith.errors import ConfigError
from bitsmith.hls.dialects.dialect import IpTool
from bitsmith.ir.types import FixedFormat
from bitsmith.rtl.driver import driver_module
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.version import version_numbers

FOLDER = "system"
"""The folder of a system in its project."""

EXPORT = f"{FOLDER}/export"
"""The folder of the files that go to the board."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Core:
    """A circuit with AXI4-Streams of beats.

    Args:
        top: name of the circuit, of which the project's is made.
        interface: its streams; a token is a beat.
        ip_tool: what makes an IP of its C++; None of SystemVerilog.
        sources: paths inside the project, all that logic synthesis reads of RTL.
        driver: the text of its driver.
        bare_metal: files of its driver in C, by their names.
        words: formats of the words that its driver takes and gives as integers, where these are not numbers.
        module: what a design instantiates, or the top function.
        period_ns: the clock's period.
        uncertainty_percent: the share of it that high-level synthesis keeps in reserve.
        memory_ports: names of AXI4 ports that it has in place of its streams, inputs first, as a function that is started.
    """

    top: str
    interface: Interface
    ip_tool: IpTool | None
    sources: tuple[str, ...]
    driver: str
    module: str
    period_ns: float
    uncertainty_percent: float
    bare_metal: Mapping[str, str] = field(default_factory=dict)
    words: tuple[FixedFormat | None, FixedFormat | None] = (None, None)
    memory_ports: tuple[str, ...] = ()

    @property
    def clock_mhz(self) -> float:
        return round(1e3 / self.period_ns, 3)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Name and bytes of a beat of each stream in, those of weights for memories last."""
        ports = (*self.interface.inputs, *self.interface.load_ports)
        return tuple((prefix("s_axis", port), token_bytes(port)) for port in ports)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """The same of each stream out."""
        return tuple((prefix("m_axis", port), token_bytes(port)) for port in self.interface.outputs)

    @property
    def ip_folder(self) -> str:
        """Folder of the project in which high-level synthesis leaves its IP."""
        return f"{self.module}_prj/solution1/impl/ip"

    def check_streams(self, most: int) -> None:
        """Refuse a circuit of more than ``most`` streams."""
        loops = len(self.interface.loops)
        if len(self.inputs) + len(self.outputs) + loops > most:
            raise ConfigError(
                f"{len(self.inputs)} streams in and {len(self.outputs)} out{f', and {loops} that come back' if loops else ''}",
                where="Board",
                accepted=f"at most {most} together",
                remedy="build without a board, and join the circuit's streams to a system of yours",
            )


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a vendor's program in the project's folder, and the files that it leaves.

    ``programs``: those of which the first on PATH is taken; each with the arguments before ``arguments``.
    """

    programs: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]


def core_settings(core: Core, part: str, defines: str = "") -> dict[str, object]:
    """Settings that the scripts of all systems read: what the circuit is and where its sources are."""
    rtl = core.ip_tool is None
    return {
        "top": core.top,
        "part": part,
        "version": ".".join(map(str, version_numbers())),
        "core": core.module,
        "core_clock": "aclk" if rtl else "ap_clk",
        "core_reset": "aresetn" if rtl else "ap_rst_n",
        "registers": rtl,
        "inputs": core.inputs,
        "outputs": core.outputs,
        "sources": core.sources if rtl else (),
        "ip_folder": "" if rtl else core.ip_folder,
        "clock_mhz": core.clock_mhz,
        "clock_period": core.period_ns,
        "clock_uncertainty": f"{core.uncertainty_percent:g}%",
        "defines": defines,
        "largest_arrays": () if core.ip_tool is None else core.ip_tool.largest_arrays,
        "kernel": False,
    }


def core_steps(core: Core, target: str = "") -> tuple[Step, ...]:
    """The step that makes an IP of a circuit in C++, or the file ``target`` of it."""
    if core.ip_tool is None:
        return ()
    return (Step(core.ip_tool.programs, (f"{FOLDER}/core.tcl",), (target or f"{core.ip_folder}/component.xml",)),)


@dataclass(frozen=True, slots=True)
class System:
    """Files by their paths in the project, the steps, and what they make for the board, by names for reports."""

    files: Mapping[str, str]
    steps: tuple[Step, ...]
    products: Mapping[str, str]
    board: str
    install: str


def assembled(
    core: Core,
    board: str,
    *,
    settings: Mapping[str, object],
    templates: tuple[str, ...],
    files: Mapping[str, str] | None = None,
    host: str,
    steps: tuple[Step, ...],
    products: Mapping[str, str],
    install: str,
) -> System:
    """The system of ``core`` on ``board``.

    Args:
        settings: that the scripts read.
        templates: names of files that go into the folder as they are.
        files: others of the folder, by their names.
        host: the template of what joins the driver to a vendor's library.
        steps, products, install: those of the system.
    """
    title = f"Written by {core.interface.title.tool}, project {core.interface.title.digest}, for {board}."
    own = {
        **{name: template(name) for name in templates},
        **{f"export/{name}": text for name, text in core.bare_metal.items()},
        **(files or {}),
        "settings.tcl": tcl_settings(title, settings),
    }
    if core.ip_tool is not None:
        own["core.tcl"] = template("core.tcl")
    placed = {f"{FOLDER}/{name}": text for name, text in own.items()}
    return System({**placed, **software(host, core)}, steps, products, board, install)


def software(name: str, core: Core) -> dict[str, str]:
    """The driver of a circuit, and what joins it to a vendor's library, by their paths in the project."""
    top, module = core.top, driver_module(core.top)
    texts = {"predicting.py": template("predicting.py"), "axi_stream_driver.py": template(name)}
    words = json.dumps(dict(zip(("input", "output"), map(_words, core.words), strict=True)))
    joined = {
        key: text.replace("import circuit as net\n", f"import {module} as net\n")
        .replace("@top@", top)
        .replace('"@words@"', repr(words))
        for key, text in texts.items()
    }
    return {f"{EXPORT}/{key}": text for key, text in {f"{module}.py": core.driver, **joined}.items()}


def _words(words: FixedFormat | None) -> dict[str, int | str] | None:
    if words is None:
        return None
    bounds = {"width": words.width, "frac": words.frac, "lo": words.lo, "hi": words.hi}
    return {**bounds, "rounding": words.rounding.value, "overflow": words.overflow.value}


def template(name: str) -> str:
    """The text of a file of ``systems/templates``."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def tcl_settings(title: str, settings: Mapping[str, object]) -> str:
    """Tcl that sets variables: texts, numbers, and lists of texts or of lists."""
    lines = [f"# {title}", *(f"set {name} {_tcl(value)}" for name, value in settings.items())]
    return "\n".join([*lines, ""])


def _tcl(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple | list):
        return f"[list {' '.join(map(_tcl, value))}]" if value else "[list]"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # No text here has a brace or a backslash: names, paths and numbers.
    assert not set(text) & set('{}\\"'), text
    return text if text and not set(text) & set(" \t$[];#") else f"{{{text}}}"
