"""Intel oneAPI DPC++ compiler for FPGAs (``icpx``): a SYCL kernel around the top function, fed through pipes."""

from collections.abc import Mapping, Sequence

from bitsmith.hls.dialects.dialect import Call, Dialect, Driver, Way
from bitsmith.hls.dialects.spelling import AC, Arrays, Bench, Loops, Roms, Streams
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsDesign, HlsTarget, Port, Stage, word
from bitsmith.vendors.oneapi import REPORTS

_CMAKE = """\
# Builds the design with the oneAPI compiler. Start with:
#   cmake -S . -B build
#   cmake --build build --target fpga_emu        the kernel on this computer, without a clock
#   cmake --build build --target report          hardware description and its reports
#   cmake --build build --target fpga_sim        hardware, simulated
#   cmake --build build --target fpga_ip_export  hardware description for use in Quartus projects
#   cmake --build build --target fpga            hardware, compiled by Quartus
# Options: -DFPGA_DEVICE=<family, part, or board support package>[:<its variant>]; -DUSER_FLAGS=<flags of the compiler>;
# -DUSER_FPGA_FLAGS=<flags of what makes hardware>. Several flags are separated by semicolons.
cmake_minimum_required(VERSION 3.16)
include(${CMAKE_CURRENT_LIST_DIR}/project.cmake)
if(NOT DEFINED CMAKE_CXX_COMPILER)
    set(CMAKE_CXX_COMPILER icpx)
endif()
project(${top} CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

set(FPGA_DEVICE ${device} CACHE STRING "Family, part, or board support package:variant")
set(USER_FLAGS "" CACHE STRING "Further flags of the compiler and the linker")
set(USER_FPGA_FLAGS "" CACHE STRING "Further flags of what makes hardware")
# Large constants are evaluated by the compiler in more steps than it takes by itself.
set(common -fsycl -fintelfpga -fconstexpr-steps=134217728 ${USER_FLAGS})
# What makes hardware runs when the program is linked.
set(hardware -Xstarget=${FPGA_DEVICE} -Xsclock=${clock_period} ${USER_FPGA_FLAGS})

# The test bench with the kernel for one kind of device: what defines it, and what else it is compiled and linked with.
# ac_types have a library for programs that run; targets that end with a hardware description are linked without it.
function(add_design target definition)
    cmake_parse_arguments(design "" "" "COMPILE;LINK" ${ARGN})
    add_executable(${target} EXCLUDE_FROM_ALL ${top}_test.cpp)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${top}.${target})
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_definitions(${target} PRIVATE ${definition})
    target_compile_options(${target} PRIVATE ${common} -qactypes ${design_COMPILE})
    target_link_options(${target} PRIVATE ${common} ${design_LINK})
endfunction()

function(add_program target definition)
    add_design(${target} ${definition} ${ARGN})
    target_link_options(${target} PRIVATE -qactypes -reuse-exe=${CMAKE_BINARY_DIR}/${top}.${target})
endfunction()

add_design(fpga_emu FPGA_EMULATOR LINK -qactypes)
add_design(report FPGA_HARDWARE LINK -Xshardware ${hardware} -fsycl-link=early)
add_program(fpga_sim FPGA_SIMULATOR COMPILE -Xssimulation -DRTL_SIM LINK -Xssimulation -Xsghdl ${hardware})
add_design(fpga_ip_export FPGA_HARDWARE
    LINK -Xshardware ${hardware} -fsycl-link=early -fsycl-device-code-split=per_kernel)
add_program(fpga FPGA_HARDWARE LINK -Xshardware ${hardware})
"""

_TYPES = """\
#ifdef SYCL_LANGUAGE_VERSION
#include <sycl/ext/intel/ac_types/ac_fixed.hpp>
#include <sycl/ext/intel/ac_types/ac_int.hpp>
#define BITSMITH_REGISTER [[intel::fpga_register]]
#else
#include <ac_fixed.h>
#include <ac_int.h>
#define BITSMITH_REGISTER
#endif"""

_STREAMS = """\
#ifdef SYCL_LANGUAGE_VERSION
#include <sycl/ext/intel/experimental/task_sequence.hpp>
#include <sycl/ext/intel/fpga_extensions.hpp>
namespace kernels {
/// A pipe is a type; objects of it, which kernels take, have no state.
template <class ID, class T, int DEPTH> struct pipe {
    using places = sycl::ext::intel::experimental::pipe<ID, T, DEPTH>;
    static T read() { return places::read(); }
    static T read(sycl::queue &queue) { return places::read(queue); }
    static void write(const T &item) { places::write(item); }
    static void write(sycl::queue &queue, const T &item) { places::write(queue, item); }
};
} // namespace kernels
#define BITSMITH_START(task, function)                                                                                 \\
    sycl::ext::intel::experimental::task_sequence<function> task;                                                      \\
    task.async()
#define BITSMITH_FRAMES while (true)
#define BITSMITH_KEPT
#define BITSMITH_PIPELINED(interval) [[intel::initiation_interval(interval)]]
#define BITSMITH_APART(memory, steps) [[intel::ivdep(memory, steps)]]
#else
#include <hls_stream.h>
namespace kernels {
/// A pipe is a type; objects of it, which kernels take, have no state.
template <class ID, class T, int DEPTH> struct pipe {
    static hls::stream<T> &places() {
        static thread_local hls::stream<T> queue;
        return queue;
    }
    static T read() { return places().read(); }
    static void write(const T &item) { places().write(item); }
};
} // namespace kernels
#define BITSMITH_START(task, function) function()
#define BITSMITH_FRAMES
#define BITSMITH_PIPELINED(interval)
#define BITSMITH_APART(memory, steps)
#endif"""

