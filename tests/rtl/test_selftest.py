"""The self-test of drivers, on circuits that the emulator computes, and on such as have a fault that was put there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from tests.rtl.wrapped import load_driver, made
from tests.systems.written import answered

Exchange = Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]]
KINDS = ("pipeline", "stream", "streams", "loads")


def swapped(data: bytes, size: int) -> bytes:
    return np.frombuffer(data, np.uint8).reshape(-1, size)[:, ::-1].tobytes()


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
