"""The schema of a board's file; apart from `board`, since pydantic takes a tenth of a second to import."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

_Name = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\z")]
_Word = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_]{1,16}\z")]


class _Table(BaseModel, strict=True, extra="forbid"):
    """Known keys alone, each of its own type."""


class Pins(_Table):
    """Sites of the ports of `<top>_uart`."""

    clk: _Word
    uart_rx: _Word
    uart_tx: _Word
    led: _Word | None = None
    """A light that is on where the port is high; it shows that the self-test passed."""


_Clock = Annotated[int, Field(ge=1_000_000, le=1_000_000_000)]
_Dotted = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\z")]
_Setting = Annotated[str, Field(pattern=r"\A(MEM|TIMING_BOARD)_[A-Z0-9_]{1,48}\z")]
_Said = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ./]{0,31}\z")] | Annotated[float, Field(ge=-1e6, le=1e6)]
_Dotteds = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 _.:-]{0,255}\z")]


_Command = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}( [A-Za-z0-9_.,:=/+-]{1,64}){0,8}\z")]
"""A program and its arguments: words that mean nothing else to any shell."""


class BoardFile(_Table):
    """The schema of the file of a board with a serial port."""

    name: _Name
    part: _Name
    clock_hz: _Clock
    io_standard: _Word
    load: Annotated[list[_Command], Field(min_length=1, max_length=8)]
    """Commands that load a bitstream, whose path follows as the last word of each."""
    pins: Pins


class ZynqTable(_Table):
    """An AMD board with a processing system."""

    processor: Literal["zynq", "zynq_ultrascale"]
    board_part: _Dotted
    connections: _Dotteds | None = None


class CardTable(_Table):
    """An accelerator card of AMD."""

    platform: _Dotted
    memory: Literal["DDR", "HBM"]
    banks: Annotated[int, Field(ge=1, le=64)]


class SocFpgaTable(_Table):
    """An Intel board with a hard processor system."""

    family: _Name
    clock: _Word
    clock_hz: _Clock
    io_standard: _Name
    memory: Annotated[dict[_Setting, _Said], Field(max_length=64)] = {}


class SystemFile(_Table):
    """The schema of the file of a board with a processor or in a host: one of the tables."""

    name: _Name
    part: _Name
    zynq: ZynqTable | None = None
    card: CardTable | None = None
    soc_fpga: SocFpgaTable | None = None
