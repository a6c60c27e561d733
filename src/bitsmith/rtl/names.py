"""Identifiers of generated SystemVerilog: made of the user's names, legal, unique and stable."""

import re
from enum import StrEnum
from pathlib import Path

_RESERVED = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri
tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
KEYWORDS = frozenset(_RESERVED.split())
"""Reserved words (IEEE 1800-2017, annex B)."""

_RESERVED_BY_VHDL = """
abs access after alias all and architecture array assert attribute begin block body buffer bus case component
configuration constant context default disconnect downto else elsif end entity exit file for force function generate
generic group guarded if impure in inertial inout is label library linkage literal loop map mod nand new next nor not
null of on open or others out package parameter port postponed procedure process property protected pure range record
register reject release rem report restrict return rol ror select sequence severity shared signal sla sll sra srl
strong subtype then to transport type unaffected units until use variable vmode vprop vunit wait when while with xnor
xor
"""
VHDL_KEYWORDS = frozenset(_RESERVED_BY_VHDL.split())
"""Reserved words (IEEE 1076-2008, 15.10), which are the same in capitals."""

LIBRARY = Path(__file__).parent / "lib"
"""The folder of modules that are beside a circuit."""

_MAX_LENGTH = 64


def identifier(text: str) -> str:
    """``text`` as a legal identifier: letters, digits and underscores, no keyword, not too long."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text, flags=re.ASCII)[:_MAX_LENGTH].strip("_")
    if not name or name[0].isdigit():
        name = f"n{name}"
    return f"{name}_" if name in KEYWORDS else name


def top_identifier(text: str) -> str:
    """``text`` as the name of a circuit, and the beginning of those of its parts: others than modules of the library have."""
    name = identifier(text)
    return f"{name}_net" if any(LIBRARY.glob(f"{name.lower()}[_.]*")) else name


class Wrapper(StrEnum):
    """Modules around a circuit, by how their names end; layers have modules of other names."""

    VALID = "valid"
    AXIS = "axis"
    AXIL = "axil"
    AVALON = "avalon"
    CDC = "cdc"
    UART = "uart"
    MEMORY = "memory"
    KERNEL = "kernel"
    PINS = "pins"

    def of(self, top: str) -> str:
        """Return the name of the module, and of its file without suffix, around the circuit ``top``."""
        return f"{top}_{self}"


class Names:
    """Hands out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """``name``, or ``name`` with the first free number after it; compared without case, as file systems do."""
        candidate, number = name, 1
        while candidate.lower() in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate.lower())
        return candidate
