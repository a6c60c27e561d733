"""Running a C++ test bench around SystemVerilog files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bitsmith.flows.run import Command, run
from bitsmith.flows.tools import GXX, MAKE, VERILATOR
from bitsmith.flows.verilator import simulator
from bitsmith.rtl.library import library
from tests.flows.found import find


def write_sources(folder: Path, sources: Mapping[str, str]) -> list[Path]:
    """The sources and the whole hand-written library as files of ``folder``."""
    paths = []
    for name, text in {**library(), **sources}.items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    return paths


RULES = {
    "bitsmith_memory_read": "axi_read_rules #(.WORD(WORD)) rules (.*)",
    "bitsmith_memory_write": "axi_write_rules #(.WORD(WORD)) rules (.*)",
}
"""What watches the masters of a bus, by the module that is one: an instance from ``axi_rules.sv``."""


def watched(folder: Path, sources: Sequence[Path]) -> list[Path]:
    """The sources, with the rules of AXI bound into the masters among them."""
    bound = [f"bind {path.stem} {RULES[path.stem]};\n" for path in sources if path.stem in RULES]
    if not bound:
        return [*sources]
    (folder / "axi_rules.sv").write_text((Path(__file__).parent / "axi_rules.sv").read_text() + "\n" + "".join(bound))
    return [*sources, folder / "axi_rules.sv"]


def compile_bench(
    folder: Path, bench: str, top: str, sources: Sequence[Path], parameters: Mapping[str, int | str] | None = None
) -> None:
    """Make ``folder/bench/obj/Vdut`` of the sources and ``tests/rtl/<bench>``."""
    tools = (find(VERILATOR), find(GXX), find(MAKE))
    for command in simulator(
        folder,
        tools,
        folder="bench",
        harness=str(Path(__file__).parent / bench),
        top=top,
        sources=watched(folder, sources),
        parameters=parameters,
        optimize=0,
        waves=False,
    ):
        run(command)


def run_bench(folder: Path, *arguments: object) -> list[str]:
    """What the bench prints, as words; raises ToolFailedError with what it says is wrong."""
    command = Command(
        argv=("bench/obj/Vdut", *map(str, arguments)), cwd=folder, log=folder / "bench.log", error_pattern="^error"
    )
    run(command, timeout=60)
    return command.log.read_text().split()
