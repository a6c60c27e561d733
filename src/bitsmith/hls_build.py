"""A core program in, a project of HLS C++ out, compared with the emulator bit for bit by C simulation.

The vendor's tool is not run: its script is part of the project.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.build import Reals, compare, stimuli
from bitsmith.flows import csim
from bitsmith.flows.base import GXX, Progress, find
from bitsmith.hls import HlsProject, HlsTarget, write
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.words import Raws, pack, unpack
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.passes import drop_dead
from bitsmith.project import Project, digest
from bitsmith.report import Report
from bitsmith.version import __version__

if TYPE_CHECKING:
    from bitsmith.model import Model

_LARGEST_BENCH = 100
"""Samples that the vendor's test bench reads: its simulations take seconds per sample."""


def build_hls(model: Model, inputs: Sequence[Reals] | None, *, simulate: bool, progress: Progress | None) -> Report:
    """Write the C++ project of ``model`` and, with ``simulate``, compare it with the emulator.

    Raises:
        VerificationError: the C++ and the emulator disagree.
        RangeError, UnsupportedError: no C++ can express the program.
        ToolMissingError, ToolFailedError, ProjectError.
    """
    target = model.target
    program = drop_dead(model.program, keep_probes=False)
    raws = stimuli(model.emulator, program, inputs)
    sections: dict[str, object] = {}
    started = time.perf_counter()
    with Project.open(target.output_dir, target.project_name) as folder:
        project = _write(model, program, folder, raws)
        stages = [_stage(target.backend.value, time.perf_counter() - started, "")]
        if simulate:
            started = time.perf_counter()
            if progress is not None:
                progress(f"csim: {len(raws[0]):,} samples")
            words = pack(project.inputs, program.types(program.inputs), raws)
            results = csim.simulate(folder.folder, project, words, progress=progress)
            found = unpack(project.outputs, program.types([output.node for output in program.outputs]), results)
            compare(model.emulator, program, found, raws)
            sections["Verification"] = {"Inputs": len(words), "Mismatches": 0, "Tool": find(GXX).label}
            stages.append(_stage("csim", time.perf_counter() - started, "csim/run.log"))
        files = {"Top": f"firmware/{project.top}.cpp", "Script": "build_prj.tcl"}
        report = Report({**sections, "Files": files, "Stages": stages}, model.design())
        report.write(folder.folder)
        return report


def _write(model: Model, program: Program, folder: Project, raws: Sequence[Raws]) -> HlsProject:
    target = model.target
    project = write(
        program,
        DIALECTS[target.backend.value],
        HlsTarget(
            target.project_name,
            target.part,
            target.clock_period_ns,
            100.0 * target.clock_uncertainty,
            f"bitsmith {__version__}",
            digest(to_text(program))[:16],
        ),
    )
    few = [raw[:_LARGEST_BENCH] for raw in raws]
    results = model.emulator.run_raw(few)
    outputs = [output.node for output in program.outputs]
    data = {
        "tb_data/tb_input_features.dat": _numbers(program, program.inputs, few),
        "tb_data/tb_output_predictions.dat": _numbers(program, outputs, results),
    }
    written = folder.write({**project.files, **data})
    for stale in set((folder.folder / "firmware" / "weights").glob("*.h")) - set(written):
        stale.unlink()
    return project


def _numbers(program: Program, nodes: Sequence[int], raws: Sequence[Raws]) -> str:
    """A line per sample: the real values of all tensors, exact up to 53 bits."""
    columns = []
    for index, raw in zip(nodes, raws, strict=True):
        scale = np.exp2(-program.nodes[index].type.frac.astype(np.float64))
        columns.append((raw.astype(np.float64) * scale).reshape(len(raw), -1))
    lines = (" ".join(f"{value:.17g}" for value in row) for row in np.concatenate(columns, axis=1))
    return "".join(f"{line}\n" for line in lines)


def _stage(name: str, seconds: float, log: str) -> dict[str, object]:
    return {"Name": name, "Seconds": round(seconds, 2), "Log": log, "Cached": False}
