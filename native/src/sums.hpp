// SPDX-License-Identifier: Apache-2.0
// Sums of shifted terms in the order that takes the fewest full adders. The mirror of bitsmith/netlist/sums.py.

#pragma once

#include <cstdint>
#include <vector>

#include "graph.hpp"

namespace bitsmith {

inline constexpr int kNever = 1 << 30;

/// A term to be summed.
struct Summand {
    Term term;
    Range range;
};

/// One value within a sum: a term, or the sum of two values, which come before it.
struct Partial {
    Range range;
    std::int32_t shift{};
    bool minus = false;
    std::int32_t left = -1;   // the operand with the smaller shift, that is not subtracted; -1 in terms
    std::int32_t right = -1;
    bool subtract = false;
    int turn_cost = kNever;   // what the opposite value costs, by turning subtractions round
};

/// Loads as in `Sharing`: what may be late. `limit` 0 means no limit.
struct Deadline {
    std::uint64_t limit{};
    std::uint64_t load{};
};

/// How much more load a sum has than its operands.
inline std::uint64_t added_load(int arrival_a, int arrival_b) {
    return (std::uint64_t{2} << std::max(arrival_a, arrival_b)) - (std::uint64_t{1} << arrival_a) -
           (std::uint64_t{1} << arrival_b);
}

class Sum {
public:
    /// Order the additions; `terms` has at least one term.
    void plan(const std::vector<Summand>& terms, Deadline deadline);

    /// Full adders, with what turning round takes if the sum came out negated, and one for the level of a negation.
    int cost() const { return cost_; }

    /// True if the sum comes out negated and nothing in it can be turned round.
    bool stays_negated() const { return wrong() && partials_.back().turn_cost >= kNever; }

    /// Make the adders: the node that has the sum, negated if it cannot be turned round.
    Term build(Nodes& nodes, const std::vector<Summand>& terms) const;

private:
    static constexpr int kTop = 32;  // where the top is in a rank

    /// A value that waits to be added: the order is by rank, then size, then order.
    struct Place {
        std::uint64_t rank;  // the top, and of equal ones the highest lowest bit, and of equal ones what is not subtracted
        std::uint64_t size;
        std::uint64_t order;
        std::uint64_t scaled;  // the distance of the ends of its range, at its shift
        std::int32_t partial;
        int arrival;

        std::uint64_t top() const { return rank >> kTop; }
        bool operator>(const Place& other) const {
            if (rank != other.rank) return rank > other.rank;
            return size != other.size ? size > other.size : order > other.order;
        }
    };

    /// True if the sum comes out with a sign that it should not have.
    bool wrong() const { return partials_.back().minus; }

    Place place_of(std::int32_t partial, std::uint64_t order) const;
    void join(Deadline& deadline);
    void replace(std::size_t first, std::size_t second, const Place& sum);
    std::size_t fitting(std::size_t first, const Deadline& deadline) const;
    std::int32_t joined(std::int32_t first, std::int32_t second);
    std::int32_t node_of(Nodes& nodes, const std::vector<Summand>& terms, std::int32_t partial, bool turned) const;

    std::vector<Partial> partials_;
    std::vector<Place> waiting_;  // the first is last
    std::vector<std::int32_t> rising_;  // terms by shift
    std::vector<char> joined_;  // terms that others were joined with
    int cost_ = 0;
};

}  // namespace bitsmith
