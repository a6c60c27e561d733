"""A driver in C: tables of a circuit's formats in ``driver.c`` and ``driver.h``, and what a kind of board adds to these."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf, lcm, ldexp, prod
from zlib import crc32

import numpy as np

from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.ops import Input
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow
from bitsmith.passes.program.load import ParameterKey
from bitsmith.rtl.driver import DrivenCircuit, Frame, images, loop_bytes
from bitsmith.rtl.interface import Interface, runs, token_beats
from bitsmith.rtl.ranges import Watch, addresses
from bitsmith.rtl.selftest import stored_bytes
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.systems.system import template

_LINE = 128
"""Bytes of a line of a cache, or several of them."""

_WORD = 4
"""Least bytes of a word of memory, of which readers take whole ones."""

_MOST_BITS = 63
"""Most bits of an element: it is rounded in double precision, and limited as an integer of 64 bits."""

_EXACT_BITS = 52
"""Up to which the remainder of any range is exact in double precision; beyond them that of powers of two is."""


@dataclass(frozen=True, slots=True)
class Transport:
    """Functions and files by which a driver in C reaches the circuit on a kind of board.

    Attributes:
        where: the circuit is, for the header's first lines.
        templates: of functions, in order; the first has what comes before all tables, up to a line for these.
        more: templates of files beside the driver.
        engines: their addresses are those of a platform.
        kernels: have beats that are counted.
    """

    where: str
    templates: tuple[str, ...]
    more: tuple[str, ...]
    engines: bool
    kernels: bool


ZYNQ = Transport(
    "beside a processor that runs no operating system: numbers in, the circuit's results out.\n"
    " * AMD's standalone libraries give xil_io.h, xil_cache.h and xparameters.h.",
    ("zynq.c",),
    (),
    engines=True,
    kernels=False,
)
SOC_FPGA = Transport(
    "beside a processor with Linux, for programs that run as root: numbers in, the circuit's results out.\n"
    " * Load the bitstream first, and enable the bridges to the logic.",
    ("soc_fpga.c", "linux_time.c"),
    (),
    engines=False,
    kernels=False,
)
CARD = Transport(
    "on a card with XRT: numbers in, the circuit's results out.",
    ("card.c", "linux_time.c"),
    ("card.h", "card.cpp"),
    engines=False,
    kernels=True,
)


def bare_metal(circuit: DrivenCircuit, transport: Transport = ZYNQ) -> Mapping[str, str]:
    """The driver's files by their names; none for a circuit with elements too wide for it."""
    program, interface, bus_bytes = circuit.program, circuit.interface, circuit.bus_bytes
    ports = (*interface.inputs, *interface.outputs)
    if any(field.width > _MOST_BITS for port in ports for field in port.fields):
        return {}
    if not all(map(_fits, program.input_ops())):
        return {}
    shapes = [program.nodes[output.node].type.shape for output in program.outputs]
    head, _, functions = template(transport.templates[0]).partition("@tables@\n")
    words = {
        "@head@\n": head,
        "@transport@": "\n".join([*map(template, transport.templates[1:]), functions]),
        "@where@": transport.where,
        "@selftest@": template("selftest.c"),
        "@monitors@": template("monitors.c"),
        "@title@": f"{interface.title.tool}, project {interface.title.digest}.",
        "@tables@": "\n".join(
            [
                *_tables(circuit),
                *_movers(interface, bus_bytes, circuit.masters, transport),
                *_loads(interface, circuit.layouts, bus_bytes, circuit.crcs),
                *_images(interface, bus_bytes),
                *_loops(interface, bus_bytes),
                *_selftest(program, interface, bus_bytes, circuit.frame),
                *_watches(circuit.watched),
                *(_memories(interface) if circuit.registers else ()),
            ]
        ),
        "@batch@": str(circuit.samples),
        "@inputs@": str(len(program.inputs)),
        "@outputs@": str(len(shapes)),
        "@images@": str(len(interface.images)),
        "@read@": ", ".join(f"{interface.top}_{each.port.name}".upper() for each in interface.images),
        "@loads@": str(len(interface.weights) + len(interface.loads)),
        "@ranges@": str(len(circuit.watched)),
        "@memories@": str(len(interface.checked) if circuit.registers else 0),
        "@weights@": ", ".join(
            f"{interface.top}_{each.port.name}".upper() for each in (*interface.weights, *interface.loads)
        ),
        "@top@": interface.top,
        "@TOP@": interface.top.upper(),
    }
    files = {}
    for name in ("driver.c", "driver.h", *transport.more):
        text = template(name)
        for key, value in words.items():
            text = text.replace(key, value)
        files[f"{interface.top}_{name}"] = text
    return files


