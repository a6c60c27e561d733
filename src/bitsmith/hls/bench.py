"""Programs around the top function: the vendor's test bench, and the bridge that hands over exact values."""

from collections.abc import Sequence
from dataclasses import replace

from bitsmith.hls.dialects.spelling import Bench, Streams
from bitsmith.hls.project import Port, called

BENCH_NAMES = (
    *("expected", "features", "in", "line", "out", "predictions", "print", "read", "results", "results_file"),
    *("samples", "text", "wrong"),
)
"""Names of the programs' own variables, which no tensor may take."""

_TEST_BENCH = """\
{title}
// Runs the top function on tb_data/tb_input_features.dat, a line of numbers per sample (made-up zeros without the file),
// and writes a line per sample to tb_data/csim_results.log, with RTL_SIM to tb_data/rtl_cosim_results.log. Fails if a
// number is not the one in tb_data/tb_output_predictions.dat; all are exact, and without superfluous zeros.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

{include}

#include "firmware/bitsmith/decimal.h"

#ifdef RTL_SIM
static const char results_file[] = "tb_data/rtl_cosim_results.log";
#else
static const char results_file[] = "tb_data/csim_results.log";
#endif

template <int N, class T> void read(std::istream &line, T x[N]) {{
    for (int i = 0; i < N; i++) {{
        std::string number;
        line >> number;
        x[i] = kernels::from_decimal<T>(number);
    }}
}}

// The result is how many numbers are not what is expected.
template <int N, class T> int print(std::ostream &results, std::istream &expected, const T x[N]) {{
    int wrong = 0;
    for (int i = 0; i < N; i++) {{
        const std::string number = kernels::to_decimal(x[i]);
        std::string wanted;
        expected >> wanted;
        wrong += wanted != number;
        results << number << " ";
    }}
    return wrong;
}}

{main} {{
    std::ifstream features("tb_data/tb_input_features.dat");
    std::ifstream predictions("tb_data/tb_output_predictions.dat");
    std::ofstream results(results_file);
    std::string text;
    int samples = 0;
    int wrong = 0;
    while (std::getline(features, text) || samples == 0) {{
        std::istringstream line(text);
        text.clear();
        std::getline(predictions, text);
        std::istringstream expected(text);
{body}
        results << "\\n";
        samples++;
    }}
    std::cout << samples << " samples, ";
    if (predictions.is_open()) {{
        std::cout << wrong << " numbers differ from the predictions" << std::endl;
    }} else {{
        std::cout << "not compared: no tb_data/tb_output_predictions.dat" << std::endl;
        wrong = 0;
    }}
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


def test_bench(
    top: str, title: str, inputs: Sequence[Port], outputs: Sequence[Port], bench: Bench, streams: Streams
) -> str:
    """The program that vendors' tools compile around the top function."""
    lines = [f"{port.declaration};" for port in (*inputs, *outputs)]
    lines += [f"read<{port.size}>(line, {port.name});" for port in inputs]
    lines += _called(bench.call.format(top=top), inputs, outputs, streams, whole=bench.whole)
    lines += [f"wrong += print<{port.size}>(results, expected, {port.name});" for port in outputs]
    return _TEST_BENCH.format(
        title=title,
        include=bench.include.format(top=top),
        main=bench.main,
        body="\n".join(f"        {line}" for line in lines),
        leave=bench.leave.format(code="results && wrong == 0 ? 0 : 1"),
    )


def bridge_source(top: str, title: str, inputs: Sequence[Port], outputs: Sequence[Port], streams: Streams) -> str:
    """The function ``<top>_bridge``."""
    lines = [f"{port.declaration};" for port in (*inputs, *outputs)]
    lines += [f"in = kernels::load<{port.size}, {port.scalar.words}>(in, {port.name});" for port in inputs]
    lines += _called(top, inputs, outputs, streams, whole=False)
    lines += [f"out = kernels::store<{port.size}, {port.scalar.words}>({port.name}, out);" for port in outputs]
    return _BRIDGE.format(title=title, top=top, body="\n".join(f"    {line}" for line in lines))


def _called(
    function: str, inputs: Sequence[Port], outputs: Sequence[Port], streams: Streams, *, whole: bool
) -> list[str]:
    arrays = [port.name for port in inputs], [port.name for port in outputs]
    if whole:
        inputs, outputs = ([replace(port, stream=None) for port in ports] for ports in (inputs, outputs))
    return called(function, inputs, outputs, arrays, streams.declared)
