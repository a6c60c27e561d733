"""Reports of builds, as mappings, terminal tables and one HTML page."""

from bitsmith.report.report import Report, read_report
from bitsmith.report.vivado import parse_vivado_report, print_vivado_report, read_vivado_report

__all__ = ["Report", "parse_vivado_report", "print_vivado_report", "read_report", "read_vivado_report"]
