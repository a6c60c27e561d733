"""Reports of builds, as mappings, terminal tables and one HTML page; and readers of the vendors' reports."""

from bitsmith.report.familiar import (
    aggregate_graph_reports,
    parse_vivado_report,
    print_vivado_report,
    read_vivado_report,
)
from bitsmith.report.folder import read_report
from bitsmith.report.report import Report
from bitsmith.report.vendors.catapult import parse_catapult_report, qofr, read_catapult_report
from bitsmith.report.vendors.libero import parse_libero_report
from bitsmith.report.vendors.oneapi import parse_oneapi_report, print_oneapi_report
from bitsmith.report.vendors.quartus import parse_quartus_report, read_quartus_report

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
