"""Layers of an engine in bands of rows: where images have no room, a band goes through several layers before the next one.

Between such layers only the rows of one band are held. What the bands read first and what they give are whole: the result
takes the words of the source, row by row. Where there is no room for these, either, they are in the memory outside of the
circuit: rows come with each band, and leave with it. Rows at the edge of two bands are computed for both, and weights come with
each band.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from bitsmith.dataflow.engine_layer import Grid, windows_over
from bitsmith.mapping.builder import NodeId
from bitsmith.mapping.engine.parts import regridded
from bitsmith.mapping.engine.places import Band, Tensor, least_words
from bitsmith.mapping.engine.units import Unit


@dataclass(frozen=True, slots=True, order=True)
class Bands:
    """Units from the ``first`` one to that before ``end``, in ``count`` bands of rows of their result.

    ``comes``: rows of the source come with each band, from the memory outside; ``leaves``: so those of the result go there.
    """

    first: int
    end: int
    count: int
    comes: bool
    leaves: bool


_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of bands that are tried."""

_ALIGNED = 64
"""Numbers of which a multiple lies between tensors in one region: no more banks are read at once."""

_TURN = 1024
"""Products that multipliers have time for until the results of a unit are stored."""

_LONGEST = 24
"""Units of one division into bands."""

Span: TypeAlias = tuple[int, int]
"""The first row and the one after the last."""


