// SPDX-License-Identifier: Apache-2.0
// Multiplication of a vector by a constant integer matrix with shifts, additions and subtractions only.
// The mirror of bitsmith/netlist/adder_graph.py: the same graphs.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph.hpp"
#include "sharing.hpp"

namespace bitsmith {

/// One output: `v[node] << shift`, negated if `negate`; zero if `node` is negative.
struct Output {
    std::int32_t node = -1;
    std::int32_t shift{};
    bool negate = false;
};

struct Graph {
    std::vector<Adder> adders;
    std::vector<Output> outputs;
};

/// Budgets and limits, as in Python.
struct Settings {
    std::uint64_t pair_limit{};
    std::uint64_t effort{};
    std::uint64_t most_steps{};
    int extra_depth{};  // negative: no limit
};

/// The graph of `weights`, row-major with a row per input; magnitudes and their sums must stay far from 64 bits.
Graph solve(std::span<const std::int64_t> weights, const std::vector<Range>& inputs, std::size_t columns,
            const Settings& settings, const Interrupt& interrupt);

}  // namespace bitsmith
