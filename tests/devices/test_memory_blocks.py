"""Memories become blocks where a family's record says that Yosys prefers these."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE, XILINX_7
from bitsmith.flows.tools import YOSYS
from tests.flows.found import find

pytestmark = pytest.mark.tools

SIZES = [(words, bits) for words in (96, 128, 192, 224, 256, 320, 384, 512) for bits in (4, 6, 8, 12, 14, 24, 32)]
MEMORY = """module memory_{words}_{bits} (input clk, w, r, input [8:0] a, b, input [{bits}-1:0] d, output reg [{bits}-1:0] q);
reg [{bits}-1:0] words [0:{words}-1];
always @(posedge clk) begin if (w) words[a] <= d; if (r) q <= words[b]; end
endmodule
"""


@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE], ids=lambda family: str(family.name))
def test_memories_are_blocks_where_the_record_says_so(family: Family, tmp_path: Path) -> None:
    ports = ", ".join(f"output [{bits}-1:0] q_{words}_{bits}" for words, bits in SIZES)
    text = f"module top (input clk, w, r, input [8:0] a, b, input [31:0] d, {ports});\n"
    for words, bits in SIZES:
        name = f"{words}_{bits}"
        text += f"memory_{name} m_{name} (clk, w, r, a, b, d[{bits}-1:0], q_{name});\n"
    text += "endmodule\n" + "".join(MEMORY.format(words=words, bits=bits) for words, bits in SIZES)
    (tmp_path / "top.v").write_text(text)
    script = f"read_verilog top.v; synth_xilinx -top top -family {family.name} -run begin:map_ffram"
    subprocess.run([str(find(YOSYS).path), "-q", "-l", "log", "-p", script], cwd=tmp_path, check=True)
    found = re.findall(r"mapping memory memory_(\d+)_(\d+)\.words via (\S+)", (tmp_path / "log").read_text())
    blocks = {(int(words), int(bits)) for words, bits, cell in found if "BLOCKRAM" in cell}
    assert len(found) == len(SIZES)
    assert blocks == {size for size in SIZES if family.area.prefers_blocks(*size, in_turn=False)}
    assert 0 < len(blocks) < len(SIZES)
