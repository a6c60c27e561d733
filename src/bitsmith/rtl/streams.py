"""Writes a network of processes as SystemVerilog: cores of the token functions, modules of ``rtl/lib``, and FIFOs between.

The top's ports, per input and output of the program: ``<name>_valid``, ``<name>_ready``, ``<name>_data`` (one token), and
``<name>_last`` of outputs, with the last token of a frame; ``clk`` and ``rst`` (synchronous, active high). Weights that come
with each frame have ports as inputs have. A memory that can be loaded has ports ``<layer>_<tensor>_load_...`` for its elements;
from the first to the last of them everything else is held in reset.
"""

import math
from itertools import starmap
from typing import assert_never

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, kind_name
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.storage import always_shifts
from bitsmith.dataflow.timing import is_monotone, order_flags, reorder_rows
from bitsmith.dataflow.tokens import Grid, Numbers, period, run_length, union_type
from bitsmith.devices.delay import DelayModel
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection
from bitsmith.ir import ops
from bitsmith.ir.infer import window_positions
from bitsmith.ir.types import IntArray, short
from bitsmith.mapping.multipliers import Pairs, multipliers, own_latency
from bitsmith.netlist.elaborate import BlockLayers
from bitsmith.netlist.pipelined import pipelined, stage_budget
from bitsmith.rtl.boundaries import write_outside, write_sink, write_source
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.engines import write_engine, write_replay
from bitsmith.rtl.memory import address_bits
from bitsmith.rtl.names import identifier
from bitsmith.rtl.process_text import ProcessText
from bitsmith.rtl.stream_top import ALWAYS, NOTHING, StreamDesign, StreamTop, joined
from bitsmith.rtl.tokens import Element, Layout, bits, fields, fields_layout, layout, uniform
from bitsmith.rtl.writer import Title, write


def lay_out(
    network: Network,
    delays: DelayModel,
    budget_ns: float,
    top: str,
    title: Title,
    part: Part | None = None,
    blocks: BlockLayers | None = None,
    *,
    read_back: bool = False,
    protection: Protection = Protection.NONE,
) -> StreamDesign:
    """The hardware of ``network``, its token functions pipelined for stages of ``budget_ns``.

    ``part`` has larger memories; constants of ``blocks`` are multiplied by these. With ``read_back`` memories that can be loaded
    are checked after each reset and load. ``protection`` says what words in block memory have beside them. Outputs of `TAP` are
    no ports, but what monitors watch.
    """
    top = identifier(top)
    cores: dict[int, RtlDesign] = {}
    over_budget, budget_ns = 0, stage_budget(network.programs, delays, budget_ns)
    for number, process in enumerate(network.processes):
        program = process.kind.logic.program
        if program is not None:
            netlist, stages = pipelined(program, delays, budget_ns, blocks)
            over_budget += len(stages.over_budget)
            cores[number] = write(netlist, stages, f"{top}_core{number}", title, protection)
    latencies = {number: core.latency for number, core in cores.items()}
    for number, process in enumerate(network.processes):
        latency = own_latency(process, delays.block)
        if latency is not None:
            latencies[number] = latency
    plan = schedule(network, latencies)
    text = StreamTop(
        *(network, cores, plan, delays.block, delays.memory, top, title, over_budget, part),
        read_back=read_back,
        protection=protection,
    )
    for number, process in enumerate(network.processes):
        _write(ProcessText(text, number, process))
    return text.design()


def _write(process: ProcessText) -> None:
    layers = ", ".join(" ".join(layer.split()) for layer in process.process.layers)
    kind = process.process.kind
    process.say("", f"// {process.name[1:]}: {kind_name(type(kind))}{f' ({layers})' if layers else ''}")
    process.declare()
    match kind:
        case kinds.Source():
            write_source(process, kind)
        case kinds.Sink():
            write_sink(process, kind)
        case kinds.Rom():
            _rom(process, kind)
        case kinds.Map():
            _map(process, kind)
        case kinds.FoldedProduct():
            _folded_product(process, kind)
        case kinds.Window():
            _window(process, kind)
        case kinds.Sweep():
            _sweep(process, kind)
        case kinds.Reduce():
            _reduce(process, kind)
        case kinds.WidthConverter():
            _width_converter(process, kind)
        case kinds.Reorder():
            _reorder(process, kind)
        case kinds.Replay():
            write_replay(process, kind)
        case kinds.Outside():
            write_outside(process, kind)
        case kinds.Interleave():
            _interleave(process, kind)
        case kinds.Scan():
            _scan(process, kind)
        case kinds.Feedback():
            _feedback(process, kind)
        case kinds.Engine():
            write_engine(process, kind)
        case _:
            assert_never(kind)


