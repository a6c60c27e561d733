// Greedy sharing of two-term patterns among the columns of a matrix in signed digits.
// The mirror of bitsmith/netlist/sharing.py, which explains it: the same patterns in the same order.

#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "counts.hpp"
#include "graph.hpp"

namespace bitsmith {

/// One entry of a column: `node` times (`plus` - `minus`), two bit masks without a common bit.
struct ColumnEntry {
    std::int32_t node = 0;
    std::uint64_t plus = 0;
    std::uint64_t minus = 0;
};

using Column = std::vector<ColumnEntry>;

/// Called now and then in long computations; may throw.
using Interrupt = std::function<void()>;

class Sharing {
public:
    /// Arguments as in Python: for every column the output it is a part of, and the latest arrival of outputs.
    Sharing(Nodes& nodes, const std::vector<Column>& columns, std::vector<std::int32_t> outputs, int latest);

    /// Extract patterns until none occurs twice.
    void run(const Interrupt& interrupt);

    /// For each output, the digits left in its columns.
    std::vector<std::vector<Term>> terms() const;

private:
    struct Rank {
        std::uint64_t order;
        Key key;

        bool operator>(const Rank& other) const { return order != other.order ? order > other.order : key > other.key; }
    };
    struct Occurrence {
        std::int32_t column;
        std::int32_t position;
        bool minus;
    };
    struct Masks {
        std::int32_t column;
        std::uint64_t of[2];
    };

    void count_patterns(const Interrupt& interrupt);
    void enqueue(Key key, Count& count);
    void requeue(const Rank& rank, Count& entry, std::uint32_t count);
    std::vector<Occurrence> occurrences(const Pattern& pattern) const;
    void extract(const Pattern& pattern, const std::vector<Occurrence>& found);
    void remove(std::int32_t column, std::int32_t node, std::int32_t position, bool minus);
    void insert(std::int32_t column, std::int32_t node, std::int32_t position, bool minus);
    Masks& masks(std::int32_t node, std::int32_t column);

    Nodes& nodes_;
    std::vector<std::int32_t> outputs_;
    std::uint64_t load_limit_;
    std::vector<std::uint64_t> loads_;
    std::vector<std::vector<Masks>> masks_;
    std::vector<std::vector<Digit>> digits_;
    Counts counts_;
    std::vector<Key> grown_;
    std::priority_queue<Rank, std::vector<Rank>, std::greater<>> queue_;
};

}  // namespace bitsmith
