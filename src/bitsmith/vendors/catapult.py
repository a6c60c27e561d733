"""The reports of Catapult, and of Vivado on what it made.

In: the folder of the project, with ``<project>_prj/<top>.v<n>``. Out: the familiar sections with numbers.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from bitsmith.vendors.figures import Reports, Section, of_slack, renamed, scalars_of
from bitsmith.vendors.vendor import ReportFile, existing_folder, nothing_found, stages
from bitsmith.vendors.vivado_project import timing, utilization

_TOOL = "Catapult"
_SOLUTION = re.compile(r"[A-Za-z0-9_.-]{1,200}\.v([0-9]{1,9})")
_PROJECT = re.compile(r"(?:[A-Za-z0-9_.-]{1,200}_prj|Catapult)(?:_([0-9]{1,9}))?")
LAYERS = "PerLayerQOFR"
"""The key of the table of layers."""


def parse_catapult_report(output_dir: str | os.PathLike[str]) -> dict[str, object]:
    """Return the figures of Catapult and Vivado's synthesis for the newest solution; stages that have not run are missing.

    ``PerLayerQOFR`` is Catapult's table of layers as lines of text, as it is free text.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    readers: dict[str, tuple[Path, Callable[[ReportFile], object]]] = {
        "CSimResults": (folder / "tb_data" / "csim_results.log", ReportFile.samples)
    }
    solution = newest_solution(folder)
    if solution is not None:
        readers["UtilizationReport"] = solution / "vivado_concat_v/utilization_synth.rpt", utilization
        readers["TimingReport"] = solution / "vivado_concat_v/timing_summary_synth.rpt", timing
        readers[LAYERS] = solution / "nnet_layer_results.txt", lambda file: [*map(str.strip, file.text().splitlines())]
    report = stages(readers)
    if not report:
        raise nothing_found(folder, _TOOL)
    return report


def newest_solution(folder: Path) -> Path | None:
    """The solution with the greatest number in the project with the greatest number.

    Catapult numbers a project that is made again (``myproject_prj_1``) as well as the solutions in it (``myproject.v2``).
    """
    solutions = [
        (int(project[1] or 0), int(version[1]), child.name, child)
        for child in folder.glob("*/*")
        if (version := _SOLUTION.fullmatch(child.name))
        and (project := _PROJECT.fullmatch(child.parent.name))
        and child.is_dir()
    ]
    return max(solutions)[-1] if solutions else None


def _sections_of(folder: Path, target_period_ns: float | None) -> dict[str, Section]:
    report = parse_catapult_report(folder)
    names = {"LUT": "LUT", "FF": "FF", "DSP48E": "DSP", "BRAM_18K": "BRAM_18K", "URAM": "URAM"}
    return {
        "Resources": renamed(scalars_of(report, "UtilizationReport"), names),
        "Timing": of_slack(scalars_of(report, "TimingReport"), target_period_ns),
    }


REPORTS = Reports(("*/*.v*/vivado_concat_v/*.rpt", "*/*.v*/nnet_layer_results.txt"), _sections_of)
