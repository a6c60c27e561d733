"""The schema of a board's file; apart from `board`, since pydantic takes a tenth of a second to import."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Name = Annotated[str, Field(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\z")]
_Word = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_]{1,16}\z")]


class Pins(BaseModel):
    """Sites of the ports of `<top>_uart`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    clk: _Word
    uart_rx: _Word
    uart_tx: _Word


class BoardFile(BaseModel):
    """The schema of a board's file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: _Name
    part: _Name
    clock_hz: Annotated[int, Field(ge=1_000_000, le=1_000_000_000)]
    io_standard: _Word
    pins: Pins
