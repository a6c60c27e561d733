"""Every board, with every backend that it has, built with stand-ins for the vendors' programs: the calls, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.devices.board import any_board
from bitsmith.devices.system import Card, SocFpga
from tests.devices.listed import SYSTEM_BOARDS
from tests.flows.fake_tools import FakeTools
from tests.system.examples import three_layer
from tests.systems.vivado import stand_in

pytest.importorskip("_tkinter")

_LEAVE = """\
words = " ".join(arguments)
for word in arguments:
    if word.startswith("system/") and not word.startswith(("system/export", "system/{}_soc")) and "-o" not in words:
        assert pathlib.Path(word).is_file(), word
place = pathlib.Path({!r})
place.parent.mkdir(parents=True, exist_ok=True)
place.write_text("made")
"""
_HLS = """\
assert arguments[-1] == "system/core.tcl" and pathlib.Path("firmware/myproject_axi.cpp").is_file()
kernel = "set kernel 1" in pathlib.Path("system/settings.tcl").read_text()
place = pathlib.Path("system/myproject_axi.xo" if kernel else "myproject_axi_prj/solution1/impl/ip/component.xml")
place.parent.mkdir(parents=True, exist_ok=True)
place.write_text("made")
"""
_LINKER = """\
target = pathlib.Path(arguments[arguments.index("-o") + 1])
for name in [word for word in arguments if word.endswith((".xo", ".cpp", ".cfg")) and word != str(target)]:
    assert pathlib.Path(name).is_file(), name
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(" ".join(arguments))
"""


def backends(name: str) -> tuple[str, ...]:
    board = any_board(name)
    if isinstance(board, SocFpga):
        return ("rtl",)
    return ("rtl", "vitis") if isinstance(board, Card) else ("rtl", "vivado", "vitis")


def stand_ins(fakes: FakeTools, name: str, backend: str, top: str = "myproject") -> None:
    board = any_board(name)
    part = getattr(board, "board_part", "")
    fakes.add("vivado", stand_in((part,), () if backend == "rtl" else (f"{top}_axi",)))
    fakes.add("vivado_hls" if backend == "vivado" else "vitis-run", _HLS)
    fakes.add("v++", _LINKER)
    fakes.add("qsys-script", _LEAVE.format(top, f"system/{top}_soc.qsys"))
    fakes.add("qsys-generate", _LEAVE.format(top, f"system/{top}_soc/synthesis/{top}_soc.qip"))
    fakes.add("quartus_sh", _LEAVE.format(top, f"system/export/{top}.rbf"))


def called(name: str, backend: str) -> list[str]:
    board, first = any_board(name), {"vivado": ["vivado_hls"], "vitis": ["vitis-run"]}.get(backend, [])
    if isinstance(board, SocFpga):
        return ["qsys-script", "qsys-generate", "quartus_sh"]
    if isinstance(board, Card):
        # Registers and counters of circuits in SystemVerilog have a stream each way.
        movers = 4 if backend == "rtl" else 2
        return [*(first or ["vivado"]), *["v++"] * movers, "v++"]
    return [*first, "vivado"]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("name", SYSTEM_BOARDS)
def test_every_board_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    board = any_board(name)
    suffix = "xclbin" if isinstance(board, Card) else "rbf" if isinstance(board, SocFpga) else "bit"
    for backend in backends(name):
        fakes = FakeTools(tmp_path / f"bin_{backend}", monkeypatch)
        stand_ins(fakes, name, backend)
        model = three_layer(tmp_path / backend, board=name, backend=backend, clock_period=10)[0]
        off = {"cosim": False} if backend == "rtl" else {"csim": False}
        report = model.build(synth=False, bitstream=True, force=True, **off)
        assert [call.name for call in fakes.calls()] == called(name, backend)
        made = {key: str(path) for key, path in report.section("Files").items()}
        assert made["Bitstream"] == f"system/export/myproject.{suffix}"
        assert all((model.output_dir / path).stat().st_size for path in made.values())
        exported = {path.name for path in (model.output_dir / "system/export").iterdir()}
        assert exported >= {"myproject.py", "predicting.py", "axi_stream_driver.py", f"myproject.{suffix}"}
