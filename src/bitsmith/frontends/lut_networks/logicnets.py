"""Reader of the Verilog of LogicNets, and of PolyLUT and NeuraLUT, which write the same (https://github.com/Xilinx/logicnets).

A module ``logicnet`` has an instance of each layer in order, ``layer0`` has an instance of each neuron, and ``layer0_N0`` is a
case statement. A neuron reads codes of the layer before, the first of which is the highest part of its address; its own code is
the next part of the layer's result. The modules stand in one file, or each in a file beside, with its name. Codes have no sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.input_shapes import InputShapes, sample_shapes
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.shape import Gather
from bitsmith.layers.truth_table import MOST_ADDRESS_BITS, TruthTable

_MOST_BYTES = 16 << 20
"""Most bytes of a file."""

_MOST_ENTRIES = 1 << 24
"""Most entries of all tables."""

_MOST_BITS = 8
"""Most bits of a code of the input, which are as many as all neurons read together."""

_COMMENTS = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|\(\*.*?(?:\*\)|\Z)", re.DOTALL)
_MODULE = re.compile(r"\bmodule\s+(\w+)\s*\(([^)]{0,400})\)\s*;(.*)", re.DOTALL)
_BITS = r"\[\s*(\d{1,6})\s*:\s*0\s*\]"
_PORTS = re.compile(
    rf"\s*input\s*{_BITS}\s*M0\s*,(?:\s*input\s+clk\s*,\s*input\s+rst\s*,)?\s*output\s*{_BITS}\s*M\d+\s*"
)
_LAYER = re.compile(r"(\w+)\s+\w+\s*\(\s*\.M0\s*\(M(\d{1,4})w?\)\s*,\s*\.M1\s*\(M(\d{1,4})\)\s*\)")
_WIRING = re.compile(
    rf"wire\s*{_BITS}\s*M\d+w?|assign\s+(M\d+)w\s*=\s*\2|myreg\s*#\(\.DataWidth\(\d+\)\)\s*\w+\s*"
    r"\(\.data_in\((M\d+)\)\s*,\s*\.clk\(clk\)\s*,\s*\.rst\(rst\)\s*,\s*\.data_out\(\3w\)\)"
)
_WIRE = re.compile(rf"wire\s*{_BITS}\s*(\w+)\s*=\s*\{{([^}}]*)\}}")
_BIT = re.compile(r"M0\[(\d{1,7})\],?\s*")
_NEURON = re.compile(r"(\w+)\s+\w+\s*\(\s*\.M0\((\w+)\)\s*,\s*\.M1\(M1\[(\d{1,7}):(\d{1,7})\]\)\s*\)")
_CASE = re.compile(
    rf"\s*reg\s*{_BITS}\s*M1r\s*;\s*assign\s+M1\s*=\s*M1r\s*;\s*always\s*@\s*\(M0\)\s*begin\s*case\s*\(M0\)(.*)endcase\s*end\s*",
    re.DOTALL,
)
_ENTRY = re.compile(r"\d{1,2}'b([01]{1,16})\s*:\s*M1r\s*=\s*\d{1,2}'b([01]{1,16})\s*;\s*")

Codes: TypeAlias = Sequence[int]
"""Positions of codes, the one in the lowest bits of an address first."""


@dataclass(frozen=True, slots=True)
class _Module:
    """The text of a module, the bits of its ports, and where it stands."""

    text: str
    read: int
    written: int
    where: str

    def wrong(self, found: str) -> ModelFileError:
        return ModelFileError(found, where=self.where, accepted="Verilog as LogicNets writes it")

    def statements(self) -> Iterator[str]:
        return (part.strip() for part in self.text.split(";") if part.strip())


@dataclass(frozen=True, slots=True)
class _Modules:
    """Modules of files in a folder, by their names; the first is the top."""

    folder: Path
    known: dict[str, _Module]

    def add(self, path: Path) -> None:
        """Read a file."""
        text = whole_file(path, _MOST_BYTES).decode("ascii", "replace")
        for part in _COMMENTS.sub(" ", text).split("endmodule"):
            module = _MODULE.search(part)
            if module is not None and (match := _PORTS.fullmatch(module[2])):
                name, body = module[1], module[3]
                read, written = (int(number) + 1 for number in match.groups())
                self.known.setdefault(name, _Module(body, read, written, f"{path.name}, module {name}"))

    def __getitem__(self, name: str) -> _Module:
        if name not in self.known:
            self.add(self.folder / f"{name}.v")
        if name not in self.known:
            raise ModelFileError(f"no module {name[:50]} with the ports M0 and M1", where=str(self.folder))
        return self.known[name]


@dataclass(frozen=True, slots=True)
class _Neuron:
    """The bits that a neuron reads, the lowest first, and its module."""

    read: Sequence[int]
    module: _Module

    def codes(self, bits: int) -> Codes | None:
        """The codes of so many bits that are read; None if not all bits of each are."""
        codes = [bit // bits for bit in self.read[::bits]]
        whole = [code * bits + bit for code in codes for bit in range(bits)]
        return codes if whole == list(self.read) else None


@dataclass(frozen=True, slots=True)
class _Layer:
    """Neurons, each of which writes a code of so many ``bits``."""

    name: str
    module: _Module
    neurons: Sequence[_Neuron]
    bits: int


def read_logicnets(path: Path, input_shape: InputShapes | None) -> Network:
    """The network of the top module's file: codes in, codes out. The input has as few codes as it can if no shape says how many.

    Raises:
        ConfigError: the input has no such shape.
        ModelFileError: the file, or one of those beside it, is none of LogicNets.
        UnsupportedError: tables that are too large.
    """
    modules = _Modules(path.parent, {})
    modules.add(path)
    if not modules.known:
        raise ModelFileError("no module with an input M0 and an output", where=str(path))
    name, top = next(iter(modules.known.items()))
    layers = [_layer(called, modules) for called in _names(top)]
    bits = _bits(layers[0], input_shape, top)
    note = f"M0 has codes of {bits} bits, the first in its lowest bits. Codes have no sign."
    nodes = [NetworkNode("M0", Input((top.read // bits,), limits=(0, (1 << bits) - 1)))]
    size, left = top.read, _MOST_ENTRIES
    for layer in layers:
        if layer.module.read != size:
            raise layer.module.wrong(f"an input of {layer.module.read} bits for {size} that are given")
        nodes += _nodes(layer, bits, left, nodes[-1].name)
        left -= sum(1 << len(neuron.read) for neuron in layer.neurons)
        bits, size = layer.bits, layer.module.written
    if size != top.written:
        raise top.wrong(f"an output of {top.written} bits for {size} that are given")
    return Network(tuple(nodes), ("M0",), (nodes[-1].name,), name, (note,))


def _bits(first: _Layer, input_shape: InputShapes | None, top: _Module) -> int:
    """The bits of each code of the input: the most of which all neurons read whole codes, if no shape says how many there are."""

    def whole(bits: int) -> bool:
        return top.read % bits == 0 and all(neuron.codes(bits) for neuron in first.neurons)

    if input_shape is None:
        return next(bits for bits in range(_MOST_BITS, 0, -1) if whole(bits))
    ((size, *others),) = sample_shapes(input_shape, examples=False)[:1]
    bits = top.read // size
    if others or top.read % size or not whole(bits):
        raise ConfigError(
            f"the input shape {input_shape}",
            where=top.where,
            accepted=f"(codes,), which share {top.read} bits, and of which neurons read all bits",
        )
    return bits


def _names(top: _Module) -> list[str]:
    """The modules of layers; each reads what the one before wrote."""
    names: list[str] = []
    for statement in top.statements():
        if match := _LAYER.fullmatch(statement):
            name, read, written = match.groups()
            if (int(read), int(written)) != (len(names), len(names) + 1):
                raise top.wrong(f"the layer {name[:50]} does not read what the one before writes")
            names.append(name)
        elif not _WIRING.fullmatch(statement):
            raise top.wrong(f"the statement {statement[:80]!r}")
    if not names:
        raise top.wrong("no layers")
    return names


def _layer(name: str, modules: _Modules) -> _Layer:
    module, wires, neurons, ends = modules[name], dict[str, list[int]](), list[_Neuron](), [0]
    for statement in module.statements():
        if match := _WIRE.fullmatch(statement):
            highest, wire, listed = match.groups()
            bits = [int(bit) for bit in _BIT.findall(listed)]
            if _BIT.sub("", listed).strip(", ") or len(bits) != int(highest) + 1 or max(bits) >= module.read:
                raise module.wrong(f"the wire {wire[:50]} of other bits than its own number of those of M0")
            wires[wire] = bits[::-1]
        elif match := _NEURON.fullmatch(statement):
            table, wire, high, low = match.groups()
            if wire not in wires or int(low) != ends[-1] or int(high) < int(low):
                raise module.wrong(f"the neuron {table[:50]}, which does not write the next code")
            neurons.append(_Neuron(wires[wire], modules[table]))
            ends.append(int(high) + 1)
        else:
            raise module.wrong(f"the statement {statement[:80]!r}")
    sizes = set(np.diff(ends).tolist())
    if len(sizes) != 1 or ends[-1] != module.written:
        raise module.wrong(f"neurons that write {ends[-1]} of {module.written} bits, {sorted(sizes)} each")
    return _Layer(name, module, neurons, sizes.pop())


def _nodes(layer: _Layer, bits: int, left: int, before: str) -> Iterator[NetworkNode]:
    """The codes that the neurons read, and their tables, which have at most ``left`` entries."""
    read = [neuron.codes(bits) for neuron in layer.neurons]
    codes = [own for own in read if own is not None]
    if len(codes) < len(read):
        raise layer.module.wrong(f"a neuron that does not read whole codes of {bits} bits")
    most = max(map(len, codes))
    if bits * most > MOST_ADDRESS_BITS or len(codes) << bits * most > left:
        raise UnsupportedError(
            f"{len(codes)} tables of {bits * most} bits",
            where=layer.module.where,
            accepted=f"at most {MOST_ADDRESS_BITS} bits, and {_MOST_ENTRIES} entries in all",
        )
    # A table of fewer codes does not depend on the last ones.
    padded = [[*own, *[0] * (most - len(own))] for own in codes]
    values = [np.resize(_table(neuron, layer.bits), 1 << bits * most) for neuron in layer.neurons]
    operands = [f"{layer.name}_code{number}" for number in range(most)]
    for operand, places in zip(operands, zip(*padded, strict=True), strict=True):
        yield NetworkNode(operand, Gather(places, 0), (before,), source=layer.name)
    yield NetworkNode(layer.name, TruthTable(as_weights(values), bits), tuple(operands), source=layer.name)


def _table(neuron: _Neuron, bits: int) -> Floats:
    """The codes of a neuron by its address. Entries that are left out are those of codes that there are not."""
    module, size = neuron.module, len(neuron.read)
    match = _CASE.fullmatch(module.text)
    if match is None or _ENTRY.sub("", match[2]).strip() or (module.read, module.written) != (size, bits):
        raise module.wrong(f"no case statement of {bits} bits by {size}")
    pairs = [(int(address, 2), int(code, 2)) for address, code in _ENTRY.findall(match[2])]
    addresses, codes = np.array(pairs, np.int64).reshape(-1, 2).T
    if not pairs or np.unique(addresses).size < len(pairs) or addresses.max() >> size or codes.max() >> bits:
        raise module.wrong("entries that do not belong to the case statement, or stand there twice")
    values = np.zeros(1 << size)
    values[addresses] = codes
    return values
