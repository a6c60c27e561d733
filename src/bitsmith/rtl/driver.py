"""Writes the Python driver of a circuit: ``rtl/templates/driver*.py`` as one file, with a description of the circuit in it."""

import json
import keyword
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zlib import crc32

import numpy as np

from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.ops import Input
from bitsmith.ir.program import Program
from bitsmith.passes.program.load import ParameterKey, values_of
from bitsmith.rtl.interface import Interface, runs, token_beats, token_bytes
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.ranges import Watch, addresses
from bitsmith.rtl.stream_ports import StreamPort, WeightPort

_TEMPLATES = Path(__file__).parent / "templates"

_IMPORT = re.compile(r"^from bitsmith\.rtl\.templates\.\w+ import (?:.*[^(]|\([^)]*\))\n", re.MULTILINE)
"""Import of the parts before, which are in the same file in the end; the last line of a part's head."""

_LIBRARIES = frozenset({"numpy", "serial", "pynq", "pyxrt", "predicting", "axi_stream_driver"})
"""Modules that are imported beside the driver."""

_WIDEST = 64
"""Bytes of a line of caches, and more than those of a word of memory."""

_Described: TypeAlias = "Mapping[str, _Described] | Sequence[_Described] | str | float | bool | None"

Frame: TypeAlias = tuple[Sequence[Raw], Sequence[Raw]]
"""Raw values of the inputs of a frame, and those of its result, one array per tensor."""


def driver_module(top: str) -> str:
    """The name of the driver's module: that of the circuit, unless Python would take it for a module or a word of its own."""
    taken = top in sys.stdlib_module_names or top in _LIBRARIES or keyword.iskeyword(top)
    return f"{top}_net" if taken else top


@dataclass(frozen=True, slots=True, eq=False)
class DrivenCircuit:
    """A circuit as its drivers know it.

    Attributes:
        layouts: those of all weights from outside in the user's model, as which drivers take them.
        samples: of a frame, the leading axis of all inputs and outputs; 1: they have none.
        bus_bytes: width of a bus on which tokens are beats of `bitsmith.rtl.beats`; 0 without one.
        registers: it has some.
        masters: it reads and writes memory itself, as these say.
        counted_hz: the clock of a circuit that counts.
        frame: that of its self-test.
        watched: tensors with monitors.
    """

    program: Program
    interface: Interface
    layouts: Mapping[ParameterKey, ModelLayout]
    samples: int
    bus_bytes: int = 0
    registers: bool = True
    masters: bool = False
    counted_hz: float | None = None
    frame: Frame | None = None
    watched: Sequence[Watch] = ()

    @property
    def crcs(self) -> Mapping[str, int]:
        """The CRCs of trained weights in memories that can be read back, by their ports."""
        return trained_crcs(self.program, self.interface) if self.registers else {}


def driver(circuit: DrivenCircuit) -> str:
    """The text of the driver, which needs numpy only."""
    program, interface, bus_bytes = circuit.program, circuit.interface, circuit.bus_bytes
    ports = [*(each.port for each in interface.weights), *(each.port for each in interface.images)]
    shapes = [
        [
            *(program.nodes[index].type.shape for index in program.inputs),
            *((port.tokens, len(port.fields)) for port in ports),
        ],
        [program.nodes[output.node].type.shape for output in program.outputs],
    ]
    design: Mapping[str, _Described] = {
        "top": interface.top,
        "tool": interface.title.tool,
        "digest": interface.title.digest,
        "registers": circuit.registers,
        "latency": interface.latency,
        "interval": interface.interval,
        "samples": circuit.samples,
        "counted_hz": circuit.counted_hz,
        "tensors": [_tensor(op, circuit.samples) for op in program.input_ops()],
        "inputs": _streams(interface.inputs, shapes[0], bus_bytes),
        "weights": [
            _weights(each, circuit.layouts, bus_bytes, external=each in interface.weights)
            | {"crc": circuit.crcs.get(each.port.name)}
            for each in (*interface.weights, *interface.loads)
        ],
        "images": [
            {"port": port.name, "file": image_file(interface.top, port), "bytes": len(data), "crc": crc32(data)}
            for port, data in images(interface, bus_bytes)
        ],
        "outputs": _streams(interface.outputs, shapes[1], bus_bytes),
        "loops": [loop_bytes(loop.out, bus_bytes) for loop in interface.loops],
        "selftest": _selftest(program, circuit.frame),
        "memories": [f"{each.layer}: {each.content}" for each in interface.checked],
        "ranges": [
            {"page": page, "at": at, "name": x.name, "frac": x.frac, "ends": x.ends, "shares": x.shares}
            for (page, at), x in zip(addresses(circuit.watched), circuit.watched, strict=True)
        ],
    }
    first, *others = (
        (_TEMPLATES / f"driver{name}.py").read_text(encoding="utf-8") for name in ("", "_links", "_selftest")
    )
    text = "".join([first, *(_IMPORT.split(other)[-1] for other in others)]).replace("@top@", interface.top)
    return text.replace('"@design@"', repr(json.dumps(design)))


