"""Microchip SmartHLS, which hands its hardware to Libero."""

import math
from collections.abc import Mapping

from bitsmith.hls.dialects.dialect import Call, Dialect, Driver, Way, no_sources
from bitsmith.hls.dialects.spelling import Arrays, Bench, Family, Loops, Roms, Streams
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsTarget, Stage, word
from bitsmith.vendors.libero import REPORTS

_TYPES = """\
#if __has_include(<hls/ap_fixpt.hpp>)
#include <hls/ap_fixpt.hpp>
#include <hls/ap_int.hpp>
#define BITSMITH_INTEGER_BITS _I_W
#else
#include <ap_fixed.h>
#include <ap_int.h>
#define BITSMITH_INTEGER_BITS iwidth
// Where SmartHLS is not, its types are those that it has the names of.
namespace hls {
using ::ap_int;
using ::ap_uint;
template <int W, int I, ap_q_mode Q = ::AP_TRN, ap_o_mode O = ::AP_WRAP> using ap_fixpt = ap_fixed<W, I, Q, O>;
template <int W, int I, ap_q_mode Q = ::AP_TRN, ap_o_mode O = ::AP_WRAP> using ap_ufixpt = ap_ufixed<W, I, Q, O>;
using ::AP_RND;
using ::AP_RND_CONV;
using ::AP_RND_INF;
using ::AP_RND_MIN_INF;
using ::AP_RND_ZERO;
using ::AP_SAT;
using ::AP_SAT_SYM;
using ::AP_SAT_ZERO;
using ::AP_TRN;
using ::AP_TRN_ZERO;
using ::AP_WRAP;
} // namespace hls
#endif"""

_STREAMS = """\
#if __has_include(<hls/streaming.hpp>)
#include <hls/streaming.hpp>
#else
#include <hls_stream.h>
namespace hls {
template <class T> struct FIFO : stream<T> {
    explicit FIFO(int) {}
};
} // namespace hls
#endif"""

_CONFIG = """\
# Constraints of SmartHLS, which reads this file with shls hw. Releases before 2025.2 have the names of LegUp.
if {{[file exists $env(SHLS_ROOT_DIR)/examples/shls.tcl]}} {{
    source $env(SHLS_ROOT_DIR)/examples/shls.tcl
}} else {{
    source $env(SHLS_ROOT_DIR)/examples/legup.tcl
}}
set_project {family} {part} hw_only
set_parameter CLOCK_PERIOD {period}
"""

_MAKEFILE = """\
# The project as SmartHLS reads it:
#   shls sw_compile    the test bench as an ordinary program
#   shls hw            hardware and its reports
#   shls cosim         hardware, simulated on the test bench
#   shls rtl_synth     hardware, through logic synthesis
#   shls fpga          hardware, placed and routed by Libero
NAME = {top}
SRCS = firmware/{top}.cpp {top}_test.cpp
LEVEL = $(SHLS_ROOT_DIR)/examples
# Releases before 2025.2, which have the names of LegUp.
LOCAL_CONFIG = -legup-config=config.tcl
COMMON = $(LEVEL)/Makefile.common
ifneq ("$(wildcard $(LEVEL)/shls.tcl)","")
LOCAL_CONFIG = -shls-config=config.tcl
COMMON =
endif
ifneq ("$(wildcard $(COMMON))","")
include $(COMMON)
endif
"""

_FAMILIES = {"MPFS": "PolarFireSoC", "RT4G": "RTG4", "M2S": "SmartFusion2"}
"""By what the names of parts begin with; all others are PolarFire, and SmartHLS refuses those that are none."""


def _scripts(target: HlsTarget) -> dict[str, str]:
    part = word(target.part)
    families = (name for begin, name in _FAMILIES.items() if part.upper().startswith(begin))
    family = next(families, "PolarFire")
    # The tool documents whole nanoseconds, and has been seen to crash at others.
    period = max(math.floor(target.aimed_period_ns), 1)
    return {
        "Makefile": _MAKEFILE.format(top=word(identifier(target.top))),
        "config.tcl": _CONFIG.format(family=family, part=part, period=period),
    }


