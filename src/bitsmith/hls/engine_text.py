"""The C++ function of an engine: layers in turn on one row of multipliers, a loop over the steps of each layer.

What differs between layers are numbers in constant arrays, which the function reads before each loop.
"""

from collections.abc import Sequence

import numpy as np

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.engine_layer import EngineLayer
from bitsmith.dataflow.processes import Process
from bitsmith.hls.assembly import indented
from bitsmith.hls.kernels import write_function
from bitsmith.hls.process_text import FunctionWriter, named, paced_lines, token_lines
from bitsmith.hls.project import Memory
from bitsmith.hls.runs import body
from bitsmith.hls.scalar import Scalar, common_format, scalar_of
from bitsmith.hls.scope import Variable
from bitsmith.ir.types import Ints, objects, width_of


class EngineWriter(FunctionWriter[Process]):
    """Writes one engine."""

    @property
    def _label(self) -> str:
        return f"Layers {named([layer.name for layer in self._kind.layers])}: "

    @property
    def _kind(self) -> Engine:
        assert isinstance(self._process.kind, Engine)
        return self._process.kind

    def write(self) -> str:
        kind, dialect, scope = self._kind, self._scope.dialect, self._scope
        self._memory = scope.names.unique(f"{self._name}_memory")
        self._ranges = _ranges(kind)
        width, signed = max(width_of(*kind.range), 1), kind.range[0] < 0
        self._number_t = scope.typedef(f"{self._name}_number_t", Scalar(signed, width, width))
        program = kind.program
        names = ("sum", "bias", "choice")
        inputs = {
            index: Variable(each, scope.typedef(f"{self._name}_{each}_t", scalar), scalar, (1,))
            for index, each in zip(program.inputs, names, strict=True)
            for scalar in [common_format(program.nodes[index].type)]
        }
        total, bias, choice = inputs.values()
        function_name = scope.names.unique(f"{self._name}_token")
        function = write_function(program, body(program), function_name, scope, inputs)
        self.texts += function.texts
        scope.memories.append(Memory(self._memory, kind.banks, apart=True))
        places = f"{self._number_t} {self._memory}[{kind.words // kind.banks}][{kind.banks}]"
        streams = dialect.streams
        declared = (streams.banks if kind.banks > 1 else streams.rows).declared(self._memory, places, kind.words)
        for array in ("sums", "leaving"):
            declared += dialect.arrays.declared(array, f"{total.type_name} {array}[{kind.lanes}]", kind.lanes)
        step = [*self._multiplied(), *self._leaving(function_name, function.results, (total, bias, choice))]
        step += ["if (runs) {", *map(indented, self._summed(total)), *map(indented, self._advanced()), "}"]
        layer = [*self._begun(), *self._looped("steps", *self._promised(step))]
        head = f"for (int layer = 0; layer < {len(kind.layers)}; layer++) {{"
        self.lines += [*declared, *self._loaded(), head, *map(indented, layer), "}"]
        return f"in turn on {kind.lanes} multiplier{'s' if kind.lanes > 1 else ''}."

    def _looped(self, steps: str, lines: Sequence[str], before: Sequence[str] = ()) -> list[str]:
        return paced_lines(self._scope, steps, lines, before, self._step_cycles, nested=True)

    def _promised(self, step: list[str]) -> tuple[list[str], list[str]]:
        """A step, and lines before its loop, from which the tool knows that no layer reads what it writes itself."""
        streams = self._scope.dialect.streams
        lines = [streams.apart.format(name=self._memory, steps=self._kind.words)] if streams.apart else []
        return ([*lines, *step], []) if streams.apart_inside else (step, lines)

    def _loaded(self) -> list[str]:
        """The loop that takes the numbers of a frame."""
        taken, token = self._takes[0], self._process.takes[0].token
        amount = self._scope.array(self._name, "amount", objects(np.broadcast_to(token.frac, token.shape)))
        lines = [
            f"const {taken.token} item = {taken.taken('x0')};",
            f"{self._number_t} number[1];",
            f"kernels::shift<1, 1>(item.data, {amount}, number);",
            self._stored("number", "i"),
        ]
        return self._looped(str(taken.tokens), lines)

    def _stored(self, number: str, word: str) -> str:
        """A line that writes a number into the memory."""
        place, single = self._place(word)
        return f"kernels::put_into<1, {self._kind.banks}>({number}, {single}, {self._memory}[{place}]);"

    def _place(self, word: str) -> tuple[str, str]:
        """The place of a word of the memory, and its number in that."""
        banks = self._kind.banks
        return (f"{word} >> {banks.bit_length() - 1}", f"{word} & {banks - 1}") if banks > 1 else (word, "0")

    def _begun(self) -> list[str]:
        """Lines before the loop of a layer: its numbers, and all variables at its beginning."""
        constants = list[str]()
        weights, biases, fields = 0, 0, list[dict[str, int]]()
        for layer in self._kind.layers:
            fields.append(_fields(layer, weights, biases, apart=self._kind.banks > 1))
            weights += len(layer.rows(layer.lanes))
            biases += len(layer.bias)
        for key in fields[0]:
            # What is added to a variable counts modulo its range, too.
            whole = _MODULO.get(key, "at" if key.startswith("to_") else "")
            values = np.array([each[key] & self._ranges.get(whole, -1) for each in fields])
            assert values.min() >= 0, key
            kind = "bool" if key in ("alike", "greatest", "apart") else "int"
            constants.append(f"const {kind} {key} = {self._by_layer(key, values)};")
        starts = {"at": "first_word", "place0": "first_row", "place1": "first_column"}
        starts |= {"row": "first_weights", "target": "first_target", "bias_at": "first_bias"}
        zeros = (f"int {name} = 0;" for name in (*_COUNTED, "left"))
        begun = (f"int {name} = {start};" for name, start in starts.items())
        return [*constants, *begun, *zeros, "bool more = false;"]

    def _moved(self, name: str, by: str = "1", sign: str = "+") -> str:
        """A line that adds ``by`` to a variable, of whose bits no more are kept than it needs.

        Tools see from them how wide adders and comparisons have to be, which no bound of a loop tells.
        """
        return f"{name} = ({name} {sign} {by}) & {self._ranges[name]};"

    def _by_layer(self, key: str, values: np.typing.NDArray[np.int64]) -> str:
        """The number of the layer, of whose bits no more are kept than some layer needs."""
        if bool(np.all(values == values[0])):
            return str(values[0])
        unique = self._scope.array(self._name, key, values)
        self._scope.memories.append(Memory(unique))
        return f"{unique}[layer] & {_ones(int(values.max()))}"

    def _multiplied(self) -> list[str]:
        """Return the operands of a step: numbers, or zeros beyond the interface and after the last step."""
        banks, arrays = self._kind.banks, self._scope.dialect.arrays
        place, single = self._place("word")
        row = "row_of" if banks > 1 else "numbers"
        lines = [
            "const bool runs = i < busy;",
            "const bool real = runs && place0 < rows && place1 < columns;",
            "const int word = real ? at : 0;",
            *arrays.declared(row, f"{self._number_t} {row}[{banks}]", banks),
            f"kernels::copy_if<{banks}>(real, {self._memory}[{place}], {row});",
        ]
        if banks == 1:
            return lines
        lines += arrays.declared("numbers", f"{self._number_t} numbers[{banks + 1}]", banks + 1)
        return [*lines, f"kernels::engine_numbers<{banks}>({row}, {single}, apart, numbers);"]

    def _leaving(
        self, function: str, results: Sequence[Variable], inputs: tuple[Variable, Variable, Variable]
    ) -> list[str]:
        """Return the statements for a sum that leaves: through the token function, into the memory or out."""
        kind, result, (total, bias, choice) = self._kind, self._gives[0], inputs
        biases = np.concatenate([layer.bias for layer in kind.layers])
        lines = [f"{total.type_name} sum[1];", "kernels::copy<1>(leaving, sum);"]
        lines += self._told("bias", bias, biases)
        if kind.by_layer:
            lines.append(f"const {choice.type_name} choice[1] = {{layer}};")
        else:
            choices = [np.broadcast_to(layer.choices, layer.bias.shape) for layer in kind.layers]
            lines += self._told("choice", choice, np.concatenate(choices))
        stored, answer = results
        lines += [f"{stored.type_name} stored[1];", f"{answer.type_name} answer[1];"]
        lines.append(f"{function}(sum, bias, choice, stored, answer);")
        out = [*token_lines(self._scope, result.token, "result"), "kernels::copy<1>(answer, result.data);"]
        lines += [f"if (layer == {len(kind.layers) - 1}) {{", *map(indented, [*out, result.given("result", "y0")])]
        lines += ["} else {", f"    {self._stored('stored', 'target')}", "}"]
        lines += [
            f"kernels::engine_leave<{kind.lanes}>(leaving);",
            self._moved("target"),
            self._moved("left", sign="-"),
        ]
        lines.append(f"bias_at = bias_at == last_bias ? first_bias : (bias_at + 1) & {self._ranges['bias_at']};")
        return ["if (left != 0) {", *map(indented, lines), "}"]

    def _told(self, name: str, variable: Variable, values: Ints) -> list[str]:
        """Lines that read what is known of the result that leaves."""
        rom = self._rom(name, objects(values.reshape(-1, 1)))
        return [f"{variable.type_name} {name}[1];", f"kernels::constant<1>({rom}[bias_at], {name});"]

    def _rom(self, name: str, rows: Ints) -> str:
        rom = self._scope.rom(self._name, name, rows, 0)
        self.head += self._scope.dialect.roms.words(rom, len(rows))
        return rom

    def _summed(self, total: Variable) -> list[str]:
        """The products of a step, and their sums."""
        kind = self._kind
        rows = np.concatenate([layer.rows(kind.lanes) for layer in kind.layers])
        scalar = scalar_of(int(rows.min()), int(rows.max()), 0)
        weights_t = self._scope.typedef(f"{self._name}_weights_t", scalar)
        numbers = kind.banks + 1 if kind.banks > 1 else 1
        template = f"{weights_t}, {total.type_name}, {kind.lanes}, {numbers}, {kind.greatest_lanes}"
        weights = self._rom("weights", objects(rows))
        return [f"kernels::engine_step<{template}>(numbers, {weights}[row], more, greatest, sums);"]

    def _advanced(self) -> list[str]:
        """Lines that move on to the next number, and at the end of a pass give its sums to those that leave."""
        moved = self._moved
        pass_ends = [f"kernels::copy<{self._kind.lanes}>(sums, leaving);", "left = lanes;", "more = false;"]
        line = ["window1 = 0;", "place1 = first_column;"]
        line += [moved("place0", "stride0"), moved("at", "to_line")]
        windows = [moved("window1"), moved("place1", "stride1"), moved("at", "to_window")]
        window = _else("window1 != last_window1", windows, line)
        blocks = [moved("block"), moved("at", "to_block"), "if (alike) {", "    row = first_weights;", "}"]
        block = _else("block != last_block", blocks, ["block = 0;", "row = first_weights;", *window])
        passed = _else("pass != last_pass", [moved("pass"), moved("at", "to_pass")], ["pass = 0;", *block])
        rows = ["tap0 = 0;", moved("place0", "span0", "-"), *pass_ends, *passed]
        row = _else("tap0 != last_tap0", [moved("tap0"), moved("place0", "dilation0"), moved("at", "to_row")], rows)
        taps = ["tap1 = 0;", moved("place1", "span1", "-"), *row]
        tap = _else("tap1 != last_tap1", [moved("tap1"), moved("place1", "dilation1"), moved("at", "to_column")], taps)
        number = _else("channel != last_channel", [moved("channel"), moved("at")], ["channel = 0;", *tap])
        return ["more = true;", moved("row"), *number]


