"""The self-test of a board by the drivers in a project, on the machine that the board is in, or at its serial port."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from bitsmith.errors import ProjectError
from bitsmith.systems.system import EXPORT

_HOST = "axi_stream_driver"
_BAUD, _PATIENCE_S = 115_200, 5.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The fault of a board (the kind of a ``SelftestError``; empty if there is none), and what the driver says."""

    fault: str
    said: str


def examine_board(project: Path, port: str | None) -> Diagnosis:
    """Run the self-test of the board of ``project``, which is at the serial ``port`` if it has no processor.

    Raises:
        ProjectError: no driver in the project, no library for the board, or no such port.
    """
    export, drivers = project / EXPORT, sorted((project / "driver").glob("*.py"))
    if port is None and (export / f"{_HOST}.py").is_file():
        with _imported(export, _HOST) as (host,):
            return Diagnosis(*cast("tuple[str, str]", host.diagnose()))
    if len(drivers) != 1:
        remedy = "bitsmith build DIR writes the drivers of a circuit in SystemVerilog"
        raise ProjectError("no driver of a board in it", where=str(project), remedy=remedy)
    if port is None:
        remedy = "say at which port it is, such as --port /dev/ttyUSB0"
        raise ProjectError("a circuit that is reached by a serial port", where=str(project), remedy=remedy)
    with _imported(drivers[0].parent, drivers[0].stem, "serial") as (net, serial):
        try:
            line = serial.Serial(port, _BAUD, timeout=_PATIENCE_S)
        except OSError as error:
            raise ProjectError(f"cannot be opened: {error}", where=port) from error
        try:
            port_of = net.Serial(line.read, line.write, line.send_break, lambda share: _set_rate(line, share))
            found = net.diagnose(lambda: (port_of, None))
        finally:
            line.close()
        return Diagnosis(*cast("tuple[str, str]", found))


def _set_rate(line: Any, share: float) -> None:
    line.baudrate = round(_BAUD * share)


@contextmanager
def _imported(folder: Path, *names: str) -> Iterator[Sequence[ModuleType]]:
    """Import modules of ``folder``, none of which stay, or what is installed."""
    beside = {path.stem for path in folder.glob("*.py")}
    sys.path.insert(0, str(folder.resolve()))
    try:
        for stem in beside:
            sys.modules.pop(stem, None)
        yield [_module(name, folder) for name in names]
    finally:
        sys.path.remove(str(folder.resolve()))
        for stem in beside:
            sys.modules.pop(stem, None)


def _module(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        elsewhere = f"copy the folder to the machine that the board is in, and run there: python3 {_HOST}.py"
        raise ProjectError(
            f"this machine has no package {error.name}, by which it would reach the board",
            where=str(folder),
            remedy="pip install pyserial" if error.name == "serial" else elsewhere,
        ) from None
