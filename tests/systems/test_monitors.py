"""Monitors by key, in simulation under the real drivers: memories that are read back, and ranges of inputs and outputs."""

from __future__ import annotations

import ast
import ctypes
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.job import Target
from bitsmith.building.system import has_counters
from bitsmith.devices.board import any_board
from bitsmith.devices.system import SystemBoard
from bitsmith.emulate import Emulator
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.passes.program.load import load
from bitsmith.rtl.ranges import Watch
from bitsmith.systems.bare_metal import _watches
from tests.rtl.wrapped import expected, inputs_of, made
from tests.systems.test_bare_metal import IN, OUT, compiled
from tests.systems.test_simulated_boards import KINDS, Bus, Fault, answers, overlay, project, simulated
from tests.systems.written import imported, written


def test_loads_in_c_are_compared_with_what_the_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, made("read-back"), "zcu104")
    (net,) = imported(monkeypatch, tmp_path, "net")
    words = dict[int, int]()
    damaged = 0

    def read(address: int) -> int:
        """Idle engines, and a CRC of what was sent last."""
        if address & 0xF00 != 0x600:
            return 1 << 1
        engine = 0x4040_0000 + (len(net.INPUTS) + which << 16)
        sent = ctypes.string_at(words[engine + 0x18] | words[engine + 0x1C] << 32, words[engine + 0x28])
        return zlib.crc32(sent) ^ damaged

    functions = IN(read), OUT(words.__setitem__)
    library = compiled(tmp_path, "double")
    library.connect_board(*functions)
    for which, about in enumerate(net.DESIGN["weights"]):
        values = np.ldexp(np.full(about["shapes"][0], about["hi"], float), -about["frac"])
        for flipped, status in ((0, 0), (4, 9)):
            damaged = flipped
            assert library.net_load(which, values.ctypes.data_as(ctypes.c_void_p)) == status


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("flipped", [False, True])
def test_memories_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flipped: bool) -> None:
    each = project(tmp_path, "read-back", Fault(""))
    if flipped:
        _flip(tmp_path)
    with simulated(tmp_path, each, Fault("")) as board:
        net, driver = overlay(monkeypatch, tmp_path, board)
        overlaid = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.01)
        if flipped:
            with pytest.raises(
                net.SelftestError, match=r"a memory holds other weights than it was given: \w+: (weight|bias)$"
            ) as caught:
                overlaid.selftest()
            assert caught.value.kind == "weights"
            assert KINDS[answers(board, net, tmp_path) - 5] == "weights"
            return
        overlaid.selftest()
        assert answers(board, net, tmp_path) == 0
        raw = np.random.default_rng(5).integers(-16, 16, (3, 6))
        overlaid.load("conv", kernel=raw / 8)
        x = inputs_of(each.program, 3)
        other = load(each.program, {("conv", "weight"): objects(raw.T.astype(np.int64))})
        np.testing.assert_array_equal(overlaid.predict(x), expected(other, x)[0])


def _flip(folder: Path) -> None:
    """Flip a bit of the first memory of a project."""
    path = min((folder / "rtl").glob("net_*_ram.sv"))
    first = re.search(r"word(?:s\[0\])? = \d+'h([0-9a-f]+);", path.read_text())
    assert first is not None
    other = first[0].replace(f"h{first[1]};", f"h{int(first[1], 16) ^ 4:x};")
    path.write_text(path.read_text().replace(first[0], other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "flipped"),
    [("parity", False), *(pytest.param(kind, True, marks=pytest.mark.ci) for kind in ("parity", "ecc"))],
)
def test_flipped_bits_are_found_or_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, flipped: bool
) -> None:
    """Both drivers name the memory; with ECC results are right."""
    each = project(tmp_path, kind, Fault(""), monitors=kind)
    if flipped:
        _flip(tmp_path)
    memory = "conv: bias"
    with simulated(tmp_path, each, Fault("")) as board:
        net, driver = overlay(monkeypatch, tmp_path, board)
        overlaid = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.01)
        x = inputs_of(each.program, 3)
        registers = net.Registers(board.circuit.read, board.circuit.write)
        if flipped and kind == "parity":
            with pytest.raises(RuntimeError, match=f"bits have flipped in {memory}"):
                overlaid.predict(x)
            assert registers.faults() == ([memory], [])
            with pytest.raises(net.SelftestError, match=f"bits have flipped in {memory}") as caught:
                overlaid.selftest()
            assert (caught.value.kind, answers(board, net, tmp_path)) == ("memory", 10)
            return
        np.testing.assert_array_equal(overlaid.predict(x), expected(each.program, x)[0])
        overlaid.selftest()
        assert answers(board, net, tmp_path) == 0
        assert registers.faults() == ([], [memory] * flipped)
        registers.check()
        said = net.diagnose(lambda: (overlaid.ends[0], registers))[1]
        assert (f"Bits were corrected in {memory}" in said) == flipped


