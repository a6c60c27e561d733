"""A core program in, a project of HLS C++ out, compared with the emulator bit for bit by C simulation.

The vendor's tool is not run: its script is part of the project.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.bridge import compiled, hls_project, write_sources
from bitsmith.build import Reals, compare, stimuli
from bitsmith.flows.base import GXX, Progress, find
from bitsmith.hls.constants import decimals
from bitsmith.hls.words import Raws
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.project import Project
from bitsmith.report import Report

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
    started = time.perf_counter()
    program, project = hls_project(model)
    raws = stimuli(model.emulator, program, inputs)
    sections: dict[str, object] = {}
    with Project.open(target.output_dir, target.project_name) as folder:
        write_sources(folder, project)
        folder.write(_test_data(model, program, raws))
        stages = [_stage(target.backend.value, time.perf_counter() - started, "")]
        if simulate:
            started = time.perf_counter()
            if progress is not None:
                progress(f"csim: {len(raws[0]):,} samples")
            found = compiled(folder, program, project, progress).run_raw(raws)
            compare(model.emulator, program, found, raws)
            sections["Verification"] = {"Inputs": len(raws[0]), "Mismatches": 0, "Tool": find(GXX).label}
            stages.append(_stage("csim", time.perf_counter() - started, "csim/compile.log"))
        files = {"Top": f"firmware/{project.top}.cpp", "Script": "build_prj.tcl"}
        report = Report({**sections, "Files": files, "Stages": stages}, model.design())
        report.write(folder.folder)
        return report


def _test_data(model: Model, program: Program, raws: Sequence[Raws]) -> dict[str, str]:
    """What the vendor's test bench reads."""
    few = [raw[:_LARGEST_BENCH] for raw in raws]
    outputs = [output.node for output in program.outputs]
    return {
        "tb_data/tb_input_features.dat": _numbers(program, program.inputs, few),
        "tb_data/tb_output_predictions.dat": _numbers(program, outputs, model.emulator.run_raw(few)),
    }


def _numbers(program: Program, nodes: Sequence[int], raws: Sequence[Raws]) -> str:
    """A line per sample: the exact real values of all tensors."""
    columns = []
    for index, raw in zip(nodes, raws, strict=True):
        frac = program.nodes[index].type.frac
        most = int(frac.max())
        texts = decimals(objects(objects(raw) << objects(most - frac)), most)
        columns.append(np.array(texts, dtype=np.object_).reshape(len(raw), -1))
    return "".join(f"{' '.join(row)}\n" for row in np.concatenate(columns, axis=1))


def _stage(name: str, seconds: float, log: str) -> dict[str, object]:
    return {"Name": name, "Seconds": round(seconds, 2), "Log": log, "Cached": False}
