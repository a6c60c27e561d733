"""Writes a network of processes as SystemVerilog: cores of the token functions, modules of ``rtl/lib``, and FIFOs between.

The top's ports, per input and output of the program: ``<name>_valid``, ``<name>_ready``, ``<name>_data`` (one token), and
``<name>_last`` of outputs, with the last token of a frame; ``clk`` and ``rst`` (synchronous, active high). Weights that come
with each frame have ports as inputs have. A memory that can be loaded has ports ``<layer>_<tensor>_load_...`` for its elements;
from the first to the last of them everything else is held in reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from bitsmith.dataflow import processes as kinds
from bitsmith.dataflow.processes import Network, Process, kind_name, period, union_type
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.timing import REDUCE_LATENCY, is_monotone, product_latency, timing
from bitsmith.devices.delay import DelayModel
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.mapping.multipliers import Pairs, multipliers
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.names import identifier
from bitsmith.rtl.stream_ports import StreamDesign, StreamPort, WeightPort
from bitsmith.rtl.stream_top import StreamTop
from bitsmith.rtl.tokens import Element, Layout, bits, converted, fields, fields_layout, layout, uniform
from bitsmith.rtl.writer import Title, write


def lay_out(network: Network, delays: DelayModel, budget_ns: float, top: str, title: Title) -> StreamDesign:
    """The hardware of ``network``, its token functions pipelined for stages of ``budget_ns``."""
    top = identifier(top)
    cores: dict[int, RtlDesign] = {}
    over_budget = 0
    for number, process in enumerate(network.processes):
        program = _core_program(process)
        if program is not None:
            netlist = reduce_widths(elaborate(program))
            stages = pipeline(netlist, delays, budget_ns)
            over_budget += len(stages.over_budget)
            cores[number] = write(netlist, stages, f"{top}_core{number}", title)
    latencies = {number: core.latency for number, core in cores.items()}
    for number, process in enumerate(network.processes):
        if isinstance(process.kind, kinds.FoldedProduct):
            latencies[number] = product_latency(int(process.kind.weights.shape[2]))
        elif isinstance(process.kind, kinds.Reduce):
            latencies[number] = REDUCE_LATENCY
    plan = schedule(network, latencies)
    text = StreamTop(network, cores, plan, delays.block, delays.memory, top, title, over_budget)
    for number, process in enumerate(network.processes):
        _process(text, number, process)
    return text.design()


def _core_program(process: Process) -> Program | None:
    match process.kind:
        case kinds.Map():
            return process.kind.program
        case kinds.Scan():
            return process.kind.body
        case _:
            return None


def _process(top: StreamTop, number: int, process: Process) -> None:
    about = f" ({', '.join(' '.join(layer.split()) for layer in process.layers)})" if process.layers else ""
    top.say("", f"// {number}: {kind_name(process.kind)}{about}")
    top.fifos(number, process)
    for port, stream in enumerate(process.results):
        top.result(number, port, layout(stream.token))
    kind = process.kind
    match kind:
        case kinds.Source():
            _source(top, number, kind, process)
        case kinds.Sink():
            _sink(top, number, kind, process)
        case kinds.Rom():
            _rom(top, number, kind, process)
        case kinds.Map():
            _map(top, number, kind, process)
        case kinds.FoldedProduct():
            _folded_product(top, number, kind, process)
        case kinds.Window():
            _window(top, number, kind, process)
        case kinds.Reduce():
            _reduce(top, number, kind, process)
        case kinds.WidthConverter():
            _width_converter(top, number, kind, process)
        case kinds.Reorder():
            _reorder(top, number, kind, process)
        case kinds.Interleave():
            _interleave(top, number, kind, process)
        case kinds.Scan():
            _scan(top, number, kind, process)
        case _:
            assert_never(kind)


def _source(top: StreamTop, number: int, kind: kinds.Source, process: Process) -> None:
    name = top.names.unique(identifier(kind.name))
    stream = process.results[0]
    port = StreamPort(name, fields(kind.name, stream.token), stream.tokens)
    if kind.loaded:
        top.weights.append(WeightPort(port, kind.loaded))
    else:
        top.inputs.append(port)
    top.ports += [
        f"input logic {name}_valid",
        f"output logic {name}_ready",
        f"input logic [{port.width - 1}:0] {name}_data",
    ]
    y = f"p{number}_y0"
    top.say(
        f"assign {name}_ready = {y}_free & ~{top.reset};",
        f"assign {y}_claim = {name}_valid & {name}_ready;",
        f"assign {y}_put = {y}_claim;",
        f"assign {y}_data = {name}_data;",
    )


def _sink(top: StreamTop, number: int, kind: kinds.Sink, process: Process) -> None:
    name = top.names.unique(identifier(kind.name))
    stream = process.takes[0]
    port = StreamPort(name, fields(kind.name, stream.token), stream.tokens)
    top.outputs.append(port)
    top.ports += [
        f"output logic {name}_valid",
        f"input logic {name}_ready",
        f"output logic [{port.width - 1}:0] {name}_data",
        f"output logic {name}_last",
    ]
    x = f"p{number}_x0"
    top.say(
        f"assign {name}_valid = {x}_valid;",
        f"assign {x}_take = {name}_valid & {name}_ready;",
        f"assign {name}_data = {x}_data;",
    )
    if stream.tokens == 1:
        top.say(f"assign {name}_last = 1'b1;")
        return
    width = (stream.tokens - 1).bit_length()
    top.word(f"p{number}_count", width)
    top.say(
        f"assign {name}_last = p{number}_count == {width}'d{stream.tokens - 1};",
        "always_ff @(posedge clk) begin",
        f"  if ({top.reset}) p{number}_count <= '0;",
        f"  else if ({x}_take) p{number}_count <= {name}_last ? '0 : p{number}_count + 1'b1;",
        "end",
    )


def _rom(top: StreamTop, number: int, kind: kinds.Rom, process: Process) -> None:
    stream = process.results[0]
    width = bits(layout(stream.token))
    rows = kind.words.reshape(len(kind.words), -1)
    values = [_packed(token, layout(stream.token)) for token in rows]
    if kind.loaded:
        address, unused = f"p{number}_next_index", f"unused_p{number}_index"
        for word in (address, unused):
            top.word(word, max((len(rows) - 1).bit_length(), 1))
        ports = {"next_index": address, "index": unused}
        table = top.loadable(f"p{number}_values", address, values, kind.loaded, fields(kind.loaded.name, stream.token))
    else:
        ports, table = top.looked_up(number, "values", width, values)
    y = f"p{number}_y0"
    top.instance(
        "rom",
        f"p{number}",
        {"WIDTH": width, "TOKENS": len(rows)},
        {
            **ports,
            "table_data": table,
            "y_free": f"{y}_free",
            "y_claim": f"{y}_claim",
            "y_put": f"{y}_put",
            "y_data": f"{y}_data",
        },
    )


def _map(top: StreamTop, number: int, kind: kinds.Map, process: Process) -> None:
    fire = f"p{number}_fire"
    top.wire(fire, 1)
    operands = [f"p{number}_x{k}" for k in range(len(process.args))]
    results = [f"p{number}_y{k}" for k in range(len(process.results))]
    top.say(f"assign {fire} = {' & '.join([*(f'{x}_valid' for x in operands), *(f'{y}_free' for y in results)])};")
    top.say(*(f"assign {x}_take = {fire};" for x in operands))
    data = f"{{{', '.join(f'{x}_data' for x in reversed(operands))}}}" if operands else "'0"
    outputs = top.core(number, kind.program, fire, data)
    for y, stream, (have, low) in zip(results, process.results, outputs, strict=True):
        top.say(
            f"assign {y}_claim = {fire};",
            f"assign {y}_put = p{number}_done;",
            f"assign {y}_data = {converted(f'p{number}_out', have, layout(stream.token), low)};",
        )


def _folded_product(top: StreamTop, number: int, kind: kinds.FoldedProduct, process: Process) -> None:
    groups, steps, n, m = kind.weights.shape
    lanes = process.takes[0].token.shape[0]
    have = layout(process.takes[0].token)
    each = union_type(process.takes[0].token, 1)
    wanted = [element for _ in range(lanes) for element in layout(each)]
    signed = any(element.signed for element in wanted)
    x_width = uniform(wanted)[0].width if signed else max(max(element.width for element in wanted), 1)
    operand = [Element(x_width, signed, element.frac) for element in wanted]
    x = top.prepared(f"p{number}_x", f"p{number}_x0_data", have, operand)
    made = multipliers(kind, process.takes[0].token, process.results[0].token, top.block)
    w_width = made.weight
    elements = fields(kind.loaded.name, kind.loaded.token((n, m))) if kind.loaded else ()
    want = layout(process.results[0].token)
    results = uniform(want)
    y_width = results[0].width
    address_bits = max((groups * steps - 1).bit_length(), 1)
    top.word(f"p{number}_address", address_bits)
    tiles = kind.weights.reshape(groups * steps, n * m)
    if kind.loaded:
        stored = fields_layout(elements)
        words = [_packed(tile, stored) for tile in tiles]
        memory = top.loadable(f"p{number}_stored", f"p{number}_address", words, kind.loaded, elements)
        table = top.prepared(f"p{number}_weights", memory, stored, uniform(stored))
    else:
        values = [_packed_signed([int(w) for w in tile.ravel()], w_width) for tile in tiles]
        table = top.table(
            f"p{number}_weights", f"p{number}_address", n * m * w_width, values, address_bits, clocked=True
        )
    top.word(f"p{number}_y", bits(results))
    top.instance(
        "folded_product",
        f"p{number}",
        {
            "LANES": lanes,
            "N": n,
            "M": m,
            "X_WIDTH": x_width,
            "X_SIGNED": int(signed),
            "W_WIDTH": w_width,
            "P_WIDTH": made.product,
            "LANE_PAIRS": int(made.pairs is Pairs.LANES),
            "COLUMN_PAIRS": int(made.pairs is Pairs.COLUMNS),
            "PACKED_WIDTH": made.packed,
            "Y_WIDTH": y_width,
            "STEPS": steps,
            "GROUPS": groups,
        },
        {**top.standard(number, x, f"p{number}_y"), "rom_address": f"p{number}_address", "rom_data": table},
    )
    top.converted(number, results, want)


def _window(top: StreamTop, number: int, kind: kinds.Window, process: Process) -> None:
    taken, given = process.takes[0], process.results[0]
    rank, taps = len(kind.op.size), int(np.prod(kind.op.size))
    want = layout(given.token)[: len(layout(given.token)) // taps]
    x = top.prepared(f"p{number}_x", f"p{number}_x0_data", layout(taken.token), want)
    parameters = {"WIDTH": bits(want)}
    for axis in range(3):
        inner = axis - (3 - rank)
        before, after = kind.op.padding[inner] if inner >= 0 else (0, 0)
        values = {
            "SIZE": taken.grid[inner] if inner >= 0 else 1,
            "TAPS": kind.op.size[inner] if inner >= 0 else 1,
            "STRIDE": kind.op.stride[inner] if inner >= 0 else 1,
            "DILATION": kind.op.dilation[inner] if inner >= 0 else 1,
            "BEFORE": before,
            "AFTER": after,
        }
        parameters |= {f"{key}_{axis}": value for key, value in values.items()}
    top.holds(f"p{number}_lines", process, bits(want))
    top.instance("window", f"p{number}_lines", parameters, top.standard(number, x))


def _reduce(top: StreamTop, number: int, kind: kinds.Reduce, process: Process) -> None:
    want = layout(process.results[0].token)
    inner = uniform(want)
    x = top.prepared(f"p{number}_x", f"p{number}_x0_data", layout(process.takes[0].token), inner)
    top.word(f"p{number}_y", bits(inner))
    parameters = {
        "COUNT": kind.count,
        "ELEMENTS": len(inner),
        "WIDTH": inner[0].width,
        "GREATEST": int(isinstance(kind.op, ops.AMax)),
    }
    top.instance("reduce", f"p{number}", parameters, top.standard(number, x, f"p{number}_y"))
    top.converted(number, inner, want)


def _width_converter(top: StreamTop, number: int, kind: kinds.WidthConverter, process: Process) -> None:
    have, want = layout(process.takes[0].token), layout(process.results[0].token)
    if len(have) < len(want):
        parts = len(want) // len(have)
        top.instance("upsizer", f"p{number}", {"PARTS": parts, "WIDTH": bits(have)}, top.standard(number))
        return
    parts = len(have) // len(want)
    x = top.prepared(f"p{number}_x", f"p{number}_x0_data", have, want * parts)
    top.instance(
        "downsizer", f"p{number}", {"PARTS": parts, "TIMES": kind.times, "WIDTH": bits(want)}, top.standard(number, x)
    )


def _reorder(top: StreamTop, number: int, kind: kinds.Reorder, process: Process) -> None:
    want = layout(process.results[0].token)
    x = top.prepared(f"p{number}_x", f"p{number}_x0_data", layout(process.takes[0].token), want)
    tokens = process.takes[0].tokens
    sequencer = timing(process, 0).sequencers[-1]
    actions = sequencer.actions
    before = np.concatenate([[0], sequencer.takes[0][:-1]])
    takes = sequencer.takes[0] - before
    if is_monotone(kind.source):
        gives = np.diff(sequencer.fills[0], prepend=0)
        needs = (sequencer.needs[0] > before).astype(np.int64)
        flags = [int(n | t << 1 | g << 2) for n, t, g in zip(needs, takes, gives, strict=True)]
        flags = flags[: period(np.array(flags))]
        ports, table = top.looked_up(number, "flags", 3, flags)
        ports = {**top.standard(number, x), **ports, "flags": table}
        top.instance("order", f"p{number}", {"ACTIONS": len(flags), "WIDTH": bits(want)}, ports)
        return
    depth = top.plan.depth(number, -1)
    address_bits, count_bits = max((depth - 1).bit_length(), 1), depth.bit_length()
    rows = [
        max(int(place), 0) % (1 << address_bits)
        | int(place < 0) << address_bits
        | int(need) << (address_bits + 1)
        | int(take) << (address_bits + 1 + count_bits)
        for place, need, take in zip(kind.source, sequencer.needs[0] - before, takes, strict=True)
    ]
    width = address_bits + 1 + 2 * count_bits
    ports, table = top.looked_up(number, "reads", width, rows)
    ports |= {
        "address": f"{table}[{address_bits - 1}:0]",
        "zero": f"{table}[{address_bits}]",
        "needed": f"{table}[{address_bits + count_bits}:{address_bits + 1}]",
        "freed": f"{table}[{width - 1}:{address_bits + count_bits + 1}]",
    }
    parameters = {"WIDTH": bits(want), "DEPTH": depth, "TOKENS": tokens, "READS": actions}
    top.holds(f"p{number}_buffer", process, bits(want))
    top.instance("reorder", f"p{number}_buffer", parameters, {**top.standard(number, x), **ports})


def _interleave(top: StreamTop, number: int, kind: kinds.Interleave, process: Process) -> None:
    operands = len(process.args)
    want = layout(process.results[0].token)
    # What comes may be known to lie in less than the result holds.
    words = [
        top.prepared(f"p{number}_in{k}", f"p{number}_x{k}_data", layout(stream.token), want)
        for k, stream in enumerate(process.takes)
    ]
    which = max((operands - 1).bit_length(), 1)
    source = kind.source[: period(kind.source)]
    index, table = top.looked_up(number, "which", which, [int(k) for k in source])
    joined = {
        f"x_{signal}": f"{{{', '.join(f'p{number}_x{k}_{signal}' for k in reversed(range(operands)))}}}"
        for signal in ("valid", "take")
    }
    joined["x_data"] = f"{{{', '.join(reversed(words))}}}"
    ports = {**top.standard(number), **joined, **index, "which": table}
    parameters = {"OPERANDS": operands, "WIDTH": bits(want), "ACTIONS": len(source)}
    top.instance("interleave", f"p{number}", parameters, ports)


def _scan(top: StreamTop, number: int, kind: kinds.Scan, process: Process) -> None:
    # What comes may be known to lie in less than the body's inputs hold.
    declared = [layout(kind.body.nodes[index].type) for index in kind.body.inputs]
    for k, (stream, want) in enumerate(zip(process.takes, declared, strict=True)):
        top.prepared(f"p{number}_in{k}", f"p{number}_x{k}_data", layout(stream.token), want)
    states = declared[: kind.states]
    state_bits = max(bits([element for state in states for element in state]), 1)
    initial, items = range(kind.states), range(kind.states, len(process.args))

    def joined(operands: Sequence[int], signal: str, junction: str) -> str:
        return junction.join(f"p{number}_x{k}_{signal}" for k in operands)

    def words(operands: Sequence[int]) -> list[str]:
        """The operands' words, the first in the lowest bits."""
        return [f"p{number}_in{k}" for k in reversed(operands)]

    for name in ("start_take", "item_take", "core_valid"):
        top.wire(f"p{number}_{name}", 1)
    for name in ("state", "next"):
        top.word(f"p{number}_{name}", state_bits)
    top.say(*(f"assign p{number}_x{k}_take = p{number}_start_take;" for k in initial))
    top.say(*(f"assign p{number}_x{k}_take = p{number}_item_take;" for k in items))
    data = ", ".join([*words(items), *([f"p{number}_state"] if words(initial) else [])])
    outputs = top.core(number, kind.body, f"p{number}_core_valid", f"{{{data}}}")
    following = [
        converted(f"p{number}_out", have, want, low) for (have, low), want in zip(outputs[:-1], states, strict=True)
    ]
    top.say(
        f"assign p{number}_next = {{{', '.join(reversed(following))}}};"
        if following
        else f"assign p{number}_next = '0;"
    )
    have, low = outputs[-1]
    y = f"p{number}_y0"
    top.say(f"assign {y}_data = {converted(f'p{number}_out', have, layout(process.results[0].token), low)};")
    starts = ", ".join(words(initial))
    ports = {
        "initial_valid": joined(initial, "valid", " & ") or "1'b1",
        "initial_data": f"{{{starts}}}" if starts else "'0",
        "initial_take": f"p{number}_start_take",
        "x_valid": joined(items, "valid", " & ") or "1'b1",
        "x_take": f"p{number}_item_take",
        "core_valid": f"p{number}_core_valid",
        "core_states": f"p{number}_state",
        "core_answers": f"p{number}_done",
        "next_states": f"p{number}_next",
        **{signal: f"{y}_{signal.removeprefix('y_')}" for signal in ("y_free", "y_claim", "y_put")},
    }
    top.instance("scan", f"p{number}", {"STEPS": kind.steps, "STATES_WIDTH": state_bits}, ports)


def _packed(values: Ints, elements: Layout) -> int:
    """Raw values as the bits of a token."""
    word, low = 0, 0
    for value, element in zip(values.tolist(), elements, strict=True):
        word |= (int(value) & ((1 << element.width) - 1)) << low
        low += element.width
    return word


def _packed_signed(values: Sequence[int], width: int) -> int:
    word = 0
    for k, value in enumerate(values):
        word |= (value & ((1 << width) - 1)) << (k * width)
    return word