class RangeInC(ctypes.Structure):
    """``struct net_range`` of the driver in C."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("least", ctypes.c_double),
        ("most", ctypes.c_double),
        ("expected", ctypes.c_double * 2),
        ("beyond", ctypes.c_uint32),
        ("bins", ctypes.c_uint32 * 8),
        ("drift", ctypes.c_double),
    )


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("kind", "calibrated"), [("pipeline", True), ("streams", True), ("streams", False)])
def test_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, calibrated: bool) -> None:
    """Monitors against sums over the real numbers that go in and come out."""
    program = made(kind).program
    samples = [quarter / 4 for quarter in inputs_of(program, 40, seed=2)]
    raws = [Emulator(program).quantize(k, x)[0] for k, x in enumerate(samples)] if calibrated else None
    each = project(tmp_path, kind, Fault(""), monitors="ranges", samples=raws)
    x = inputs_of(program, 20)
    with simulated(tmp_path, each, Fault("")) as board:
        net, driver = overlay(monkeypatch, tmp_path, board)
        overlaid = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.01)
        assert all(not sum(found.bins) and not found.beyond for found in overlaid.ranges())
        results = overlaid.predict(x)
        found = overlaid.ranges()
        library, bus = compiled(tmp_path, "double", patience=1000), Bus(board, net)
        library.connect_board(*bus.functions)
        in_c = (RangeInC * len(found))()
        library.net_ranges(in_c)
        registers = net.Registers(board.circuit.read, board.circuit.write)
        registers.check()
        said = net.diagnose(lambda: (overlaid.ends[0], registers))[1]
        assert ("beyond calibration" in said) == calibrated and not sum(overlaid.ranges()[0].bins) > 6
    gone = [
        np.ldexp(net.quantize(k, part).astype(float), -op.frac)
        for k, (part, op) in enumerate(zip(x, program.input_ops(), strict=True))
    ]
    ports = (*each.interface.inputs, *each.interface.outputs)
    tokens = [port.tokens for port in ports] if len(ports) > 2 else [1] * len(found)
    assert [one.name for one in found] == [op.name for op in program.input_ops()] + [o.name for o in program.outputs]
    known = (
        [np.ldexp(raw.astype(float), -op.frac) for raw, op in zip(raws, program.input_ops(), strict=True)]
        if raws
        else []
    )
    for one, same in zip(found, in_c, strict=True):
        assert (one.name, one.least, one.most) == (same.name.decode(), same.least, same.most)
        assert (one.expected, one.beyond, [*one.bins]) == (tuple(same.expected), same.beyond, [*same.bins])
        assert abs(one.drift - same.drift) < 1e-9
    for k, (one, real, count) in enumerate(zip(found, (*gone, *results), tokens, strict=True)):
        rows = np.asarray(real).reshape(20 * count, -1)
        assert (one.least, one.most) == (rows.min(), rows.max())
        assert one.beyond == np.sum((rows.min(axis=1) < one.expected[0]) | (rows.max(axis=1) > one.expected[1]))
        ends = np.ldexp(np.array(net.DESIGN["ranges"][k]["ends"][1:-1], float), -net.DESIGN["ranges"][k]["frac"])
        assert list(one.bins) == [
            np.sum((rows.max(axis=1)[:, None] >= ends).sum(axis=1) == number) for number in range(8)
        ]
        if k < len(known):
            assert one.expected == (known[k].min(), known[k].max())
            assert abs(sum(one.shares) - 1) < 1e-9
            if one.name == "series":  # the other input wraps
                assert one.beyond and one.drift > 0.2
        elif not calibrated:
            assert not one.beyond and not one.drift


@pytest.mark.parametrize("name", ["series_1", "Maß", 'a "b" \\ c', "out:0", "1\n2", "?? /"])
def test_monitors_have_the_names_of_tensors(name: str) -> None:
    """Those are any bytes; in C they read as in Python."""
    (text,) = _watches([Watch(name, "signal", (), 2, 8, (-4, *range(7), 10), ())])
    found = re.fullmatch(r'.* = \{\{"(.*)", 0, 0x[0-9a-f]+, 2, 0, \{-1.0, 2.5\}, \{0.0\}\}\};', text)
    assert found and ast.literal_eval(f'b"{found[1]}"') == name.encode()


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        ("layers", {"first": 1, "scales": 1}),
        ("layers-streams", {"first": 5, "scales": 5}),
        ("layers-engine", {"relu": 24, "pool": 12, "dense": 5}),
    ],
)
def test_results_of_layers_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, tokens: Mapping[str, int]
) -> None:
    """Monitors of inner tensors against the emulator's values of these; both drivers read them by name.

    An engine has numbers of a result one by one, and nothing of one that it computes on the way to another.
    """
    program = made(kind).program
    samples = [x / 4 for x in inputs_of(program, 40, seed=2)]
    raws = [Emulator(program).quantize(k, x)[0] for k, x in enumerate(samples)]
    each = project(tmp_path, kind, Fault(""), monitors="layers", samples=raws)
    x = inputs_of(program, 20)
    with simulated(tmp_path, each, Fault("")) as board:
        net, driver = overlay(monkeypatch, tmp_path, board)
        overlaid = driver.NeuralNetworkOverlay("net.bit", dtype=np.float64, seconds=0.01)
        np.testing.assert_array_equal(overlaid.predict(x), expected(program, x)[0])
        found = overlaid.ranges()
        library, bus = compiled(tmp_path, "double", patience=1000), Bus(board, net)
        library.connect_board(*bus.functions)
        in_c = (RangeInC * len(found))()
        library.net_ranges(in_c)
    assert [one.name for one in found] == ["x", "y", *tokens]
    inner = Program(program.nodes, tuple(probe for probe in program.probes if probe.name in tokens))
    for k, one in enumerate(found[2:]):
        rows, known = (expected(inner, data)[k].reshape(len(data[0]), -1) for data in (x, samples))
        assert (one.least, one.most, *one.expected) == (rows.min(), rows.max(), known.min(), known.max())
        rows = rows.reshape(20 * tokens[one.name], -1)
        assert one.beyond == np.sum((rows.min(axis=1) < one.expected[0]) | (rows.max(axis=1) > one.expected[1]))
        assert sum(one.bins) == len(rows) and abs(sum(one.shares) - 1) < 1e-9 and one.drift > 0.2
        same = in_c[2 + k]
        assert (same.name.decode(), same.least, same.most, [*same.bins]) == (one.name, one.least, one.most, [*one.bins])


@pytest.mark.parametrize("monitors", ["none", "ranges", "memories,ranges"])
def test_only_systems_of_boards_that_watch_something_have_counters(monitors: str) -> None:
    target = Target(Path("out"), "net", "xc7z020clg400-1", 5.0, monitors=monitors)
    board = any_board("pynq-z2")
    assert isinstance(board, SystemBoard)
    assert has_counters(board, target) is (monitors != "none")
    assert not has_counters(None, target)


@pytest.mark.parametrize(("monitors", "counted_hz"), [("none", None), ("ranges", 2e8)])
def test_drivers_know_the_clock_that_counters_count(
    monitors: str, counted_hz: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, made("streams"), "pynq-z2", 5.0, monitors=monitors)
    (net,) = imported(monkeypatch, tmp_path, "net")
    assert net.DESIGN["counted_hz"] == counted_hz
