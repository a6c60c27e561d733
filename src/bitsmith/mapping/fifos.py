"""FIFOs for which a part has no room, in the memory outside that the user has described.

In: a network of processes, and directives. Out: the network in which the largest FIFOs, as few as leave room for all else, are
processes that write tokens to that memory and read them back. They share what it gives by the bits that each moves.
"""

from collections.abc import Mapping
from dataclasses import replace

from bitsmith.base.lately import lately
from bitsmith.dataflow.kinds import Outside, Rom, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back
from bitsmith.dataflow.schedule import Fifo, fifos
from bitsmith.dataflow.tokens import Stream
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.family import Part
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
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
    """``network`` with FIFOs in the memory outside, if it lacks memory blocks for FIFOs alone, and no weights come from there."""
    part, rate = directives.part, directives.weights_rate
    has_weights = any(isinstance(one.kind, Source) and one.kind.stored is not None for one in network.processes)
    if part is None or rate is None or directives.parallel or has_weights:
        return network
    latencies = latencies_of(network, directives.block)
    least, _ = fifos(network, latencies, planned=False)
    if sum(blocks_needed(Wiring(network), least, part).values()) > part.die.brams:
        return network
    chosen, interval = _chosen(network, latencies, part)
    moved = {place: stream.tokens * stream.bits for place, stream in chosen.items()}
    gaps = {
        place: word_cycles(stream.bits, rate / 2 * moved[place] / sum(moved.values()), directives.weights_bus)
        for place, stream in chosen.items()
    }
    if any(gap * chosen[place].tokens > interval for place, gap in gaps.items()):
        return network
    return _moved(network, gaps, way_cycles(directives.weights_bus))


def _chosen(network: Network, latencies: Mapping[int, int], part: Part) -> tuple[Mapping[Place, Stream], int]:
    """The operands whose FIFOs leave, none if that is not enough, and the interval of a plan with all of them on chip."""
    planned, interval = fifos(network, latencies)
    needed, chosen = blocks_needed(Wiring(network), planned, part), dict[Place, Stream]()
    lacking = sum(needed.values()) - part.die.brams
    leaving = {(one.consumer, one.operand) for one in planned if _may_leave(network, one)}
    for place in sorted(leaving & needed.keys(), key=lambda place: (-needed[place], place)):
        if lacking > 0:
            chosen[place] = network.processes[place[0]].takes[place[1]]
            lacking -= needed[place]
    return chosen if lacking <= 0 else {}, interval


def _may_leave(network: Network, fifo: Fifo) -> bool:
    """Return True if a FIFO has what is made earlier, of each frame anew, and no more of it than a frame."""
    if fifo.operand < 0:
        return False
    source = network.processes[fifo.consumer].args[fifo.operand]
    is_constant = isinstance(network.processes[source.process].kind, Rom)
    return not (is_constant or gives_back(fifo.consumer, source)) and fifo.depth <= network.stream(source).tokens


def _moved(network: Network, gaps: Mapping[Place, int], latency: int) -> Network:
    """``network`` with a memory of such gaps before each of some operands."""
    if not gaps:
        return network
    before = [sum(one <= number for one, _ in gaps) for number in range(len(network.processes))]
    new = list[Process]()
    for number, process in enumerate(network.processes):
        args = [OutputPort(source.process + before[source.process], source.port) for source in process.args]
        for operand, source in enumerate(process.args):
            if (number, operand) in gaps:
                stream = network.stream(source)
                name = f"{'_'.join(process.layers[:1])}_fifo{len(new)}"
                outside = Outside(name, ((0, stream.tokens),), gaps[number, operand], latency)
                new.append(Process(outside, (args[operand],), (stream,), (stream,), process.layers))
                args[operand] = OutputPort(len(new) - 1)
        new.append(replace(process, args=tuple(args)))
    return Network(tuple(new))
