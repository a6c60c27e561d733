"""The self-test of drivers, on circuits that the emulator computes, and on such as have a fault that was put there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from bitsmith.building.design import circuit as of_program
from bitsmith.building.verification import selftest_frame
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.driver import DrivenCircuit
from bitsmith.rtl.writer import Title
from bitsmith.systems.bare_metal import bare_metal
from tests.rtl.wrapped import DIGEST, load_driver, made
from tests.systems.written import answered

Exchange = Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]]
KINDS = ("pipeline", "stream", "streams", "loads")


def swapped(data: bytes, size: int) -> bytes:
    """Words of so many bytes in the other order, the last of which may be shorter."""
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def without_a_beat(data: bytes, beat: int) -> bytes:
    """The second beat of a transfer is lost, and another one comes at its end."""
    return data[:beat] + data[2 * beat :] + bytes(beat)


def with_a_flipped_bit(program: Program) -> Program:
    """One bit of one weight of the first matrix of constants is another."""
    index = next(k for k, node in enumerate(program.nodes) if isinstance(node.op, ops.Linear))
    op = program.nodes[index].op
    assert isinstance(op, ops.Linear)
    weights = op.weights.copy()
    weights.reshape(-1)[np.flatnonzero(weights.reshape(-1))[0]] ^= 1
    nodes = list(program.nodes)
    nodes[index] = replace(nodes[index], op=replace(op, weights=weights))
    return replace(program, nodes=tuple(nodes))


@pytest.fixture(params=KINDS)
def each(request: pytest.FixtureRequest) -> Circuit:
    return made(request.param)


def circuit(program: Program, net: ModuleType) -> Exchange:
    return lambda data, wanted: answered(program, net, list(data))


@pytest.mark.parametrize("bus", [0, 2])
def test_a_circuit_that_works(tmp_path: Path, each: Circuit, bus: int) -> None:
    net = load_driver(tmp_path, each, bus)
    net.selftest(circuit(each.program, net))


def complaint(net: ModuleType, exchange: Exchange) -> str:
    with pytest.raises(RuntimeError, match="self-test") as caught:
        net.selftest(exchange)
    return str(caught.value)


def test_faults_are_named(tmp_path: Path, each: Circuit) -> None:
    net = load_driver(tmp_path, each, 2)
    right = circuit(each.program, net)
    sizes = {len(result) for result in right(net._stored("inputs", net.INPUTS), [])}
    calls = list[int]()

    def stuck(data: Sequence[bytes], wanted: Sequence[int]) -> Sequence[bytes]:
        raise TimeoutError("a transfer does not end")

    def late(data: Sequence[bytes], wanted: Sequence[int]) -> Sequence[bytes]:
        calls.append(0)
        return right(data, wanted) if len(calls) > 1 else [bytes(size) for size in wanted]

    def noisy(data: Sequence[bytes], wanted: Sequence[int]) -> Sequence[bytes]:
        calls.append(0)
        return [bytes([len(calls)]) * size for size in wanted]

    faults: dict[str, Exchange] = {
        "clock or the reset": stuck,
        "earlier frames": late,
        "clock is too fast": noisy,
        "2 go swapped": lambda data, wanted: right([swapped(part, 2) for part in data], wanted),
        "2 come swapped": lambda data, wanted: [swapped(part, 2) for part in right(data, wanted)],
    }
    if min(sizes) > 4:
        faults["beat of the result"] = lambda data, wanted: [without_a_beat(part, 2) for part in right(data, wanted)]
    for said, exchange in faults.items():
        calls.clear()
        assert said in complaint(net, exchange), said


@pytest.mark.parametrize("kind", ["pipeline", "stream", "streams"])
def test_a_flipped_bit_of_a_weight(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    net = load_driver(tmp_path, each, 2)
    assert "other weights" in complaint(net, circuit(with_a_flipped_bit(each.program), net))


def test_weights_of_each_frame_have_no_stored_frame(tmp_path: Path) -> None:
    net = load_driver(tmp_path, made("weights"))
    with pytest.raises(ValueError, match="come with each frame"):
        net.selftest(lambda data, wanted: [])


@pytest.mark.parametrize("parallel", [True, False])
def test_the_frame_of_the_driver_in_c_is_what_the_driver_in_python_packs(tmp_path: Path, parallel: bool) -> None:
    """Elements of a token have steps and widths of their own, and those of the tokens before have others."""
    builder = ProgramBuilder()
    frac = np.array([[5, 2], [-3, 4], [2, 2]])
    ends = [objects([[bound, 9 * bound], [bound, bound], [3 * bound, bound]]) for bound in (-64, 63)]
    x = builder.apply(ops.Input("x", (3, 2), frac, *ends, Rounding.TRN, Overflow.SAT, ()))
    program = builder.program([("y", builder.neg(x))])
    each = of_program(program, Directives({}, parallel), ECP5.delays, 8.0, "net", Title("test", DIGEST))
    frame = selftest_frame(program)
    assert frame is not None
    for bus in (1, 4):
        net = load_driver(tmp_path, each, bus)
        files = bare_metal(DrivenCircuit(program, each.interface, {}, 1, bus, frame=frame))
        rows = re.findall(r"unsigned char (?:sent|expected)\d+\[\] = \{([^}]*)\}", files["net_driver.c"])
        kinds = program.types([*program.inputs, program.outputs[0].node])
        wanted = [
            stream.pack([np.asarray(raw)[None]], [kind.frac])
            for stream, (raw,), kind in zip((net.INPUTS[0], net.OUTPUTS[0]), frame, kinds, strict=True)
        ]
        assert [bytes(map(int, row.split(","))) for row in rows] == wanted
