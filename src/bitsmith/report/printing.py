"""Reports of vendors' tools on the terminal, by the names that users of other tools know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from bitsmith.vendors.catapult import LAYERS, newest_solution, parse_catapult_report
from bitsmith.vendors.quartus import compiler_folder, parse_quartus_report
from bitsmith.vendors.vendor import Figures, ReportFile, existing_folder, plain


def read_catapult_report(output_dir: str | os.PathLike[str], full_report: bool = False) -> dict[str, object]:
    """Print the report and return it; ``full_report`` also prints Catapult's own page of the design.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    report = parse_catapult_report(output_dir)
    show(report)
    qofr(report)
    solution = newest_solution(Path(output_dir))
    if full_report and solution is not None and (page := ReportFile(solution / "rtl.rpt")).exists:
        print_text(page.text())
    return report


def qofr(report: Mapping[str, object]) -> None:
    """Print Catapult's table of layers out of a report."""
    lines = report.get(LAYERS)
    if isinstance(lines, list):
        print_text("\n".join(map(str, lines)))


def print_oneapi_report(report_dict: Mapping[str, object]) -> None:
    """Print a report that :func:`parse_oneapi_report` returned."""
    show(
        {
            f"{target}: {name}": section
            for target, sections in report_dict.items()
            if isinstance(sections, Mapping)
            for name, section in sections.items()
        }
    )


def read_quartus_report(output_dir: str | os.PathLike[str], open_browser: bool = False) -> Figures:
    """Print the report and return it; ``open_browser`` also opens the compiler's own page.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    report = parse_quartus_report(folder, write_to_file=False)
    show({"HLS and Quartus": report})
    page = compiler_folder(folder) / "reports" / "report.html"
    if open_browser and ReportFile(page).exists:
        import webbrowser

        webbrowser.open(f"file://{quote(str(page.resolve()))}")
    return report


def show(sections: Mapping[str, object]) -> None:
    """Print sections of figures, each as a table; figures within figures get a row each."""
    from rich.console import Console

    from bitsmith.report.terminal import sections_table

    shown: dict[str, object] = {}
    for name, section in sections.items():
        if isinstance(section, Mapping):
            shown[plain(str(name))] = dict(_rows_of(section))
        elif name == "Stages" and isinstance(section, list):  # other lists are samples, which no table shows
            shown[name] = [dict(_rows_of(stage)) for stage in section if isinstance(stage, Mapping)]
    Console().print(sections_table(shown))


def print_text(text: str) -> None:
    """Print text as it is, without control characters or markup."""
    from rich.console import Console

    Console(soft_wrap=True).print(plain(text), markup=False, highlight=False)


def _rows_of(figures: Mapping[object, object], path: str = "") -> Iterator[tuple[str, object]]:
    for key, value in figures.items():
        name = f"{path} {plain(str(key))}".strip()
        if isinstance(value, Mapping):
            yield from _rows_of(value, name)
        elif isinstance(value, (list, tuple)):
            yield name, " / ".join(plain(str(item)) for item in value)
        else:
            yield name, plain(value) if isinstance(value, str) else value
