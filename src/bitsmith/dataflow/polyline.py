"""Long sequences of integers as polylines: what a schedule reckons with, at a cost that follows corners and not lengths.

Counts of tokens and cycles of actions grow by the same step over long stretches: a word of a window with every cycle, a result
with every thousandth. Here such a sequence is its corners, and every operation takes corners and gives corners, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.tokens import Numbers

_DENSE = 4
"""With a corner for so many elements, or fewer, operations on all elements take less time than those on corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Polyline:
    """A sequence of one or more integers; between two corners each element differs from the next by the same integer.

    Args:
        corners: their indices, the first and the last element among them; no three corners are in line.
        values: the elements there.
        steps: the differences of neighboring elements from each corner to the next; 0 for a single element.
    """

    corners: Numbers
    values: Numbers
    steps: Numbers

    @staticmethod
    def of(elements: npt.ArrayLike) -> Polyline:
        """The sequence with these elements."""
        values = np.asarray(elements, dtype=np.int64)
        if len(values) == 1:
            return _through(np.arange(1), values)
        steps = values[1:] - values[:-1]
        kept = np.ones(len(values), dtype=np.bool_)
        np.not_equal(steps[1:], steps[:-1], out=kept[1:-1])
        return Polyline(np.flatnonzero(kept), values[kept], steps[kept[:-1]])

    @staticmethod
    def line(length: int, first: int, step: int = 1) -> Polyline:
        """An arithmetic progression."""
        corners = np.array([0, length - 1] if length > 1 else [0])
        return _through(corners, first + step * corners)

    @staticmethod
    def staircase(length: int, tread: int, start: int = 0) -> Polyline:
        """``(start + index) // tread``."""
        rises = np.arange(tread - start % tread, length, tread)
        corners = _merged(np.array([0, length - 1]), rises - 1, rises)
        return _through(corners, (start + corners) // tread)

    @staticmethod
    def treads(values: npt.ArrayLike, length: int) -> Polyline:
        """Each of ``values`` so many times."""
        starts = np.arange(len(np.asarray(values))) * length
        return Polyline.through(
            np.stack([starts, starts + length - 1], axis=1).ravel(), np.repeat(np.asarray(values), 2)
        )

    @staticmethod
    def through(corners: Numbers, values: Numbers) -> Polyline:
        """The sequence with such corners, of which an index may be named several times in a row, and some may be in line."""
        new = np.append(True, np.diff(corners) > 0)
        return _through(corners[new], values[new])

    def __len__(self) -> int:
        return int(self.corners[-1]) + 1

    def __getitem__(self, index: int) -> int:
        if index in (0, -1):
            return int(self.values[index])
        return int(self.at(np.array(index % len(self))))

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Polyline)
            and np.array_equal(self.corners, other.corners)
            and np.array_equal(self.values, other.values)
        )

    def rise_over(self, other: Polyline) -> int | None:
        """By how much each element is greater than that of ``other``, which is as long; None if that differs."""
        rise = int(self.values[0] - other.values[0])
        if self is other or (
            np.array_equal(self.corners, other.corners) and bool(np.all(self.values - other.values == rise))
        ):
            return rise
        return None

    def dense(self) -> Numbers:
        """All elements."""
        if len(self.corners) == len(self):
            return self.values
        lengths = self.corners[1:] - self.corners[:-1]
        elements = np.empty(len(self), dtype=np.int64)
        np.multiply(self.steps.repeat(lengths), np.arange(len(self) - 1), out=elements[:-1])
        elements[:-1] += (self.values[:-1] - self.steps * self.corners[:-1]).repeat(lengths)
        elements[-1] = self.values[-1]
        return elements

    def _is_dense(self, length: int) -> bool:
        """Return True if there is a corner for every few of ``length`` elements."""
        return _DENSE * len(self.corners) >= length

    def at(self, indices: Numbers) -> Numbers:
        """The elements at ``indices``, which never fall."""
        if len(self.corners) == len(self):
            return self.values[indices]
        if indices.ndim and len(indices) > len(self.corners):
            ends = np.empty(len(self.corners), dtype=np.int64)
            ends[0], ends[1:-1], ends[-1] = 0, indices.searchsorted(self.corners[1:-1]), len(indices)
            lengths = ends[1:] - ends[:-1]
            start = self.values[:-1] - self.steps * self.corners[:-1]
            return np.asarray(start.repeat(lengths) + self.steps.repeat(lengths) * indices)
        corner = self.corners[1:-1].searchsorted(indices, side="right")
        found: Numbers = self.values[corner] + self.steps[corner] * (indices - self.corners[corner])
        return found

    def part(self, start: int, stop: int) -> Polyline:
        """The elements from ``start`` to before ``stop``, one or more."""
        if start == 0 and stop == len(self):
            return self
        if stop - start == 1:
            return Polyline.line(1, self[start])
        first, last = self.corners.searchsorted((start + 1, stop - 1))  # corners within
        corners, values = np.empty((2, last - first + 2), dtype=np.int64)
        corners[0], corners[1:-1], corners[-1] = 0, self.corners[first:last] - start, stop - 1 - start
        values[1:-1] = self.values[first:last]
        for end, index, corner in ((0, start, first - 1), (-1, stop - 1, last - 1)):
            values[end] = self.values[corner] + self.steps[corner] * (index - self.corners[corner])
        return Polyline(corners, values, self.steps[first - 1 : last])

    def repeated(self, times: int, rise: int) -> Polyline:
        """The sequence ``times`` times over, each time greater by ``rise``."""
        again, seam = np.arange(times)[:, None], rise + self.values[0] - self.values[-1]
        corners, values = (again * len(self) + self.corners).ravel(), (again * rise + self.values).ravel()
        return _cornered(corners, values, np.tile(np.append(self.steps[: len(self.corners) - 1], seam), times)[:-1])

    def plus(self, number: int, step: int = 0) -> Polyline:
        """Each element plus ``number``, and ``step`` times its index."""
        return Polyline(self.corners, self.values + number + step * self.corners, self.steps + step)

    def plus_each(self, other: Polyline, factor: int) -> Polyline:
        """Each element plus ``factor`` times that of ``other``, which is as long."""
        if self._is_dense(len(self)) or other._is_dense(len(self)):
            return Polyline.of(self.dense() + factor * other.dense())
        corners = _merged(self.corners, other.corners)
        return _through(corners, self.at(corners) + factor * other.at(corners))

    def held(self, before: int, after: int) -> Polyline:
        """So many zeros, the sequence, and its last element so many times again."""
        edges = [np.array([0, before - 1])] if before else []
        values = [np.zeros(2, dtype=np.int64)] if before else []
        ends = before + len(self) - 1 + np.array([1, after] if after else [], dtype=np.int64)
        last = np.full(len(ends), self[-1])
        return Polyline.through(
            np.concatenate([*edges, self.corners + before, ends]), np.concatenate([*values, self.values, last])
        )

    def followed_by(self, other: Polyline) -> Polyline:
        """The sequence and then another."""
        seam = other.values[:1] - self.values[-1:]
        steps = [self.steps[: len(self.corners) - 1], seam, other.steps[: len(other.corners) - 1]]
        corners, values = [self.corners, other.corners + len(self)], [self.values, other.values]
        return _cornered(np.concatenate(corners), np.concatenate(values), np.concatenate(steps))

    def running_max(self) -> Polyline:
        """The greatest element up to each."""
        if self._is_dense(len(self)):
            return Polyline.of(np.maximum.accumulate(self.dense()))
        highest = np.maximum.accumulate(self.values)
        (rising,) = np.nonzero((self.values[:-1] < highest[:-1]) & (self.values[1:] > highest[:-1]))
        if not len(rising):
            return _through(self.corners, highest)
        below = self.corners[rising] + (highest[rising] - self.values[rising]) // self.steps[rising]
        corners = _merged(self.corners, below, below + 1)
        return _through(corners, np.maximum.accumulate(self.at(corners)))

    def raised(self, start: int, least: Polyline) -> Polyline:
        """The sequence with its elements from ``start`` on (to the end) raised to those of ``least``; itself if none is less."""
        if self._is_dense(len(self)) or least._is_dense(len(self)):
            values = self.dense()
            return Polyline.of(np.append(values[:start], np.maximum(values[start:], least.dense())))
        corners = _merged(self.corners[self.corners >= start] - start, least.corners)
        have, want = self.at(corners + start), least.at(corners)
        if bool((want <= have).all()):
            return self
        sign = np.sign(want - have)
        (crossing,) = np.nonzero(sign[:-1] * sign[1:] < 0)
        if len(crossing):
            missing = want - have
            slope = np.abs(missing[crossing + 1] - missing[crossing]) // (corners[crossing + 1] - corners[crossing])
            before = corners[crossing] + np.abs(missing[crossing]) // slope
            corners = _merged(corners, before, before + 1)
            have, want = self.at(corners + start), least.at(corners)
        values = np.maximum(have, want)
        if start == 0:
            return _through(corners, values)
        head = _merged(self.corners[self.corners < start], np.array([start - 1]))
        return _through(np.concatenate([head, corners + start]), np.concatenate([self.at(head), values]))

    # The rest is for sequences that never fall.

    def below(self, values: Numbers) -> Numbers:
        """For each of ``values``, how many elements are less."""
        if len(self.corners) == len(self):
            return self.values.searchsorted(values)
        corner = self.values[1:-1].searchsorted(values, side="left")
        reached = self.corners[corner] - (self.values[corner] - values) // np.maximum(self.steps[corner], 1)
        counts: Numbers = np.where(values > self.values[-1], len(self), np.maximum(reached, 0))
        return counts

    def of_indices(self, indices: Polyline) -> Polyline:
        """The elements at ``indices``, which never fall; this sequence may."""
        if self._is_dense(len(indices)) or indices._is_dense(len(indices)):
            return Polyline.of(self.at(indices.dense()))
        corners = indices.around(self.corners)
        return _through(corners, self.at(indices.at(corners)))

    def around(self, values: Numbers) -> Numbers:
        """The corners' indices, and for each of ``values`` those of the last element up to it and of the next."""
        after = self.below(values + 1)
        after = after[(after > 0) & (after < len(self))]
        return _merged(self.corners, after - 1, after)

    def rises(self) -> Polyline:
        """Return the indices at which a sequence that starts after 0 reaches 1, 2, and so on up to its last element."""
        several = np.flatnonzero(self.steps[: len(self.corners) - 1] > 1)
        lengths = self.corners[several + 1] - self.corners[several]
        nth = np.arange(lengths.sum()) - (lengths.cumsum() - lengths).repeat(lengths)
        within = self.values[several].repeat(lengths) + self.steps[several].repeat(lengths) * nth
        corners = np.concatenate([self.values, within])
        edges = np.concatenate([[0, self[-1] - 1], corners - 1, corners])
        units = _merged(edges[(edges >= 0) & (edges < self[-1])])
        return _through(units, self.below(units + 1))


def _through(corners: Numbers, values: Numbers) -> Polyline:
    """The sequence with such corners, of which some may be in line."""
    return _cornered(corners, values, (values[1:] - values[:-1]) // (corners[1:] - corners[:-1]))


def _cornered(corners: Numbers, values: Numbers, steps: Numbers) -> Polyline:
    """The sequence with such corners, of which some may be in line, and ``steps`` between them."""
    if len(corners) == 1:
        return Polyline(corners, values, np.zeros(1, dtype=np.int64))
    kept = np.ones(len(corners), dtype=np.bool_)
    np.not_equal(steps[1:], steps[:-1], out=kept[1:-1])
    return Polyline(corners, values, steps) if kept.all() else Polyline(corners[kept], values[kept], steps[kept[:-1]])


def _merged(*sorted_parts: Numbers) -> Numbers:
    """All numbers of the parts in order, each once."""
    together = np.concatenate(sorted_parts)
    together.sort(kind="stable")  # merges runs that are in order
    new = np.empty(len(together), dtype=np.bool_)
    new[:1] = True
    np.not_equal(together[1:], together[:-1], out=new[1:])
    return together[new]