def _fits(op: Input) -> bool:
    """Return True if all of an input's numbers are integers that the driver can handle."""
    pairs = list(zip(*(np.broadcast_to(each, op.shape).reshape(-1).tolist() for each in (op.lo, op.hi)), strict=True))
    spans = [hi - lo + 1 for lo, hi in pairs]
    return max(max(abs(lo), hi) for lo, hi in pairs) <= 1 << _MOST_BITS - 1 and (
        op.overflow is not Overflow.WRAP or all(span <= 1 << _EXACT_BITS or not span & (span - 1) for span in spans)
    )


def _tables(circuit: DrivenCircuit) -> Iterator[str]:
    """Definitions that differ between circuits."""
    program, interface, counted_hz = circuit.program, circuit.interface, circuit.counted_hz
    top, ops = interface.top, list(program.input_ops())
    sizes = [prod(program.nodes[output.node].type.shape) // circuit.samples for output in program.outputs]
    yield f"const size_t {top}_input_size[] = {{{', '.join(str(prod(op.shape) // circuit.samples) for op in ops)}}};"
    yield f"const size_t {top}_output_size[] = {{{', '.join(map(str, sizes))}}};"
    for k, op in enumerate(ops):
        yield from _ranges(op, k)
    rows = (f"{{{prod(op.shape)}, ranges{k}, {op.rounding.value}, {op.overflow.value}}}" for k, op in enumerate(ops))
    yield f"static const struct tensor input_tensors[] = {{{', '.join(rows)}}};"
    yield f"#define HAS_REGISTERS {int(circuit.registers)}"
    numbers = {
        "HAS_MASTERS": int(circuit.masters),
        "INPUT_STREAMS": len(interface.inputs),
        "OUTPUT_STREAMS": len(interface.outputs),
        "LOADS": len(interface.loads),
        "IMAGES": len(interface.images),
        "STREAMS": len(interface.inputs) + len(interface.loads) + len(interface.outputs),
        "LOOPS": len(interface.loops),
        "INTERVAL": interface.interval,
        "HAS_COUNTERS": int(counted_hz is not None),
        "CYCLES_OF_MS": round((counted_hz or 0) / 1000),
    }
    yield f"enum {{ {', '.join(f'{name} = {number}' for name, number in numbers.items())} }};"
    for side, ports, tensors in (("input", interface.inputs, len(ops)), ("output", interface.outputs, len(sizes))):
        images_in = {each.port.name for each in interface.images}
        yield from _streams(side, ports, tensors, circuit.bus_bytes, top.upper(), images_in)
    digest = int(interface.title.digest, 16)
    yield f"static const uint32_t DIGEST[] = {{0x{digest & 0xFFFFFFFF:08x}, 0x{digest >> 32:08x}}};"
    yield f"static const size_t external = {len(interface.weights)}; /* inputs that are weights, the last ones */"


def _movers(interface: Interface, bus_bytes: int, masters: bool, transport: Transport) -> Iterator[str]:
    """Facts about what moves the bytes of streams."""
    if transport.engines:
        engines = max(len(interface.inputs) + len(interface.loads), len(interface.outputs))
        places = ["0"] if masters else [f"XPAR_AXI_DMA_{k}_BASEADDR" for k in range(engines)]
        yield f"static const UINTPTR engines[] = {{{', '.join(places)}}};"
    if transport.kernels:
        beats = [str(token_beats(port, bus_bytes)[0]) for port in interface.load_ports]
        yield f"static const size_t beats_of_loads[] = {{{', '.join(beats or ['0'])}}};"


def _images(interface: Interface, bus_bytes: int) -> Iterator[str]:
    """Images of weights, in the buffers of their streams."""
    rows, first = list[str](), len(interface.inputs) - len(interface.images)
    for k, (_, data) in enumerate(images(interface, bus_bytes), first):
        rows.append(f"{{{len(data)}, {lcm(len(data), _WORD) // len(data)}, {crc32(data):#x}, input_buffer{k}}}")
        yield f"typedef char image_fits{k}[{len(data)} <= 0xFFFFFFFF / {interface.top.upper()}_FRAMES ? 1 : -1];"
    if rows:
        yield f"static const struct image images[] = {{{', '.join(rows)}}};"


def _loops(interface: Interface, bus_bytes: int) -> Iterator[str]:
    """Memory into which the circuit writes, and which it reads."""
    yield f"#define HAS_LOOPS {int(bool(interface.loops))}"
    if not interface.loops:
        yield from (f"#define {name} {interface.top.upper()}_OK" for name in ("start_loops()", "end_loops(frames)"))
        return
    for k, loop in enumerate(interface.loops):
        yield _buffer(f"loop_buffer{k}", str(loop_bytes(loop.out, bus_bytes)))
    rows = (f"{{loop_buffer{k}, sizeof(loop_buffer{k})}}" for k in range(len(interface.loops)))
    yield f"static const struct loop loops[] = {{{', '.join(rows)}}};"


def _selftest(program: Program, interface: Interface, bus_bytes: int, frame: Frame | None) -> Iterator[str]:
    """The bytes of the stored frame and of its result, a row for each stream."""
    yield f"#define HAS_SELFTEST {int(frame is not None)}"
    if frame is None:
        return
    own = len(interface.inputs) - len(interface.images)
    read = [f"input_buffer{k}" for k in range(own, len(interface.inputs))]
    for name, streams in zip(("sent", "expected"), stored_bytes(program, interface, frame, bus_bytes), strict=True):
        for k, data in enumerate(streams):
            yield _row("unsigned char", f"{name}{k}", list(data))
        rows = [*(f"{name}{k}" for k in range(len(streams))), *(read if name == "sent" else [])]
        yield f"static const unsigned char *const {name}[] = {{{', '.join(rows)}}};"


def _watches(watched: Sequence[Watch]) -> Iterator[str]:
    """Monitors, and what calibration data have shown them."""
    rows = list[str]()
    for (page, at), watch in zip(addresses(watched), watched, strict=True):
        expected, shares = (
            ", ".join(map(repr, values))
            for values in ([ldexp(watch.ends[k], -watch.frac) for k in (0, -1)], watch.shares or (0.0,))
        )
        place = f"{page}, {at:#x}, {watch.frac}, {int(bool(watch.shares))}"
        rows.append(f'{{"{_spelled(watch.name)}", {place}, {{{expected}}}, {{{shares}}}}}')
    if rows:
        yield f"static const struct watch watches[] = {{{', '.join(rows)}}};"


def _spelled(name: str) -> str:
    """Any name between quotes of C."""
    return re.sub(rb"\W", lambda byte: b"\\%03o" % ord(byte[0]), name.encode()).decode()


def _memories(interface: Interface) -> Iterator[str]:
    """Names of memories with check bits."""
    names = ", ".join(f'"{_spelled(f"{each.layer}: {each.content}")}"' for each in interface.checked)
    if names:
        yield f"const char *const {interface.top}_memory_names[] = {{{names}}};"


def _loads(
    interface: Interface, layouts: Mapping[ParameterKey, ModelLayout], bus_bytes: int, crcs: Mapping[str, int]
) -> Iterator[str]:
    """The weights that come with each frame, whose buffers are those of their streams, and those that can be loaded."""
    rows, external = list[str](), len(interface.weights)
    for k, (port, loaded) in enumerate((each.port, each.loaded) for each in (*interface.weights, *interface.loads)):
        token, fields = prod(token_beats(port, bus_bytes)), len(port.fields)
        copies, buffer = f"{interface.top.upper()}_FRAMES", f"input_buffer{len(interface.own_inputs) + k}"
        if k >= external:
            copies, buffer = "1", f"load_buffer{k}"
            yield _buffer(buffer, str(port.tokens * token))
        format_ = f"{{{fields}, {loaded.frac}, {loaded.lo}, {loaded.hi}, 0, 0}}"
        shape = ", ".join(map(str, (*loaded.matrix, loaded.steps, loaded.groups)))
        width = port.fields[0].width
        layout = layouts[loaded.layer, loaded.name]
        yield _row("int", f"blocks{k}", [number for row in loaded.blocks for number in row])
        yield _row("size_t", f"starts{k}", layout.starts)
        yield _row("size_t", f"lengths{k}", [len(line) for line in layout.places])
        yield _row("ptrdiff_t", f"places{k}", [place for line in layout.places for place in line])
        shape += ", " + ", ".join(map(str, (*loaded.block, loaded.across, f"blocks{k}")))
        shape += f", {len(layout.starts)}, {len(layout.places)}, starts{k}, lengths{k}, places{k}, {layout.factor!r}"
        rows.append(f"{{{shape}, {format_}, {width}, {fields}, {port.tokens}, {token}, {copies}, {buffer}}}")
    if rows:
        yield f"static const struct weights loads[] = {{{', '.join(rows)}}};"
    yield f"#define HAS_READ_BACK {int(bool(crcs))}"
    if crcs:
        # Weights that come with each frame are in no memory.
        held = [*(0 for _ in interface.weights), *crcs.values()]
        yield f"static uint32_t held[] = {{{', '.join(map(str, held))}}};"


def _row(kind: str, name: str, values: Sequence[int]) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(map(str, values))}}};"


