"""The reports of Catapult, and of Vivado on what it made.

In: the folder of the project, with ``<project>_prj/<top>.v<n>``. Out: the familiar sections with numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bitsmith.report.vendors.vendor import existing_folder, nothing_found, present, print_text, read_text, samples, show
from bitsmith.report.vendors.vivado_project import timing, utilization

_TOOL = "Catapult"
_SOLUTION = re.compile(r"[A-Za-z0-9_.-]{1,200}\.v([0-9]{1,9})")
_PROJECT = re.compile(r"(?:[A-Za-z0-9_.-]{1,200}_prj|Catapult)(?:_([0-9]{1,9}))?")
_LAYERS = "PerLayerQOFR"


def parse_catapult_report(output_dir: str | os.PathLike[str]) -> dict[str, object]:
    """Return the figures of Catapult and Vivado's synthesis for the newest solution; stages that have not run are missing.

    ``PerLayerQOFR`` is Catapult's table of layers as lines of text, as it is free text.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    report: dict[str, object] = {}
    results = folder / "tb_data" / "csim_results.log"
    if present(results):
        report["CSimResults"] = samples(results)
    solution = _newest_solution(folder)
    if solution is not None:
        used, slack, layers = (
            solution / name
            for name in (
                "vivado_concat_v/utilization_synth.rpt",
                "vivado_concat_v/timing_summary_synth.rpt",
                "nnet_layer_results.txt",
            )
        )
        if present(used):
            report["UtilizationReport"] = utilization(used)
        if present(slack):
            report["TimingReport"] = timing(slack)
        if present(layers):
            report[_LAYERS] = [line.strip() for line in read_text(layers).splitlines()]
    report = {name: section for name, section in report.items() if section}
    if not report:
        raise nothing_found(folder, _TOOL)
    return report


def read_catapult_report(output_dir: str | os.PathLike[str], full_report: bool = False) -> dict[str, object]:
    """Print the report and return it; ``full_report`` also prints Catapult's own page of the design.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    report = parse_catapult_report(output_dir)
    show(report)
    qofr(report)
    solution = _newest_solution(Path(output_dir))
    if full_report and solution is not None and present(solution / "rtl.rpt"):
        print_text(read_text(solution / "rtl.rpt"))
    return report


def qofr(report: Mapping[str, object]) -> None:
    """Print Catapult's table of layers out of a report."""
    lines = report.get(_LAYERS)
    if isinstance(lines, list):
        print_text("\n".join(map(str, lines)))


def _newest_solution(folder: Path) -> Path | None:
    """The solution with the greatest number in the project with the greatest number.

    Catapult numbers a project that is made again (``myproject_prj_1``) as well as the solutions in it (``myproject.v2``).
    """
    found = [
        (int(project[1] or 0), int(version[1]), child.name, child)
        for child in folder.glob("*/*")
        if (version := _SOLUTION.fullmatch(child.name))
        and (project := _PROJECT.fullmatch(child.parent.name))
        and child.is_dir()
    ]
    return max(found)[-1] if found else None
