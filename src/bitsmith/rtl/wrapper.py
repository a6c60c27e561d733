"""Tops around a generated core: AXI4-Stream ports, or a serial port for bringing it up on a board.

Each function returns the text of one module that joins the core to a hand-written module of ``rtl/lib``; the files that
it needs besides the core's are those of `AXI_STREAM_LIBRARY` or `UART_LIBRARY`, read with `library`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bitsmith.errors import ConfigError

AXI_STREAM_LIBRARY = ("bitsmith_fifo.sv", "bitsmith_axis.sv")
UART_LIBRARY = ("bitsmith_uart_rx.sv", "bitsmith_uart_tx.sv", "bitsmith_uart_shell.sv")
STREAM_LIBRARY = (
    *("bitsmith_queue.sv", "bitsmith_split.sv", "bitsmith_gather.sv", "bitsmith_reduce.sv", "bitsmith_fold.sv"),
    *("bitsmith_delay.sv", "bitsmith_window.sv", "bitsmith_window_axis.sv", "bitsmith_order.sv", "bitsmith_reorder.sv"),
    *("bitsmith_merge.sv", "bitsmith_scan.sv", "bitsmith_source.sv"),
)
"""Processes that pass tokens, and the queues between them."""

_LIBRARY = Path(__file__).parent / "lib"
_TEMPLATES = Path(__file__).parent / "wrappers"
_LEAST_CLOCKS_PER_BIT = 4
_LARGEST_BAUD_ERROR = 0.02  # 8N1 is sampled wrongly when both ends together are off by half a bit in ten


def library(names: Sequence[str] = (*AXI_STREAM_LIBRARY, *UART_LIBRARY)) -> Mapping[str, str]:
    """Hand-written modules, those of the shells unless named: file name -> text."""
    return {name: (_LIBRARY / name).read_text() for name in names}


def axi_stream_name(top: str) -> str:
    """The module name, and file name without suffix, of the AXI4-Stream wrapper of ``top``."""
    return f"{top}_axis"


def uart_shell_name(top: str) -> str:
    """The module name, and file name without suffix, of the serial shell of ``top``."""
    return f"{top}_uart"


def axi_stream(top: str, in_width: int, out_width: int, latency: int) -> str:
    """The module ``<top>_axis``: the core ``top`` with AXI4-Stream ports, one transfer for one sample.

    Args:
        in_width, out_width: bits of the core's ``in_data`` and ``out_data``; TDATA is padded to whole bytes.
        latency: the core's, in cycles.
    """
    return _fill(
        "axis.sv",
        name=axi_stream_name(top),
        top=top,
        in_width=in_width,
        out_width=out_width,
        latency=latency,
        in_tdata=_padded(in_width),
        out_tdata=_padded(out_width),
    )


def uart_shell(top: str, in_width: int, out_width: int, clk_hz: int, baud: int) -> str:
    """The module ``<top>_uart``: the core ``top`` behind a serial port, no other pin but ``clk``.

    Raises:
        ConfigError: ``baud`` cannot be made from ``clk_hz``.
    """
    clocks = (clk_hz + baud // 2) // baud
    if clocks < _LEAST_CLOCKS_PER_BIT or abs(clk_hz / (clocks * baud) - 1) > _LARGEST_BAUD_ERROR:
        raise ConfigError(
            f"{baud} baud cannot be made from a clock of {clk_hz} Hz",
            where="serial shell",
            accepted=f"the clock divided by a whole number from {_LEAST_CLOCKS_PER_BIT} up, within {_LARGEST_BAUD_ERROR:.0%}",
        )
    return _fill(
        "uart.sv",
        name=uart_shell_name(top),
        top=top,
        in_width=in_width,
        out_width=out_width,
        in_bytes=_padded(in_width) // 8,
        out_bytes=_padded(out_width) // 8,
        clk_hz=clk_hz,
        baud=baud,
    )


def _padded(width: int) -> int:
    return 8 * -(-width // 8)


def _fill(template: str, **values: str | int) -> str:
    """A template of ``rtl/wrappers`` with each ``@key@`` replaced."""
    text = (_TEMPLATES / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text
