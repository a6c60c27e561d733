"""The bits of results that are read: synthesis removes all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress, islice
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.kinds import Interleave, Reduce, Reorder, Rom, Sweep, WidthConverter, Window
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.indexing import Move, moved
from bitsmith.ir.program import Node, Program
from bitsmith.netlist.netlist import InputPort, Netlist, live_words
from bitsmith.netlist.pipelined import Pipelined

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OperandsRead:
    """The bits of each operand of a process that it reads, and its circuit, if it was made, with no other ``results``."""

    operands: Sequence[Mask]
    core: Pipelined | None
    results: Sequence[Mask]


def share(read: Mask, together: int = 1) -> float:
    """The share of bits that are kept where so many ``together`` are, of which one is read."""
    padded = np.append(read, np.zeros(-read.size % together, dtype=np.bool_))
    kept = int(padded.reshape(-1, together).any(axis=-1).sum()) * together
    return min(kept / max(read.size, 1), 1.0)


def changing(network: Network, source: OutputPort) -> Mask:
    """The bits of a result that are not the same in all tokens of a constant table: of others synthesis keeps no register."""
    process = network.processes[source.process]
    stream, kind = process.results[source.port], process.kind
    if not isinstance(kind, Rom) or kind.loaded:
        return np.ones(stream.bits, dtype=np.bool_)
    words = kind.words.reshape(len(kind.words), -1)
    differ = np.bitwise_or.reduce(words ^ words[:1], axis=0).tolist()
    return _bits(differ, stream)


def with_cells(read: Mask, together: int) -> Mask:
    """The bits of a token that a memory keeps which has so many ``together`` in a cell."""
    cells = np.arange(read.size) // together
    return read if together == 1 else np.isin(cells, cells[read])


def operands_read(
    network: Network, cores: Mapping[int, Pipelined], together: Mapping[tuple[int, int], int]
) -> Mapping[int, OperandsRead]:
    """Return what each process reads; ``cores`` has the circuits of token functions by the number of their process.

    Of memories, by process and operand (-1 within), so many bits are ``together`` in a cell. Processes that move or reduce tokens
    read what is read of their results. Others are only known to leave bits out if their circuits were made.
    """
    read = [[np.zeros(stream.bits, dtype=np.bool_) for stream in process.results] for process in network.processes]
    for number, process in enumerate(network.processes):
        for source in process.args:
            if source.process >= number:  # it is given back
                read[source.process][source.port][:] = True
    reads = dict[int, OperandsRead]()
    for number, process in reversed(list(enumerate(network.processes))):
        reads[number] = _of_process(process, read[number], cores.get(number))
        for operand, (source, mask) in enumerate(zip(process.args, reads[number].operands, strict=True)):
            cells = max(together.get((number, operand), 1), together.get((number, -1), 1))
            read[source.process][source.port] |= with_cells(mask, cells)
    return reads


def _of_process(process: Process, results: Sequence[Mask], core: Pipelined | None) -> OperandsRead:
    """The bits of operands that the bits of ``results`` depend on."""
    kind, takes = process.kind, process.takes
    if isinstance(kind, Reorder | Reduce | Interleave | Sweep | WidthConverter | Window):
        parts = (parts_read(process, operand, results[0]) for operand in range(len(takes)))
        return OperandsRead([np.logical_or.reduce(part) for part in parts], None, results)
    if core is None or kind.logic.states is None:
        return OperandsRead([np.ones(stream.bits, dtype=np.bool_) for stream in takes], core, results)
    netlist, stages = core
    states = sum(stream.token.size for stream in takes[: kind.logic.states])
    given = (_elements(read, stream) for read, stream in zip(results, process.results, strict=True))
    wanted = np.concatenate([np.zeros(states, dtype=np.bool_), *given])
    while True:
        left = _with_results(netlist, wanted)
        masks = bits_of_inputs(left)
        reached = np.array([mask != 0 for mask in masks[:states]], dtype=np.bool_)
        if not (reached & ~wanted[:states]).any():
            each = iter(masks)
            operands = [_bits(list(islice(each, stream.token.size)), stream) for stream in takes]
            return OperandsRead(operands, (left, stages), results)
        wanted[:states] |= reached


def parts_read(process: Process, operand: int, read: Mask) -> Mask:
    """The bits of an operand for each part or tap of a result, whose bits ``read`` are, or for all of it, of which it is a part.

    Elements go through, but for sums and maxima. Where their format is another, all bits of those that are read are.
    """
    have, want = _formats(process.takes[operand]), _formats(process.results[0])
    size = min(len(have), len(want))
    parts, times, formats = len(want) // size, len(have) // size, have[:size]
    whole = all((each.reshape(-1, size, 3) == formats).all() for each in (have, want))
    if whole and not isinstance(process.kind, Reduce):
        return np.tile(read.reshape(parts, int(formats[:, 0].sum())), times)
    elements = _elements(read, process.results[0]).reshape(parts, size)
    return np.repeat(np.tile(elements, times), have[:, 0], axis=1)


def _formats(stream: Stream) -> npt.NDArray[np.int64]:
    """Widths, fractions and signs of the elements of a token."""
    token = stream.token
    columns = token.width, token.frac, (token.lo < 0).astype(np.int64)
    return np.stack([np.broadcast_to(column, token.shape).ravel() for column in columns], axis=-1)


def _elements(read: Mask, stream: Stream) -> Mask:
    """The elements of a token of which a bit is ``read``."""
    widths = _formats(stream)[:, 0]
    return np.bincount(np.repeat(np.arange(widths.size), widths), weights=read, minlength=widths.size) > 0


def _bits(masks: Sequence[int], stream: Stream) -> Mask:
    """The bits of a token that the masks of its elements have."""
    widths = _formats(stream)[:, 0].tolist()
    return np.array([mask >> bit & 1 for mask, width in zip(masks, widths, strict=True) for bit in range(width)], bool)


def bits_of_inputs(netlist: Netlist) -> list[int]:
    """The bits of each input that are read, as a mask."""
    masks = [0] * len(netlist.inputs)
    for word in (netlist.words[index] for index in live_words(netlist)):
        if isinstance(word.cell, InputPort):
            masks[word.cell.element] |= ((1 << word.width) - 1) << word.drop
    return masks


def _with_results(netlist: Netlist, wanted: Mask) -> Netlist:
    """``netlist`` with the results ``wanted`` alone."""
    outputs, results = tuple(compress(netlist.outputs, wanted)), tuple(compress(netlist.results, wanted))
    return replace(netlist, outputs=outputs, results=results)


def elements_read(program: Program) -> list[Mask]:
    """The elements of each node that an output depends on; of recurrences all steps up to the last of them."""
    masks = [np.zeros(node.type.shape, dtype=np.bool_) for node in program.nodes]
    for output in program.outputs:
        masks[output.node][...] = True
    for node, mask in zip(reversed(program.nodes), reversed(masks), strict=True):
        if isinstance(node.op, ops.Scan):
            mask[: np.max(np.nonzero(mask)[0], initial=-1) + 1] = True
        if node.args and mask.any():
            shapes = [masks[arg].shape for arg in node.args]
            for arg, read in zip(node.args, _read(node, mask, shapes), strict=True):
                masks[arg] |= read
    return masks


def _read(node: Node, mask: Mask, shapes: list[tuple[int, ...]]) -> list[Mask]:
    """The elements of each operand, of ``shapes``, that those of the result in ``mask`` depend on."""
    match node.op:
        case ops.Reshape():
            return [mask.reshape(shapes[0])]
        case op if isinstance(op, Move):
            places, read = moved(op, shapes[0]), np.zeros(shapes[0], dtype=np.bool_)
            read.ravel()[places[mask & (places >= 0)]] = True
            return [read]
        case ops.Concat(axis):
            return np.split(mask, np.cumsum([shape[axis] for shape in shapes])[:-1], axis=axis)
        case ops.Linear(weights):
            return [mask.astype(np.float32) @ (weights != 0).T.astype(np.float32) > 0]
        case ops.MatMul():
            rows, columns = (np.logical_or.reduce(mask, axis=axis, keepdims=True) for axis in (-1, -2))
            return [_onto(shapes[0], rows), _onto(shapes[1], columns)]
        case ops.Sum(axes) | ops.AMax(axes):
            return [np.broadcast_to(np.expand_dims(mask, axes), shapes[0])]
        case ops.Scan():
            return [np.ones(shape, dtype=np.bool_) for shape in shapes]
        case op if isinstance(op, ops.Elementwise):
            return [_onto(shape, mask) for shape in shapes]
        case ops.Input() | ops.Const() | ops.Parameter():
            return []
        case op:
            assert_never(op)


def _onto(shape: tuple[int, ...], mask: Mask) -> Mask:
    """The elements of an operand of ``shape`` of which broadcasting puts a copy into ``mask``."""
    whole = (1,) * (mask.ndim - len(shape)) + shape
    axes = tuple(axis for axis, size in enumerate(whole) if size == 1)
    return np.broadcast_to(np.logical_or.reduce(mask, axis=axes, keepdims=True), whole).reshape(shape)