def _rom(process: ProcessText, kind: kinds.Rom) -> None:
    (elements,), token = process.gives, process.process.results[0].token
    values = _packed(kind.words.reshape(len(kind.words), -1), elements)
    clocked = bool(kind.loaded) or process.top.memory.suits_table(len(values) * bits(elements))
    used, unused = ("next_index", "index") if clocked else ("index", "next_index")
    address, name = process.word(used, address_bits(len(values))), process.named("values")
    ports = {used: address, unused: process.top.word(f"unused_{process.named(unused)}", address_bits(len(values)))}
    if kind.loaded:
        table = process.top.loadable(name, address, values, kind.loaded, fields(kind.loaded.name, token))
    elif clocked:
        table = process.top.table(name, address, bits(elements), values, clocked=True)
    else:
        table = process.top.tokens(name, address, bits(elements), values)
    parameters = {"WIDTH": bits(elements), "TOKENS": len(values)}
    process.instance("rom", parameters, {**ports, "table_data": table, **process.ends()})


def _map(process: ProcessText, kind: kinds.Map) -> None:
    fire = process.wire("fire")
    process.say(f"assign {fire} = {' & '.join([*(x.valid for x in process.x), *(y.free for y in process.y)])};")
    process.say(*(f"assign {x.take} = {fire};" for x in process.x))
    data = joined([x.data for x in process.x]) if process.x else NOTHING
    done, results = process.core(kind.program, fire, data)
    for y, want, result in zip(process.y, process.gives, results, strict=True):
        process.say(
            f"assign {y.claim} = {fire};", f"assign {y.put} = {done};", f"assign {y.data} = {result.converted(want)};"
        )


def _folded_product(process: ProcessText, kind: kinds.FoldedProduct) -> None:
    groups, steps, (n, m) = kind.groups, kind.steps, kind.tile
    taken, result = process.process.takes[0].token, process.process.results[0].token
    lanes = taken.shape[0]
    operand = layout(union_type(taken, 1)) * lanes  # one type for all lanes
    signed = any(element.signed for element in operand)
    x_width = uniform(operand)[0].width if signed else max(max(element.width for element in operand), 1)
    x = process.prepared("x", [Element(x_width, signed, element.frac) for element in operand])
    cells = multipliers(kind, taken, result, process.top.block)
    results = uniform(process.gives[0])
    address = process.word("address", address_bits(groups * steps))
    weights = _weights(process, kind, address, cells.weight)
    y = process.word("y", bits(results))
    parameters = {
        "LANES": lanes,
        "N": n,
        "M": m,
        "SETS": kind.sets,
        "X_WIDTH": x_width,
        "X_SIGNED": int(signed),
        "W_WIDTH": cells.weight,
        "CHAIN": cells.chain,
        "P_WIDTH": cells.product,
        "LANE_PAIRS": int(cells.pairs is Pairs.LANES),
        "COLUMN_PAIRS": int(cells.pairs is Pairs.COLUMNS),
        "PACKED_WIDTH": cells.packed,
        "Y_WIDTH": results[0].width,
        "STEPS": steps,
        "GROUPS": groups,
    }
    table = groups * steps, math.prod(kind.weights.shape[2:]) * cells.weight
    if kind.loaded is None and process.top.registers(*table):
        parameters["AHEAD"] = 1
    if kind.loaded is None and process.top.memory.finds_carries(*table):
        parameters["ADDS_VALID"] = 1
    process.instance("folded_product", parameters, {**process.ends(x, y), "rom_address": address, "rom_data": weights})
    process.narrowed(y, results)


def _without_shifts(word: str, tiles: IntArray, width: int) -> str:
    """The word of one of ``tiles``, constant where they are shifts: synthesis takes out the multipliers of these."""
    shifts, ones, size = always_shifts(tiles), (1 << width) - 1, tiles.shape[1] * width
    mask = sum(ones << place * width for place in np.flatnonzero(~shifts).tolist())
    constant = sum((int(tiles[0, place]) & ones) << place * width for place in np.flatnonzero(shifts).tolist())
    kept = f"{word} & {size}'h{mask:x}" if shifts.any() else word
    return f"({kept}) | {size}'h{constant:x}" if constant else kept


def _weights(process: ProcessText, kind: kinds.FoldedProduct, address: str, width: int) -> str:
    """The word of the tile at ``address``, its weights in ``width`` bits each: from a table, or from a memory."""
    groups, steps, n, m = kind.weights.shape
    tiles = kind.weights.reshape(groups * steps, n * m)
    if kind.loaded is None:
        signed = [Element(width, True, kind.frac)] * (n * m)
        values = _packed(tiles, signed)
        word = process.top.table(process.named("weights"), address, n * m * width, values, clocked=True, ahead=True)
        return _without_shifts(word, tiles, width)
    elements = fields(kind.loaded.name, kind.loaded.token((n, m)))
    stored = fields_layout(elements)
    values = _packed(tiles, stored)
    memory = process.top.loadable(process.named("stored"), address, values, kind.loaded, elements)
    return process.arranged("weights", memory, stored, uniform(stored))


