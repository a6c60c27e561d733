"""Calls of layers in the C++ that hls4ml writes, and a program around them that tells what they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDINGS = ("RND", "RND_ZERO", "RND_MIN_INF", "RND_INF", "RND_CONV", "TRN", "TRN_ZERO")
OVERFLOWS = ("SAT", "SAT_ZERO", "SAT_SYM", "WRAP", "WRAP_SM")
"""Modes in the order in which the vendor's headers count them."""


PATCH = ("in_height", "in_width", "n_chan", "filt_height", "filt_width", "n_filt", "stride_height", "stride_width")
PADS = ("pad_top", "pad_bottom", "pad_left", "pad_right")
"""Sizes of a convolution."""


class RefusedError(Exception):
    """A version that cannot be compared, and why."""


@dataclass(frozen=True)
class Layer:
    """A function of hls4ml's: how many tensors it reads, what to ask of it, and the layers that it becomes."""

    operands: int
    questions: Callable[[Network, Call], list[str]]
    build: Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """A call of a layer: its function, the types in angle brackets, operands, result, and arrays of trained constants."""

    function: str
    layer: Layer
    kinds: tuple[str, ...]
    operands: tuple[str, ...]
    result: str
    constants: tuple[str, ...]

    @property
    def config(self) -> str:
        """The structure with the layer's sizes."""
        return self.kinds[-1]


@dataclass(frozen=True)
class Emulator:
    """The authors' class around a network, which scales inputs before it and makes a loss after it."""

    file: str
    name: str
    results: str


@dataclass(frozen=True)
class Network:
    """A version: its folder, the file of its top function, its namespace, and what this function has and calls."""

    name: str
    folder: Path
    file: str
    space: str
    top: str
    parameters: Mapping[str, tuple[str, str]]
    lengths: Mapping[str, str]
    calls: tuple[Call, ...]
    emulator: Emulator | None = None


def network_of(folder: Path, layers: Mapping[str, Layer]) -> Network:
    """The network in ``folder``, by the text of its top function."""
    place = folder / "NN" if (folder / "NN").is_dir() else folder
    files = [path for path in place.glob("*.cpp") if re.search(r"nnet::\w+<", path.read_text())]
    if len(files) != 1:
        raise RefusedError("no file, or several, that call layers")
    text = re.sub(r"//[^\n]*|^\s*#[^\n]*", "", files[0].read_text(), flags=re.MULTILINE)
    heads = re.search(r"namespace\s+(\w+)\s*\{\s*void\s+(\w+)\((.*?)\)\s*\{", text, re.DOTALL)
    assert heads is not None, files[0]
    space, top, arguments = heads.groups()
    parameters = {name: (kind, size) for kind, name, size in re.findall(r"(\w+)\s+(\w+)\[([^\]]*)\]", arguments)}
    aliases: dict[str, str] = dict(re.findall(r"auto&\s*(\w+)\s*=\s*(\w+);", text))
    lengths = {name: size for _, name, size in re.findall(r"(\w+)\s+(\w+)\[([^\]]*)\]", text)}
    calls = []
    for function, kinds, operands in re.findall(r"(\w+::\w+)<([^;]*?)>\(([^;]*?)\);", text[heads.end() :]):
        names: list[str] = [aliases.get(name, name) for name in re.split(r"\s*,\s*", operands.strip())]
        short = function.removeprefix("nnet::")
        if short.startswith("load_"):
            continue
        layer = layer_of(short, layers)
        count = layer.operands
        types: list[str] = re.split(r"\s*,\s*", kinds)
        calls.append(Call(short, layer, tuple(types), tuple(names[:count]), names[count], tuple(names[count + 1 :])))
    network = Network(folder.name, place, files[0].name, space, top, parameters, lengths, tuple(calls))
    return emulated(network, folder, layers) if (folder / "scales.h").is_file() else network


