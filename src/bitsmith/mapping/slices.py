"""Register slices on the streams between layers.

In: a network of processes, and registers each way by the layer that a stream comes into. Out: the network with `Process.slices`.
A slice is on each stream into a process of a layer that the process which makes the stream has not, but for three. Constants
need none, since their tables can lie beside their readers. What leaves the circuit is in registers already. States that go
round would take longer for each round.
"""

from __future__ import annotations

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
        if isinstance(process.kind, Sink) or maker in constant or any({maker, reader} <= each for each in rounds):
            return 0
        entered = set(process.layers).difference(network.processes[maker].layers)
        return max((slices.get(layer, 0) for layer in entered), default=0)

    def with_slices(number: int, process: Process) -> Process:
        found = tuple(registers(source.process, number) for source in process.args)
        return replace(process, slices=found) if any(found) else process

    return Network(tuple(with_slices(number, process) for number, process in enumerate(network.processes)))


def islands(network: Network) -> list[tuple[int, ...]]:
    """Processes that no register slice separates, in groups: paths of logic may go anywhere within one, and nowhere else."""
    group = list(range(len(network.processes)))
    for number, process in enumerate(network.processes):
        for operand, source in enumerate(process.args):
            if not process.slice(operand):
                joined, gone = group[source.process], group[number]
                group = [joined if each == gone else each for each in group]
    return [tuple(k for k, each in enumerate(group) if each == first) for first in dict.fromkeys(group)]


def _constants(network: Network) -> set[int]:
    """Processes that give the same tokens for each frame."""
    found: set[int] = set()
    for number, process in enumerate(network.processes):
        if not isinstance(process.kind, Source) and all(source.process in found for source in process.args):
            found.add(number)
    return found


def _rounds(network: Network) -> list[set[int]]:
    """Processes on the way from a `Feedback` to what gives its state back, for each of these."""
    found: list[set[int]] = []
    for number, process in enumerate(network.processes):
        for source in process.args:
            if gives_back(number, source):
                after = _reached(network, number, source.process)
                found.append({k for k in after if source.process in _reached(network, k, source.process)})
    return found


def _reached(network: Network, first: int, last: int) -> set[int]:
    """Processes up to ``last`` that take, by way of others, what ``first`` makes; and ``first``."""
    found = {first}
    for number in range(first + 1, last + 1):
        if any(source.process in found for source in network.processes[number].args):
            found.add(number)
    return found
