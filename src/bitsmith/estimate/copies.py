"""Words that circuits compute twice, as one sees only beside those that they read: synthesis makes them once.

In: a network, the circuits of its token functions, and the depths of FIFOs. A circuit may give the same wire as several
elements, which registers between processes hold once, and of which the next circuit computes the same.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.wires import Wires, Wiring
from bitsmith.estimate.count import REGISTERS
from bitsmith.netlist.netlist import InputPort, Literal, Netlist, WordRef
from bitsmith.netlist.pipelined import Pipelined
from bitsmith.netlist.renumber import moved


def wiring_of_circuits(
    network: Network, cores: Mapping[int, Pipelined], depths: Mapping[tuple[int, int], int]
) -> Wiring:
    """The wires of a network, those that circuits give several times known as well."""
    computed: dict[int, list[Wires]] = {}
    wiring = Wiring(network, computed)
    for number, process in enumerate(network.processes):
        if number in cores and process.kind.logic.states == 0:
            netlist, _ = beside_its_operands(cores[number], wiring, number, depths)
            sizes = np.cumsum([stream.token.size for stream in process.results])[:-1]
            computed[number] = np.split(_results(netlist), sizes)
    return wiring


def _wires_read(wiring: Wiring, number: int, depths: Mapping[tuple[int, int], int]) -> Wires:
    """The wires of all elements that a process reads; what comes out of a memory is a wire of its own."""
    parts, first = list[Wires](), 0
    for operand, stream in enumerate(wiring.network.processes[number].takes):
        in_registers = depths[number, operand] <= REGISTERS
        wires = wiring.of_operand(number, operand) if in_registers else np.arange(stream.token.size)
        parts.append(np.where(wires < 0, -1, wires + first))
        first += int(wires.max(initial=-1)) + 1
    return np.concatenate(parts)


def beside_its_operands(
    core: Pipelined, wiring: Wiring, number: int, depths: Mapping[tuple[int, int], int]
) -> Pipelined:
    """The circuit of a process without what it computes twice; states of recurrences are alike at the first step only."""
    if wiring.network.processes[number].kind.logic.states != 0:
        return core
    return joined(core, _wires_read(wiring, number, depths))


def joined(core: Pipelined, wires: Wires) -> Pipelined:
    """A circuit that reads each of its wires in one place, and computes once what is computed alike from them."""
    netlist, stages = core
    elements, first = wires.tolist(), dict[int, int]()
    for element, wire in enumerate(elements):
        first.setdefault(wire, element)
    places: dict[int, int] = {}
    alike: dict[object, int] = {}
    words = list(netlist.words)
    for index, word in enumerate(netlist.words):
        cell = moved(word.cell, places)
        if isinstance(cell, InputPort) and elements[cell.element] >= 0:
            cell = InputPort(first[elements[cell.element]])
        how = stages.stage[index], index in stages.memories, index in stages.tables_of_bits
        places[index] = alike.setdefault((cell, word.lo, word.hi, word.drop, how), index)
        words[index] = replace(word, cell=cell)
    results = tuple(WordRef(places[ref.word], ref.shift) for ref in netlist.results)
    return replace(netlist, words=tuple(words), results=results), stages


def _results(netlist: Netlist) -> Wires:
    """The wires of the elements of results."""
    numbers: dict[WordRef, int] = {}
    zeros = [netlist.words[ref.word].cell == Literal(0) for ref in netlist.results]
    wires = (
        -1 if zero else numbers.setdefault(ref, len(numbers)) for ref, zero in zip(netlist.results, zeros, strict=True)
    )
    return np.fromiter(wires, dtype=np.int64)
