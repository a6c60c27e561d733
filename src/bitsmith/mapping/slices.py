"""Register slices on the streams between layers.

In: a network of processes, and registers each way by the layer that a stream comes into. Out: the network with `Process.slices`.
Each stream that enters a layer gets a slice, with three exceptions. Constants need none, since their tables can lie beside their
readers. Outputs of the circuit are in registers already. A slice in a recurrence would make each round longer.
"""

from collections.abc import Mapping
from dataclasses import replace

from bitsmith.dataflow.kinds import Sink, Source
from bitsmith.dataflow.processes import Network, Process, gives_back


def sliced(network: Network, slices: Mapping[str, int]) -> Network:
    """``network`` with as many registers each way as ``slices`` has for a layer on streams that come into it."""
    if not any(slices.values()):
        return network
    constant, rounds = _constants(network), _rounds(network)

    def registers(maker: int, reader: int) -> int:
        process = network.processes[reader]
        if isinstance(process.kind, Sink) or maker in constant or any({maker, reader} <= members for members in rounds):
            return 0
        entered = set(process.layers).difference(network.processes[maker].layers)
        return max((slices.get(layer, 0) for layer in entered), default=0)

    def with_slices(number: int, process: Process) -> Process:
        counts = tuple(registers(source.process, number) for source in process.args)
        return replace(process, slices=counts) if any(counts) else process

    return Network(tuple(with_slices(number, process) for number, process in enumerate(network.processes)))


def islands(network: Network) -> list[tuple[int, ...]]:
    """Groups of processes that no register slice separates: combinational paths stay within a group."""
    group = list(range(len(network.processes)))
    for number, process in enumerate(network.processes):
        for operand, source in enumerate(process.args):
            if not process.slice(operand):
                joined, gone = group[source.process], group[number]
                group = [joined if label == gone else label for label in group]
    return [tuple(k for k, label in enumerate(group) if label == first) for first in dict.fromkeys(group)]


def _constants(network: Network) -> set[int]:
    """Processes that give the same tokens for each frame."""
    constant: set[int] = set()
    for number, process in enumerate(network.processes):
        if not isinstance(process.kind, Source) and all(source.process in constant for source in process.args):
            constant.add(number)
    return constant


def _rounds(network: Network) -> list[set[int]]:
    """For each `Feedback`, the processes between it and the one that gives its state back, both included."""
    rounds: list[set[int]] = []
    for number, process in enumerate(network.processes):
        for source in process.args:
            if gives_back(number, source):
                after = _reached(network, number, source.process)
                rounds.append({k for k in after if source.process in _reached(network, k, source.process)})
    return rounds


def _reached(network: Network, first: int, last: int) -> set[int]:
    """Process ``first``, and those up to ``last`` that depend on it."""
    reached = {first}
    for number in range(first + 1, last + 1):
        if any(source.process in reached for source in network.processes[number].args):
            reached.add(number)
    return reached
