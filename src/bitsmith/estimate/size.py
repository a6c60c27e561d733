"""About how large a program gets when all of it is laid out in hardware, without making the netlist.

In: a program and a device family. Out: look-up tables, flip-flops, multiplier blocks. It takes well under a second for a million
weights, and serves to refuse what would take hours. Adder counts come from `bitsmith.netlist.csd.estimate`, areas per
operation from `bitsmith.devices.area`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, assert_never

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, Process, gives_back
from bitsmith.dataflow.schedule import fifos
from bitsmith.dataflow.storage import Words
from bitsmith.dataflow.timing import is_monotone, order_bits, reorder_rows
from bitsmith.dataflow.tokens import period, run_length
from bitsmith.dataflow.wires import Wires, Wiring, distinct, numbered, repeats, stored
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.devices.delay import DEFAULT_CLOCK_UNCERTAINTY
from bitsmith.devices.family import Family
from bitsmith.estimate.copies import beside_its_operands, wiring_of_circuits
from bitsmith.estimate.count import REGISTERS, Count
from bitsmith.estimate.engines import count_engine, walk_ns
from bitsmith.estimate.figures import Size
from bitsmith.estimate.movers import with_movers
from bitsmith.estimate.products import block_ns
from bitsmith.estimate.reads import Mask, OperandsRead, bits_of_inputs, changing, operands_read, share
from bitsmith.estimate.recurrences import FIGURES, STEPS_MADE, extended, first_steps, only_scan
from bitsmith.estimate.serial import frames_of_network, frames_of_pipeline, with_port
from bitsmith.estimate.stages import stage_registers
from bitsmith.estimate.sweeps import count_sweep, count_window
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.fifos import with_room
from bitsmith.mapping.memories import larger_memories
from bitsmith.mapping.multipliers import latencies_of, own_latency
from bitsmith.mapping.partition import partition
from bitsmith.netlist import native
from bitsmith.netlist.elaborate import BlockLayers
from bitsmith.netlist.pipelined import Pipelined, pipelined, stage_budget

Possible: TypeAlias = Callable[[Size], bool] | None
"""Judge of sizes that are of use, if not all are."""

_HANDSHAKE_LUTS = 2.0
"""Logic that decides when a process acts; each was synthesized by itself, with tokens of 8 bits, for five families."""

_CONTROL_LUTS, _CONTROL_FFS = 12.0, 8
"""Counters and flags of a process that are not known one by one."""

_MADE_LUTS, _MADE_LUTS_NAIVELY = 15_000, 4_000
"""Look-up tables of a circuit that is made in a second, by the compiled solver and by the naive one."""

_WHOLE = 4
"""So many times as many of a whole unrolled circuit, which is made once, in some seconds."""

_MANY = 1 << 17
"""Tokens of a frame, of all processes together, whose FIFOs take longer to plan than all else."""

_SLICE_FLAGS = 2
"""Bits of a register slice beside a token: that it comes, and that one was taken."""


def estimate(program: Program, family: Family, blocks: BlockLayers | None = None) -> Size:
    """The size of ``program`` fully unrolled: all positions side by side, a sample per clock cycle."""
    count = Count(family, blocks)
    count.registered(program, {})
    return count.size()


def estimate_layout(
    program: Program, directives: Directives, family: Family, budget_ns: float | None = None, possible: Possible = None
) -> Size:
    """The size of ``program`` as it is laid out for ``directives``: unrolled, or as a network of processes.

    Where FIFOs take long to plan, they are planned only if the size without them is ``possible``; else that is the answer.

    Unrolled circuits of some thousand look-up tables are made for it, with stages of ``budget_ns``, of the family's usual clock
    unless given, and so are the token functions of networks of processes, where it is given. Without the compiled solver these
    are fewer.
    """
    directives = replace(directives, block=family.area.block)  # which decides whether to share is worth it
    if not directives.unrolled(program):
        return _of_processes(program, directives, family, budget_ns, possible)
    budget_ns = stage_budget([program], family.delays, budget_ns or _usual_budget(family))
    size, stages = _unrolled(program, directives, family, budget_ns)

    def made(part: Program) -> tuple[Size, int]:
        netlist, plan = pipelined(part, family.delays, budget_ns, directives.block_layers, latency=directives.latency)
        counted = size_of(netlist, plan, family)
        return counted if directives.valid else replace(counted, ff=counted.ff - plan.stages), plan.stages

    if size.lut <= _WHOLE * _made_luts():
        counted, stages = made(program)
    else:
        counted, more = _by_steps(program, size, family, directives, made)
        stages = max(stages, more)
    share = counted.lut / max(size.lut, 1)
    shares = {layer: replace(cells, lut=cells.lut * share) for layer, cells in size.shares.items()}
    counted = replace(counted, shares=shares).corrected(family.correction)
    return with_port(counted, frames_of_pipeline(program, stages), directives.port, family)


def _usual_budget(family: Family) -> float:
    """The length of stages at the family's usual clock."""
    return family.delays.budget(family.clock_period_ns, DEFAULT_CLOCK_UNCERTAINTY * family.clock_period_ns)


