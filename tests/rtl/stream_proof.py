"""Bounded proofs of modules of the library, with Yosys and Bitwuzla or z3."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bitsmith.errors import ToolFailedError
from bitsmith.flows.run import Command, run
from bitsmith.flows.tools import YOSYS
from bitsmith.rtl.library import BEATS_LIBRARY, MEMORY_LIBRARY, SPANS_LIBRARY, STREAM_LIBRARY, WRAPPER_LIBRARY, library
from tests.flows.found import find

_FORMAL = Path(__file__).parent / "formal"
_PROGRAMS = (Path(__file__).parent / "solver", Path(sys.executable).parent)
OF_PARITIES = "z3"
"""It takes a second for words of many check bits, for which Bitwuzla takes a minute."""
SOLVER = "bitwuzla" if find_spec("bitwuzla") else "z3"
"""Where there are registers, Bitwuzla takes seconds where z3 takes minutes or hours."""
_ENGINE = [name.removeprefix("bitsmith_").removesuffix(".sv") for name in STREAM_LIBRARY if "_engine" in name]
_PARTS = {
    "fifo": ("fifo", "ram"),
    "window": ("window", "window_axis", "delay", "encode", "decode"),
    "folded_product": ("folded_product", "product_factors", "chained_product"),
    "delay": ("delay", "ram", "encode", "decode"),
    "decode": ("decode", "encode"),
    "order": ("order", "actions"),
    "reorder": ("reorder", "actions", "ram"),
    "interleave": ("interleave", "actions"),
    "replay": ("replay", "ram"),
    "sweep": ("sweep", "sweep_axis", "ram"),
    "engine": (*_ENGINE, "product_factors", "ram", "encode", "decode"),
    "single_port_fifo": ("single_port_fifo", "fifo"),
    "axis": ("axis", "fifo"),
    "memory_read": ("memory_read", "fifo"),
    "memory_write": ("memory_write", "fifo"),
    "memory_fill": ("memory_fill", "fifo"),
    "memory_walk": ("memory_walk", "fifo"),
    "memory_spans": ("memory_spans", "memory_fill", "memory_walk", "fifo"),
    "from_bytes": ("from_bytes", "fifo"),
    "to_bytes": ("to_bytes", "fifo", "framer"),
}
_CLOCKS = ("async_fifo",)
_NEIGHBOURS = ("formal_neighbours.sv", "formal_streams.sv")


def files(module: str) -> list[str]:
    """The files of the library that the proof of a module looks into."""
    return [f"bitsmith_{part}.sv" for part in _PARTS.get(module, (module,))]


def model(
    folder: Path, module: str, parameters: Mapping[str, int | str], mutant: tuple[str, str] | None = None
) -> None:
    """Write ``formal_<module>`` around ``bitsmith_<module>`` as formulas to ``folder``.

    ``mutant``: text of the library that is replaced by another.
    """
    texts = library((*STREAM_LIBRARY, *WRAPPER_LIBRARY, *BEATS_LIBRARY, *MEMORY_LIBRARY, *SPANS_LIBRARY))
    formulas(folder, module, {name: texts[name] for name in files(module)}, parameters, mutant)


def formulas(
    folder: Path,
    module: str,
    texts: Mapping[str, str],
    parameters: Mapping[str, int | str],
    mutant: tuple[str, str] | None = None,
) -> None:
    """Write ``formal_<module>`` around the modules of ``texts``, by file, as formulas to ``folder``; ``mutant`` as above."""
    for name, text in texts.items():
        (folder / name).write_text(text.replace(*mutant) if mutant is not None else text)
    if mutant is not None:
        assert any(text != (folder / name).read_text() for name, text in texts.items())
    wrappers = [*_NEIGHBOURS, f"formal_{module}.sv"]
    for name in (*wrappers, "formal_start.svh"):
        (folder / name).write_text((_FORMAL / name).read_text())
    script = [f"read_verilog -sv -formal {' '.join([*wrappers, *texts])}"]
    if parameters:
        sets = " ".join(f"-set {name} {value}" for name, value in parameters.items())
        script.append(f"chparam {sets} formal_{module}")
    script += [f"prep -top formal_{module} -flatten", "memory_map"]
    script.append("simplemap t:$eq r:A_WIDTH=0 %i")  # the address of a memory of one word, which SMT has no word for
    # Each clock is a signal of its own, at whose edges registers change, where there are several.
    script += ["clk2fflogic" if module in _CLOCKS else "async2sync", "dffunmap", "opt_clean"]
    script.append("write_smt2 -wires model.smt2")
    (folder / "model.ys").write_text("\n".join(script) + "\n")
    run(
        Command(
            argv=(str(find(YOSYS).path), "-q", "-s", "model.ys"),
            cwd=folder,
            log=folder / "yosys.log",
            outputs=(folder / "model.smt2",),
        )
    )


def counterexample(folder: Path, cycles: int, solver: str = SOLVER) -> str:
    """Which assertion of the model in ``folder`` can fail within ``cycles`` cycles; empty if none can.

    The reset takes one of them, and a clock edge finds what is false in the cycle before it: a result that has to be there
    by cycle ``BY`` is asked for with ``BY`` + 3.
    """
    yosys = find(YOSYS).path
    log = folder / "smtbmc.log"
    # All cycles in one question without functions, which solvers answer far sooner than one at a time.
    question = ("--presat", "--unroll", "--noincr", "-t", f"0:{cycles}:{cycles}")
    try:
        run(
            Command(
                argv=(str(yosys.with_name(f"{yosys.name}-smtbmc")), "-s", solver, *question, "model.smt2"),
                cwd=folder,
                log=log,
                env=(("PATH", os.pathsep.join((*map(str, _PROGRAMS), os.environ["PATH"]))),),
            )
        )
    except ToolFailedError:
        failed = [line for line in log.read_text().splitlines() if "Assert failed" in line]
        if not failed:
            raise
        return failed[0]
    assert "Status: PASSED" in log.read_text()
    return ""
