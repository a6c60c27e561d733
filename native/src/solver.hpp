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
    std::int32_t shift = 0;
    bool negate = false;
};

struct Graph {
    std::vector<Adder> adders;
    std::vector<Output> outputs;
};

/// The graph of `weights`, row-major with a row per input; magnitudes and their sums must stay far from 64 bits.
Graph solve(std::span<const std::int64_t> weights, std::vector<Range> inputs, std::size_t columns, std::uint64_t pair_limit,
            const Interrupt& interrupt);

}  // namespace bitsmith