def estimate_without_fifos(program: Program, directives: Directives, family: Family) -> Size:
    """A rough size, with FIFOs and memories of windows of one place each: the least that a layout takes, whatever its pace."""
    directives = replace(directives, block=family.area.block)
    if directives.unrolled(program):
        return guess_layout(program, directives, family, None)
    known = _before_fifos(program, directives, family, None)
    return known or estimate_network(partition(program, directives), directives, family, planned=False)


def guess_layout(program: Program, directives: Directives, family: Family, budget_ns: float | None) -> Size:
    """A rough size, for which no circuit is made: what to compare many layouts or formats by.

    Stages take ``budget_ns``, by default at the family's usual clock.
    """
    directives = replace(directives, block=family.area.block)
    if not directives.unrolled(program):
        return _of_processes(program, directives, family, None, None)
    size, stages = _unrolled(program, directives, family, budget_ns or _usual_budget(family))
    frames = frames_of_pipeline(program, stages)
    return with_port(size.corrected(family.correction), frames, directives.port, family)


def _unrolled(program: Program, directives: Directives, family: Family, budget_ns: float) -> tuple[Size, int]:
    """The size, and the stages as far as they are known without a circuit."""
    size = estimate(program, family, directives.block_layers)
    registers = stage_registers(program, family.delays, budget_ns)
    if registers is None:
        return size, 1
    return replace(size, ff=sum(registers[: 1 + directives.valid])), registers[1]


