"""FIFOs for which a part has no room, in the memory outside that the user has described.

In: a network of processes, and directives. Out: the network in which the largest FIFOs, as few as leave room for all else, are
processes that write tokens to that memory and read them back. They share what it gives by the bits that each moves.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from bitsmith.base.lately import lately
from bitsmith.dataflow.kinds import Boundary, Engine, Outside, Rom, Sink, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back
from bitsmith.dataflow.schedule import Fifo, fifos
from bitsmith.dataflow.tokens import Stream
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.engine.fetched import word_cycles
from bitsmith.mapping.engine.outside import way_cycles
from bitsmith.mapping.memories import Place, blocks_needed
from bitsmith.mapping.multipliers import latencies_of
from bitsmith.mapping.partition import partition


@lately(3)
def with_room(program: Program, directives: Directives) -> Network:
    """The processes of ``program``, with FIFOs in the memory outside where the part has no room for them."""
    return with_fifos_outside(partition(program, directives), directives)


def with_fifos_outside(network: Network, directives: Directives) -> Network:
    """``network`` with FIFOs in the memory outside, if it lacks memory blocks for FIFOs alone.

    What comes from there for engines comes as much slower as these FIFOs need. Without engines they must not slow the rest down.
    """
    part, rate = directives.part, directives.weights_rate
    if part is None or rate is None or directives.parallel:
        return network
    latencies = latencies_of(network, directives.block)
    least, _ = fifos(network, latencies, planned=False)
    if sum(blocks_needed(Wiring(network), least, part, directives.protection).values()) > part.die.brams:
        return network
    chosen, interval = _chosen(network, latencies, part, directives.protection)
    if not chosen:
        return network
    bus, others = directives.weights_bus, [_moved_bits(process) for process in network.processes]
    rates = _rates(chosen, rate, sum(others), _most_rate(network, bus), bus)
    share = (rate - 2 * sum(rates.values())) / max(sum(others), 1)
    gaps = {place: word_cycles(stream.bits, rates[place], bus) for place, stream in chosen.items()}
    if not any(others) and any(gap * chosen[place].tokens > interval for place, gap in gaps.items()):
        return network
    slower = [
        _slower(process, share * bits, bus) if bits else process
        for process, bits in zip(network.processes, others, strict=True)
    ]
    return _moved(Network(tuple(slower)), gaps, way_cycles(bus))


def _rates(
    chosen: Mapping[Place, Stream], rate: float, others: int, most: float, bus: WeightsBus | None
) -> Mapping[Place, float]:
    """The bits in a cycle of each FIFO each way, by those that it moves beside ``others``; none has more than it can use.

    Others can use ``most`` bits in a cycle.
    """
    places = {place: stream.tokens * stream.bits for place, stream in chosen.items()}
    moved = sum(places.values())
    left, rates = max(rate * moved / (2 * moved + others), (rate - most) / 2), dict[Place, float]()
    # Those with the most tokens can use the least of it, so that they come first.
    for place in sorted(places, key=lambda place: chosen[place].tokens, reverse=True):
        bits, own = chosen[place].bits, left * places[place] / moved
        rates[place] = min(own, bits) if bus is None else own
        left, moved = left - rates[place], moved - places[place]
    return rates


def _moved_bits(process: Process) -> int:
    """The bits of a frame that a process moves from or to the memory outside: weights of engines, and their maps."""
    kind = process.kind
    if not isinstance(kind, Boundary):
        return 0
    match kind:
        case Sink() | Source(stored=None):
            return 0
        case Outside() | Source():
            return sum(stream.tokens * stream.bits for stream in (*process.takes, *process.results))
        case _:
            assert_never(kind)


def _most_rate(network: Network, bus: WeightsBus | None) -> float:
    """The bits in a cycle that processes can move from or to the memory outside: a token each way; of a bus as many as it has."""
    if bus is not None:
        return math.inf
    moving = (process for process in network.processes if _moved_bits(process))
    return sum(stream.bits for process in moving for stream in (*process.takes, *process.results))


def _slower(process: Process, rate: float, bus: WeightsBus | None) -> Process:
    """``process`` with no more than ``rate`` bits in a cycle from the memory outside, both ways together."""
    kind, bits = process.kind, process.results[0].bits
    if isinstance(kind, Outside):
        return replace(process, kind=replace(kind, gap=max(kind.gap, word_cycles(bits, rate / 2, bus))))
    assert isinstance(kind, Source) and kind.stored is not None, "nothing else moves bits"
    stored = replace(kind.stored, gap=max(kind.stored.gap, word_cycles(bits, rate, bus)))
    return replace(process, kind=replace(kind, stored=stored))


def _chosen(
    network: Network, latencies: Mapping[int, int], part: Part, protection: Protection
) -> tuple[Mapping[Place, Stream], int]:
    """The operands whose FIFOs leave, none if that is not enough, and the interval of a plan with all of them on chip."""
    planned, interval = fifos(network, latencies)
    needed, chosen = blocks_needed(Wiring(network), planned, part, protection), dict[Place, Stream]()
    lacking = sum(needed.values()) - part.die.brams
    leaving = {(one.consumer, one.operand) for one in planned if _may_leave(network, one)}
    for place in sorted(leaving & needed.keys(), key=lambda place: (-needed[place], place)):
        if lacking > 0:
            chosen[place] = network.processes[place[0]].takes[place[1]]
            lacking -= needed[place]
    return chosen if lacking <= 0 else {}, interval


def _may_leave(network: Network, fifo: Fifo) -> bool:
    """Return True if a FIFO has no more than a frame, of each frame anew: no constants or states, but results of visits."""
    if fifo.operand < 0:
        return False
    consumer = network.processes[fifo.consumer]
    source = consumer.args[fifo.operand]
    is_constant = isinstance(network.processes[source.process].kind, Rom)
    is_state = gives_back(fifo.consumer, source) and not isinstance(consumer.kind, Engine)
    return not (is_constant or is_state) and fifo.depth <= network.stream(source).tokens


def _moved(network: Network, gaps: Mapping[Place, int], latency: int) -> Network:
    """``network`` with a memory of such gaps before each of some operands, which comes after what makes it."""
    new, numbers, outside = list[Process](), list[int](), dict[Place, OutputPort]()
    for number, process in enumerate(network.processes):
        numbers.append(len(new))
        new.append(process)
        for place, gap in gaps.items():
            consumer = network.processes[place[0]]
            source = consumer.args[place[1]]
            if source.process == number:
                stream = network.stream(source)
                name = f"{'_'.join(consumer.layers[:1])}_fifo{len(new)}"
                memory = Outside(name, ((0, stream.tokens),), gap, latency)
                outside[place] = OutputPort(len(new))
                taken = (OutputPort(numbers[-1], source.port),)
                new.append(Process(memory, taken, (stream,), (stream,), consumer.layers))
    for number, process in enumerate(network.processes):
        ports = (OutputPort(numbers[source.process], source.port) for source in process.args)
        args = tuple(outside.get((number, operand), port) for operand, port in enumerate(ports))
        new[numbers[number]] = replace(process, args=args)
    return Network(tuple(new))