def _window(process: ProcessText, kind: kinds.Window) -> None:
    taps = int(np.prod(kind.op.size))
    want = process.gives[0][: len(process.gives[0]) // taps]
    x = process.prepared("x", want)
    after = tuple(after for _, after in kind.op.padding)
    parameters = {"WIDTH": bits(want)} | _axes(kind.op, process.process.takes[0].grid, "AFTER", after)
    width = bits(want)
    check = process.check(width)
    parameters |= process.large() | ({"CHECK": check} if check else {})
    ports = process.ends(x) | process.fault("lines", width)
    process.holds(process.instance("window", parameters, ports, "_lines"), width)


def _axes(op: ops.Window, positions: Grid, last: str, values: tuple[int, ...]) -> dict[str, int]:
    """The parameters of three axes, of which the last ones are those of ``op``; ``last`` has ``values`` there."""
    unused = 3 - len(positions)
    axes = {
        "SIZE": (*(1,) * unused, *positions),
        "TAPS": (*(1,) * unused, *op.size),
        "STRIDE": (*(1,) * unused, *op.stride),
        "DILATION": (*(1,) * unused, *op.dilation),
        "BEFORE": (*(0,) * unused, *(before for before, _ in op.padding)),
        last: (*(int(last == "WINDOWS"),) * unused, *values),
    }
    return {f"{name}_{axis}": numbers[axis] for axis in range(3) for name, numbers in axes.items()}


def _sweep(process: ProcessText, kind: kinds.Sweep) -> None:
    (want,) = process.gives
    x = process.prepared("x", want)
    parameters = sweep_parameters(kind, kind.positions(process.process.takes[0]))
    process.buffer("sweep", parameters, {}, x, bits(want))


def sweep_parameters(kind: kinds.Sweep, positions: Grid) -> dict[str, int]:
    """The parameters of the module of a sweep over ``positions``, but for those of its memory."""
    op = kind.op
    padding = zip(positions, op.size, op.stride, op.dilation, op.padding, strict=True)
    axes = _axes(op, positions, "WINDOWS", tuple(starmap(window_positions, padding)))
    return {"BLOCKS": kind.blocks, "PARTS": kind.parts, "TIMES": kind.times, **axes}


def _reduce(process: ProcessText, kind: kinds.Reduce) -> None:
    inner = uniform(process.gives[0])
    x = process.prepared("x", inner)
    y = process.word("y", bits(inner))
    parameters = {
        "COUNT": kind.count,
        "ELEMENTS": len(inner),
        "WIDTH": inner[0].width,
        "GREATEST": int(isinstance(kind.op, ops.AMax)),
    }
    process.instance("reduce", parameters, process.ends(x, y))
    process.narrowed(y, inner)


def _width_converter(process: ProcessText, kind: kinds.WidthConverter) -> None:
    (have,), (want,) = process.takes, process.gives
    if len(have) < len(want):
        process.instance("upsizer", {"PARTS": len(want) // len(have), "WIDTH": bits(have)}, process.ends())
        return
    parts = len(have) // len(want)
    x = process.prepared("x", want * parts)
    process.instance("downsizer", {"PARTS": parts, "TIMES": kind.times, "WIDTH": bits(want)}, process.ends(x))


def _reorder(process: ProcessText, kind: kinds.Reorder) -> None:
    (want,) = process.gives
    x = process.prepared("x", want)
    if is_monotone(kind.source):
        act, flags = process.wire("act"), order_flags(kind.source, process.process.takes[0].tokens)
        ports = {**process.ends(x), "act": act, "flags": _in_runs(process, "flags", 3, flags, act)}
        process.top.instance("order", process.instances, {"WIDTH": bits(want)}, ports)
        return
    depth, tokens = process.depth(), process.process.takes[0].tokens
    low, count = address_bits(depth), depth.bit_length()
    rows, width = reorder_rows(kind.source, tokens, depth)
    table, last = process.actions("reads", width, rows, process.y[0].claim)
    ports = {
        "last": last,
        "address": f"{table}[{low - 1}:0]",
        "zero": f"{table}[{low}]",
        "needed": f"{table}[{low + count}:{low + 1}]",
        "freed": f"{table}[{width - 1}:{low + count + 1}]",
    }
    process.buffer("reorder", {"TOKENS": tokens}, ports, x, bits(want))


def _interleave(process: ProcessText, kind: kinds.Interleave) -> None:
    operands = range(len(process.x))
    (want,) = process.gives
    # The values of an operand may need fewer bits than the result has.
    words = [process.prepared(f"in{k}", want, k) for k in operands]
    ports = {
        **process.ends(),
        "x_valid": joined([x.valid for x in process.x]),
        "x_data": joined(words),
        "x_take": joined([x.take for x in process.x]),
        "which": _in_runs(process, "which", address_bits(len(operands)), kind.source, process.y[0].claim),
    }
    process.top.instance("interleave", process.instances, {"OPERANDS": len(operands), "WIDTH": bits(want)}, ports)


def _in_runs(process: ProcessText, name: str, width: int, words: Numbers, act: str) -> str:
    """The present word of actions that follow each other by ``act``, from a table with one of each run if it is a memory."""
    words, run = words[: period(words)], 1
    if process.top.memory.suits_table(len(words) * width):
        run = run_length(words)
    word, _ = process.actions(name, width, words[::run].tolist(), _last_of_run(process, run, act) if run > 1 else act)
    return word


def _last_of_run(process: ProcessText, run: int, act: str) -> str:
    """Every ``run``-th time that ``act`` is set."""
    size, last = address_bits(run), process.wire("last_of_run")
    count = process.word("of_run", size)
    process.say(
        f"assign {last} = {act} & ({count} == {size}'d{run - 1});",
        "always_ff @(posedge clk) begin",
        f"    if ({process.top.reset} | {last}) {count} <= '0;",
        f"    else if ({act}) {count} <= {count} + 1'b1;",
        "end",
    )
    return last


def _scan(process: ProcessText, kind: kinds.Scan) -> None:
    # The values of an operand may need fewer bits than the input of the body has.
    wanted = [layout(kind.body.nodes[index].type) for index in kind.body.inputs]
    words = [process.prepared(f"in{k}", want, k) for k, want in enumerate(wanted)]
    states, initial, items = wanted[: kind.states], process.x[: kind.states], process.x[kind.states :]
    state_bits = max(sum(map(bits, states)), 1)
    kept_bits = sum(map(bits, states[: kind.kept]))
    start_take, item_take, core_valid = (process.wire(suffix) for suffix in ("start_take", "item_take", "core_valid"))
    state, following = (process.word(suffix, state_bits) for suffix in ("state", "next"))
    process.say(*(f"assign {x.take} = {start_take};" for x in initial))
    process.say(*(f"assign {x.take} = {item_take};" for x in items))
    core_data = joined([*([state] if initial else []), *words[kind.states :]])
    done, results = process.core(kind.body, core_valid, core_data)
    next_states = [result.converted(want) for result, want in zip(results[:-1], states, strict=True)]
    y = process.y[0]
    process.say(
        f"assign {following} = {joined(next_states) if next_states else NOTHING};",
        f"assign {y.data} = {results[-1].converted(process.gives[0])};",
    )
    ports = {
        "initial_valid": " & ".join(x.valid for x in initial) or ALWAYS,
        "initial_data": joined(words[: kind.states]) if initial else NOTHING,
        "initial_take": start_take,
        "x_valid": " & ".join(x.valid for x in items) or ALWAYS,
        "x_take": item_take,
        "core_valid": core_valid,
        "core_states": state,
        "core_answers": done,
        "next_states": following,
        "y_free": y.free,
        "y_claim": y.claim,
        "y_put": y.put,
    }
    process.instance("scan", {"STEPS": kind.steps, "STATES_WIDTH": state_bits, "KEPT_WIDTH": kept_bits}, ports)


def _feedback(process: ProcessText, kind: kinds.Feedback) -> None:
    (want,), (first, back) = process.gives, process.x
    parameters = {"TOKENS": process.process.takes[0].tokens, "ROUNDS": kind.rounds, "WIDTH": bits(want)}
    parameters |= {"KEPT": int(kind.kept)}
    ports = {
        "initial_valid": first.valid,
        "initial_data": process.prepared("initial", want),
        "initial_take": first.take,
    }
    ports |= {"back_valid": back.valid, "back_data": process.prepared("back", want, 1), "back_take": back.take}
    y = process.y[0]
    ports |= {"y_free": y.free, "y_claim": y.claim, "y_put": y.put, "y_data": y.data}
    process.instance("feedback", parameters, ports)


def _packed(words: IntArray, elements: Layout) -> list[int]:
    """Rows of raw values as the bits of one word each, the first value lowest."""
    columns = short(words).T
    bits = [
        (column[:, None] >> np.arange(element.width) & 1).astype(np.uint8)
        for column, element in zip(columns, elements, strict=True)
    ]
    packed = np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
