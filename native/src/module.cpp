// SPDX-License-Identifier: Apache-2.0
// What Python sees of the solver.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <chrono>
#include <memory>

#include "solver.hpp"

namespace nb = nanobind;

namespace {

using bitsmith::Graph;
using Matrix = nb::ndarray<const std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<nb::numpy, std::int32_t, nb::ndim<2>>;

/// Hears Ctrl-C ten times a second, without which a thread that left the interpreter is deaf to it.
class Listener {
public:
    void operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_) return;
        next_ = now + std::chrono::milliseconds(100);
        const nb::gil_scoped_acquire held;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }

private:
    std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
};

/// Rows of integers as an array that owns them.
template <typename Row, typename Write>
Table table_of(const std::vector<Row>& rows, std::size_t columns, Write write) {
    auto values = std::make_unique<std::int32_t[]>(rows.size() * columns + 1);
    std::int32_t* next = values.get();
    for (const Row& row : rows) next = write(row, next);
    std::int32_t* const data = values.get();
    nb::capsule owner(values.release(), [](void* held) noexcept { delete[] static_cast<std::int32_t*>(held); });
    return Table(data, {rows.size(), columns}, owner);
}

nb::tuple solve(const Matrix& weights, const Matrix& inputs, std::uint64_t pair_limit, std::uint64_t effort,
                std::uint64_t most_steps, int extra_depth) {
    if (inputs.shape(0) != weights.shape(0) || inputs.shape(1) != 3) {
        throw nb::value_error("one row of low, high, arrival per row of the weights");
    }
    std::vector<bitsmith::Range> ranges;
    for (std::size_t row = 0; row < inputs.shape(0); ++row) {
        ranges.push_back({inputs(row, 0), inputs(row, 1), static_cast<int>(inputs(row, 2))});
    }
    const std::span<const std::int64_t> values(weights.data(), weights.size());
    Graph graph;
    {
        const nb::gil_scoped_release released;
        graph = bitsmith::solve(values, ranges, weights.shape(1), {pair_limit, effort, most_steps, extra_depth}, Listener());
    }
    const auto adder = [](const bitsmith::Adder& each, std::int32_t* next) {
        for (const std::int32_t value : {each.a, each.b, each.shift_a, each.shift_b, std::int32_t{each.subtract}}) *next++ = value;
        return next;
    };
    const auto output = [](const bitsmith::Output& each, std::int32_t* next) {
        for (const std::int32_t value : {each.node, each.shift, std::int32_t{each.negate}}) *next++ = value;
        return next;
    };
    return nb::make_tuple(table_of(graph.adders, 5, adder), table_of(graph.outputs, 3, output));
}

}  // namespace

NB_MODULE(_solver, module) {
    module.def("solve", &solve, nb::arg("weights"), nb::arg("inputs"), nb::arg("pair_limit"), nb::arg("effort"),
               nb::arg("most_steps"), nb::arg("extra_depth"),
               "Return the adders (a, b, shift_a, shift_b, subtract) and outputs (node or -1, shift, negate) of a graph.\n\n"
               "``weights`` is (n_in, n_out), ``inputs`` has a row of low, high and arrival per row of it.");
}
