"""Verilog as LogicNets, PolyLUT and NeuraLUT write it, against the tables that it is written from, and a simulation of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neuron:
    """The codes that a neuron reads, the highest first, and its table."""

    read: list[int]
    table: Integers


@dataclass(frozen=True)
class Drawn:
    """Layers of neurons, and the bits of the codes in front of each and after the last."""

    size: int
    layers: list[list[Neuron]]
    bits: list[int]

    def evaluated(self, x: Integers) -> Integers:
        """Codes of the last layer for codes (samples, size), neuron by neuron."""
        codes = x
        for neurons, bits in zip(self.layers, self.bits, strict=False):
            columns = []
            for neuron in neurons:
                address = np.zeros(len(x), np.int64)
                for code in neuron.read:
                    address = address << bits | codes[:, code]
                columns.append(neuron.table[address])
            codes = np.stack(columns, 1)
        return codes


def drawn(seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 8, int(rng.integers(2, 5))).tolist()
    bits = rng.integers(1, 4, len(sizes)).tolist()
    layers = []
    for size, neurons, own, result in zip(sizes, sizes[1:], bits, bits[1:], strict=False):
        fans = rng.integers(1, min(size, 3) + 1, neurons) if seed % 2 else [min(size, 3)] * neurons
        reads = [sorted(rng.choice(size, fan, replace=False).tolist(), reverse=seed % 3 > 0) for fan in fans]
        layers.append([Neuron(read, rng.integers(0, 1 << result, 1 << own * len(read))) for read in reads])
    return Drawn(sizes[0], layers, bits)


def texts(drawn: Drawn, registers: bool = True) -> dict[str, str]:
    """Modules by their names, the top first."""
    modules, wide, body = {"logicnet": ""}, drawn.size * drawn.bits[0], ""
    ports = f"module logicnet (input [{wide - 1}:0] M0, input clk, input rst, output["
    for number, neurons in enumerate(drawn.layers):
        bits, result = drawn.bits[number : number + 2]
        name, written = f"layer{number}", len(neurons) * result
        body += f"wire [{wide - 1}:0] M{number}w;\n"
        body += (
            f"myreg #(.DataWidth({wide})) {name}_reg (.data_in(M{number}), .clk(clk), .rst(rst), .data_out(M{number}w));\n"
            if registers
            else f"assign M{number}w = M{number};\n"
        )
        body += f"wire [{written - 1}:0] M{number + 1};\n" if number + 1 < len(drawn.layers) else ""
        body += f"{name} {name}_inst (.M0(M{number}w), .M1(M{number + 1}));\n"
        text = f"module {name} (input [{wide - 1}:0] M0, output [{written - 1}:0] M1);\n\n"
        for place, neuron in enumerate(neurons):
            own, read = f"{name}_N{place}", [code * bits + bit for code in neuron.read for bit in reversed(range(bits))]
            listed = ", ".join(f"M0[{bit}]" for bit in read)
            text += f"wire [{len(read) - 1}:0] {own}_wire = {{{listed}}};\n"
            text += f"{own} {own}_inst (.M0({own}_wire), .M1(M1[{(place + 1) * result - 1}:{place * result}]));\n\n"
            modules[own] = _neuron(own, len(read), result, neuron.table)
        modules[name], wide = text + "endmodule", written
    modules["logicnet"] = f"{ports}{wide - 1}:0] M{len(drawn.layers)});\n{body}\nendmodule\n"
    return modules


def _neuron(name: str, read: int, written: int, table: Integers) -> str:
    entries = "".join(
        f"\t\t\t{read}'b{k:0{read}b}: M1r = {written}'b{code:0{written}b};\n" for k, code in enumerate(table)
    )
    return (
        f"module {name} ( input [{read - 1}:0] M0, output [{written - 1}:0] M1 );\n\n"
        f'\t(*rom_style = "distributed" *) reg [{written - 1}:0] M1r;\n\tassign M1 = M1r;\n'
        f"\talways @ (M0) begin\n\t\tcase (M0)\n{entries}\t\tendcase\n\tend\nendmodule\n"
    )


def written(folder: Path, modules: dict[str, str], *, together: bool = False) -> Path:
    """The path of the top module's file, with the others beside it or in it."""
    path = folder / "logicnet.v"
    if together:
        path.write_text("\n".join(modules.values()))
        return path
    for name, text in modules.items():
        (folder / f"{name}.v").write_text(text)
    return path


