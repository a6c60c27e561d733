"""The hand-written modules of ``rtl/lib``, read with `library`."""

from collections.abc import Mapping, Sequence

from bitsmith.rtl.names import LIBRARY
from bitsmith.rtl.tables import RAM_IN_LOGIC

AXI_STREAM_LIBRARY = ("bitsmith_fifo.sv", "bitsmith_ram.sv", "bitsmith_axis.sv")
CONTROL_LIBRARY = ("bitsmith_framer.sv", "bitsmith_control.sv")
COUNTERS_LIBRARY = ("bitsmith_counters.sv",)
KERNEL_LIBRARY = (*CONTROL_LIBRARY, "bitsmith_commands.sv")
AVALON_LIBRARY = ("bitsmith_framer.sv", "bitsmith_symbols.sv")
BENCH_LIBRARY = tuple(dict.fromkeys((*CONTROL_LIBRARY, *AVALON_LIBRARY)))
"""All modules of the wrappers that the bench for cocotb knows."""
UART_LIBRARY = (
    *("bitsmith_uart_rx.sv", "bitsmith_uart_tx.sv", "bitsmith_uart_link.sv", "bitsmith_selftest.sv"),
    *("bitsmith_framer.sv", "bitsmith_fifo.sv", "bitsmith_ram.sv", "bitsmith_from_bytes.sv", "bitsmith_to_bytes.sv"),
)
PROTECTION_LIBRARY = ("bitsmith_encode.sv", "bitsmith_decode.sv")
FAULTS_LIBRARY = ("bitsmith_faults.sv",)
TERNARY_LIBRARY = ("bitsmith_ternary_adder.sv",)
RANGES_LIBRARY = ("bitsmith_range.sv",)
BEATS_LIBRARY = ("bitsmith_beats_in.sv", "bitsmith_beats_out.sv")
CLOCK_LIBRARY = ("bitsmith_async_fifo.sv", "bitsmith_reset_sync.sv")
MEMORY_LIBRARY = (
    *("bitsmith_fifo.sv", "bitsmith_ram.sv"),
    *("bitsmith_memory_read.sv", "bitsmith_memory_write.sv", "bitsmith_memory_control.sv"),
)
SPANS_LIBRARY = ("bitsmith_memory_spans.sv", "bitsmith_memory_fill.sv", "bitsmith_memory_walk.sv")
WRAPPER_LIBRARY = tuple(
    dict.fromkeys((*AXI_STREAM_LIBRARY, *CONTROL_LIBRARY, *AVALON_LIBRARY, *UART_LIBRARY, *CLOCK_LIBRARY))
)
"""All modules of wrappers: around a pipeline `AXI_STREAM_LIBRARY`, and those of the wrapper itself."""
STREAM_LIBRARY = (
    *("bitsmith_fifo.sv", "bitsmith_ram.sv", "bitsmith_single_port_fifo.sv", "bitsmith_register_slice.sv"),
    *("bitsmith_downsizer.sv", "bitsmith_upsizer.sv", "bitsmith_reduce.sv"),
    *("bitsmith_folded_product.sv", "bitsmith_product_factors.sv", "bitsmith_chained_product.sv"),
    *("bitsmith_delay.sv", "bitsmith_window.sv", "bitsmith_window_axis.sv", "bitsmith_actions.sv"),
    *("bitsmith_order.sv", "bitsmith_reorder.sv", "bitsmith_replay.sv"),
    *("bitsmith_sweep.sv", "bitsmith_sweep_axis.sv"),
    *("bitsmith_engine.sv", "bitsmith_engine_steps.sv", "bitsmith_engine_addresses.sv", "bitsmith_engine_writes.sv"),
    *("bitsmith_engine_axis.sv", "bitsmith_engine_count.sv", "bitsmith_engine_walk.sv"),
    *("bitsmith_engine_parts.sv", "bitsmith_engine_beside.sv", "bitsmith_engine_memory.sv"),
    *("bitsmith_engine_rows.sv", "bitsmith_engine_lanes.sv", "bitsmith_engine_held.sv"),
    *("bitsmith_interleave.sv", "bitsmith_scan.sv", "bitsmith_feedback.sv", "bitsmith_rom.sv", "bitsmith_load.sv"),
    *("bitsmith_read_back.sv", *PROTECTION_LIBRARY),
)
"""Processes that pass tokens, and the FIFOs between them."""

_BLOCKS_ARE_ALLOWED, _ALL_IN_LOGIC = "parameter bit LOGIC = 1'b0", "parameter bit LOGIC = 1'b1"


def library(names: Sequence[str] = WRAPPER_LIBRARY, in_logic: str = "") -> Mapping[str, str]:
    """Hand-written modules, those of the wrappers unless named: file name -> text.

    With attributes ``in_logic``, which memories have then, nothing is block memory.
    """
    texts = {name: (LIBRARY / name).read_text(encoding="utf-8") for name in names}
    if not in_logic:
        return texts
    return {
        name: text.replace(_BLOCKS_ARE_ALLOWED, _ALL_IN_LOGIC).replace(RAM_IN_LOGIC, in_logic)
        for name, text in texts.items()
    }


def instance(module: str, name: str, parameters: Mapping[str, int | str], pins: Mapping[str, str]) -> str:
    """An instance of the hand-written ``bitsmith_<module>``."""
    settings, connections = (
        ", ".join(f".{key}({value})" for key, value in pairs.items()) for pairs in (parameters, pins)
    )
    return f"bitsmith_{module} #({settings}) {name} ({connections});"