def _else(condition: str, lines: Sequence[str], others: Sequence[str]) -> list[str]:
    return [f"if ({condition}) {{", *map(indented, lines), "} else {", *map(indented, others), "}"]


def _fields(layer: EngineLayer, weights: int, biases: int, *, apart: bool) -> dict[str, int]:
    """The numbers of a layer, whose weights and biases begin at these rows; ``apart``: layers can be so."""
    busy = layer.all_passes * layer.steps
    names = ("first_word", "first_target", "to_column", "to_row", "to_pass", "to_block", "to_window", "to_line")
    numbers = {"busy": busy, "steps": busy + layer.lanes, "lanes": layer.lanes}
    numbers |= dict(zip(names, layer.addresses, strict=True))
    numbers |= {"rows": layer.grid[0], "columns": layer.grid[1]}
    numbers |= {"first_row": -layer.op.padding[0][0], "first_column": -layer.op.padding[1][0]}
    for axis in range(2):
        dilation, last = layer.op.dilation[axis], layer.op.size[axis] - 1
        numbers |= {f"dilation{axis}": dilation, f"last_tap{axis}": last, f"span{axis}": dilation * last}
        numbers[f"stride{axis}"] = layer.op.stride[axis]
    numbers |= {"last_channel": layer.numbers - 1, "last_pass": layer.passes - 1}
    numbers |= {"last_block": layer.blocks - 1, "last_window1": layer.windows[1] - 1}
    numbers |= {"first_weights": weights, "first_bias": biases, "last_bias": biases + len(layer.bias) - 1}
    numbers |= {"alike": int(len(layer.weights) < layer.blocks), "greatest": int(layer.greatest)}
    return numbers | ({"apart": int(layer.apart)} if apart else {})


