"""Intel HLS compiler (``i++``), which hands its hardware to Quartus."""

import math
from collections.abc import Mapping, Sequence

from bitsmith.hls.dialects.dialect import Call, Dialect, Driver, Way
from bitsmith.hls.dialects.spelling import AC, Arrays, Bench, Loops, Roms, Streams
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsDesign, HlsTarget, Port, Stage, called, word
from bitsmith.vendors.quartus import REPORTS

_MAKEFILE = """\
# Builds the design with the Intel HLS compiler:
#   make csim      the test bench as an ordinary program, and its results
#   make synth     hardware and its reports
#   make cosim     hardware, simulated on the test bench
#   make vsynth    hardware, compiled by Quartus
include project.mk

CXX := i++
SIMULATOR := modelsim
SOURCES := $(TOP)_test.cpp $(TOP)_component.cpp
HARDWARE := $(CXX) -march=$(DEVICE) $(SOURCES) -o $(TOP)-fpga

.PHONY: csim synth cosim vsynth clean

csim:
	$(CXX) -march=x86-64 $(SOURCES) -o $(TOP)-x86
	./$(TOP)-x86

synth:
	$(HARDWARE) --simulator none

cosim:
	$(HARDWARE) --simulator $(SIMULATOR) -DRTL_SIM
	./$(TOP)-fpga

vsynth:
	$(HARDWARE) --simulator none --quartus-compile

clean:
	rm -rf $(TOP)-x86 $(TOP)-fpga $(TOP)-fpga.prj
"""

_TYPES = """\
#ifdef __INTELFPGA_COMPILER__
#include <HLS/hls.h>

#include <HLS/ac_fixed.h>
#include <HLS/ac_int.h>
#else
#include <ac_fixed.h>
#include <ac_int.h>
#define hls_register
#endif"""

_STREAMS = """\
#ifdef __INTELFPGA_COMPILER__
#define BITSMITH_STREAM static
#else
#include <hls_stream.h>
namespace ihc {
template <int> struct buffer;
template <class T, class... OPTIONS> using stream = ::hls::stream<T>;
template <class T, class... OPTIONS> using stream_in = ::hls::stream<T>;
template <class T, class... OPTIONS> using stream_out = ::hls::stream<T>;
} // namespace ihc
#define BITSMITH_STREAM static thread_local
#endif"""

_HEADER = """\
{title}
// The top function as a component{about}.
#ifndef {guard}
#define {guard}

#include "firmware/{top}.h"

{declared};

/// The component, called {caller}.
void {top}_simulated({parameters});

#endif
"""

_STRUCTURES = """\
struct {top}_inputs {{
{inputs}
}};

struct {top}_outputs {{
{outputs}
}};

"""

_SOURCE = """\
{title}
#include "{top}_component.h"

#include "firmware/{top}.cpp"

{interval}hls_scheduler_target_fmax_mhz({mhz})
{component} {{
{calls}
}}

void {top}_simulated({parameters}) {{
{body}
}}
"""


def _scripts(target: HlsTarget) -> dict[str, str]:
    settings = f"TOP := {word(identifier(target.top))}\nDEVICE := {word(target.part)}\n"
    return {"Makefile": _MAKEFILE, "project.mk": settings}