def _ranges(op: Input, number: int) -> Iterator[str]:
    """Definitions of neighboring elements of one format, and of one set of ladders."""
    parts = (op.frac, op.lo, op.hi, *(part for each in op.ladders for part in each.arrays))
    rows, own = list[str](), zip(*(np.broadcast_to(each, op.shape).reshape(-1).tolist() for each in parts), strict=True)
    for k, ((frac, lo, hi, *numbers), equal) in enumerate(groupby(own)):
        words = ["INFINITY" if x == inf else "-INFINITY" if x == -inf else x.hex() for x in numbers]
        ladders = [
            f"{{{each.rounding.value}, {', '.join(words[6 * at : 6 * at + 6])}}}" for at, each in enumerate(op.ladders)
        ]
        if ladders:
            yield f"static const struct ladder ladders{number}_{k}[] = {{{', '.join(ladders)}}};"
        steps = f"{len(ladders)}, ladders{number}_{k}" if ladders else "0, 0"
        rows.append(f"{{{sum(1 for _ in equal)}, {frac}, {lo}, {hi}, {steps}}}")
    yield f"static const struct range ranges{number}[] = {{{', '.join(rows)}}};"


def _buffer(name: str, size: str) -> str:
    """A buffer in whole lines of a cache: what a processor does to its last line concerns no other variable."""
    return f"static unsigned char {name}[({size} + {_LINE - 1}) / {_LINE} * {_LINE}] __attribute__((aligned({_LINE})));"


