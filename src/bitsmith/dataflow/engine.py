"""The program of an engine: layers in turn, as sums of products over windows of numbers in one memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.engine_layer import EngineLayer, Grid, windows_over
from bitsmith.dataflow.logic import Logic
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.storage import Memory, Words, packed, table, weight_bits
from bitsmith.dataflow.timing import ProcessTiming, single
from bitsmith.dataflow.tokens import Streams
from bitsmith.emulate import Emulator
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, objects, width_of

_WORTH = 1 << 17
"""Bits of numbers that a memory of fewer bits for the last words has to save: seven memory blocks."""

ENGINE_STAGES = 4
"""Cycles from a step of an engine until the sum that leaves with it gets to the token function."""


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """Layers in turn on rows of multipliers: takes a frame into memories, gives the numbers of the last layer one by one.

    Its tokens have a number for each part across. There may be several *visits*: each has an operand and results of its own, and
    other processes may make the operand of a later one of the results of one before.

    The words of the weights and the biases are in tables, or they come as tokens of a last operand: first all biases, as many
    in the lowest bits of a word as have room there, then the weights of each step.

    Args:
        layers: in order.
        words: numbers that the memory of a position holds.
        program: the token function, of a sum, a bias and a choice: a number of the memory, and one of the result; raw values,
            with no fractional bits, but for the result.
        fed: weights and biases come.
        gap: cycles from a step to the next: 2 where the memory has a single port, and is written in between.
        checked: numbers have check bits, which are of all of their bits.
        shares: the operand of each visit, of which several have tokens for one after another; None if each has its own.
        gives: so the result that each has that leaves, all but the last.
    """

    layers: tuple[EngineLayer, ...]
    words: int
    program: Program
    fed: bool
    gap: int
    checked: bool
    shares: tuple[int, ...] | None = None
    gives: tuple[int, ...] | None = None

    @property
    def logic(self) -> Logic:
        return Logic(self.program, None, terms=1, accumulates=True, copies=self.positions * self.abreast)

    @property
    def lanes(self) -> int:
        """Multipliers of a position."""
        return max(layer.lanes for layer in self.layers)

    @property
    def begins(self) -> tuple[int, ...]:
        """The layers before which an operand comes: the first one of each visit."""
        return (0, *(number for number, layer in enumerate(self.layers) if number and layer.loads))

    @property
    def operands(self) -> tuple[int, ...]:
        """The number of the operand of each visit."""
        return self.shares or tuple(range(len(self.begins)))

    @property
    def ends(self) -> tuple[tuple[int, ...], ...]:
        """The layers whose results leave, of each operand at least one: those that give one result of the engine."""
        groups, last = list[tuple[int, ...]](), len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            if layer.continues:
                groups[-1] += (number,)
            elif layer.leaves or number == last:
                groups.append((number,))
        ends = dict[int, tuple[int, ...]]()
        for number, group in zip(self.gives or range(len(groups)), groups, strict=True):
            ends[number] = ends.get(number, ()) + group
        return tuple(ends.values())

    @property
    def held(self) -> Memory | None:
        """The memory of results from which later layers read weights, of a number for each lane; None without any."""
        read = [layer for layer in self.layers if layer.row is not None]
        rows = max((layer.all_words + (layer.row or 0) for layer in read), default=0)
        if not read:
            return None
        bits = max(weight_bits(layer.weights) for layer in read)
        return Memory(rows, bits, Words.IN_TURN, stays=True, beside=max(layer.lanes for layer in read))

    @property
    def positions(self) -> int:
        """Windows that are computed at once, each by multipliers and a token function of its own."""
        return math.prod(self.parts)

    @property
    def parts(self) -> Grid:
        """Parts of rows and columns in which tensors are."""
        return self.layers[0].parts

    @property
    def reach(self) -> Grid:
        """Parts of rows and of columns, at most, that windows are beyond their own."""
        rows, columns = zip(*(layer.reach for layer in self.layers), strict=True)
        return max(rows), max(columns)

    @property
    def others(self) -> int:
        """Parts along each axis that a position may read, beside its own."""
        return sum(min(count - 1, 2 * reach) for count, reach in zip(self.parts, self.reach, strict=True))

    @property
    def bias_bits(self) -> int:
        """Bits of a bias."""
        return self.program.nodes[self.program.inputs[1]].type.max_width

    @property
    def weight_bits(self) -> int:
        """Bits of a weight: a word of those that come has room for the biases of sums that leave at once."""
        distinct = {id(layer.weights): layer.weights for layer in self.layers}  # bands have the same ones
        most = max(2, *map(weight_bits, distinct.values()))
        return max(most, -(-self.bias_bits * self.abreast // self.lanes)) if self.fed else most

    @property
    def bias_group(self) -> int:
        """Biases in a word that comes."""
        return bias_group(self.lanes * self.weight_bits, self.bias_bits)

    @property
    def biases(self) -> int:
        """Words of biases that come with a frame."""
        return -(-self.results_of_windows // self.bias_group) if self.fed and self.bias_bits else 0

    @property
    def results_of_windows(self) -> int:
        """Results of a window of each layer, of which each has a bias and a choice; of layers that are alike once."""
        return sum(len(layer.bias) for layer in self.layers if layer.like is None)

    @property
    def first_biases(self) -> list[int]:
        """The place of each layer's first bias, and choice, among those of all layers."""
        places, count = list[int](), 0
        for layer in self.layers:
            places.append(count if layer.like is None else places[layer.like])
            count += len(layer.bias) if layer.like is None else 0
        return places

    def words_of(self, layers: Sequence[EngineLayer]) -> Ints:
        """The words that come with a frame, for layers with any weights and biases that there is room for."""
        biases = np.concatenate(
            [layer.bias for layer, own in zip(layers, self.layers, strict=True) if own.like is None]
        )
        half = 1 << (self.weight_bits - 1)
        room = np.zeros(self.biases * self.bias_group, dtype=np.object_)
        room[: len(biases)] = biases[: len(room)] % (1 << self.bias_bits)
        groups = room.reshape(-1, self.bias_group) << objects(np.arange(self.bias_group) * self.bias_bits)
        parts = groups.sum(axis=1, keepdims=True) >> objects(np.arange(self.lanes) * self.weight_bits)
        rows = [layer.rows(self.lanes) for layer in layers]
        return objects(np.concatenate([(parts + half) % (2 * half) - half, *rows]))

    @property
    def banks(self) -> int:
        """Numbers of the memory that are read at once, and at least as many as are written."""
        return max(self.abreast, *(layer.lanes if layer.apart else 1 for layer in self.layers))

    @property
    def abreast(self) -> int:
        """Sums of a window that leave at once, at most, each through a token function of its own."""
        return max(layer.abreast for layer in self.layers)

    @property
    def greatest_lanes(self) -> int:
        """Lanes that may have to find the greatest product."""
        return max((layer.lanes for layer in self.layers if layer.greatest), default=0)

    @property
    def choices(self) -> list[int] | None:
        """The choice of each layer; None if one has several."""
        return (
            [int(one.choices[0]) for one in self.layers] if all(one.choices.size == 1 for one in self.layers) else None
        )

    @property
    def by_layer(self) -> bool:
        """Return True if all choices are the numbers of the layers."""
        return self.choices == [*range(len(self.layers))]

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest number that are multiplied."""
        least, most = zip(*(each for layer in self.layers for each in layer.ranges), strict=True)
        return min(least), max(most)

    @property
    def number_bits(self) -> int:
        """Bits of a number in the memory, which is signed where its layer says so."""
        return max(1, *(width_of(*each) for layer in self.layers for each in layer.ranges))

    @property
    def narrow(self) -> tuple[int, int]:
        """The words of a bank that have all bits, the first ones, and the bits of those after them, signed; 0: all have all."""
        if self.gap > 1 or self.checked:
            return 0, 0
        read = [
            (width_of(min(-1, *least), max(most)), max(end for _, end in layer.reads))
            for layer in self.layers
            for least, most in [zip(*layer.ranges, strict=True)]
        ]
        best, saved = (0, 0), max(_WORTH, self.words * self.number_bits // 8)
        for bits in {width for width, _ in read if width < self.number_bits}:
            first = -(-max(end for width, end in read if width > bits) // self.banks)
            saves = (self.bank_words - first) * (self.number_bits - bits) * self.banks
            if saves >= saved:
                best, saved = (first, bits), saves
        return best

    @property
    def bank_words(self) -> int:
        """Numbers that a bank holds."""
        return -(-self.words // self.banks)

    @property
    def table(self) -> Memory:
        """The weights, those of a step in each word."""
        words = sum(layer.words for layer in self.layers)
        bits = self.lanes * self.weight_bits
        return table(words, bits, bits)

    @property
    def maps(self) -> list[Memory]:
        """The banks of each position."""
        kind, size = Words.BY_ADDRESS, (self.bank_words, self.number_bits)
        banks = Memory(*size, kind, stays=False, beside=self.banks, splits=True, narrow=self.narrow)
        return [banks] * self.positions

    @property
    def factors(self) -> list[Memory]:
        """Factors of numbers: results that are held, and trained weights, unless they come."""
        return [*([] if self.held is None else [self.held]), *([] if self.fed else [self.table])]

    @property
    def constants(self) -> list[Memory]:
        """Biases that come, or are in tables with choices: all for the first sum, those of others abreast for each of these."""
        count, bits = self.results_of_windows, sum(self.bias_widths)
        rows = [count, *[count // self.abreast] * (self.abreast - 1)] if bits else []
        words = [self.biases] if self.biases else []
        return [
            *[Memory(each, self.bias_bits * self.bias_group, Words.BY_ADDRESS, stays=True) for each in words],
            *[table(each, bits, bits) for each in rows],
        ]

    @property
    def weight_words(self) -> list[int]:
        """The words of the table of weights."""
        rows = np.concatenate([layer.rows(self.lanes) for layer in self.layers]) & ((1 << self.weight_bits) - 1)
        return list((rows << objects(np.arange(self.lanes) * self.weight_bits)).sum(axis=1))

    @property
    def bias_widths(self) -> tuple[int, int]:
        """Bits of a bias and of a choice in tables."""
        choice = self.program.nodes[self.program.inputs[2]].type.max_width
        return 0 if self.biases else self.bias_bits, 0 if self.choices else choice

    def bias_words(self, widths: tuple[int, int]) -> list[list[int]]:
        """The words of biases and choices, of such ``widths``: all for the first sum, those of others abreast for each of these.

        Choices are inverted. They are addresses of tables, which Yosys wants as block memory, too, if a wire from block memory is
        their address.
        """
        words = list[int]()
        for layer in self.layers:
            if layer.like is None:
                for bias, chosen in zip(layer.bias, np.broadcast_to(layer.choices, layer.bias.shape), strict=True):
                    words.append(packed([*zip((int(bias), ~int(chosen)), widths, strict=True)]))
        words += [0] * (-len(words) % self.abreast)
        return [words, *(words[k :: self.abreast] for k in range(1, self.abreast))]

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        """All of them, those of numbers first."""
        return [*self.maps, *self.factors, *self.constants]

    def flush(self, layer: EngineLayer, latency: int) -> int:
        """Steps after a layer, until all its results are where they belong; ``latency`` of the whole pipeline."""
        return layer.lanes // layer.abreast + latency

    def results(self, number: int) -> int:
        """Numbers of the result of a layer."""
        layer = self.layers[number]
        return layer.all_passes * layer.lanes * layer.positions

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        """The raw values of the layers whose results leave for those of a frame, layer by layer."""
        memory, leaving = np.zeros((self.positions, self.words), dtype=np.object_), dict[int, Ints]()
        held = np.zeros((self.held.words, self.held.beside) if self.held else (0, 0), dtype=np.object_)
        emulator, came = Emulator(self.program, threads=1), iter(self._frames(tokens))
        for number, layer in enumerate(self._given(tokens[-1]) if self.fed else self.layers):
            if number in self.begins:
                # In one part their order is that of the memory, also where the layer reads a band of rows alone.
                (rows, columns), across = layer.grid if self.parts != (1, 1) else (1, 1), self.parts[1]
                image = objects(next(came)).reshape(rows, columns // across, -1, across).transpose(0, 3, 1, 2)
                parts = _divided(image, (rows, columns), self.parts)
                memory[: len(parts), : parts.shape[1]] = parts
            if layer.row is not None:
                read = held[layer.row : layer.row + layer.all_words, : layer.lanes]
                layer = replace(layer, weights=objects(read.reshape(layer.weights.shape)))
            sums = _sums(layer, memory)
            shape = len(sums) // len(layer.bias), len(layer.bias)
            biases, choices = (np.broadcast_to(each, shape) for each in (layer.bias, layer.choices))
            raws = [objects(each).reshape(-1, 1) for each in (sums, biases, choices)]
            stored, passed = (objects(raw).reshape(-1) for raw in emulator.run_raw(raws))
            if any(number in group for group in self.ends):
                leaving[number] = passed if number in self.ends[-1] else stored
                continue
            windows = windows_over(layer.op, layer.grid)
            if layer.held is not None:
                held[layer.held.places(math.prod(windows), len(layer.bias))] = stored
                continue
            parts = _divided(stored, windows, layer.parts if layer.apiece else (1, 1))
            words = np.arange(parts.shape[1])
            if layer.spread:
                words = words // len(layer.bias) * layer.spread + words % len(layer.bias)
            memory[: len(parts), layer.target + words] = parts
        return [objects(np.concatenate([leaving[number] for number in group])) for group in self.ends]

    def _frames(self, tokens: Sequence[Ints]) -> Iterator[Ints]:
        """The tokens of each visit."""
        if len(self.begins) == 1:
            yield tokens[0]
            return
        left = list(tokens)
        for operand, begin in zip(self.operands, self.begins, strict=True):
            count = self.layers[begin].loads
            yield left[operand][:count]
            left[operand] = left[operand][count:]

    def _given(self, words: Ints) -> list[EngineLayer]:
        """The layers with the weights and biases of the ``words`` that come, as they are first read."""
        parts = (words[: self.biases] % (1 << self.weight_bits)) << objects(np.arange(self.lanes) * self.weight_bits)
        least, _ = self.program.nodes[self.program.inputs[1]].type.raw_range
        half = 1 << (self.bias_bits - 1) if least < 0 else 0
        groups = parts.sum(axis=1, keepdims=True) >> objects(np.arange(self.bias_group) * self.bias_bits)
        biases = (groups.reshape(-1) + half) % (1 << self.bias_bits) - half
        layers, begin = list[EngineLayer](), self.biases
        for layer, first in zip(self.layers, self.first_biases, strict=True):
            rows = list[Ints]()
            for count, times in layer.fetched:
                rows.append(words[begin : begin + count, : layer.lanes])
                begin += count * times
            bias = biases[first : first + len(layer.bias)] if self.biases else layer.bias
            weights = objects(np.concatenate(rows)).reshape(layer.weights.shape) if rows else layer.weights
            layers.append(replace(layer, weights=weights, bias=objects(bias)))
        return layers

    def starts(self, tokens: Sequence[int], latency: int) -> list[int]:
        """The first action of each layer, with ``tokens`` of each visit that come before, and that after the last layer."""
        action, starts, coming = self.biases, list[int](), iter(tokens)
        for number, layer in enumerate(self.layers):
            starts.append(action + (next(coming) if number in self.begins else 0))
            action = starts[-1] + 1 + layer.all_passes * layer.steps + self.flush(layer, latency)
        return [*starts, action]

    def _reads(self, starts: Sequence[int]) -> Polyline:
        """The words of biases and weights that have been taken after each action."""
        begin = {0: 1, self.biases - 1: self.biases} if self.biases else {0: 0}
        corners, values, count = [*begin], [*begin.values()], self.biases
        for layer, start in zip(self.layers, starts, strict=False):
            steps = layer.all_passes * layer.steps if layer.row is None else 0
            corners += [start, start + steps] if steps else []
            values += [count, count + steps] if steps else []
            count += steps
        return Polyline.through(*map(np.array, ([*corners, starts[-1] - 1], [*values, count])))

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """Biases, then tokens are taken before all else; results leave with the steps that follow each pass of their layer."""
        latency, count = latency + ENGINE_STAGES, max(self.operands) + 1
        several = len(self.begins) > 1
        tokens = [self.layers[begin].loads for begin in self.begins] if several else [takes[0].tokens]
        starts = self.starts(tokens, latency)
        last, taken = starts[-1] - 1, [dict[int, int]() for _ in range(count)]
        for number, operand, comes in zip(self.begins, self.operands, tokens, strict=True):
            first, before = starts[number] - comes, max(taken[operand].values(), default=0)
            taken[operand] |= ({0: 0} if first and not before else {}) | ({first - 1: before} if first else {})
            taken[operand] |= {first: before + 1, first + comes - 1: before + comes}
        ends = ({**own, last: max(own.values())} for own in taken)
        numbers = [Polyline.through(*map(np.array, zip(*own.items(), strict=True))) for own in ends]
        weights = [self._reads(starts)] if self.fed else []
        fills = [self._fills(group, starts) for group in self.ends]
        return single([*numbers, *weights], fills, latency, self.gap)

    def _fills(self, group: Sequence[int], starts: Sequence[int]) -> Polyline:
        """The results of a group of layers that have left after each action, from its first one to the last of the frame."""
        corners, values, count = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)], 0
        for number in group:
            layer = self.layers[number]
            ends = starts[number] + np.arange(1, layer.all_passes + 1) * layer.steps
            made = count + np.arange(layer.all_passes + 1) * layer.lanes
            corners.append(np.stack([ends, ends + layer.lanes], axis=1).ravel())
            values.append(made.repeat(2)[1:-1])
            count = int(made[-1])
        corners.append(np.array([starts[-1] - 1]))
        values.append(np.array([count]))
        return Polyline.through(np.concatenate(corners), np.concatenate(values))


def bias_group(word: int, bias: int) -> int:
    """Biases of so many bits in a word of others: a power of two, so that low bits of a number say where in a word a bias is."""
    return next(count for count in (8, 4, 2, 1) if count * bias <= word or count == 1)


def _divided(numbers: Ints, grid: Grid, parts: Grid) -> Ints:
    """Numbers of rows and columns, in (parts, words)."""
    (rows, columns), (down, across) = grid, parts
    cut = numbers.reshape(down, rows // down, across, columns // across, -1)
    return objects(cut.transpose(0, 2, 1, 3, 4).reshape(down * across, -1))


def _sums(layer: EngineLayer, memory: Ints) -> Ints:
    """The sums of a layer, window by window, of a ``memory`` of (parts, words)."""
    (rows, columns), (down, across) = layer.grid, layer.parts
    row, column = np.divmod(np.arange(rows), rows // down), np.divmod(np.arange(columns), columns // across)
    taps = moved(layer.op, layer.grid).reshape(-1, 1, layer.op.size[0] * layer.op.size[1], 1)
    block = layer.channels // layer.blocks
    channels = np.arange(layer.channels).reshape(layer.blocks, 1, block)
    parts = np.add.outer(row[0] * across, column[0]).reshape(-1)[taps]
    words = np.add.outer(row[1] * layer.pitch, column[1] * layer.channels).reshape(-1)[taps] + layer.source
    of_lanes = block if layer.apart else 1
    numbers = np.where(taps < 0, 0, memory[parts, words + channels])
    numbers = numbers.reshape(len(taps), layer.blocks, 1, layer.steps, of_lanes)
    products = numbers * layer.weights  # windows, blocks, passes, steps, lanes
    return objects(products.max(axis=3) if layer.greatest else products.sum(axis=3)).reshape(-1)