def _sources(design: HlsDesign) -> dict[str, str]:
    top, inputs, outputs = design.top, design.inputs, design.outputs
    parameters = [f"const {port.type_name} in{k}[{port.size}]" for k, port in enumerate(inputs)]
    parameters += [f"{port.type_name} out{k}[{port.size}]" for k, port in enumerate(outputs)]
    words = {"title": design.title, "top": top, "parameters": ", ".join(parameters)}
    words |= {"guard": f"{top}_component_h".upper(), "mhz": str(math.ceil(1000 / design.target.aimed_period_ns))}
    ports, interval = (*inputs, *outputs), ""
    if any(port.stream for port in ports):
        streams = ", ".join(f"{port.stream.type_name} &{port.name}" for port in ports if port.stream)
        component, about = f"component void {top}_component({streams})", ", whose arguments are streams"
        structures, caller = "", "with whole tensors"
        calls = [f"{top}({', '.join(port.name for port in ports)});"]
        names = ([f"in{k}" for k in range(len(inputs))], [f"out{k}" for k in range(len(outputs))])
        body = called(f"{top}_component", inputs, outputs, names, DIALECT.streams.declared)
    else:
        component = f"component {top}_outputs {top}_component({top}_inputs inputs)"
        about = ": its arguments and results are one structure each, all elements side by side"
        caller = "as the top function is"
        interval = "hls_component_ii(1) " if design.unrolled else ""
        structures = _STRUCTURES.format(top=top, inputs=_fields(inputs), outputs=_fields(outputs))
        fields = [f"inputs.{port.name}" for port in inputs] + [f"outputs.{port.name}" for port in outputs]
        calls = [f"hls_register {top}_outputs outputs;", f"{top}({', '.join(fields)});", "return outputs;"]
        body = [f"{top}_inputs inputs;"]
        body += [f"kernels::copy<{port.size}>(in{k}, inputs.{port.name});" for k, port in enumerate(inputs)]
        body.append(f"const {top}_outputs outputs = {top}_component(inputs);")
        body += [f"kernels::copy<{port.size}>(outputs.{port.name}, out{k});" for k, port in enumerate(outputs)]
    calls_text, body_text = ("\n".join(f"    {line}" for line in lines) for lines in (calls, body))
    words |= {"about": about, "declared": f"{structures}{component}", "caller": caller, "interval": interval}
    words |= {"component": component, "calls": calls_text, "body": body_text}
    return {f"{top}_component.h": _HEADER.format(**words), f"{top}_component.cpp": _SOURCE.format(**words)}


def _fields(ports: Sequence[Port]) -> str:
    return "\n".join(f"    {port.type_name} {port.name}[{port.size}];" for port in ports)


def _calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    # The compiler does all of its work again for each stage: no option makes it go on.
    return {
        Stage.SYNTH: (Call(("make", "synth"), outputs=(f"{top}-fpga.prj/reports/report.html",)),),
        Stage.COSIM: (Call(("make", "cosim"), outputs=("tb_data/rtl_cosim_results.log",)),),
        Stage.VSYNTH: (Call(("make", "vsynth"), outputs=(f"{top}-fpga.prj/reports/report.html",)),),
    }


DIALECT = Dialect(
    name="quartus",
    family=AC,
    types=_TYPES,
    part="Arria10",
    vendors=("Intel",),
    period_ns=5.0,
    scripts=_scripts,
    before_loop='_Pragma("unroll")',
    in_loop="",
    in_kernel="",
    before_top=(),
    in_top=(),
    in_layer=(),
    arrays=Arrays(qualifier="hls_register "),
    roms=Roms(),
    most_bits=0,
    most_products=0,
    sources=_sources,
    bench=Bench(include='#include "{top}_component.h"', call="{top}_simulated", whole=True),
    streams=Streams(
        types=_STREAMS,
        type="ihc::stream<{token}, ihc::buffer<{depth}>>",
        input="ihc::stream_in<{token}>",
        output="ihc::stream_out<{token}>",
        qualifier="BITSMITH_STREAM ",
        # Tasks of this compiler take no references, and their streams must be global (reference manual, 10.1 and 13.15).
        # Directly called functions become part of the component; those do.
        sequential=True,
        arrays=True,
        port_bits=0,
        most_bits=0,
        reset="",
        before_loop='_Pragma("ii {interval}")',
        # Clusters of operations run on without further input (best practices guide, 4.3.2.2).
        loops=Loops(flush=True, rewind=False),
        # A place of a line buffer is read again after a row, which has at least so many.
        apart="#pragma ivdep array({name}) safelen({steps})",
    ),
    reports=REPORTS,
    ip=None,
    driver=Driver(
        tool="Intel HLS compiler",
        ways=(Way(("i++", "make"), _calls),),
        install="install Intel Quartus Prime Pro with its HLS compiler and source hls/init_hls.sh, which puts i++ on PATH",
        error_pattern=r"(^|: )(fatal )?error: |^Error( \(\d+\))?: |^make: \*\*\* ",
    ),
)
