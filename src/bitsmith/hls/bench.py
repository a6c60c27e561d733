"""Programs around the top function: the vendor's test bench, and the bridge that hands over exact values."""

from __future__ import annotations

from collections.abc import Sequence

from bitsmith.hls.dialects.spelling import Bench
from bitsmith.hls.scope import Variable

BENCH_NAMES = ("features", "in", "line", "out", "results", "results_file", "samples", "text")
"""Names of the programs' own variables, which no tensor may take."""

_TEST_BENCH = """\
{title}
// Runs the top function on tb_data/tb_input_features.dat, a line of numbers per sample (made-up zeros without the file),
// and writes a line per sample to tb_data/csim_results.log, with RTL_SIM to tb_data/rtl_cosim_results.log.
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>

{include}

#ifdef RTL_SIM
static const char results_file[] = "tb_data/rtl_cosim_results.log";
#else
static const char results_file[] = "tb_data/csim_results.log";
#endif

template <int N, class T> void read(std::istream &line, T x[N]) {{
    for (int i = 0; i < N; i++) {{
        double value = 0.0;
        line >> value;
        x[i] = value;
    }}
}}

template <int N, class T> void print(std::ostream &stream, const T x[N]) {{
    for (int i = 0; i < N; i++) {{
        stream << x[i].to_double() << " ";
    }}
}}

{main} {{
    std::ifstream features("tb_data/tb_input_features.dat");
    std::ofstream results(results_file);
    results << std::setprecision(17);
    std::string text;
    int samples = 0;
    while (std::getline(features, text) || samples == 0) {{
        std::istringstream line(text);
{body}
        results << "\\n";
        samples++;
    }}
    std::cout << samples << " samples" << std::endl;
    {leave}
}}
"""

_BRIDGE = """\
{title}
// One sample through the top function, as exact values: the bits of each element in 64-bit words, sign-extended.
#include "firmware/{top}.h"

#include "firmware/bitsmith/words.h"

extern "C" void {top}_bridge(const uint64_t *in, uint64_t *out) {{
{body}
}}
"""


def test_bench(top: str, title: str, inputs: Sequence[Variable], outputs: Sequence[Variable], bench: Bench) -> str:
    """The program that vendors' tools compile around the top function."""
    lines = [f"{v.declaration};" for v in (*inputs, *outputs)]
    lines += [f"read<{v.size}>(line, {v.name});" for v in inputs]
    lines.append(_called(bench.call.format(top=top), inputs, outputs))
    lines += [f"print<{v.size}>(results, {v.name});" for v in outputs]
    return _TEST_BENCH.format(
        title=title,
        include=bench.include.format(top=top),
        main=bench.main,
        body="\n".join(f"        {line}" for line in lines),
        leave=bench.leave.format(code="results ? 0 : 1"),
    )


def bridge_source(top: str, title: str, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> str:
    """The function ``<top>_bridge``."""
    lines = [f"{v.declaration};" for v in (*inputs, *outputs)]
    lines += [f"in = kernels::load<{v.size}, {v.scalar.words}>(in, {v.name});" for v in inputs]
    lines.append(_called(top, inputs, outputs))
    lines += [f"out = kernels::store<{v.size}, {v.scalar.words}>({v.name}, out);" for v in outputs]
    return _BRIDGE.format(title=title, top=top, body="\n".join(f"    {line}" for line in lines))


def _called(top: str, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> str:
    return f"{top}({', '.join(v.name for v in (*inputs, *outputs))});"
