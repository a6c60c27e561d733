"""Writes processes at the boundary of a streaming top: inputs, weights, outputs, and what lies in a memory outside."""

from bitsmith.dataflow import kinds
from bitsmith.rtl.design import TAP
from bitsmith.rtl.process_text import ProcessText
from bitsmith.rtl.stream_ports import LoopPort, StreamPort, WeightImage, WeightPort
from bitsmith.rtl.stream_top import ALWAYS
from bitsmith.rtl.tokens import fields


def write_source(process: ProcessText, kind: kinds.Source) -> None:
    top, stream = process.top, process.process.results[0]
    port = top.stream_port(kind.name, fields(kind.name, stream.token), stream.tokens)
    if kind.loaded:
        top.weights.append(WeightPort(port, kind.loaded))
    elif kind.stored:
        top.images.append(WeightImage(port, kind.stored))
    else:
        top.inputs.append(port)
    _comes_in(process, port)


def _comes_in(process: ProcessText, port: StreamPort) -> None:
    """The result is what comes through ``port``."""
    y = process.y[0]
    process.say(
        f"assign {port.name}_ready = {y.free} & ~{process.top.reset};",
        f"assign {y.claim} = {port.name}_valid & {port.name}_ready;",
        f"assign {y.put} = {y.claim};",
        f"assign {y.data} = {port.name}_data;",
    )


def write_sink(process: ProcessText, kind: kinds.Sink) -> None:
    top, x, stream = process.top, process.x[0], process.process.takes[0]
    if kind.name.startswith(TAP):
        process.say(f"assign {x.take} = {x.valid};")
        top.tap(kind.name.removeprefix(TAP), stream, x.valid, x.data)
        return
    port = top.stream_port(kind.name, fields(kind.name, stream.token), stream.tokens, is_output=True)
    top.outputs.append(port)
    _goes_out(process, port, x.data)


def _goes_out(process: ProcessText, port: StreamPort, data: str) -> None:
    """The operand's tokens, with such bits, leave through ``port``."""
    top, x, name = process.top, process.x[0], port.name
    process.say(
        f"assign {name}_valid = {x.valid};",
        f"assign {x.take} = {name}_valid & {name}_ready;",
        f"assign {name}_data = {data};",
    )
    if port.tokens == 1:
        process.say(f"assign {name}_last = {ALWAYS};")
        return
    width = (port.tokens - 1).bit_length()
    count = process.word("count", width)
    process.say(
        f"assign {name}_last = {count} == {width}'d{port.tokens - 1};",
        "always_ff @(posedge clk) begin",
        f"  if ({top.reset}) {count} <= '0;",
        f"  else if ({x.take}) {count} <= {name}_last ? '0 : {count} + 1'b1;",
        "end",
    )


def write_outside(process: ProcessText, kind: kinds.Outside) -> None:
    top, back = process.top, process.process.results[0]
    elements = fields(kind.name, back.token)
    out_port = top.stream_port(f"{kind.name}_out", elements, process.process.takes[0].tokens, is_output=True)
    back_port = top.stream_port(f"{kind.name}_back", elements, back.tokens)
    top.loops.append(LoopPort(out_port, back_port, kind))
    _goes_out(process, out_port, process.prepared("x", process.gives[0]))
    _comes_in(process, back_port)
