"""Readers of networks whose layers are tables: KANELÉ, DWN, and the Verilog of LogicNets and its relatives."""

import re

KANELE_MARK = re.compile(rb'\s*\{\s*"0_0_0"\s*:\s*\{\s*"acive"')
"""The first bytes of KANELÉ's tables, whose key for what is not pruned is spelled so."""

LOGICNETS_MARK = re.compile(rb"\s*module\s+\w+\s*\(\s*input\s*\[\d+:0\]\s*M0\s*,\s*input\s+clk\s*,")
"""The first bytes of the top module of LogicNets."""

TABLES_OF_LAYER = re.compile(r"(|.*\.)(\d{1,4})\.luts")
"""Names of the tables of a layer of torch_dwn among trained tensors."""
