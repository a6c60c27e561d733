"""Reports of builds, as mappings, terminal tables and one HTML page; and readers of the vendors' reports."""

from typing import TYPE_CHECKING

from bitsmith.base.homes import imported_from

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

_FAMILIAR = ("aggregate_graph_reports", "parse_vivado_report", "print_vivado_report", "read_vivado_report")

__getattr__ = imported_from(
    __name__,
    {
        "bitsmith.report.familiar": _FAMILIAR,
        "bitsmith.report.folder": ("read_report",),
        "bitsmith.report.printing": ("print_oneapi_report", "qofr", "read_catapult_report", "read_quartus_report"),
        "bitsmith.report.report": ("Report",),
        **{
            f"bitsmith.vendors.{name}": (f"parse_{name}_report",)
            for name in ("catapult", "libero", "oneapi", "quartus")
        },
    },
)


def __dir__() -> list[str]:
    return __all__