@dataclass(frozen=True)
class Images:
    """Units over images, of which some can be computed in bands of rows; of images of one row, in bands of columns.

    ``grid``: rows and columns of what the first unit reads.
    """

    units: Sequence[Unit]
    grid: Grid
    _needed_rows: dict[tuple[Bands, int], dict[NodeId, Span] | None] = field(default_factory=dict)

    @cached_property
    def _over(self) -> tuple[list[Unit | None], dict[NodeId, Grid]]:
        """Each unit over the rows and columns that its source has, None if it has others; and those of each tensor."""
        over, grids = list[Unit | None](), {self.units[0].sources[0]: self.grid}
        for unit in self.units:
            own = [grids.get(source) for source in unit.sources]
            grid = own[0]
            if len(own) > 1:
                alike = grid is not None and own[0] == own[1] and math.prod(grid) == unit.grid[1]
                over.append(unit if alike else None)
                grids[unit.result] = grid or (1, unit.grid[1])
                continue
            fitted = None if grid is None else regridded(unit, grid)
            result = windows_over((fitted or unit).op, (fitted or unit).grid)
            over.append(fitted if self._axis == 0 or result[0] == 1 else None)
            grids[unit.result] = result
        return over, grids

    @cached_property
    def _axis(self) -> int:
        return 0 if self.grid[0] > 1 else 1

    @cached_property
    def cuts(self) -> list[int]:
        """The units before which one tensor alone is held, and the last one, which is never in a band."""
        last = {source: number for number, unit in enumerate(self.units) for source in unit.sources}
        cuts, held = [0], {self.units[0].sources[0]}
        for number, unit in enumerate(self.units[:-1], 1):
            held = {one for one in held | {unit.result} if last.get(one, 0) >= number}
            if held == {unit.result}:
                cuts.append(number)
        return cuts

    def numbers(self, tensor: NodeId, rows: int | None = None) -> int:
        """Numbers of so many rows of a tensor, or of all."""
        _, inner, whole = self._sizes[tensor]
        return whole if rows is None else rows * inner

    @cached_property
    def _sizes(self) -> dict[NodeId, tuple[int, int, int]]:
        """Rows of each tensor, numbers of a row, and of all."""
        first = self.units[0]
        come = math.prod(first.grid) * first.channels // len(first.sources) // math.prod(self.grid)
        channels = {first.sources[0]: come} | {one.result: len(one.bias) for one in self.units}
        sizes = dict[NodeId, tuple[int, int, int]]()
        for tensor, grid in self._over[1].items():
            row = math.prod(grid[self._axis + 1 :]) * channels[tensor]
            sizes[tensor] = grid[self._axis], row, math.prod(grid) * channels[tensor]
        return sizes

    def _ends(self, bands: Bands) -> tuple[NodeId, NodeId]:
        """The source of ``bands``, and their result."""
        return self.units[bands.first].sources[0], self.units[bands.end - 1].result

    def _spans(self, bands: Bands, number: int) -> dict[NodeId, Span] | None:
        """The rows of each tensor that one of the ``bands`` needs, from 0 on; None if units have no such band."""
        if (bands, number) not in self._needed_rows:
            self._needed_rows[bands, number] = self._rows_of(bands, number)
        return self._needed_rows[bands, number]

    def _rows_of(self, bands: Bands, number: int) -> dict[NodeId, Span] | None:
        part, count = self._over[0][bands.first : bands.end], bands.count
        units = [unit for unit in part if unit is not None]
        rows = self._sizes[self.units[bands.end - 1].result][0] if len(units) == len(part) else 0
        return self._needed(units, (rows * number // count, rows * (number + 1) // count)) if rows >= count else None

    def _needed(self, units: Sequence[Unit], rows: Span) -> dict[NodeId, Span] | None:
        """The rows of each tensor that are needed for ``rows`` of the last result; None if windows are outside of it."""
        needed = {units[-1].result: rows}
        for unit in reversed(units):
            begin, end = self._read(unit, needed[unit.result])
            if begin >= end:
                return None
            for source in unit.sources:
                known = needed.get(source, (begin, end))
                needed[source] = min(begin, known[0]), max(end, known[1])
        return needed

    def _read(self, unit: Unit, rows: Span) -> Span:
        """The rows of its sources that a unit reads for ``rows`` of its result."""
        if len(unit.sources) > 1:
            return rows
        begin, end = self._reached(unit, rows)
        return max(begin, 0), min(end, unit.grid[self._axis])

    def _reached(self, unit: Unit, rows: Span) -> Span:
        """The same with those of the padding."""
        op, axis = unit.op, self._axis
        first, span = -op.padding[axis][0], op.dilation[axis] * (op.size[axis] - 1)
        return rows[0] * op.stride[axis] + first, (rows[1] - 1) * op.stride[axis] + first + span + 1

    def _cut(self, unit: Unit, rows: Span) -> Unit:
        """A unit over what it reads for ``rows`` of its result."""
        axis, (begin, end) = self._axis, self._read(unit, rows)
        if len(unit.sources) > 1:
            positions = unit.grid[1] // self._sizes[unit.result][0]
            return replace(unit, grid=(2, (end - begin) * positions))
        first, after = self._reached(unit, rows)
        padding, grid = list(unit.op.padding), list(unit.grid)
        padding[axis], grid[axis] = (begin - first, after - end), end - begin
        return replace(unit, op=replace(unit.op, padding=tuple(padding)), grid=(grid[0], grid[1]))

    def apart(self, bands: Bands) -> tuple[int, int] | None:
        """Numbers from the source of ``bands`` to their result, which takes its words: after it, and before it.

        What lies after it is made from the last band on, what lies before it from the first band on. Rows that are needed yet
        are left alone. None: units have no such bands.
        """
        (source, result), after, before = self._ends(bands), 0, 0
        for number in range(bands.count):
            spans = self._spans(bands, number)
            if spans is None:
                return None
            (begin, to), (least, most) = spans[source], spans[result]
            after = max(after, self.numbers(source, to) - self.numbers(result, least))
            before = max(before, self.numbers(result, most) - self.numbers(source, begin))
        return -(-after // _ALIGNED) * _ALIGNED, -(-before // _ALIGNED) * _ALIGNED

    def _regions(self, bands: Sequence[Bands]) -> tuple[dict[NodeId, tuple[NodeId, int]], dict[NodeId, int]]:
        """The tensor whose words each one has that is read or made by ``bands``, from which number on; and all its numbers."""
        places, sizes = dict[NodeId, tuple[NodeId, int]](), dict[NodeId, int]()
        for group in bands:
            if group.comes or group.leaves:
                continue
            source, result = self._ends(group)
            root, place = places.setdefault(source, (source, 0))
            apart = self.apart(group)
            assert apart is not None, "units were divided before"
            after, before = apart
            places[result] = root, place - before if before <= place else place + after
            ends = (places[tensor][1] + self.numbers(tensor) for tensor in (source, result))
            sizes[root] = max(sizes.get(root, 0), *ends)
        return places, sizes

    def banded(self, bands: Sequence[Bands]) -> list[Unit]:
        """All units in turn, those of ``bands`` once for each band."""
        places, sizes = self._regions(bands)
        units, done = list[Unit](), 0
        for group in bands:
            units += self.units[done : group.first]
            units += self._in_bands(group, places, sizes) if group.count > 1 else self.units[group.first : group.end]
            if group.leaves and group.count == 1:
                units[-1] = replace(units[-1], leaves=True)
            done = group.end
        units += self.units[done:]
        moved = (one.band is None and not places.keys().isdisjoint((*one.sources, one.result)) for one in units)
        return [
            self._placed(unit, (0, 0), {}, 0, places, sizes, None) if move else unit
            for unit, move in zip(units, moved, strict=True)
        ]

    def _in_bands(
        self, bands: Bands, places: Mapping[NodeId, tuple[NodeId, int]], sizes: Mapping[NodeId, int]
    ) -> Iterator[Unit]:
        """Units of ``bands``, once for each band."""
        source, result = self._ends(bands)
        outside = bands.comes or bands.leaves
        whole = {tensor for tensor, moves in ((source, bands.comes), (result, bands.leaves)) if not moves}
        rising = outside or places[result][1] < places[source][1]
        for number in range(bands.count) if rising else reversed(range(bands.count)):
            spans = self._spans(bands, number) or {}
            own = {tensor: spans[tensor] for tensor in spans if tensor not in whole}
            begin, end = spans[source]
            loads = (self.numbers(source, begin), self.numbers(source, end - begin)) if bands.comes else None
            for place, unit in enumerate(self._over[0][bands.first : bands.end], bands.first):
                assert unit is not None, "units were divided before"
                rows = self._read(unit, spans[unit.result])[0], spans[unit.result][0]
                cut = replace(self._cut(unit, spans[unit.result]), leaves=bands.leaves and place == bands.end - 1)
                yield self._placed(cut, rows, own, number + 1, places, sizes, loads)
                loads = None

    def _placed(
        self,
        unit: Unit,
        rows: tuple[int, int],
        own: Mapping[NodeId, Span],
        number: int,
        places: Mapping[NodeId, tuple[NodeId, int]],
        sizes: Mapping[NodeId, int],
        loads: Span | None,
    ) -> Unit:
        """A unit with its tensors, from such ``rows`` on that it reads and makes; those of band ``number`` are its ``own``."""

        def place(tensor: NodeId, row: int) -> tuple[Tensor, int]:
            if tensor in own:
                return (tensor, number), self.numbers(tensor, row - own[tensor][0])
            root, first = places.get(tensor, (tensor, 0))
            return (root, 0), first + self.numbers(tensor, row)

        reads, begins = zip(*(place(source, rows[0]) for source in unit.sources), strict=True)
        makes, target = place(unit.result, rows[1])
        span = own.get(unit.result)
        size = self.numbers(unit.result, span[1] - span[0]) if span else sizes.get(makes[0], self.numbers(unit.result))
        return replace(unit, band=Band(reads, begins, makes, target, size, loads))

    def _held(self, bands: Bands, region: Span) -> tuple[int, Span] | None:
        """The most numbers that are held at once while units are computed in ``bands``, and the region of their result.

        ``region``: from which number on the source is among how many numbers, which are held with it; if it does not come.
        """
        units = self.units[bands.first : bands.end]
        source, result = self._ends(bands)
        makes = {unit.result: number for number, unit in enumerate(units)} | {source: -1}
        sources = [*([makes[one] for one in unit.sources] for unit in units), [len(units) - 1]]
        in_place = [*(unit.is_in_place for unit in units), False]
        leaving = {len(units) - 1: 0} if bands.leaves else {}
        place, size = region
        if bands.count == 1:
            numbers = {number: self.numbers(tensor) for tensor, number in makes.items()}
            numbers |= ({} if bands.comes else {-1: size}) | leaving
            return least_words(sources, numbers, in_place), (0, self.numbers(result))
        within = bands.comes or bands.leaves
        whole, most = {} if bands.comes else {-1: 0}, 0
        for number in sorted({0, bands.count // 2, bands.count - 1}):
            spans = self._spans(bands, number)
            if spans is None:
                return None
            own = {number: self.numbers(one, spans[one][1] - spans[one][0]) for one, number in makes.items()}
            most = max(most, least_words(sources, own | whole | {len(units) - 1: 0}, in_place))
        if within:
            return most + (0 if bands.comes else size), (0, 0)
        apart = self.apart(bands)
        if apart is None:
            return None
        place += -apart[1] if apart[1] <= place else apart[0]
        size = max(size, place + self.numbers(result))
        return most + size, (place, size)

    def _work(self, bands: Bands, reload: float, moved: int) -> float:
        """Products of units in ``bands``, or those that multipliers have time for while weights come, whichever are more.

        Those that they have time for while numbers come and leave are added.
        """
        source, result = self._ends(bands)
        work = float(moved * self.numbers(result) * bands.leaves)
        for number in range(bands.count):
            spans = self._spans(bands, number) if bands.count > 1 else None
            rows = spans[source][1] - spans[source][0] if spans else None
            work += moved * self.numbers(source, rows) * bands.comes
            for unit in self._over[0][bands.first : bands.end] if spans else self.units[bands.first : bands.end]:
                assert unit is not None, "units were divided before"
                windows = self._cut(unit, spans[unit.result]).windows if spans else unit.windows
                products = windows * unit.blocks * math.prod(unit.weights.shape[1:])
                work += max(products, unit.weights.size * reload) + _TURN
        return work

    def within(self, room: int, reload: float, moved: int) -> tuple[Bands, ...] | None:
        """The bands with which no more than ``room`` numbers are held at once, with the least work; None without any.

        ``reload``: products that multipliers have time for while a weight comes; ``moved``: so while a number comes or leaves,
        0 if none does.
        """
        cuts, source = self.cuts, self.numbers(self.units[0].sources[0])
        best: dict[tuple[int, bool], tuple[float, tuple[Bands, ...], Span]] = {(0, False): (0.0, (), (0, source))}
        for place, first in enumerate(cuts):
            for comes in (False, True):
                if (first, comes) not in best:
                    continue
                before, bands, region = best[first, comes]
                ways = (
                    Bands(first, after, 1, comes, leaves)
                    for after in cuts[place + 1 :]
                    if after - first <= _LONGEST
                    for leaves in (False, True)
                    if not leaves or (moved and self.units[after - 1].blocks > 1)
                )
                for way in ways:
                    possible = next(self._possible(way, room, region), None)
                    if possible is None:
                        continue
                    chosen, left = possible
                    work = before + self._work(chosen, reload, moved)
                    then = chosen.end, chosen.leaves
                    if then not in best or work < best[then][0]:
                        also = chosen.count > 1 or chosen.leaves
                        best[then] = work, (*bands, chosen) if also else bands, left
        last = cuts[-1]
        if self.numbers(self.units[last].sources[0]) > room:
            return None
        return min((best[last, comes][:2] for comes in (False, True) if (last, comes) in best), default=(0, None))[1]

    def _possible(self, bands: Bands, room: int, region: Span) -> Iterator[tuple[Bands, Span]]:
        """Numbers of bands with which units have room, the least first, and the region of their result."""
        result = 0 if bands.leaves else self.numbers(self.units[bands.end - 1].result)
        if max(0 if bands.comes else region[1], result) > room:
            return
        for count in (1,) if bands.comes and not bands.leaves else _COUNTS:
            held = self._held(replace(bands, count=count), region)
            if held is not None and held[0] <= room:
                yield replace(bands, count=count), held[1]