def _ranges(kind: Engine) -> dict[str, int]:
    """The bits, all ones, of the values of each variable that has a meaning: others are not used.

    Rows and columns outside of the interface, some of them below zero, are the same modulo a power of two as none within it.
    """
    fields = [_fields(layer, 0, 0, apart=False) for layer in kind.layers]
    most = {
        "at": kind.words - 1,
        "target": kind.words - 1,
        "left": max(layer.lanes for layer in kind.layers),
        "row": sum(len(layer.rows(layer.lanes)) for layer in kind.layers) - 1,
        "bias_at": sum(len(layer.bias) for layer in kind.layers) - 1,
        **{name: max(each[f"last_{name}"] for each in fields) for name in _COUNTED},
    }
    for axis in range(2):
        most[f"place{axis}"] = max(layer.grid[axis] + sum(layer.op.padding[axis]) for layer in kind.layers)
    return {name: _ones(value) for name, value in most.items()}


def _ones(value: int) -> int:
    """The least number of ones only, at least one of them, that is no less than a value."""
    return (1 << max(value.bit_length(), 1)) - 1


_MODULO = {"first_word": "at", "first_row": "place0", "first_column": "place1"}
"""Variables that begin at numbers which may be below zero."""

_COUNTED = ("channel", "tap1", "tap0", "pass", "block", "window1")
"""Counters up to a number of a layer."""