def _streams(
    side: str, ports: Sequence[StreamPort], tensors: int, bus_bytes: int, top: str, read: Collection[str]
) -> Iterator[str]:
    """All tensors are in the one stream of a pipeline, else each is in its own; images that are ``read`` have one frame."""
    rows = list[str]()
    for k, port in enumerate(ports):
        beat, beats = token_beats(port, bus_bytes)
        token = beats * beat
        formats = ", ".join(
            f"{{{count}, {width}, {int(signed)}, {frac}}}" for count, width, signed, frac in runs(port.fields)
        )
        first, number = (0, tensors) if len(ports) == 1 else (k, 1)
        yield f"static const struct run {side}_runs{k}[] = {{{formats}}};"
        held = lcm(port.tokens * token, _WORD) if side == "input" and port.name in read else None
        yield _buffer(f"{side}_buffer{k}", f"{top}_FRAMES * {port.tokens * token}" if held is None else str(held))
        yield f"typedef char {side}_fits{k}[sizeof({side}_buffer{k}) <= MOST_BYTES ? 1 : -1];"
        rows.append(f"{{{port.tokens}, {token}, {beat}, {first}, {number}, {side}_runs{k}, {side}_buffer{k}}}")
    yield f"static const struct stream {side}s[] = {{{', '.join(rows)}}};"
