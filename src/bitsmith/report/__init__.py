"""Reports of builds, as mappings, terminal tables and one HTML page; and readers of the vendors' reports."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bitsmith.report.familiar import (
        aggregate_graph_reports,
        parse_vivado_report,
        print_vivado_report,
        read_vivado_report,
    )
    from bitsmith.report.folder import read_report
    from bitsmith.report.printing import print_oneapi_report, qofr, read_catapult_report, read_quartus_report
    from bitsmith.report.report import Report
    from bitsmith.vendors.catapult import parse_catapult_report
    from bitsmith.vendors.libero import parse_libero_report
    from bitsmith.vendors.oneapi import parse_oneapi_report
    from bitsmith.vendors.quartus import parse_quartus_report

__all__ = [
    "Report",
    "aggregate_graph_reports",
    "parse_catapult_report",
    "parse_libero_report",
    "parse_oneapi_report",
    "parse_quartus_report",
    "parse_vivado_report",
    "print_oneapi_report",
    "print_vivado_report",
    "qofr",
    "read_catapult_report",
    "read_quartus_report",
    "read_report",
    "read_vivado_report",
]

_HOMES = {
    "Report": "bitsmith.report.report",
    "aggregate_graph_reports": "bitsmith.report.familiar",
    "parse_catapult_report": "bitsmith.vendors.catapult",
    "parse_libero_report": "bitsmith.vendors.libero",
    "parse_oneapi_report": "bitsmith.vendors.oneapi",
    "parse_quartus_report": "bitsmith.vendors.quartus",
    "parse_vivado_report": "bitsmith.report.familiar",
    "print_oneapi_report": "bitsmith.report.printing",
    "print_vivado_report": "bitsmith.report.familiar",
    "qofr": "bitsmith.report.printing",
    "read_catapult_report": "bitsmith.report.printing",
    "read_quartus_report": "bitsmith.report.printing",
    "read_report": "bitsmith.report.folder",
    "read_vivado_report": "bitsmith.report.familiar",
}


def __getattr__(name: str) -> object:
    """Import a part of the package when it is first used: models need few of them."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bitsmith.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