def _by_steps(
    program: Program, size: Size, family: Family, directives: Directives, circuit: Callable[[Program], tuple[Size, int]]
) -> tuple[Size, int]:
    """The size by circuits of the first steps of the only recurrence, and their stages; where these are large, ``size`` and 0."""
    scan = only_scan(program)
    steps = 0 if scan is None else program.nodes[scan].type.shape[0]
    if scan is None or steps < STEPS_MADE:
        return size, 0
    whole = estimate(first_steps(program, scan, steps), family, directives.block_layers)
    most = _made_luts() * steps // (STEPS_MADE * max(whole.lut, 1))
    if most == 0:
        return size, 0
    each = min(most, steps // STEPS_MADE)
    parts = (circuit(first_steps(program, scan, each * (k + 1))) for k in range(STEPS_MADE))
    sizes, stages = zip(*parts, strict=True)
    up_to = extended(sizes, steps / each, shifting=family.area.shift_registers > 0)
    figures = {field: getattr(size, field) - getattr(whole, field) + getattr(up_to, field) for field in FIGURES}
    return replace(size, **figures), max(stages)


def _made_luts() -> int:
    """A circuit of more look-up tables is not made for an estimate."""
    return _MADE_LUTS_NAIVELY if native.SOLVE is None else _MADE_LUTS


def _of_processes(
    program: Program, directives: Directives, family: Family, budget_ns: float | None, possible: Possible
) -> Size:
    """The size as a network of processes, with some FIFOs in a memory outside where the part has no room for them."""
    if possible is not None:
        least = _before_fifos(program, directives, family, budget_ns)
        if least is not None and not possible(least):
            return least
    return estimate_network(with_room(program, directives), directives, family, budget_ns)


@lately(8)
def _before_fifos(program: Program, directives: Directives, family: Family, budget_ns: float | None) -> Size | None:
    """The size with FIFOs of one place; None where all of them are planned as fast."""
    network = partition(program, directives)
    return estimate_network(network, directives, family, budget_ns, planned=False) if _takes_long(network) else None


def plans_long(program: Program, directives: Directives, family: Family) -> bool:
    """Return True if planning the FIFOs of a layout takes longer than all else."""
    directives = replace(directives, block=family.area.block)
    return not directives.unrolled(program) and _before_fifos(program, directives, family, None) is not None


def _takes_long(network: Network) -> bool:
    """Return True if planning FIFOs takes longer than all else."""
    waits = (gives_back(number, source) for number, process in enumerate(network.processes) for source in process.args)
    return any(waits) or sum(stream.tokens for process in network.processes for stream in process.takes) > _MANY


def estimate_network(
    network: Network, directives: Directives, family: Family, budget_ns: float | None = None, *, planned: bool = True
) -> Size:
    """The size of a network of processes: token functions unrolled, folded products, memories, and FIFOs, deep if ``planned``.

    Small token functions are made for it, with stages of ``budget_ns``, where that is given. ``directives`` name the part, whose
    larger memories serve, layers with multiplier blocks, and the bus whose readers and writers are beside the circuit.
    """
    cores, kept = ({}, {}) if budget_ns is None else _cores(network, family, budget_ns, directives.block_layers)
    latencies = latencies_of(network, family.area.block) | {number: made.stages for number, (_, made) in cores.items()}
    places, interval = fifos(network, latencies, planned=planned)
    count, wiring, within = Count(family), Wiring(network), 0
    depths = {(fifo.consumer, fifo.operand): fifo.depth for fifo in places}
    larger = larger_memories(wiring, places, directives.part)
    wiring = wiring_of_circuits(network, cores, depths) if cores else wiring
    together = {
        (number, operand): count.together(
            Words.BY_ADDRESS if operand < 0 else Words.IN_TURN,
            depth,
            network.processes[number].takes[max(operand, 0)].bits,
        )
        for (number, operand), depth in depths.items()
        if operand < 0 or _in_memory(count, wiring, number, operand, depth)
    }
    reads = operands_read(network, cores, together)
    for number, process in enumerate(network.processes):
        before, read, logic = count.cells.plus(count.shares.total, -1.0), reads[number], process.kind.logic
        for _ in range(logic.copies if logic.program else 0):
            if read.core:
                made = size_of(*beside_its_operands(read.core, wiring, number, depths), family)
                count.made(made)
                within += made.bram  # which has registers
            elif logic.program:
                zeros = wiring.of_products(number, logic.program) if logic.states == 0 else {}
                count.registered(logic.program, zeros, kept.get(number, (None, 0.0))[0])
        depth, column = (found.get((number, -1), 0) for found in (depths, larger))
        _count_process(count, wiring, number, depth, column, read)
        for operand in range(len(process.args)):
            column = larger.get((number, operand), 0)
            changes = read.operands[operand] & changing(network, process.args[operand])
            _count_fifo(count, wiring, number, operand, depths[number, operand], column, changes)
        count.shares.give(process.layers, count.cells.plus(count.shares.total.plus(before), -1.0))
    longest = [*(stages.longest_ns for _, stages in cores.values()), *(stage_ns for _, stage_ns in kept.values())]
    engines = (process.kind for process in network.processes if isinstance(process.kind, kinds.Engine))
    longest += [walk_ns(kind, family.delays) for kind in engines if cores]
    longest += [block_ns(process, family) for process in network.processes if cores]
    routed = family.delays.routed(max(longest), count.lut) if longest else 0.0
    if routed and count.bram > within and family.place_and_route is not None:  # logic reads block memory
        routed = max(routed, family.place_and_route.memory_ns)
    size = replace(count.size(), interval=interval, routed_ns=routed).corrected(family.correction)
    size = with_movers(size, network, directives.weights_bus)
    return with_port(size, frames_of_network(network), directives.port, family)


@lately(1)
def _cores(
    network: Network, family: Family, budget_ns: float, blocks: BlockLayers | None
) -> tuple[dict[int, Pipelined], dict[int, tuple[int | None, float]]]:
    """The circuits of token functions by their process, the first before others; registers and longest stages of those left."""
    circuits, kept = dict[int, Pipelined](), dict[int, tuple[int | None, float]]()
    budget_ns = stage_budget(network.programs, family.delays, budget_ns)
    left = _made_luts()
    for number, process in enumerate(network.processes):
        program = process.kind.logic.program
        if program:
            size = estimate(program, family).lut
            if size <= left:
                left -= size
                circuits[number] = pipelined(program, family.delays, budget_ns, blocks)
            else:
                registers = stage_registers(program, family.delays, budget_ns)
                kept[number] = None if registers is None else sum(registers), budget_ns
    return circuits, kept


def _count_states(count: Count, kind: kinds.Scan, read: OperandsRead) -> None:
    """The register of a recurrence, the choice of its first value unless that is zero, and the counter of its steps."""
    types = [kind.body.nodes[index].type for index in kind.body.inputs[: kind.states]]
    bits = sum(int(np.broadcast_to(state.width, state.shape).sum()) for state in types)
    if read.core:
        bits = sum(mask.bit_count() for mask in bits_of_inputs(read.core[0])[: sum(state.size for state in types)])
    steps = kind.steps.bit_length()
    chosen = bits if kind.kept else sum(map(np.count_nonzero, read.operands[: kind.states]))
    count.ff += bits + steps + 1 + (kind.kept > 0)
    count.lut += chosen * count.area.mux2_luts.per_bit + steps


def _count_process(count: Count, wiring: Wiring, number: int, depth: int, column: int, read: OperandsRead) -> None:
    """Count what a process has besides token functions: a memory of ``depth`` tokens, larger ones if there is a ``column``."""
    process = wiring.network.processes[number]
    kind = process.kind
    match kind:
        case kinds.FoldedProduct():
            taken, wires = process.takes[0].token, wiring.of_operand(number)
            count.fold(kind, taken, process.results[0].token, (wires >= 0).reshape(taken.shape), distinct(wires))
        case kinds.WidthConverter():
            have, want, part = process.takes[0].bits, process.results[0].bits, share(read.operands[0])
            if have > want:
                given, chosen = _choices(wiring, number)
                count.select(have * given * part, want * chosen * part)
            else:
                # The last part goes straight on.
                count.ff += round(max(want - have, 0) * part * _registered(count, wiring.of_operand(number)))
        case kinds.Window():
            count_window(count, kind, process, column, read.results[0])
        case kinds.Sweep():
            count_sweep(count, kind, process.takes[0], depth, process.results[0].bits, column, share(read.results[0]))
        case kinds.Reorder():
            if is_monotone(kind.source):
                count.lut += 2 * order_bits(kind.source, process.takes[0].tokens)
            else:
                rows, width = reorder_rows(kind.source, process.takes[0].tokens, depth)
                count.reorder(process.takes[0], rows, width, depth, column)
        case kinds.Replay():
            _count_replay(count, kind, process.takes[0].bits, column)
        case kinds.Rom():
            if kind.loaded:
                count.loadable(kind.loaded.steps * kind.loaded.groups, process.results[0].bits)
            else:
                bits = process.results[0].bits
                count.table(len(kind.words), bits, clocked=count.area.memory.suits_table(len(kind.words) * bits))
        case kinds.Interleave():
            part = share(read.operands[0])
            count.select(sum(stream.bits for stream in process.takes) * part, process.results[0].bits * part)
            width = (len(process.takes) - 1).bit_length()
            if count.area.memory.suits_table(period(kind.source) * width):
                count.places(run_length(kind.source).bit_length())
        case kinds.Reduce():
            count.reduce(kind.op, process.results[0], share(read.operands[0]))  # low bits carry
        case kinds.Feedback():
            states = process.takes[0].tokens
            count.select(sum(stream.bits for stream in process.takes), process.results[0].bits)
            count.ff += (states * kind.rounds).bit_length() + 1
            count.lut += (states * kind.rounds).bit_length()
            count.ff += kind.kept * (states * process.results[0].bits + 1)
        case kinds.Scan():
            _count_states(count, kind, read)
        case kinds.Engine():
            count_engine(count, kind, process.takes, column)
        case kinds.Source() | kinds.Sink() | kinds.Outside() | kinds.Map():
            pass
        case _:
            assert_never(kind)


def _choices(wiring: Wiring, number: int) -> tuple[float, float]:
    """The shares of a token and of its parts that a width converter chooses from and gives: what is alike once, no zeros."""
    parts = wiring.of_operand(number).reshape(-1, wiring.network.processes[number].results[0].token.size)
    there = parts[:, np.unique(numbered(parts), return_index=True)[1]] >= 0
    return np.count_nonzero(there) / parts.size, np.count_nonzero(there.any(axis=0)) / parts.shape[1]


def _count_fifo(count: Count, wiring: Wiring, number: int, operand: int, depth: int, column: int, read: Mask) -> None:
    """Registers of what is only wired hold each bit once: synthesis joins those that are alike, but no memories.

    The bits ``read`` have a reader.
    """
    bits, wires = wiring.network.processes[number].takes[operand].bits, wiring.of_operand(number, operand)
    held = bits * stored(wires)
    count.ff += wiring.network.processes[number].slice(operand) * (round(held) + _SLICE_FLAGS)
    if depth == REGISTERS and wiring.network.refills(number, operand):
        depth = 1
    count.control(depth, *_control(wiring.network.processes[number], operand, count.area.block))
    if _in_memory(count, wiring, number, operand, depth):
        count.queue(depth, round(held), read, column, distinct(wires) / max(stored(wires), distinct(wires), 1e-9))
    else:
        count.registers(depth, bits * _registered(count, wires) * share(read))


def _in_memory(count: Count, wiring: Wiring, number: int, operand: int, depth: int) -> bool:
    """Return True if the slots of a FIFO are a memory."""
    wires, bits = wiring.of_operand(number, operand), wiring.network.processes[number].takes[operand].bits
    pair = (
        depth == REGISTERS
        and not wiring.network.refills(number, operand)
        and not repeats(wires)
        and count.area.memory.holds_pair(bits * stored(wires))
    )
    return pair or depth > REGISTERS


def _registered(count: Count, wires: Wires) -> float:
    """The share of elements that have registers of their own."""
    return distinct(wires) if count.area.joins_bits else stored(wires)


def _control(process: Process, operand: int, block: MultiplierBlock | None) -> tuple[float, int]:
    """Look-up tables and flip-flops of a process's own counters and flags; those of operands after the first have none."""
    if operand > 0:
        return 0.0, 0
    match process.kind:
        case kinds.Map() | kinds.Scan() | kinds.Sink() | kinds.Replay() | kinds.Outside() | kinds.Feedback():
            return _HANDSHAKE_LUTS, 0  # counters are counted with the circuit, as are steps
        case kinds.WidthConverter():
            have, want = process.takes[0].bits, process.results[0].bits
            parts = (max(have, want) // max(min(have, want), 1) - 1).bit_length()
            return _HANDSHAKE_LUTS + parts, parts
        case kinds.Reduce(count=tokens):
            return _HANDSHAKE_LUTS + (tokens - 1).bit_length(), tokens.bit_length()
        case kinds.Reorder(source=source):
            return _HANDSHAKE_LUTS, order_bits(source, process.takes[0].tokens)
        case kinds.Interleave(source=source):
            index = (len(source) - 1).bit_length()
            return 2.0 * index, index
        case kinds.FoldedProduct() as kind:
            stages = own_latency(process, block) or 0
            flags = 3 * stages + (kind.steps - 1).bit_length() + (kind.groups * kind.steps - 1).bit_length()
            return _CONTROL_LUTS, flags
        case kinds.Sweep():
            return 0.0, 0
        case kinds.Source() | kinds.Rom() | kinds.Window() | kinds.Engine():
            return _CONTROL_LUTS, _CONTROL_FFS
        case _:
            assert_never(process.kind)


def _count_replay(count: Count, kind: kinds.Replay, bits: int, column: int) -> None:
    """A memory whose tokens come over and over, with counters of tokens, times and places."""
    places, table = (kind.places - 1).bit_length(), kind.table
    count.ff += table.bits + 5 * places + (table.words - 1).bit_length() + 1
    count.places(table.bits + 4 * places)
    count.contents(kind.rows, table.bits)
    count.memory(Words.BY_ADDRESS, kind.places, bits, column)