def _calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    synthesized = (f"hls_output/rtl/{top}_{top}.v", f"hls_output/reports/summary.hls.{top}.rpt")
    summary = ("hls_output/reports/summary.results.rpt",)
    # The tool runs the test bench twice, at last with what the simulated hardware gives: that run's results remain.
    results, cosimulated = "tb_data/csim_results.log", "tb_data/rtl_cosim_results.log"
    cosim = (
        Call(("shls", "-s", "cosim"), outputs=(*summary, results)),
        Call(("grep", "^SW/HW co-simulation: *PASS", *summary)),
        Call(("cp", results, cosimulated), outputs=(cosimulated,)),
    )
    return {
        Stage.SYNTH: (Call(("shls", "-a", "hw"), outputs=synthesized),),
        Stage.COSIM: cosim,
        Stage.VSYNTH: (Call(("shls", "-s", "rtl_synth"), outputs=summary),),
        Stage.PNR: (Call(("shls", "-s", "fpga"), outputs=summary),),
    }


DIALECT = Dialect(
    name="libero",
    family=Family(
        signed="hls::ap_fixpt<{width}, {integer}{modes}>",
        unsigned="hls::ap_ufixpt<{width}, {integer}{modes}>",
        mode=", hls::AP_{mode}",
        integer="hls::ap_int<W>",
        natural="hls::ap_uint<W>",
        integer_bits="BITSMITH_INTEGER_BITS",
        raw="""\
    typename format<T>::wider wide = x;
    const hls::ap_uint<format<T>::width + 1> bits = wide(format<T>::width, 0);
    return bits;""",
        from_integer="""\
    const hls::ap_uint<format<T>::width> bits = n;
    T x = 0;
    x(format<T>::width - 1, 0) = bits;
    return x;""",
    ),
    types=_TYPES,
    part="MPF300",
    vendors=(),
    scripts=_scripts,
    period_ns=10.0,
    before_loop='_Pragma("HLS loop unroll")',
    in_loop="",
    in_kernel="",
    before_top=(),
    in_top=("#pragma HLS function top", "#pragma HLS function pipeline II(1)"),
    in_layer=(),
    arrays=Arrays(
        before="#pragma HLS memory partition variable({name}) type(complete)",
        parameter="#pragma HLS memory partition argument({name}) type(complete)",
    ),
    roms=Roms(
        before_words="#pragma HLS memory partition variable({name}) type(complete) dim(2)",
        # As many copies as there are reads at once, two for each.
        before_tables="#pragma HLS memory replicate_rom variable({name})",
    ),
    streams=Streams(
        types=_STREAMS,
        type="hls::FIFO<{token}>",
        declaration="{type} {name}({depth});",
        arrays=True,
        sequential=False,
        port_bits=0,
        most_bits=0,
        reset="",
        in_top=("#pragma HLS function top", "#pragma HLS function dataflow"),
        in_function=("#pragma HLS function inline",),
        before_loop='_Pragma("HLS loop pipeline II({interval})")',
        # An empty FIFO stops the first stage only
        # (Canny_FIFO_Switch.v of Microchip's examples, which the tool wrote).
        loops=Loops(flush=True, rewind=False),
        rows=Arrays(before="#pragma HLS memory partition variable({name}) type(complete) dim(2)"),
        banks=Arrays(before="#pragma HLS memory partition variable({name}) type(complete) dim(2)"),
        apart="#pragma HLS loop dependence variable({name}) type(inter) dependent(false)",
    ),
    most_bits=0,
    most_products=0,
    sources=no_sources,
    bench=Bench(),
    reports=REPORTS,
    ip=None,
    driver=Driver(
        tool="SmartHLS",
        ways=(Way(("shls",), _calls),),
        install="install Microchip Libero SoC with SmartHLS and put its SmartHLS/bin folder, which has shls, on PATH",
        # Its own, those of the compilers and the make that it starts, and those of Libero; it goes on without pragmas that
        # it finds misplaced, and without partitions that it cannot make (SHLS-24).
        error_pattern=r"^(Error|ERROR):|\[HLS pragma\] ignored|\(SHLS-24\)|: (fatal )?error: |^make.*\*\*\* ",
    ),
)