def images(interface: Interface, bus_bytes: int = 0) -> Iterator[tuple[StreamPort, bytes]]:
    """The port of each image of weights, and its bytes: tokens, each in whole bytes, as they come with a frame.

    ``bus_bytes``: in whole beats on such a bus.
    """
    for image in interface.images:
        words = image.words.astype("<u4")
        rows = words.view(np.uint8).reshape(len(words), -1)[:, : token_bytes(image.port)]
        whole = math.prod(token_beats(image.port, bus_bytes))
        yield image.port, np.pad(rows, ((0, 0), (0, whole - rows.shape[1]))).tobytes()


def loop_bytes(port: StreamPort, bus_bytes: int) -> int:
    """Bytes of the memory to which a frame of ``port`` goes in beats, in whole words of any width."""
    words = -(-port.tokens * math.prod(token_beats(port, bus_bytes)) // _WIDEST)
    return words * _WIDEST


def image_file(top: str, port: StreamPort) -> str:
    """The name of the file beside the driver that has the image of a port."""
    return f"{driver_module(top)}_{port.name}.bin"


def _selftest(program: Program, frame: Frame | None) -> _Described:
    """Raw values and fractional bits of each tensor of the frame, and of each of its result."""
    if frame is None:
        return None
    nodes = program.inputs, [output.node for output in program.outputs]
    return {
        side: [[raw.tolist(), kind.frac.tolist()] for raw, kind in zip(raws, program.types(numbers), strict=True)]
        for side, raws, numbers in zip(("inputs", "outputs"), frame, nodes, strict=True)
    }


def _tensor(op: Input, samples: int) -> _Described:
    """The type of a sample of an input; its arrays broadcast to its shape."""
    return {
        "name": op.name,
        "shape": list(op.shape[int(samples > 1) :]),
        "frac": op.frac.tolist(),
        "lo": op.lo.tolist(),
        "hi": op.hi.tolist(),
        "rounding": op.rounding.value,
        "overflow": op.overflow.value,
        "ladders": [[*(part.tolist() for part in each.arrays), each.rounding.value] for each in op.ladders],
    }


def trained_crcs(program: Program, interface: Interface) -> Mapping[str, int]:
    """The CRC of the trained weights in each memory that ``bitsmith_read_back`` reads, by the name of its port."""
    if not interface.read_back:
        return {}
    values = values_of(program)
    checksums = {}
    for each in interface.loads:
        rows = each.tokens(values[each.loaded.layer, each.loaded.name]).reshape(-1).tolist()
        size, mask = token_bytes(each.port), (1 << each.port.width) - 1
        checksums[each.port.name] = crc32(b"".join((raw & mask).to_bytes(size, "little") for raw in rows))
    return checksums


def _weights(
    weights: WeightPort, layouts: Mapping[ParameterKey, ModelLayout], bus_bytes: int, *, external: bool
) -> dict[str, _Described]:
    """A stream of weights: the tensor, where the user's model has it, how it is cut into tiles, and its elements' format."""
    loaded = weights.loaded
    layout = layouts[loaded.layer, loaded.name]
    cell = layout.cell or (loaded.layer, loaded.name)
    return {
        "layer": loaded.layer,
        "name": loaded.name,
        "cell": list(cell),
        "external": external,
        "argument": layout.argument or cell[1],
        "shapes": [list(shape) for shape in layout.shapes],
        "part": layout.part,
        "starts": list(layout.starts),
        "places": [list(line) for line in layout.places],
        "factor": layout.factor,
        "matrix": list(loaded.matrix),
        "blocks": [list(row) for row in loaded.blocks],
        "across": loaded.across,
        "steps": loaded.steps,
        "groups": loaded.groups,
        "lo": loaded.lo,
        "hi": loaded.hi,
        "frac": loaded.frac,
        "port": weights.port.name,
        "stream": _stream(weights.port, [(weights.port.tokens, len(weights.port.fields))], bus_bytes),
    }


def _streams(ports: Sequence[StreamPort], shapes: Sequence[tuple[int, ...]], bus_bytes: int) -> _Described:
    """Each stream's format; all tensors are in the one stream of a pipeline, else each is in its own."""
    parts = [shapes] if len(ports) == 1 else [[shape] for shape in shapes]
    return [_stream(port, part, bus_bytes) for port, part in zip(ports, parts, strict=True)]


def _stream(port: StreamPort, shapes: Sequence[tuple[int, ...]], bus_bytes: int) -> _Described:
    return {
        "beat": token_beats(port, bus_bytes)[0],
        "tokens": port.tokens,
        "runs": [[count, width, signed, frac] for count, width, signed, frac in runs(port.fields)],
        "shapes": [list(shape) for shape in shapes],
    }