def _codes(drawn: Drawn, bits: int, seed: int) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Samples as the network was drawn for, and as codes of so many bits, which the reader may find it to have."""
    x = np.random.default_rng(seed).integers(0, 1 << drawn.bits[0], (60, drawn.size))
    each = (x[..., None] >> np.arange(drawn.bits[0]) & 1).reshape(len(x), -1, bits)
    return x, (each << np.arange(bits)).sum(-1).astype(np.float64)


def _samples(drawn: Drawn, seed: int) -> Integers:
    return np.random.default_rng(seed).integers(0, 1 << drawn.bits[0], (60, drawn.size))


@few("seed", range(60), 6)
def test_random_networks(seed: int, tmp_path: Path) -> None:
    made = drawn(seed)
    path = written(tmp_path, texts(made, registers=seed % 4 > 0), together=seed % 5 == 0)
    x = _samples(made, seed)
    model = bitsmith.convert(path, input_shape=(made.size,))
    np.testing.assert_array_equal(model.predict(x.astype(np.float64)).reshape(len(x), -1), made.evaluated(x))
    assert not model.fidelity.verdict.problems


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_input_has_the_widest_codes_that_all_neurons_read(bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(bits)
    neurons = [Neuron(read, rng.integers(0, 2, 1 << 2 * bits)) for read in ([4, 1], [3, 0], [2, 1])]
    made = Drawn(5, [neurons], [bits, 1])
    network = read_model(written(tmp_path, texts(made)))
    x = _samples(made, 0)
    np.testing.assert_array_equal(network.evaluate([x.astype(np.float64)])["layer0"], made.evaluated(x))
    assert f"M0 has codes of {bits} bits" in network.notes[0]


@pytest.mark.parametrize("shape", [(3,), (5,), (2, 2), (1, 4)])
def test_other_shapes_are_rejected(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which share 4 bits"):
        bitsmith.convert(written(tmp_path, _small()), input_shape=shape)


@pytest.mark.slow
@pytest.mark.ci
def test_circuits(tmp_path: Path) -> None:
    made = drawn(7)
    path = written(tmp_path, texts(made))
    x, shape = _samples(made, 0), (made.size,)
    codes = x.astype(np.float64)
    model = bitsmith.convert(path, tmp_path / "rtl", input_shape=shape)
    report = model.build(inputs=codes, synth=False)
    assert report["Verification"]["Mismatches"] == 0
    compiled = bitsmith.convert(path, tmp_path / "vitis", backend="vitis", input_shape=shape)
    np.testing.assert_array_equal(compiled.csim_predict(codes).reshape(len(x), -1), made.evaluated(x))


def _small() -> dict[str, str]:
    return texts(Drawn(2, [[Neuron([1, 0], np.arange(16) % 4)]], [2, 2]))


def test_entries_that_are_left_out_are_those_of_codes_that_there_are_not(tmp_path: Path) -> None:
    modules = _small()
    lines = modules["layer0_N0"].splitlines()
    modules["layer0_N0"] = "\n".join(line for line in lines if "4'b11" not in line)
    network = read_model(written(tmp_path, modules), ReadOptions(input_shape=2))
    found = network.evaluate([np.array([[0.0, 2.0], [3.0, 2.0], [1.0, 3.0]])])["layer0"]
    np.testing.assert_array_equal(found, [[0], [3], [0]])


WRONG: dict[str, tuple[str, str, str, str]] = {
    "another bit": ("layer0", "M0[3]", "M0[4]", "the wire layer0_N0_wire"),
    "too few bits": ("layer0", "M0[3], ", "", "the wire layer0_N0_wire"),
    "a foreign bit": ("layer0", "M0[3]", "M1[3]", "the wire layer0_N0_wire"),
    "another wire": ("layer0", ".M0(layer0_N0_wire)", ".M0(wire)", "the neuron layer0_N0"),
    "another place": ("layer0", "M1[1:0]", "M1[2:1]", "the neuron layer0_N0"),
    "code between": ("layer0", "endmodule", "assign M1 = 0; endmodule", "the statement 'assign M1 = 0'"),
    "a module that there is not": ("layer0", "layer0_N0 ", "layer0_N9 ", "layer0_N9.v"),
    "a wider result": ("layer0", "output [1:0]", "output [2:0]", "neurons that write 2 of 3 bits"),
    "another input": ("layer0", "input [3:0]", "input [4:0]", "an input of 5 bits"),
    "another output": ("logicnet", "output[1:0]", "output[3:0]", "an output of 4 bits"),
    "another layer": ("logicnet", ".M1(M1)", ".M1(M3)", "does not read what"),
    "no layers": ("logicnet", "layer0 layer0_inst (.M0(M0w), .M1(M1));", "", "no layers"),
    "a statement": ("logicnet", "wire [3:0] M0w", "wire [3:0] M0w = 1", "the statement 'wire"),
    "no case": ("layer0_N0", "case (M0)", "case (M1)", "no case statement"),
    "twice": ("layer0_N0", "4'b0001:", "4'b0000:", "stand there twice"),
    "a long code": ("layer0_N0", "2'b01;", "2'b101;", "do not belong"),
    "a long address": ("layer0_N0", "4'b0001:", "5'b10001:", "do not belong"),
    "no bits": ("layer0_N0", "2'b01;", "2'bxx;", "no case statement"),
    "another address": ("layer0_N0", "input [3:0]", "input [4:0]", "no case statement"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_verilog_is_one_error(name: str, tmp_path: Path) -> None:
    module, old, new, words = WRONG[name]
    modules = _small()
    assert old in modules[module]
    modules[module] = modules[module].replace(old, new)
    with pytest.raises(ModelFileError, match=words):
        read_model(written(tmp_path, modules))


def test_large_tables_are_rejected(tmp_path: Path) -> None:
    neuron = Neuron(list(range(17)), np.zeros(1 << 17, np.int64))
    with pytest.raises(UnsupportedError, match="1 tables of 17 bits"):
        read_model(written(tmp_path, texts(Drawn(17, [[neuron]], [1, 1]))))
    parts = _small()
    parts["layer0"] = parts["layer0"].replace("M0[3], M0[2]", "M0[2], M0[3]")
    assert read_model(written(tmp_path, parts)).shapes()["M0"] == (4,)


@pytest.mark.parametrize("text", ["module a (", "/*" * 20000, "module (" * 20000, "(*" * 20000 + "endmodule" * 9])
def test_hostile_texts_end_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "logicnet.v"
    path.write_text("module logicnet (input [3:0] M0, input clk, input rst, output [1:0] M1);" + text)
    with pytest.raises(ModelFileError):
        read_model(path)
