"""The C++ function of one process: it takes the tokens of a frame from streams and puts others into streams."""

import math
from collections.abc import Sequence
from typing import assert_never

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.timing import is_monotone, window_actions
from bitsmith.dataflow.tokens import Numbers, period, union_type
from bitsmith.hls.assembly import indented
from bitsmith.hls.beats import whole_parts
from bitsmith.hls.kernels import write_function
from bitsmith.hls.loads import kept_step
from bitsmith.hls.pipelines import stages_of
from bitsmith.hls.process_text import (
    FunctionWriter,
    StreamType,
    advanced,
    axis_flags,
    function_head,
    lasting,
    loop_lines,
    order_actions,
    paced_lines,
    token_lines,
)
from bitsmith.hls.project import Memory, WordKind
from bitsmith.hls.runs import body
from bitsmith.hls.scalar import accumulator, common_format, common_raw
from bitsmith.hls.scope import Variable
from bitsmith.hls.sweeps import sweep_lines, sweep_loop
from bitsmith.ir import ops
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Ints, objects

_LEAST_ROW = 16
"""Steps between a write to a line buffer's memory and the read of it; below that, registers do."""


class ProcessWriter(FunctionWriter[Process]):
    """Writes a process of any kind but boundaries, recurrences and engines."""

    def write(self) -> str:
        kind = self._process.kind
        match kind:
            case kinds.Rom():
                return self._rom(kind)
            case kinds.Map():
                return self._map(kind)
            case kinds.FoldedProduct():
                return self._folded_product(kind)
            case kinds.Window():
                return self._window(kind)
            case kinds.Reduce():
                return self._reduce(kind)
            case kinds.WidthConverter():
                return self._width_converter(kind)
            case kinds.Reorder():
                return self._reorder(kind)
            case kinds.Interleave():
                return self._interleave(kind)
            case kinds.Scan():
                return self._scan(kind)
            case kinds.Sweep():
                return self._sweep(kind)
            case kinds.Source() | kinds.Sink() | kinds.Feedback() | kinds.Engine() | kinds.Replay() | kinds.Outside():
                raise AssertionError(
                    "boundaries, recurrences, engines and memories have functions of their own, or none"
                )
            case _:
                assert_never(kind)

    def _array(self, name: str, type_name: str, size: int) -> list[str]:
        """Lines that declare a local array in registers."""
        return self._scope.dialect.arrays.declared(name, f"{type_name} {name}[{size}]", size)

    def _listed(self, name: str, values: Numbers) -> str:
        """A constant array of which a step reads one element."""
        unique = self._scope.array(self._name, name, values)
        self._scope.memories.append(Memory(unique))
        return unique

    def _memory(self, name: str, type_name: str, places: int, width: int, *, apart: bool = False) -> list[str]:
        """Lines that declare a local memory, of which a step reads or writes all ``width`` elements of a place.

        ``apart``: what is written is read many steps later.
        """
        self._scope.memories.append(Memory(name, width, apart=apart))
        self._scope.word(WordKind.ROWS, name, width * self._gives[0].scalar.width)
        return self._scope.dialect.streams.rows.declared(name, f"{type_name} {name}[{places}][{width}]", places * width)

    def _rom_of(self, name: str, rows: Ints, frac: int) -> str:
        """A constant memory of which a row is read at a time."""
        rom = self._scope.rom(self._name, name, rows, frac)
        self.head += self._scope.dialect.roms.words(rom, len(rows))
        return rom

    def _rom(self, kind: kinds.Rom) -> str:
        (out,) = self._gives
        token = self._process.results[0].token
        raw = rescale(
            objects(kind.words).reshape(-1, *token.shape),
            np.broadcast_to(token.frac, token.shape),
            np.asarray(out.scalar.frac),
        )
        values = self._rom_of("values", objects(raw.reshape(len(raw), -1)), out.scalar.frac)
        if self._takes:
            return self._kept(values, len(raw))
        if out.tokens == 1:
            self.lines += token_lines(self._scope, out.token, "item")
            self.lines += [f"kernels::constant<{out.size}>({values}[0], item.data);", out.given("item", "y0")]
            self.head += function_head(self._scope, 1, self._step_cycles)
        else:
            next_word = f"next = next == {len(raw) - 1} ? 0 : next + 1;"
            read = [
                *token_lines(self._scope, out.token, "item"),
                f"kernels::constant<{out.size}>({values}[next], item.data);",
            ]
            self.lines.append("int next = 0;")
            self._looped(out.tokens, [*read, out.given("item", "y0"), next_word])
        return "constant tokens."

    def _kept(self, values: str, words: int) -> str:
        """Words of a memory that can be loaded, over and over; ``values`` until then."""
        (taken,), (out,) = self._takes, self._gives
        name, size = self._scope.names.unique(f"{self._name}_memory"), out.size
        if words < _LEAST_ROW:  # what is written may be read in the next step
            declared = f"BITSMITH_KEPT {out.element} {name}[{words * size}]"
            self.head += self._scope.dialect.arrays.declared(name, declared, words * size)
            read = f"item = kernels::taken_from<{out.token}, {size}, {words * size}>({name}, next);"
            write = f"kernels::put_into<{size}, {words * size}>(item.data, next, {name});"
        else:
            self.head += self._memory(name, f"BITSMITH_KEPT {out.element}", words, size, apart=True)
            self._promise(name, words)
            read = f"kernels::copy<{size}>({name}[next], item.data);"
            write = f"kernels::copy<{size}>(item.data, {name}[next]);"
        self.head.append("BITSMITH_KEPT bool holds = false;")
        step = kept_step(self._scope, (taken, out), (values, read, write), words)
        self.lines += ["bool loads = false;", "int next = 0;"]
        self._looped(out.tokens + 1, step)
        return f"constant tokens, of a memory of {words} that can be loaded."

    def _map(self, kind: kinds.Map) -> str:
        run, name = body(kind.program), self._scope.names.unique(f"{self._name}_token")
        inputs = {
            index: Variable("x", ends.element, ends.scalar, ends.shape)
            for index, ends in zip(run.operands, self._takes, strict=True)
        }
        function = write_function(kind.program, run, name, self._scope, inputs)
        self.texts += function.texts
        steps = [f"const {ends.token} token{k} = {ends.taken(f'x{k}')};" for k, ends in enumerate(self._takes)]
        arguments = [f"token{k}.data" for k in range(len(self._takes))]
        steps += self._called(name, arguments, function.results)
        steps += [ends.given(f"result{k}", f"y{k}") for k, ends in enumerate(self._gives)]
        self._looped(max((ends.tokens for ends in (*self._takes, *self._gives)), default=1), steps)
        return "a function of each token."

    def _looped(self, tokens: int, steps: list[str]) -> None:
        """The loop over the tokens of a frame."""
        self.head += function_head(self._scope, tokens, self._step_cycles)
        self.lines += loop_lines(self._scope, tokens, steps, self._apart, self._step_cycles)

    def _called(self, name: str, arguments: Sequence[str], results: Sequence[Variable]) -> list[str]:
        """Lines that call a token function, whose last results become the tokens ``result0``, ``result1``, ..."""
        lines = [
            line for k, ends in enumerate(self._gives) for line in token_lines(self._scope, ends.token, f"result{k}")
        ]
        copied, places = list[str](), list[str]()
        for k, (ends, result) in enumerate(zip(self._gives, results[-len(self._gives) :], strict=True)):
            if result.scalar == ends.scalar:
                places.append(f"result{k}.data")
                continue
            lines += self._array(f"answer{k}", result.type_name, result.size)
            places.append(f"answer{k}")
            copied.append(f"kernels::copy<{result.size}>(answer{k}, result{k}.data);")
        return [*lines, f"{name}({', '.join((*arguments, *places))});", *copied]

    def _folded_product(self, kind: kinds.FoldedProduct) -> str:
        (taken,), (out,) = self._takes, self._gives
        (n, m), tiles = kind.tile, kind.groups * kind.steps
        each = union_type(self._process.takes[0].token, 1)
        frac = (kind.frac - np.broadcast_to(each.frac, each.shape)).reshape(1, 1, n, 1)
        raw, scalar = common_raw(kind.weights, np.broadcast_to(frac, kind.weights.shape))
        weights_t = self._scope.typedef(f"{self._name}_weights_t", scalar)
        sum_t = self._scope.typedef(f"{self._name}_sum_t", accumulator(out.scalar, [taken.scalar.frac + scalar.frac]))
        weights = self._rom_of("weights", objects(raw.reshape(tiles, -1)), scalar.frac)
        self.lines += [*self._array("sums", sum_t, taken.size // n * m), "int tile = 0;"]
        template = f"{weights_t}, {sum_t}, {taken.size // n}, {n}, {m}, {kind.sets}"
        added = f"kernels::add_products<{template}>(item.data, {weights}[tile], turn != 0, sums, result.data);"
        self._summed(kind.steps, [added], [f"tile = tile == {tiles - 1} ? 0 : tile + 1;"], taken, out)
        return f"products with a matrix, {tiles} steps each."

    def _reduce(self, kind: kinds.Reduce) -> str:
        (taken,), (out,) = self._takes, self._gives
        op, kept, word = "max", taken.element, "greatest"
        if isinstance(kind.op, ops.Sum):
            sum_t = self._scope.typedef(f"{self._name}_sum_t", accumulator(out.scalar, [taken.scalar.frac]))
            op, kept, word = "add", sum_t, "sum"
        self.lines += self._array("before", kept, taken.size)
        added = f"kernels::add_token<kernels::{op}, {kept}, {taken.size}>(item.data, turn != 0, before, result.data);"
        self._summed(kind.count, [added], [], taken, out)
        return f"the {word} of each {kind.count} tokens."

    def _summed(
        self, count: int, added: Sequence[str], after: Sequence[str], taken: StreamType, out: StreamType
    ) -> None:
        """A loop of which each ``count``-th step gives what was ``added`` up."""
        self.lines.append("int turn = 0;")
        self._looped(
            taken.tokens,
            [
                f"const {taken.token} item = {taken.taken('x0')};",
                *token_lines(self._scope, out.token, "result"),
                *added,
                f"if (turn == {count - 1}) {{",
                f"    {out.given('result', 'y0')}",
                "}",
                f"turn = turn == {count - 1} ? 0 : turn + 1;",
                *after,
            ],
        )

    def _width_converter(self, kind: kinds.WidthConverter) -> str:
        (taken,), (out,) = self._takes, self._gives
        small, large = sorted((taken, out), key=lambda ends: ends.size)
        parts, unit = large.size // small.size, small.size
        if large.beats > 1 and whole_parts(large.size // large.beats, small.size // small.beats):
            # One beat after the other, as if they were tokens.
            taken, out, self._step_cycles, unit = taken.in_beats, out.in_beats, 1, small.size // small.beats
        if taken.size < out.size:
            self.lines += self._array("whole", out.element, out.size)
            pushed = f"kernels::push<{unit}, {out.size}>(item.data, whole);"
            self._summed(out.size // unit, [pushed, f"kernels::copy<{out.size}>(whole, result.data);"], [], taken, out)
            return f"{parts} tokens become one."
        self.lines += [*self._array("whole", out.element, large.size), "int turn = 0;"]
        count, read = large.size // unit, taken.size // unit
        due, onward = "turn == 0", []
        if read < count:
            self.lines.append("int next = 0;")
            due, onward = f"turn < {count} && next == 0", [f"next = next == {read - 1} ? 0 : next + 1;"]
        self._looped(
            taken.tokens * read * kind.times,
            [
                f"if ({due}) {{",
                f"    const {taken.token} item = {taken.taken('x0')};",
                f"    kernels::copy<{taken.size}>(item.data, whole);",
                "}",
                *token_lines(self._scope, out.token, "result"),
                f"kernels::copy<{unit}>(whole, result.data);",
                out.given("result", "y0"),
                f"kernels::push<{unit}, {large.size}>(result.data, whole);",
                f"turn = turn == {kind.times * count - 1} ? 0 : turn + 1;",
                *onward,
            ],
        )
        return f"a token becomes {parts}{f', {kind.times} times over' if kind.times > 1 else ''}."

    def _reorder(self, kind: kinds.Reorder) -> str:
        (taken,), (out,) = self._takes, self._gives
        take = f"const {taken.token} item = {taken.taken('x0')};"
        result = token_lines(self._scope, out.token, "result")
        if is_monotone(kind.source):
            actions = order_actions(kind.source, taken.tokens)
            again = period(actions)
            flags = self._listed("actions", actions[:again])
            self.lines += [*self._array("head", taken.element, taken.size), "int next = 0;"]
            self._looped(
                len(actions),
                [
                    f"const int flags = {flags}[next];",
                    "if ((flags & kernels::TAKE) != 0) {",
                    f"    {take}",
                    f"    kernels::copy<{taken.size}>(item.data, head);",
                    "}",
                    "if ((flags & (kernels::GIVE | kernels::GIVE_ZEROS)) != 0) {",
                    *map(indented, result),
                    f"    kernels::copy_if<{taken.size}>((flags & kernels::GIVE) != 0, head, result.data);",
                    f"    {out.given('result', 'y0')}",
                    "}",
                    f"next = next == {again - 1} ? 0 : next + 1;",
                ],
            )
            return "tokens in the order in which they come, but for some dropped, repeated, or zeros."
        source = self._listed("source", kind.source)
        memory = self._scope.names.unique(f"{self._name}_memory")
        self.lines += self._memory(memory, taken.element, taken.tokens, taken.size)
        self._looped(
            taken.tokens + out.tokens,
            [
                f"if (i < {taken.tokens}) {{",
                f"    {take}",
                f"    kernels::copy<{taken.size}>(item.data, {memory}[i]);",
                "} else {",
                f"    const int place = {source}[i - {taken.tokens}];",
                *map(indented, result),
                f"    kernels::copy_if<{taken.size}>(place >= 0, {memory}[place >= 0 ? place : 0], result.data);",
                f"    {out.given('result', 'y0')}",
                "}",
            ],
        )
        return f"another order, through a memory of {taken.tokens} tokens."

    def _interleave(self, kind: kinds.Interleave) -> str:
        (out,) = self._gives
        again = period(kind.source)
        which = self._listed("which", kind.source[:again])
        lines = [*token_lines(self._scope, out.token, "result")]
        last = len(self._takes) - 1
        for k, taken in enumerate(self._takes):
            condition = f"if ({which}[next] == {k}) " if k < last else ""
            lines.append(f"{'} else ' if k else ''}{condition}{{")
            lines.append(f"    const {taken.token} item = {taken.taken(f'x{k}')};")
            lines.append(f"    kernels::copy<{out.size}>(item.data, result.data);")
        lines += ["}", out.given("result", "y0"), f"next = next == {again - 1} ? 0 : next + 1;"]
        self.lines.append("int next = 0;")
        self._looped(out.tokens, lines)
        return f"tokens of {len(self._takes)} streams in turn."

    def _window(self, kind: kinds.Window) -> str:
        (taken,), (out,) = self._takes, self._gives
        op, grid = kind.op, self._process.takes[0].grid
        padded = [size + before + after for size, (before, after) in zip(grid, op.padding, strict=True)]
        buffers, pushes = self._buffers(op, padded)
        self.lines += buffers
        self.lines += [f"int at{axis} = 0;" for axis in range(len(grid))]
        flags = [f"{self._listed(f'axis{axis}', axis_flags(op, grid, axis))}[at{axis}]" for axis in range(len(grid))]
        item_t = f"kernels::token<{out.element}, {taken.size}>"
        actions = len(window_actions(op, grid)[0])
        self._looped(
            actions,
            [
                f"const int flags = {' & '.join(flags)};",
                *token_lines(self._scope, item_t, "item"),
                "if ((flags & kernels::TAKE) != 0) {",
                f"    const {taken.token} real = {taken.taken('x0')};",
                f"    kernels::copy<{taken.size}>(real.data, item.data);",
                "} else {",
                f"    kernels::clear<{taken.size}>(item.data);",
                "}",
                *token_lines(self._scope, out.token, "window"),
                *pushes,
                "if ((flags & kernels::GIVE) != 0) {",
                f"    {out.given('window', 'y0')}",
                "}",
                *advanced(padded),
                # The next frame begins at the start, whether the loop is entered again or goes on.
                f"if (i == {actions - 1}) {{",
                *(f"    at{axis} = 0;" for axis in range(len(grid))),
                "}",
            ],
        )
        return f"windows of {op.size} tokens, from line buffers."

    def _sweep(self, kind: kinds.Sweep) -> str:
        (taken,), (out,) = self._takes, self._gives
        loop = sweep_loop(self._process)
        memory = self._scope.names.unique(f"{self._name}_memory")
        self.lines += self._memory(memory, out.element, loop.places, taken.size, apart=loop.is_apart)
        self._promise(memory, loop.distance)
        item = f"const {taken.token} item = {taken.taken('x0')};"
        take = [item, f"kernels::copy<{taken.size}>(item.data, {memory}[write_at]);"]
        give = [
            *token_lines(self._scope, out.token, "result"),
            f"kernels::copy_if<{out.size}>(real, {memory}[read_at], result.data);",
            out.given("result", "y0"),
        ]
        declared, step = sweep_lines(loop, self._process, take, give)
        self.lines += declared
        self._looped(loop.steps, step)
        return f"windows of {kind.op.size} tokens, one token after another, from a memory of {loop.places} tokens."

    def _promise(self, memory: str, steps: int) -> None:
        """Have the tool know that what is written into a memory is read so many steps later, if that is more than one."""
        apart = self._scope.dialect.streams.apart
        if apart and steps > 1:
            self._apart.append(apart.format(name=memory, steps=steps))

    def _buffers(self, op: ops.Window, padded: Sequence[int]) -> tuple[list[str], list[str]]:
        """Lines that declare the line buffers, and those that push ``item`` through them into ``window``."""
        (taken,), (out,) = self._takes, self._gives
        wide = [axis for axis, taps in enumerate(op.size) if taps > 1]
        declared, pushes = list[str](), list[str]()
        lanes, source = 1, "item.data"
        for axis in wide:
            taps, gap = op.size[axis], op.dilation[axis] * math.prod(padded[axis + 1 :])
            width, template = (taps - 1) * lanes * taken.size, f"{lanes}, {taken.size}, {taps}, {gap}"
            if gap >= _LEAST_ROW:
                rows = self._scope.names.unique(f"{self._name}_rows{axis}")
                declared += [*self._memory(rows, out.element, gap, width, apart=True), f"int place{axis} = 0;"]
                self._promise(rows, gap)
                push = f"kernels::push_rows<{template}>({rows}, place{axis}"
            else:
                declared += self._array(f"taps{axis}", out.element, gap * width)
                push = f"kernels::push_registers<{template}>(taps{axis}"
            lanes *= taps
            if axis == wide[-1]:
                pushes.append(f"{push}, {source}, window.data);")
                continue
            pushes += self._array(f"column{axis}", out.element, lanes * taken.size)
            pushes.append(f"{push}, {source}, column{axis});")
            source = f"column{axis}"
        return declared, pushes or [f"kernels::copy<{taken.size}>(item.data, window.data);"]

    def _scan(self, kind: kinds.Scan) -> str:
        run, name = body(kind.body), self._scope.names.unique(f"{self._name}_step")
        inputs, states = dict[int, Variable](), list[Variable]()
        for k, (index, ends) in enumerate(zip(run.operands, self._takes, strict=True)):
            if k < kind.states:
                node = kind.body.nodes[index].type
                scalar = common_format(node)
                states.append(Variable(f"state{k}", self._scope.typedef(f"{name}_state_t", scalar), scalar, node.shape))
                inputs[index] = states[k]
            else:
                inputs[index] = Variable(f"token{k}.data", ends.element, ends.scalar, ends.shape)
        step = write_function(kind.body, run, name, self._scope, inputs)
        self.texts += step.texts
        for k, state in enumerate(states):
            if k < kind.kept:
                self.head += self._array(state.name, f"BITSMITH_KEPT {state.type_name}", state.size)
            else:
                self.lines += self._array(state.name, state.type_name, state.size)
        lines = ["if (i == 0) {"]
        for k, state in enumerate(states):
            lines.append(f"    const {self._takes[k].token} start{k} = {self._takes[k].taken(f'x{k}')};")
            copy = f"kernels::copy<{state.size}>(start{k}.data, {state.name});"
            lines.append(f"    if (!begun) {copy}" if k < kind.kept else f"    {copy}")
        lines += [*(["    begun = true;"] if kind.kept else []), "}"]
        self.head += lasting(self._scope, "bool", "begun", "false") if kind.kept else []
        lines += [
            f"const {ends.token} token{k} = {ends.taken(f'x{k}')};"
            for k, ends in enumerate(self._takes)
            if k >= kind.states
        ]
        following = [Variable(f"next{k}", v.type_name, v.scalar, v.shape) for k, v in enumerate(step.results[:-1])]
        for variable in following:
            lines += self._array(variable.name, variable.type_name, variable.size)
        arguments = [*(variable.name for variable in inputs.values()), *(variable.name for variable in following)]
        lines += self._called(name, arguments, step.results)
        lines += [
            f"kernels::copy<{state.size}>({after.name}, {state.name});"
            for state, after in zip(states, following, strict=True)
        ]
        interval = max(stages_of(self._process) + 1, self._step_cycles)  # it waits for its own results
        lines.append(self._gives[0].given("result0", "y0"))
        self.lines += paced_lines(self._scope, kind.steps, lines, interval=interval)
        return f"{kind.steps} steps of a recurrence."