def emulated(network: Network, folder: Path, layers: Mapping[str, Layer]) -> Network:
    """The network with the steps of its emulator before and after it."""
    (path,) = folder.glob("*emulator*.cpp")
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    name, results = re.search(r"new (\w+);", text), re.search(r"any_cast<(std::pair<.*?>)\s*\*>\(result\)", text)
    assert name is not None and results is not None, path
    (source, (kind, size)), (result, shape) = network.parameters.items()
    loss = "squares" if "squares" in text else "linear"
    before = Call(
        "scales", layers["scales"], ("unscaled_t", kind, "config"), ("unscaled",), source, ("ad_offsets", "ad_shift")
    )
    after = Call(loss, layers[loss], (shape[0], "resultsq_t", "config"), (result,), "loss", ())
    return replace(
        network,
        parameters={"unscaled": ("unscaled_t", size), result: shape, "loss": ("resultsq_t", "1")},
        calls=(before, *network.calls, after),
        emulator=Emulator(path.name, name.group(1), results.group(1)),
    )


INTERFACE = """#pragma once
#include <any>
namespace hls4mlEmulator {
struct Model {
    virtual ~Model() {}
    virtual void prepare_input(std::any input) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any result) = 0;
};
}
"""
"""What CMS's software has as emulator.h."""

HEAD = r"""
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
void kind(const char *name, const ap_fixed<W, I, Q, O, N> &) { printf("kind %s 1 %d %d %d %d\n", name, W, I, Q, O); }
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
void kind(const char *name, const ap_ufixed<W, I, Q, O, N> &) { printf("kind %s 0 %d %d %d %d\n", name, W, I, Q, O); }
template <int W> void kind(const char *name, const ap_int<W> &) { printf("kind %s 1 %d %d 5 3\n", name, W, W); }
template <int W> void kind(const char *name, const ap_uint<W> &) { printf("kind %s 0 %d %d 5 3\n", name, W, W); }
template <class A, class T, size_t N> void array(const char *name, T (&values)[N]) {
    printf("array %s", name);
    for (auto &value : values) printf(" %.17g", A(value).to_double());
    puts("");
}
template <class T, size_t N> void take(std::array<T, N> &from, T *to) { for (size_t k = 0; k < N; k++) to[k] = from[k]; }
template <class T> void take(T &from, T *to) { *to = from; }
template <class T> void fill(T &x, int64_t raw) { x(T::width - 1, 0) = ap_uint<T::width>(raw); }
template <class T> int64_t raw(T x) { return ap_uint<T::width>(x(T::width - 1, 0)).to_int64(); }
"""


def program_of(network: Network) -> dict[str, str]:
    """C++ around the authors': without an argument it prints what they made the layers of, else it runs so many events."""
    lines = []
    for name, (kind, size) in network.parameters.items():
        lines += [f'kind("{name}", {kind}());', f'printf("size {name} %d\\n", int({size}));']
    for call in network.calls:
        lines += call.layer.questions(network, call)
    (source, (kind, size)), *results = network.parameters.items()
    run = [f"static {kind} {source}[{size}];", *(f"static {k} {name}[{n}];" for name, (k, n) in results)]
    run += [f"std::vector<int64_t> in({size}), out;", "for (long event = 0; event < events; event++) {"]
    run += ["if (fread(in.data(), 8, in.size(), stdin) != in.size()) return 1;", "out.clear();"]
    run += [f"for (size_t k = 0; k < in.size(); k++) fill({source}[k], in[k]);"]
    run += called(network)
    run += [f"for (auto &value : {name}) out.push_back(raw(value));" for name, _ in results]
    run += ["fwrite(out.data(), 8, out.size(), stdout);", "}"]
    heads = "\n".join([HEAD, f"using namespace {network.space};", ""])
    facts = f"{heads}void facts() {{\n{chr(10).join(lines)}\n}}\n"
    body = "\n".join(["if (argc < 2) { facts(); return 0; }", "long events = atol(argv[1]);", *run])
    main = f"int main(int argc, char **argv) {{\n{body}\n}}\n"
    first = f'#include "{network.file}"\n'
    if network.emulator is None:
        return {"facts": first + facts + main}
    second = f'#include "../{network.emulator.file}"\n{heads}void facts();\n'
    return {"facts": f'{first}#include "../scales.h"\n{facts}', "events": second + main}


def called(network: Network) -> list[str]:
    """Statements that compute an event."""
    if network.emulator is None:
        return [f"{network.space}::{network.top}({', '.join(network.parameters)});"]
    source, result, loss = network.parameters
    return [
        f"static {network.emulator.name} model; static {network.emulator.results} results;",
        f"model.prepare_input(std::any(static_cast<unscaled_t *>({source}))); model.predict();",
        f"model.read_result(std::any(&results)); take(results.first, {result}); take(results.second, {loss});",
    ]