_KERNEL = """\
{title}
// The top function as a kernel {about}.
#ifndef {guard}
#define {guard}

#include <sycl/sycl.hpp>

#include <sycl/ext/intel/fpga_extensions.hpp>
#if __INTEL_CLANG_COMPILER < 20250000
#include <sycl/ext/intel/prototype/interfaces.hpp>
#endif

// Functions of the kernel belong to its translation unit.
#include "firmware/{top}.cpp"

namespace {top}_device {{

namespace intel = sycl::ext::intel::experimental;
namespace extension = sycl::ext::oneapi::experimental;

using pipe_properties = decltype(extension::properties(intel::ready_latency<0>));

{pipes}struct network {{
    auto get(extension::properties_tag) const {{
        return extension::properties{{{properties}}};
    }}

    void operator()() const {{
{body}
    }}
}};

class network_id;

inline sycl::queue &device() {{
#if defined(FPGA_SIMULATOR)
    static sycl::queue queue(sycl::ext::intel::fpga_simulator_selector_v);
#elif defined(FPGA_HARDWARE)
    static sycl::queue queue(sycl::ext::intel::fpga_selector_v);
#else
    static sycl::queue queue(sycl::ext::intel::fpga_emulator_selector_v);
#endif
    return queue;
}}

/// One sample through the kernel, called as the top function is.
inline void run({parameters}) {{
    sycl::queue &queue = device();
{calls}
}}

}} // namespace {top}_device

#endif
"""

_UNROLLED = "that takes a sample from its pipes and puts one into others, in every cycle"
_TASKS = """\
that starts a task for each process, once. Tasks never end: each takes frame after frame from
// its pipes, so that frames follow one another as closely as the slowest task lets them"""

_PIPE = """\
struct {name}_beat {{
    {type_name} data[{size}];
}};
class {name}_pipe_id;
using {name}_pipe = intel::pipe<{name}_pipe_id, {name}_beat, 0, pipe_properties>;
"""


def _scripts(target: HlsTarget) -> dict[str, str]:
    # A family, a part, or a board support package and its variant, with a colon between them.
    device = ":".join(map(word, target.part.split(":", 1)))
    settings = (
        f"set(top {word(identifier(target.top))})\n"
        f"set(device {device})\n"
        f"set(clock_period {target.aimed_period_ns:g}ns)\n"
    )
    return {"CMakeLists.txt": _CMAKE, "project.cmake": settings}


def _sources(design: HlsDesign) -> dict[str, str]:
    top, inputs, outputs = design.top, _numbered("in", design.inputs), _numbered("out", design.outputs)
    submit = "queue.single_task<network_id>(network{});"
    if not design.unrolled:
        streams = [port.stream.type_name for _, port in (*inputs, *outputs) if port.stream]
        body = [f"::{top}({', '.join(f'{stream}()' for stream in streams)});"]
        calls = [f"static const bool started = ({submit[:-1]}, true);", "(void)started;"]
        calls += [line for local, port in inputs for line in _fed(local, port)]
        calls += [line for local, port in outputs for line in _drained(local, port)]
        return _kernel(design, "", body, calls)
    body = [f"const {port.name}_beat {local} = {port.name}_pipe::read();" for local, port in inputs]
    body += [f"{port.name}_beat {local};" for local, port in outputs]
    body.append(f"::{top}({', '.join(f'{local}.data' for local, _ in (*inputs, *outputs))});")
    body += [f"{port.name}_pipe::write({local});" for local, port in outputs]
    calls = []
    for local, port in inputs:
        calls += [f"{port.name}_beat beat_{local};", f"kernels::copy<{port.size}>({local}, beat_{local}.data);"]
        calls.append(f"{port.name}_pipe::write(queue, beat_{local});")
    calls.append(submit)
    calls += [f"kernels::copy<{port.size}>({port.name}_pipe::read(queue).data, {local});" for local, port in outputs]
    ports = (*design.inputs, *design.outputs)
    pipes = [_PIPE.format(name=port.name, type_name=port.type_name, size=port.size) for port in ports]
    return _kernel(design, "\n".join([*pipes, ""]), body, calls)


