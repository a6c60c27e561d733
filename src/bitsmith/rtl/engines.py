"""Engines as SystemVerilog: the descriptors of their layers, and the tables around the module."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from bitsmith.dataflow.engine import ENGINE_STAGES, Engine
from bitsmith.dataflow.engine_layer import EngineLayer, Held
from bitsmith.dataflow.replay import Replay
from bitsmith.dataflow.storage import Memory, packed
from bitsmith.dataflow.tokens import Stream
from bitsmith.mapping.memories import last_words
from bitsmith.mapping.multipliers import lane_multipliers
from bitsmith.rtl.memory import address_bits
from bitsmith.rtl.process_text import ProcessText
from bitsmith.rtl.protection import CheckedMemory
from bitsmith.rtl.stream_top import ALWAYS, joined, label_of
from bitsmith.rtl.tokens import CoreResult, Element, bits, layout

Fields: TypeAlias = list[tuple[int, int]]
"""Values and widths, the lowest first."""


def write_engine(process: ProcessText, kind: Engine) -> None:
    total = kind.program.nodes[kind.program.inputs[0]].type
    number = Element(kind.number_bits, kind.range[0] < 0, 0)
    parameters, fields = engine_parameters(kind, process.process.takes[0].tokens, number, int(total.max_width))
    parameters |= _of_maps(process, kind, number.width)
    array = lane_multipliers(kind, process.top.block)
    if array.pairs:
        parameters |= {"ALONE": array.alone, "SHIFT": array.product, "PACKED": array.factor}
        parameters |= {"FIRST": 1} if array.first > array.number else {}
    parameters["LATENCY"] = ENGINE_STAGES + process.top.cores[process.number].latency
    lanes, weight = parameters["LANES"], parameters["WEIGHT"]
    index = process.word("layer", address_bits(len(kind.layers)))
    bits_of, rows = sum(width for _, width in fields[0]), list(map(packed, fields))
    descriptor = process.top.table(process.named("descriptor"), index, bits_of, rows, clocked=False)
    weights_at = process.word("weights_address", parameters["WEIGHTS_BITS"])
    if kind.fed:
        weights = _fetched(process, weights_at, lanes * weight)
    else:
        words = kind.weight_words
        weights = process.top.table(process.named("weights"), weights_at, lanes * weight, words, clocked=True)
    bias_at = process.word("bias_address", parameters["BIAS_BITS"])
    copies, total_bits = kind.positions * kind.abreast, parameters["SUM"]
    valid, sums = process.wire("core_valid"), process.word("core_sum", copies * total_bits)
    told, fills = _biases_and_choices(process, kind, bias_at, valid, index)
    takes = [[f"{sums}[{k * total_bits}+:{total_bits}]", *told[k % kind.abreast]] for k in range(copies)]
    cores = [process.core(kind.program, valid, joined(each), k) for k, each in enumerate(takes)]
    done, (_, core_result) = cores[0]
    ports = {
        **_ends(process, kind, index, number),
        "layer": index,
        "descriptor": descriptor,
        "w_valid": process.x[-1].valid if kind.fed else ALWAYS,
        "w_take": process.x[-1].take if kind.fed else process.wire("unused_w_take"),
        "weights_address": weights_at,
        "weights": weights,
        "bias_address": bias_at,
        "core_valid": valid,
        "core_sum": sums,
        "core_done": done,
        "core_stored": _stored(process, [kept for _, (kept, _) in cores], number),
        **fills,
    }
    ports |= process.fault("numbers", number.width)
    if (held := kind.held) is not None and (check := process.check_beside(held.words, held.bits)):
        parameters["HELD_CHECK"] = check
        faults = process.faults("computed weights", held.words, held.bits, held.beside)
        ports["fault"] = joined([ports["fault"], faults])
    kept, _ = cores[0][1]
    ports["core_held"] = "1'b0" if kind.held is None else kept.converted([Element(kind.held.bits, True, 0)])
    for result, gives in zip(process.y[:-1], process.gives, strict=False):
        process.say(f"assign {result.data} = {kept.converted([replace(element, frac=0) for element in gives])};")
    process.say(f"assign {process.y[-1].data} = {core_result.converted(process.gives[-1])};")
    process.instance("engine", parameters, ports)
    if any(layer.watched for layer in kind.layers):
        _taps(process, kind, index, done, number.width, ports)


def _of_maps(process: ProcessText, kind: Engine, width: int) -> dict[str, int]:
    """The parameters of the memory of numbers of such a ``width``."""
    check, large = process.check(width), process.top.large
    parameters = process.large() | ({"CHECK": check} if check else {}) | ({"SINGLE": 1} if kind.gap > 1 else {})
    if large is not None and "LARGE" in parameters:
        rest = last_words(kind.maps[0], parameters["LARGE"], large, process.top.memory)
        parameters |= {"REST": rest} if rest else {}
    elif kind.narrow[1]:
        parameters |= dict(zip(("WIDE", "LOW"), kind.narrow, strict=True))
    return parameters


def _stored(process: ProcessText, kept: Sequence[CoreResult], number: Element) -> str:
    """The numbers that are stored, which may need fewer bits than results of layers some of which are negative."""
    for k, result in enumerate(kept):
        if result.elements[0].width > number.width:
            process.say(f"assign {process.wire(f'unused_out{k}')} = ^{result.word};")
    return joined([result.converted([number]) for result in kept])


def _ends(process: ProcessText, kind: Engine, layer: str, number: Element) -> dict[str, str]:
    """The connections of operands and results: of the visit, or the result, of a ``layer`` if there are several."""
    frames = [
        process.prepared(f"x{k}" if k else "x", [replace(number, frac=process.takes[k][0].frac)] * kind.parts[1], k)
        for k in range(max(kind.operands) + 1)
    ]
    if len(kind.begins) == 1:
        ports = process.ends(frames[0])
        del ports["y_data"]
        return ports
    visits = [kind.operands[sum(first <= one for first in kind.begins) - 1] for one in range(len(kind.layers))]
    port = {one: number for number, group in enumerate(kind.ends) for one in group}
    results = [port.get(one, 0) for one in range(len(kind.layers))]
    taken, leaving = (_told(process, f"{name}_of", layer, each) for name, each in (("x", visits), ("y", results)))
    valid, free = (
        [getattr(wires, name) for wires in ends] for ends, name in ((process.x, "valid"), (process.y, "free"))
    )
    take, claim, put = (process.wire(name) for name in ("take", "claim", "put"))
    for wires, mine in zip(process.x, taken, strict=False):
        process.say(f"assign {wires.take} = {take} & {mine};")
    for result, mine in zip(process.y, leaving, strict=True):
        process.say(f"assign {result.claim} = {claim} & {mine};", f"assign {result.put} = {put} & {mine};")
    data = [f"({{{number.width}{{{mine}}}}} & {frame})" for mine, frame in zip(taken, frames, strict=True)]
    chosen = process.word("x_chosen", number.width)
    process.say(f"assign {chosen} = {' | '.join(data)};")
    return {
        "x_valid": _any(taken, valid),
        "x_data": chosen,
        "x_take": take,
        "y_free": _any(leaving, free),
        "y_claim": claim,
        "y_put": put,
    }


def _any(flags: Sequence[str], wires: Sequence[str]) -> str:
    """The wire of the flag that is set."""
    return " | ".join(f"({flag} & {wire})" for flag, wire in zip(flags, wires, strict=False))


def _told(process: ProcessText, name: str, layer: str, numbers: Sequence[int]) -> list[str]:
    """A flag for each number: it is that of the ``layer``."""
    width = address_bits(max(numbers) + 1)
    told = process.top.table(process.named(name), layer, width, numbers, clocked=False)
    return [f"({told} == {width}'d{number})" for number in range(max(numbers) + 1)]


def _fetched(process: ProcessText, address: str, width: int) -> str:
    """The word of weights that came with a step, in the cycle after it; nothing needs its ``address``."""
    held, x = process.word("weights", width), process.x[-1]
    process.say(
        f"always_ff @(posedge clk) if ({x.take}) {held} <= {x.data};",
        f"assign {process.wire('unused_address')} = ^{address};",
    )
    return held


def _biases_and_choices(
    process: ProcessText, kind: Engine, address: str, used: str, layer: str
) -> tuple[list[list[str]], dict[str, str]]:
    """The words from an ``address`` on, in the next cycle, as token functions of a window take them; and ports of the engine."""
    bias, choice = (kind.program.nodes[index].type for index in kind.program.inputs[1:])
    stored, fills = _stored_biases(process, kind, address, used)
    widths = 0 if kind.biases else bits(layout(bias)), 0 if kind.choices else bits(layout(choice))
    inverted, shift = (1 << sum(widths)) - (1 << widths[0]), kind.abreast.bit_length() - 1
    values = kind.bias_words(widths)  # of a bit each at least, as wires are
    for k, words in enumerate(stored):
        name = f"bias_{k}" if k else "bias"
        place = f"{address}[{address_bits(len(values[0])) - 1}:{shift}]" if k else address
        told = process.top.table(process.named(name), place, max(sum(widths), 1), values[k], clocked=True)
        words += [f"{told} ^ {sum(widths)}'h{inverted:x}" if inverted else told] if sum(widths) else []
        words += [_choice(process, kind, layer, kind.choices)] if kind.choices else []
    return stored, fills


def _choice(process: ProcessText, kind: Engine, layer: str, choices: Sequence[int]) -> str:
    """The choice of all results of a ``layer``."""
    width = bits(layout(kind.program.nodes[kind.program.inputs[2]].type))
    return layer if kind.by_layer else process.top.table(process.named("choice"), layer, width, choices, clocked=False)


def _stored_biases(
    process: ProcessText, kind: Engine, address: str, used: str
) -> tuple[list[list[str]], dict[str, str]]:
    """The biases from an ``address`` on, in the next cycle, if they come; and the ports of the engine that fill their memory."""
    count, group, checks = kind.results_of_windows, kind.bias_group, process.top.checks
    width, low, places = kind.bias_bits * group, group.bit_length() - 1, address_bits(count)
    name = "bias" if kind.biases else "unused_bias"
    put, place = process.wire(f"{name}_put"), process.word(f"{name}_place", places)
    ports = {"bias_put": put, "bias_place": place}
    if not kind.biases:
        return [[] for _ in range(kind.abreast)], ports
    came, word, check = f"{process.x[-1].data}[{width - 1}:0]", process.word("held_bias", width), checks.bits(width)
    ends = {"write_data": came, "read_data": word}
    if check:
        name = process.named("biases")
        memory = CheckedMemory(label_of(process.process.layers), "biases", count, width, is_table=False)
        process.say(*checks.encoded(name, came, width), *checks.decoded(name, word, memory, used))
        ends = {"write_data": f"{name}_written", "read_data": f"{name}_stored"}
    at = {"write_at": place, "read_at": address}
    if low:
        high, read = address_bits(kind.biases) - 1, f"{address}[{places - 1}:{low}]"
        at = {"write_at": f"{place}[{high}:0]", "read_at": read if kind.biases > 1 else "1'b0"}
    parameters = {"WIDTH": width + check, "DEPTH": kind.biases}
    ends |= {"clk": "clk", "write": put, "read": "1'b1"} | at
    process.top.instance("ram", f"{process.instances}_biases", parameters, ends)
    if not low:
        return [[word]], ports
    which = process.word("bias_in_word", low)
    process.say(
        f"always_ff @(posedge clk) {which} <= {address}[{low - 1}:0];",
        f"assign {process.wire('unused_bias_place')} = ^{place};",
    )
    of_sums = [f"{which} | {low}'d{k}" if k else which for k in range(kind.abreast)]
    return [[f"{word}[int'({each})*{kind.bias_bits}+:{kind.bias_bits}]"] for each in of_sums], ports


def write_replay(process: ProcessText, kind: Replay) -> None:
    """Write the memory from which the words of weights come over and over."""
    (want,) = process.gives
    x = process.prepared("x", want)
    rows, sizes, ports = kind.rows, kind.count_bits, {"last_part": "1'b0"}
    run = process.word("run", address_bits(len(rows)))
    table = process.top.table(process.named("runs"), run, sum(sizes), rows, clocked=False)
    low = 0
    for port, size in zip(("last_token", "last_time", "last_part"), sizes, strict=True):
        if size:
            ports[port] = f"{table}[{low + size - 1}:{low}]"
        low += size
    parameters = {"RUNS": len(rows), "TOKEN_BITS": sizes[0], "TIME_BITS": sizes[1], "PART_BITS": sizes[2]}
    process.buffer("replay", parameters, {"run": run} | ports, x, bits(want))


def _taps(process: ProcessText, kind: Engine, layer: str, done: str, width: int, ports: Mapping[str, str]) -> None:
    """Show monitors each number that is stored while a ``layer`` is executed; of the last one each that is given."""
    word, held = (
        process.word("watched", width),
        process.word("watched_held", 1 if kind.held is None else kind.held.bits),
    )
    for name, port in ((word, "core_stored"), (held, "core_held")):
        process.say(f"assign {name} = {ports[port]};", f"assign {process.wire(f'unused_{name}')} = ^{name};")
    for number, entry in enumerate(kind.layers):
        if entry.watched is None:
            continue
        stream = Stream((kind.results(number),), entry.watched.kind)
        valid = f"{done} & ({layer} == {address_bits(len(kind.layers))}'d{number})"
        data = word if entry.held is None else held
        if number == len(kind.layers) - 1:
            stream, data = process.process.results[0], process.y[0].data
        low = sum(element.width for element in layout(stream.token))
        process.top.tap(entry.watched.name, stream, valid, f"{data}[{low - 1}:0]")


def engine_parameters(kind: Engine, tokens: int, number: Element, total: int) -> tuple[dict[str, int], list[Fields]]:
    """The parameters of the module, but for its latency, and the descriptors of all layers.

    ``number`` is the format of numbers in the memory, ``total`` are the bits of sums.
    """
    layers, sizes, outside = kind.layers, _sizes(kind), any(layer.outside for layer in kind.layers)
    part = _part_bits(kind) if kind.positions > 1 else 0
    words, weights = list[Fields](), 0
    for layer, biases in zip(layers, kind.first_biases, strict=True):
        fields = _descriptor(layer, sizes, kind.lanes, weights if layer.row is None else layer.row, biases)
        if outside:
            fields.append((math.prod(layer.windows) - 1 if layer.outside else 0, sizes["COUNT"]))
            fields += [*((jump, sizes["WORD"]) for jump in layer.jumps), (int(layer.outside), 1)]
        first, _, *steps = layer.addresses
        fields += _walks(layer, sizes["WORD"], part) if part else [(word, sizes["WORD"]) for word in (first, *steps)]
        if len(kind.begins) > 1:
            after = len(words) + 1
            gives = any(len(words) in group for group in kind.ends)
            flags = after == len(layers) or layers[after].loads > 0, gives
            fields += [(layer.loads - 1, sizes["WORD"]), *((int(flag), 1) for flag in flags)]
        fields += _held(layer, kind.held, sizes["HELD_STEP"]) if kind.held is not None else []
        words.append(fields)
        weights += layer.words
    parameters = {
        "LANES": kind.lanes,
        "WIDTH": number.width,
        "WEIGHT": kind.weight_bits,
        "SUM": total,
        "WORDS": kind.words,
        "BANKS": kind.banks,
        "ABREAST": kind.abreast,
        "TOKENS": tokens,
        "LAYERS": len(layers),
        **({"VISITS": len(kind.begins)} if len(kind.begins) > 1 else {}),
        **(
            {"HELD": kind.held.words, "HELD_LANES": kind.held.beside, "HELD_WIDTH": kind.held.bits} if kind.held else {}
        ),
        "BIASES": kind.biases,
        "GREATEST": kind.greatest_lanes,
        "OUTSIDE": int(outside),
    }
    if part:
        parameters["PART"] = part
        for name, count, reach in zip(("DOWN", "ACROSS"), kind.parts, kind.reach, strict=True):
            parameters |= {name: count, f"REACH_{name}": reach}
    return parameters | {f"{name}_BITS": size for name, size in sizes.items() if name != "WORD" and size}, words


def _sizes(kind: Engine) -> dict[str, int]:
    """The bits of the fields of descriptors."""
    layers = kind.layers
    return {
        "PLACE": 1 + max(max(_reach(layer, axis), 1) for layer in layers for axis in range(2)).bit_length(),
        "TAP": address_bits(max(size for layer in layers for size in layer.op.size)),
        "WINDOW": address_bits(max(count for layer in layers for count in layer.windows)),
        "CHANNEL": address_bits(max(layer.numbers for layer in layers)),
        "PASS": address_bits(max(layer.passes for layer in layers)),
        "BLOCK": address_bits(max(layer.blocks for layer in layers)),
        "WEIGHTS": address_bits(max(sum(layer.words for layer in layers), kind.held.words if kind.held else 0)),
        "BIAS": address_bits(kind.results_of_windows),
        "WORD": address_bits(kind.words),
        "COUNT": address_bits(max((math.prod(layer.windows) for layer in layers if layer.outside), default=1)),
        "HELD_STEP": max((address_bits(layer.held.steps) for layer in layers if layer.held), default=0),
    }


def _descriptor(layer: EngineLayer, sizes: Mapping[str, int], lanes: int, weights: int, biases: int) -> Fields:
    """The descriptor of a layer whose ``weights`` and ``biases`` begin there; counters have their last number less 1."""
    return [
        *_axis(layer, 1, sizes),
        *_axis(layer, 0, sizes),
        (layer.numbers - 2, sizes["CHANNEL"]),
        (layer.passes - 2, sizes["PASS"]),
        (layer.blocks - 2, sizes["BLOCK"]),
        (layer.lanes // layer.abreast, lanes.bit_length()),
        (weights, sizes["WEIGHTS"]),
        (biases, sizes["BIAS"]),
        (layer.target, sizes["WORD"]),
        (int(len(layer.weights) < layer.blocks), 1),
        (int(layer.greatest), 1),
        (int(layer.apart), 1),
        (int(layer.abreast > 1), 1),
        *((int(layer.ranges[which][0] < 0), 1) for which in (0, -1)),
    ]


def _held(layer: EngineLayer, memory: Memory, steps: int) -> Fields:
    """Places of the results of a layer that are held in a ``memory``, and whether they are, and weights are read from it."""
    held, rows = layer.held or Held(0, by_window=False, passes=1, steps=1, lanes=1), address_bits(memory.words)
    onward = (held.passes - 1) * held.steps + 1
    return [
        (held.lanes - 1, address_bits(memory.beside)),
        (held.steps - 1, steps),
        *((place, rows) for place in (held.first, held.steps, onward)),
        *((int(flag), 1) for flag in (held.by_window, layer.held is not None, layer.row is not None)),
    ]


def _walks(layer: EngineLayer, bits: int, part: int) -> Fields:
    """The word that is read first and steps, of columns and rows, with parts that each goes further: one more if it is beyond."""
    fields = Fields()
    for walk in layer.walks[::-1]:
        size = walk.size or 1 << bits
        base = walk.base if walk.size else 0
        further = [divmod(walk.first - base, size), *(divmod(step, size) for step in walk.steps)]
        fields += [(base + further[0][1], bits), *((word, bits) for _, word in further[1:])]
        fields += [*((parts, part) for parts, _ in further), (size, bits + 1), (base + size, bits + 1)]
    return [*fields, (int(layer.apiece), 1)]


def _part_bits(kind: Engine) -> int:
    """The bits of the number of a part, of those beyond, too."""
    most = 1
    for layer in kind.layers:
        for size, count, padding in zip(layer.grid, layer.parts, layer.op.padding, strict=True):
            most = max(most, (size + sum(padding)) // (size // count) + 1)
    return most.bit_length() + 1


def _reach(layer: EngineLayer, axis: int) -> int:
    """The largest number of a place along an axis, and places of a step, in magnitude."""
    op = layer.op
    span = op.dilation[axis] * (op.size[axis] - 1)
    return max(layer.grid[axis] + sum(op.padding[axis]), span, op.stride[axis])


def _axis(layer: EngineLayer, axis: int, sizes: Mapping[str, int]) -> Fields:
    op, places = layer.op, sizes["PLACE"]
    span = op.dilation[axis] * (op.size[axis] - 1)
    values = (layer.grid[axis], -op.padding[axis][0], op.dilation[axis], -span, op.stride[axis] - span)
    before = [(op.size[axis] - 2, sizes["TAP"]), (layer.windows[axis] - 2, sizes["WINDOW"])]
    return [*((value, places) for value in values), *before]
