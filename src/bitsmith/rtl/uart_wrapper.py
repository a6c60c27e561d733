"""The module ``<top>_uart``: ``<top>_axis`` with a serial port, which needs no other pin but a clock."""

from collections.abc import Mapping
from dataclasses import replace

from bitsmith.errors import ConfigError
from bitsmith.rtl.bus_wrappers import Text, connected, of_memories, total
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.library import instance
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.selftest import StoredBytes, selftest
from bitsmith.rtl.stream_ports import StreamPort

_LEAST_CLOCKS_PER_BIT = 4
_LARGEST_BAUD_ERROR_PERCENT = 2  # 8N1 is sampled wrongly when both ends together are off by half a bit in ten


def uart(interface: Interface, clk_hz: int, baud: int, stored: StoredBytes | None = None, *, led: bool = False) -> str:
    """The text of ``<top>_uart``.

    The host sends the tokens of a frame, all of one input before those of the next; those of the outputs come back alike.
    Memories that can be loaded keep their first contents. ``stored`` is the frame of its self-test, which a ``led`` shows.

    Raises:
        ConfigError: ``baud`` cannot be made from ``clk_hz``, or the circuit needs a memory outside.
    """
    if interface.loops:
        raise ConfigError(
            f"a circuit that writes tokens into memory {interface.loops[0].kind.name!r} and reads them back",
            where="serial port",
            accepted="a board with a processor, whose memory it takes",
        )
    clocks = (clk_hz + baud // 2) // baud
    nearest_hz = clocks * baud
    if clocks < _LEAST_CLOCKS_PER_BIT or 100 * abs(clk_hz - nearest_hz) > _LARGEST_BAUD_ERROR_PERCENT * nearest_hz:
        raise ConfigError(
            f"{baud} baud cannot be made from a clock of {clk_hz} Hz",
            where="serial port",
            accepted=f"the clock divided by an integer from {_LEAST_CLOCKS_PER_BIT} up, within {_LARGEST_BAUD_ERROR_PERCENT} %",
        )
    sizes = [port.tokens * token_bytes(port) for port in interface.inputs]
    replies = sum(port.tokens * token_bytes(port) for port in interface.outputs)
    number, number_bits = "in_number" if len(sizes) > 1 else "unused_number", max((sum(sizes) - 1).bit_length(), 1)
    settings = {"CLK_HZ": clk_hz, "BAUD": baud, "FRAME_BYTES": sum(sizes)}
    link = _link(settings, number, number_bits, tested=stored is not None)
    head = Text(
        (
            f"{interface.top} with a serial port of {baud} baud, 8N1, on a clock of {clk_hz} Hz.",
            f"Send the {sum(sizes)} bytes of a frame, the tokens of {Wrapper.AXIS.of(interface.top)}, one input after the other,",
            f"lowest byte first; the {replies} bytes of its results come back alike.",
        ),
        ("input logic clk", "input logic uart_rx", "output logic uart_tx"),
        (
            "logic rst;",
            "logic in_valid;",
            "logic [7:0] in_byte;",
            f"logic [{number_bits - 1}:0] {number};",
            "logic out_valid;",
            "logic out_ready;",
            "logic [7:0] out_byte;",
            *link,
        ),
        (".aclk(clk)", ".aresetn(~rst)"),
    )
    dark = Text(ports=("output logic led",), lines=("assign led = 1'b0;",)) if led else Text()
    text = head + (dark if stored is None else selftest(interface, stored, number, led=led))
    for k, port in enumerate(interface.inputs):
        first = sum(sizes[:k])
        conditions = ["in_valid"]
        if k > 0:
            conditions.append(f"({number} >= {number_bits}'d{first})")
        if k + 1 < len(sizes):
            conditions.append(f"({number} < {number_bits}'d{first + sizes[k]})")
        text += _input(f"in{k}", port, " & ".join(conditions))
    text += of_memories(replace(interface, checked=()))
    text += of_memories(replace(interface, read_back=False, taps=()), "unused_" if stored is None else "")
    text += total(_load(f"load{k}", port) for k, port in enumerate(interface.load_ports))
    # The first output is sent as it comes, the others wait for their turn.
    text += total(_output(f"out{k}", port, 1 if k == 0 else port.tokens) for k, port in enumerate(interface.outputs))
    text += Text(lines=(*_turns(len(interface.outputs)), *_sent(len(interface.inputs), len(interface.outputs))))
    return text.module(interface, Wrapper.UART.of(interface.top), Wrapper.AXIS.of(interface.top))


def _link(settings: Mapping[str, int], number: str, number_bits: int, *, tested: bool) -> tuple[str, ...]:
    """The link, between which and the circuit there is a self-test if it is ``tested``."""
    pins = {name: name for name in ("clk", "uart_rx", "uart_tx", "rst", "out_valid", "out_ready")}
    pins |= {"in_valid": "in_valid", "in_data": "in_byte", "in_number": number, "out_data": "out_byte"}
    pins |= {"examine": "unused_examine", "asked": "unused_asked"}
    wires: tuple[str, ...] = ("logic unused_examine;", "logic unused_asked;")
    if tested:
        pins |= {f"in_{role}": f"host_{role}" for role in ("valid", "data", "number")}
        pins |= {f"out_{role}": f"reply_{role}" for role in ("valid", "ready", "data")}
        pins |= {"examine": "examine", "asked": "asked"}
        single = ("examine", "asked", "host_valid", "reply_valid", "reply_ready")
        wires = (
            *(f"logic {name};" for name in single),
            *(f"logic [7:0] {name}_data;" for name in ("host", "reply")),
            f"logic [{number_bits - 1}:0] host_number;",
        )
    return (*wires, instance("uart_link", "link", settings, pins))


def _input(signal: str, port: StreamPort, mine: str) -> Text:
    """Tokens of the bytes that come while ``mine``."""
    size = token_bytes(port)
    return Text(
        lines=(
            *(f"logic {signal}_{wire};" for wire in ("mine", "pending", "valid", "ready")),
            f"logic [{8 * size - 1}:0] {signal}_data;",
            f"assign {signal}_mine = {mine};",
            f"bitsmith_from_bytes #(.BYTES({size}), .TOKENS({port.tokens})) {signal}_tokens (.clk(clk), .rst(rst),"
            f" .byte_valid({signal}_mine), .byte_data(in_byte), .pending({signal}_pending), .token_valid({signal}_valid),"
            f" .token_ready({signal}_ready), .token_data({signal}_data));",
        ),
        connections=connected(prefix("s_axis", port), f"{signal}_valid", f"{signal}_ready", f"{signal}_data", "1'b0"),
    )


def _load(signal: str, port: StreamPort) -> Text:
    """Weights for a memory: none come."""
    return Text(
        lines=(f"logic unused_{signal}_ready;",),
        connections=connected(
            prefix("s_axis", port), "1'b0", f"unused_{signal}_ready", f"{8 * token_bytes(port)}'d0", "1'b0"
        ),
    )


def _output(signal: str, port: StreamPort, places: int) -> Text:
    """Bytes of its tokens, sent when it is its turn; ``places`` tokens wait for that."""
    size = token_bytes(port)
    return Text(
        lines=(
            *(f"logic {signal}_{wire};" for wire in ("valid", "ready", "turn", "byte_valid", "byte_last")),
            f"logic [{8 * size - 1}:0] {signal}_data;",
            f"logic [7:0] {signal}_byte;",
            f"logic unused_{signal}_tlast;",
            f"bitsmith_to_bytes #(.BYTES({size}), .TOKENS({port.tokens}), .PLACES({places})) {signal}_tokens (.clk(clk),"
            f" .rst(rst), .token_valid({signal}_valid), .token_ready({signal}_ready), .token_data({signal}_data),"
            f" .byte_valid({signal}_byte_valid), .byte_ready(out_ready & out_valid & {signal}_turn), .byte_data({signal}_byte),"
            f" .byte_last({signal}_byte_last));",
        ),
        connections=connected(
            prefix("m_axis", port), f"{signal}_valid", f"{signal}_ready", f"{signal}_data", f"unused_{signal}_tlast"
        ),
    )


def _turns(outputs: int) -> list[str]:
    """Bytes of one output are sent after those of the other."""
    if outputs == 1:
        return ["assign out0_turn = 1'b1;"]
    bits = (outputs - 1).bit_length()
    ends = " | ".join(f"(out{k}_turn & out{k}_byte_valid & out{k}_byte_last)" for k in range(outputs))
    return [
        f"logic [{bits - 1}:0] turn;",
        *(f"assign out{k}_turn = turn == {bits}'d{k};" for k in range(outputs)),
        "always_ff @(posedge clk) begin",
        "  if (rst) turn <= '0;",
        f"  else if (out_valid & out_ready & ({ends})) turn <= turn == {bits}'d{outputs - 1} ? '0 : turn + 1'b1;",
        "end",
    ]


def _sent(inputs: int, outputs: int) -> list[str]:
    """The byte that is sent."""
    pending = " | ".join(f"in{k}_pending" for k in range(inputs))
    held = f"out{outputs - 1}_turn & out{outputs - 1}_byte_last & ({pending})"
    some = " | ".join(f"(out{k}_turn & out{k}_byte_valid)" for k in range(outputs))
    return [
        "// The host sends the next frame when it has the last byte: by then there must be room for it.",
        f"assign out_valid = ({some}) & ~({held});",
        f"assign out_byte = {' | '.join(f'({{8{{out{k}_turn}}}} & out{k}_byte)' for k in range(outputs))};",
    ]