def kind_of(name: str, kind: str) -> str:
    """A statement that prints a number type."""
    return f'kind("{name}", {kind}());'


def sizes(call: Call, *names: str) -> list[str]:
    """Statements that print whole numbers of a layer's structure."""
    return [f'printf("size {call.result}.{name} %d\\n", int({call.config}::{name}));' for name in names]


def product_questions(call: Call, inner: str, *names: str) -> list[str]:
    """What a layer with weights, a bias and an accumulator is made of; the bias as the accumulator starts with it."""
    config, result = call.config + inner, call.result
    said = [kind_of(result, call.kinds[1]), kind_of(f"{result}.accum", f"{config}::accum_t")]
    said += [kind_of(f"{result}.weight", f"{config}::weight_t"), *sizes(call, "strategy", *names)]
    said += [f'array<{config}::weight_t>("{result}.w", {call.constants[0]});']
    return [*said, f'array<{config}::accum_t>("{result}.b", {call.constants[1]});']


def adder_questions(network: Network, call: Call) -> list[str]:
    """What a network of adders computes of zeros, and more for one step of each operand."""
    (source, kind), result = call.kinds, call.result
    size, function = network.lengths[call.operands[0]], f"{call.function}<{source}, {kind}>"
    return [
        kind_of(result, kind),
        f"{{ static {source} x[{size}]; static {kind} y[{network.lengths[result]}]; std::vector<double> zeros;",
        f"for (auto &value : x) fill(value, 0); {function}(x, y);",
        "for (auto &value : y) zeros.push_back(value.to_double());",
        f'printf("array {result}.b"); for (auto value : zeros) printf(" %.17g", value);',
        f'printf("\\narray {result}.w");',
        f"for (auto &value : x) {{ fill(value, 1); {function}(x, y); double step = value.to_double(); fill(value, 0);",
        'for (size_t k = 0; k < zeros.size(); k++) printf(" %.17g", (y[k].to_double() - zeros[k]) / step); }',
        'puts(""); }',
    ]


def plain(_: Network, call: Call) -> list[str]:
    """The result's type."""
    return [kind_of(call.result, call.kinds[-2])]


def accumulating(*names: str) -> Callable[[Network, Call], list[str]]:
    """What asks for types of result and accumulator, and sizes."""
    return lambda _, call: [
        kind_of(call.result, call.kinds[-2]),
        kind_of(f"{call.result}.accum", f"{call.config}::accum_t"),
        *sizes(call, *names),
    ]


def scaling(_: Network, call: Call) -> list[str]:
    """What a batch normalization is made of."""
    of = [(call.constants[0], "s", "scale"), (call.constants[1], "b", "bias")]
    said = [kind_of(call.result, call.kinds[1])]
    for array, short, name in of:
        said.append(kind_of(f"{call.result}.{name}", f"{call.config}::{name}_t"))
        said.append(f'array<{call.config}::{name}_t>("{call.result}.{short}", {array});')
    return said


def scales(_: Network, call: Call) -> list[str]:
    """The offsets that an emulator takes from its inputs, and the shifts after this."""
    arrays = [f'array<decltype({name}[0] + {name}[0])>("{call.result}.{name}", {name});' for name in call.constants]
    return [kind_of(call.result, call.kinds[1]), *arrays]


def tabulated(_: Network, call: Call) -> list[str]:
    """What a softmax is made of, with the tables as the authors' functions fill them."""
    source, config = call.kinds[0], call.config
    said = [kind_of(call.result, call.kinds[1]), *sizes(call, "implementation")]
    for name, function, operand in (("exp", "exp", source), ("inv", "invert", f"{config}::exp_table_t")):
        entry = f"{config}::{name}_table_t"
        said.append(kind_of(f"{call.result}.{name}", entry))
        said.append(
            f"{{ static {entry} filled[{config}::table_size]; nnet::init_{function}_table<{operand}, {config}>(filled);"
        )
        said.append(f'array<{entry}>("{call.result}.{name}", filled); }}')
    return said


def layer_of(function: str, layers: Mapping[str, Layer]) -> Layer:
    """The record of a function, of adders whatever their number."""
    name = re.sub(r"^\w+::(dense_da)_\d+$", r"\1", function)
    if name not in layers:
        raise RefusedError(f"no layer is known for {name}")
    return layers[name]