def _fed(local: str, port: Port) -> list[str]:
    """Lines that put the tokens of an array into their pipe."""
    assert port.stream is not None
    stream, size = port.stream, port.size // port.stream.tokens
    count = f"({local}[0] == 0 ? 1 : {stream.tokens})" if port.kept else str(stream.tokens)
    return [
        f"for (int i = 0; i < {count}; i++) {{",
        f"    {stream.token_type} item;",
        f"    kernels::copy<{size}>({local} + i * {size}, item.data);",
        f"    {stream.type_name}::write(queue, item);",
        "}",
    ]


def _drained(local: str, port: Port) -> list[str]:
    """Lines that take the tokens of an array out of their pipe."""
    assert port.stream is not None
    stream, size = port.stream, port.size // port.stream.tokens
    return [
        f"for (int i = 0; i < {stream.tokens}; i++) {{",
        f"    const {stream.token_type} item = {stream.type_name}::read(queue);",
        f"    kernels::copy<{size}>(item.data, {local} + i * {size});",
        "}",
    ]


def _kernel(design: HlsDesign, pipes: str, body: Sequence[str], calls: Sequence[str]) -> dict[str, str]:
    top, inputs, outputs = design.top, design.inputs, design.outputs
    parameters = [f"const {port.type_name} {local}[{port.size}]" for local, port in _numbered("in", inputs)]
    parameters += [f"{port.type_name} {local}[{port.size}]" for local, port in _numbered("out", outputs)]
    text = _KERNEL.format(
        title=design.title,
        top=top,
        guard=f"{top}_kernel_hpp".upper(),
        pipes=pipes,
        about=_UNROLLED if design.unrolled else _TASKS,
        properties="intel::streaming_interface<>, intel::pipelined<>"
        if design.unrolled
        else "intel::streaming_interface<>",
        body="\n".join(f"        {line}" for line in body),
        parameters=", ".join(parameters),
        calls="\n".join(f"    {line}" for line in calls),
    )
    return {f"{top}_kernel.hpp": text}


def _numbered(role: str, ports: tuple[Port, ...]) -> list[tuple[str, Port]]:
    """Names of local variables, which no name of the user hides."""
    return [(f"{role}{k}", port) for k, port in enumerate(ports)]


def _calls(top: str) -> Mapping[Stage, tuple[Call, ...]]:
    def built(target: str, *outputs: str) -> tuple[Call, ...]:
        return (
            Call(("cmake", "-S", ".", "-B", "build")),
            Call(("cmake", "--build", "build", "--target", target), outputs=outputs),
        )

    simulator = f"build/{top}.fpga_sim"
    run = Call((f"./{simulator}",), (("CL_CONTEXT_MPSIM_DEVICE_INTELFPGA", "1"),), ("tb_data/rtl_cosim_results.log",))
    return {
        Stage.SYNTH: built("report", f"build/{top}.report"),
        Stage.COSIM: (*built("fpga_sim", simulator), run),
        Stage.EXPORT: built("fpga_ip_export", f"build/{top}.fpga_ip_export"),
        Stage.VSYNTH: built("fpga", f"build/{top}.fpga"),
    }


DIALECT = Dialect(
    name="oneapi",
    family=AC,
    types=_TYPES,
    part="Agilex7",
    vendors=("Intel",),
    period_ns=5.0,
    scripts=_scripts,
    before_loop='_Pragma("unroll")',
    in_loop="",
    in_kernel="",
    before_top=(),
    in_top=(),
    in_layer=(),
    arrays=Arrays(qualifier="BITSMITH_REGISTER "),
    roms=Roms(),
    most_bits=0,
    most_products=0,
    sources=_sources,
    bench=Bench(include='#include "{top}_kernel.hpp"', call="{top}_device::run", whole=True),
    streams=Streams(
        types=_STREAMS,
        type="kernels::pipe<class {name}_id, {token}, {depth}>",
        parameter="{type}",
        known="{type} {name};",
        arrays=False,
        sequential=False,
        port_bits=0,
        most_bits=0,
        reset="",
        before_loop="BITSMITH_PIPELINED({interval})",
        # Clusters of operations run on without further input. A task of one step is a loop over frames.
        loops=Loops(flush=True, rewind=False, function="BITSMITH_PIPELINED(1)"),
        # A place of a line buffer is read again after a row, which has at least so many.
        apart="BITSMITH_APART({name}, {steps})",
        frames="BITSMITH_FRAMES",
        start="BITSMITH_START({name}, {function});",
    ),
    reports=REPORTS,
    ip=None,
    driver=Driver(
        tool="oneAPI compiler",
        ways=(Way(("icpx", "cmake"), _calls),),
        install="install the Intel oneAPI base toolkit (up to 2025.0) with its FPGA support and source setvars.sh, which puts "
        "icpx on PATH",
        # The compiler's, those of Quartus, of CMake and of the programs that CMake starts.
        error_pattern=r"(^|: )(fatal )?error: |^Error( \(\d+\))?: |^CMake Error|^(make|gmake|ninja).*(\*\*\*|error)",
    ),
)
