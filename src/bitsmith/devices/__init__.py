"""FPGA families, parts and boards, as data: one record per family, one file per board."""
