"""Random core programs and stimuli, for differential tests of everything that executes or rewrites programs.

The choices collide on purpose: operands repeat, recent values are reused and formats come from a small pool, since a
broken pass hides behind programs in which nothing coincides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding

MAX_SIZE = 96
"""Elements of the largest tensor of a random program: the oracle takes its time."""


def random_program(
    seed: int, *, max_ops: int = 40, hardware: bool = False, parameters: bool = False, keeping: bool = False
) -> Program:
    """A random program of up to ``max_ops`` ops.

    With ``hardware``, tables stay small, and ranges of wrapping casts are those of a number format (two's complement or
    plain binary), as only such formats come from users. With ``parameters`` some constants may be given anew.
    With ``keeping`` the states of recurrences live on between samples.
    """
    return _Generator(random.Random(seed), hardware, parameters, keeping).program(max_ops)


def sample(stimuli: Sequence[Ints], index: int) -> list[Ints]:
    """One sample, as the oracle takes it."""
    return [np.asarray(raw[index], dtype=np.object_) for raw in stimuli]


def random_stimuli(program: Program, seed: int, batch: int) -> list[Ints]:
    """Raw values for each input, shape (batch, *shape); the extremes of each range come first and often."""
    rng = random.Random(seed)
    stimuli = []
    for index in program.inputs:
        kind = program.nodes[index].type
        _, lo, hi = kind.full()
        raw = np.empty((batch, *kind.shape), dtype=np.object_)
        for place in np.ndindex(*raw.shape):
            least, most = int(lo[place[1:]]), int(hi[place[1:]])
            near = (least, most, min(max(0, least), most), min(least + 1, most), max(most - 1, least))
            choice = rng.random()
            if place[0] < 2:
                raw[place] = (least, most)[place[0]]
            else:
                raw[place] = rng.choice(near) if choice < 0.4 else rng.randint(least, most)
        stimuli.append(raw)
    return stimuli


class _Generator:
    def __init__(self, rng: random.Random, hardware: bool, parameters: bool, keeping: bool, depth: int = 0) -> None:
        self.rng = rng
        self.keeping = keeping
        self.hardware = hardware
        self.parameters = parameters
        self.count = 0
        self.depth = depth
        self.build = ProgramBuilder()
        self.values: list[Value] = []
        self.wide = rng.random() < 0.25
        self.formats = [self.new_format() for _ in range(3)]
        self.shapes = [self.new_shape() for _ in range(2)]

    def program(self, max_ops: int) -> Program:
        for index in range(self.rng.randint(1, 3)):
            self.values.append(self.build.input(f"x{index}", self.shape(), self.format()))
        if self.rng.random() < 0.3:  # an input may follow other nodes
            self.grow(self.rng.randint(1, max_ops // 4))
            shape = self.shape()
            count = shape[-1] if shape else 1
            formats = [self.format(), *(self.formats * count)][:count]  # of one feature each
            self.values.append(self.build.input("late", shape, *formats))
        self.grow(self.rng.randint(1, max_ops))
        count = self.rng.randint(1, 3)
        outputs = [(f"y{k}", value) for k, value in enumerate([self.values[-1], *self.picks(count - 1)])]
        probes = [(f"p{k}", value) for k, value in enumerate(self.picks(self.rng.randint(0, 2)))]
        return self.build.program(outputs, probes)

    def grow(self, ops: int) -> None:
        steps: Sequence[tuple[Callable[[], Value], int]] = (
            (self.binary, 10),
            (self.unary, 4),
            (self.cast, 8),
            (self.linear, 4),
            (self.matmul, 1),
            (self.wiring, 6),
            (self.window, 1),
            (self.select, 3),
            (self.reduce, 3),
            (self.table, 2),
            (self.constant, 1),
            (self.scan, 1 + 5 * self.keeping if self.depth == 0 else 0),
            (self.parameter, 3 if self.parameters else 0),
        )
        for step in self.rng.choices([step for step, _ in steps], [weight for _, weight in steps], k=ops):
            value = step()
            if value.type.max_width > (130 if self.wide else 60):
                value = self.cast(value)
            self.values.append(value)

    def pick(self) -> Value:
        if self.rng.random() < 0.6:
            return self.rng.choice(self.values[-3:])
        return self.rng.choice(self.values)

    def picks(self, count: int) -> list[Value]:
        return [self.pick() for _ in range(count)]

    def pick_rank(self, least: int) -> Value:
        """A value of at least ``least`` axes."""
        fitting = [value for value in self.values if len(value.shape) >= least]
        if fitting:
            return self.rng.choice(fitting[-4:])
        x = self.pick()
        return self.build.broadcast(x, (2,) * (least - len(x.shape)) + x.shape)

    def pick_like(self, x: Value) -> Value:
        """A value that broadcasts with ``x`` to a tensor that is not too large; often ``x`` itself or a constant."""
        choice = self.rng.random()
        if choice < 0.15:
            return x
        if choice < 0.2 and self.parameters:
            return self.parameter(x.shape[self.rng.randint(0, len(x.shape)) :])
        if choice < 0.35:
            return self.constant(x.shape[self.rng.randint(0, len(x.shape)) :])
        fitting = []
        for value in self.values:
            try:
                shape = np.broadcast_shapes(value.shape, x.shape)
            except ValueError:
                continue
            if int(np.prod(shape)) <= MAX_SIZE:
                fitting.append(value)
        if not fitting:
            return x
        return self.rng.choice(fitting[-5:] if self.rng.random() < 0.7 else fitting)

    def new_shape(self) -> tuple[int, ...]:
        return tuple(self.rng.choice((1, 2, 3, 4, 5)) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3))))

    def shape(self) -> tuple[int, ...]:
        return self.rng.choice(self.shapes) if self.rng.random() < 0.7 else self.new_shape()

    def new_format(self, most: int = 0) -> FixedFormat:
        width = self.rng.randint(1, most or self.rng.choice((4, 8, 18, 70 if self.wide else 30)))
        frac = self.rng.choice((0, 0, width // 2, self.rng.randint(-4, width + 4)))
        rounding, overflow = self.rng.choice(list(Rounding)), self.rng.choice(list(Overflow))
        return FixedFormat(self.rng.random() < 0.7, width, frac, rounding, overflow)

    def format(self) -> FixedFormat:
        return self.rng.choice(self.formats) if self.rng.random() < 0.6 else self.new_format()

    def integers(self, shape: tuple[int, ...], width: int) -> Ints:
        raw = np.empty(shape, dtype=np.object_)
        for place in np.ndindex(*shape):
            zero = self.rng.random() < 0.2
            raw[place] = 0 if zero else self.rng.randint(-(1 << width), 1 << width)
        return raw

    def fracs(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """One number for all, or one each."""
        if self.rng.random() < 0.7:
            return np.asarray(self.rng.randint(-2, 6))
        return np.array([self.rng.randint(-2, 6) for _ in range(int(np.prod(shape)))], dtype=np.int64).reshape(shape)

    def constant(self, shape: tuple[int, ...] | None = None) -> Value:
        shape = self.shape() if shape is None else shape
        same = self.rng.random() < 0.3
        raw = self.integers(() if same else shape, self.rng.choice((0, 1, 5, 12)))
        return self.build.const(np.broadcast_to(raw, shape), np.broadcast_to(self.fracs(shape), shape))

    def parameter(self, shape: tuple[int, ...] | None = None) -> Value:
        shape, fmt = self.shape() if shape is None else shape, self.format()
        raw = np.empty(shape, dtype=np.object_)
        for place in np.ndindex(*shape):
            raw[place] = self.rng.choice((fmt.lo, fmt.hi, self.rng.randint(fmt.lo, fmt.hi)))
        self.count += 1
        return self.build.parameter(f"weight{self.count}", raw, fmt, external=self.rng.random() < 0.3)

    def binary(self) -> Value:
        x = self.pick()
        y = self.pick_like(x)
        if self.rng.random() < 0.5:
            x, y = y, x
        build = self.build
        if self.rng.random() < 0.15:
            relation = self.rng.choice(list(Relation))
            one = build.compare(x, relation, y)
            return build.sub(one, build.compare(y, relation, x)) if self.rng.random() < 0.3 else one
        combine = self.rng.choice((build.add, build.sub, build.mul, build.max, build.min))
        if self.rng.random() < 0.1:
            return build.sub(combine(x, y), combine(y, x))
        return combine(x, y)

    def unary(self) -> Value:
        x = self.pick()
        choice = self.rng.randrange(3)
        if choice == 0:
            return self.build.neg(x)
        if choice == 1:
            return self.build.abs(x)
        return self.build.shift(x, self.fracs(x.shape))

    def cast(self, x: Value | None = None) -> Value:
        x = x or self.pick()
        if self.rng.random() < 0.7:
            return self.build.cast(x, self.format())
        # A format per channel or per element, and ranges that are not those of number formats.
        shape = x.shape if self.rng.random() < 0.3 else x.shape[-1:]
        formats = [self.new_format() for _ in range(int(np.prod(shape)))]
        rounding, overflow = self.rng.choice(list(Rounding)), self.rng.choice(list(Overflow))
        lo, hi = [fmt.lo for fmt in formats], [fmt.hi for fmt in formats]
        if self.rng.random() < 0.5 and not (self.hardware and overflow is Overflow.WRAP):
            pairs = [sorted((self.rng.randint(fmt.lo, fmt.hi), self.rng.randint(fmt.lo, fmt.hi))) for fmt in formats]
            lo, hi = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            if overflow is Overflow.SAT_SYM:
                hi = [abs(n) for n in hi]
        frac = [fmt.frac for fmt in formats]
        parts = [np.array(part, dtype=np.object_).reshape(shape) for part in (frac, lo, hi)]
        return self.build.cast_to(x, parts[0], parts[1], parts[2], rounding, overflow)

    def linear(self) -> Value:
        x = self.pick_rank(1)
        most = max(1, min(8, MAX_SIZE // max(1, int(np.prod(x.shape[:-1])))))
        shape = (x.shape[-1], self.rng.randint(1, most))
        width = self.rng.choice((0, 2, 7, 15, 34 if self.wide else 7))
        return self.build.linear(x, self.integers(shape, width), np.broadcast_to(self.fracs(shape), shape))

    def matmul(self) -> Value:
        x = self.pick_rank(2)
        if self.rng.random() < 0.4:
            y = self.build.transpose(x, (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2))
        else:
            y = self.constant((x.shape[-1], self.rng.randint(1, 3)))
            if self.rng.random() < 0.5:
                other = self.pick()
                y = self.build.add(y, self.build.reshape(other, (1, other.type.size))) if other.type.size == 1 else y
        return self.build.matmul(x, y)

    def wiring(self) -> Value:
        rng, build = self.rng, self.build
        x = self.pick_rank(1)
        rank = len(x.shape)
        match rng.randrange(7):
            case 0:
                return build.reshape(x, self.factors(x.type.size))
            case 1:
                return build.transpose(x, rng.sample(range(rank), rank))
            case 2:
                start = [rng.randrange(n) for n in x.shape]
                stop = [rng.randint(s + 1, n) for s, n in zip(start, x.shape, strict=True)]
                return build.slice(x, start, stop, [rng.randint(1, 2) for _ in x.shape])
            case 3:
                axis = rng.randrange(rank)
                fits = [x, *(v for v in self.values if _same_but(v.shape, x.shape, axis))]
                parts = [x, *rng.choices(fits, k=rng.randint(0, 2))]
                total = sum(part.type.size for part in parts)
                return build.concat(parts if total <= MAX_SIZE else [x], axis)
            case 4:
                before, after = ([rng.randint(0, 1) for _ in x.shape] for _ in range(2))
                size = np.prod([sum(n) for n in zip(before, x.shape, after, strict=True)])
                return build.pad(x, before, after) if size <= MAX_SIZE else x
            case 5:
                axis = rng.randrange(rank)
                indices = np.array([rng.randrange(x.shape[axis]) for _ in range(rng.choice((1, 2, 4)))])
                if x.type.size // x.shape[axis] * len(indices) > MAX_SIZE:
                    return x
                return build.gather(x, indices.reshape(self.factors(len(indices))), axis)
            case _:
                shape = tuple(3 if n == 1 and rng.random() < 0.5 else n for n in x.shape)
                shape = (2, *shape) if rng.random() < 0.3 else shape
                return build.broadcast(x, shape) if np.prod(shape) <= MAX_SIZE else x

    def factors(self, size: int) -> tuple[int, ...]:
        """A shape of ``size`` elements."""
        shape = []
        for prime in (2, 3, 2, 5):
            if size % prime == 0 and self.rng.random() < 0.5:
                shape.append(prime)
                size //= prime
        shape.append(size)
        self.rng.shuffle(shape)
        return tuple(shape)

    def window(self) -> Value:
        rng = self.rng
        rank = rng.randint(1, 2)
        x = self.pick_rank(rank)
        size = [rng.randint(1, min(3, n)) for n in x.shape[:rank]]
        dilation = [2 if 2 * (s - 1) < n and rng.random() < 0.3 else 1 for s, n in zip(size, x.shape, strict=False)]
        stride = [rng.randint(1, 2) for _ in size]
        padding = [(rng.randint(0, 1), rng.randint(0, 1)) for _ in size]
        value = self.build.window(x, size, stride, dilation, padding)
        return value if value.type.size <= MAX_SIZE else self.build.sum(value, range(rank))

    def select(self) -> Value:
        x = self.pick()
        y = self.pick_like(x)
        condition = self.build.compare(x, self.rng.choice(list(Relation)), y) if self.rng.random() < 0.6 else x
        otherwise = self.build.neg(x) if self.rng.random() < 0.3 else y
        return self.build.select(condition, x, otherwise)

    def reduce(self) -> Value:
        x = self.pick_rank(1)
        axes = self.rng.sample(range(len(x.shape)), self.rng.randint(1, len(x.shape)))
        return self.rng.choice((self.build.sum, self.build.amax))(x, axes)

    def table(self) -> Value:
        x = self.pick()
        if x.type.max_width > 6:
            x = self.build.cast(x, self.new_format(5))
        first, last = int(x.type.lo.min()), int(x.type.hi.max())
        if last - first > 300:
            return x
        slack = self.rng.randint(0, 2)
        leading = x.shape[-1:] if self.rng.random() < 0.3 else ()
        values = self.integers((*leading, last - first + 1 + slack), self.rng.choice((1, 8, 17)))
        return self.build.table(x, first, values, self.fracs(x.shape[-1:]))

    def scan(self) -> Value:
        build = self.build
        x = build.cast(self.pick_rank(1), self.format())
        carried = self.pick()
        if self.rng.random() < 0.5:
            carried = build.const(np.zeros(x.shape[1:], dtype=np.int64))
        fmt = self.format()
        state = build.cast(carried, fmt)
        body = _Generator(self.rng, self.hardware, parameters=False, keeping=False, depth=self.depth + 1)
        body.wide = self.wide
        now = body.build.input("state", state.shape, fmt)
        # The slice's type is that of the sequence, whose range may be narrower than its format.
        slot = body.build.input("item", x.shape[1:], self.format_of(x))
        body.values += [slot, now]
        body.grow(self.rng.randint(1, 8))
        later = [v for v in body.values if v.shape == now.shape][-1]
        result = body.values[-1]
        if result.type.size * x.shape[0] > MAX_SIZE:
            result = slot
        outputs = [("next", body.build.cast(later, fmt)), ("result", result)]
        return build.scan(body.build.program(outputs), [state], [x], int(self.keeping))

    def format_of(self, x: Value) -> FixedFormat:
        """A format that holds the values of ``x``, all of one ``frac``."""
        signed = bool(np.any(x.type.lo < 0))
        return FixedFormat(signed, max(1, x.type.max_width + int(signed)), int(x.type.frac.ravel()[0]))


def _same_but(shape: tuple[int, ...], like: tuple[int, ...], axis: int) -> bool:
    return len(shape) == len(like) and all(
        a == b or k == axis for k, (a, b) in enumerate(zip(shape, like, strict=True))
    )
