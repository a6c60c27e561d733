// SPDX-License-Identifier: Apache-2.0
// Sharing of two-term patterns among the columns of a matrix in signed digits: greedily, then by removing and rebuilding.
// The mirror of bitsmith/netlist/columns.py and sharing.py, which explain it: the same patterns in the same order. Its parts:
// sharing.cpp keeps the books, extraction.cpp takes out patterns, search.cpp removes and rebuilds.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "counts.hpp"
#include "graph.hpp"
#include "input_pairs.hpp"
#include "sums.hpp"

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

/// The adder of a pattern, the operand with the smaller shift not subtracted where there is one.
inline Adder adder_of(const Pattern& pattern) {
    const std::int32_t shift_a = std::max(-pattern.shift, 0), shift_b = std::max(pattern.shift, 0);
    if (pattern.opposite && pattern.shift < 0) return {pattern.b, pattern.a, shift_b, shift_a, true};
    return {pattern.a, pattern.b, shift_a, shift_b, pattern.opposite};
}

/// A hash of 64 bits (the finalizer of SplitMix64).
inline std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

class Sharing {
public:
    /// Arguments as in Python. `latest` is negative if outputs may be arbitrarily late.
    Sharing(const std::vector<Range>& inputs, const std::vector<Column>& columns, std::vector<std::int32_t> outputs,
            int latest, Interrupt interrupt);

    /// Extract patterns until none is worth it.
    void run();

    /// Remove and rebuild parts, keeping what does not cost more, until `effort` times the steps of `run` are done.
    void improve(std::uint64_t effort, std::uint64_t most_steps);

    /// Full adders of all there is.
    std::int64_t cost() const { return cost_; }

    /// Make the adders in `nodes`, which has the inputs, and return each output's sum.
    std::vector<Term> build(Nodes& nodes) const;

private:
    class Levels;
    /// The digits of a node in a column, as bit masks of those added and those subtracted.
    struct InColumn {
        std::int32_t column;
        std::array<std::uint64_t, 2> masks;

        std::uint64_t taken() const { return masks[0] | masks[1]; }
    };
    struct Node {
        Pattern pattern;
        Key key = 0;
        Range range;
        bool alive = false;
        std::int32_t uses = 0;  // digits, and operands of other nodes
        int cost = 0;
        std::vector<InColumn> columns;
    };
    struct Rank {
        std::uint64_t gain;
        std::uint32_t count;
        Key key;

        bool operator<(const Rank& other) const;
    };
    struct Occurrence {
        std::int32_t column;
        std::int16_t position;
        bool minus;
    };
    struct Saved {
        std::int32_t column;
        std::vector<Digit> digits;
    };

    Node& at(std::int32_t node) { return nodes_[static_cast<std::size_t>(node)]; }
    const Node& at(std::int32_t node) const { return nodes_[static_cast<std::size_t>(node)]; }
    std::vector<Digit>& digits(std::int32_t column) { return digits_[static_cast<std::size_t>(column)]; }
    std::size_t output(std::int32_t column) const {
        return static_cast<std::size_t>(outputs_[static_cast<std::size_t>(column)]);
    }
    std::uint64_t load(std::int32_t node) const { return limit_ ? std::uint64_t{1} << at(node).range.arrival : 0; }

    // extraction.cpp
    void tally(std::int32_t node, Levels& levels);
    std::uint32_t possible(const Pattern& pattern);
    int last_position() const;
    void rebuild();
    void enqueue(Key key, std::uint32_t possible);
    void enqueue_touched();
    std::uint64_t gain(std::uint32_t count, bool made, const Pattern& pattern, Key key) const;
    std::int64_t saving(std::uint32_t count, bool made, const Pattern& pattern) const;
    void find_occurrences(const Pattern& pattern);
    using Places = std::vector<InColumn>::const_iterator;
    Places first_from(std::int32_t column, Places start, const std::vector<InColumn>& list) const;
    void find_in(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern);
    bool take_room(std::int32_t column, const Pattern& pattern);
    std::int32_t extract(const Pattern& pattern, Key key);

    // sharing.cpp
    std::int32_t make(const Pattern& pattern, Key key);
    void revive(std::int32_t node);
    void bury();
    void release(std::int32_t node);

    void touch(std::int32_t column);
    std::vector<InColumn>::iterator find(std::int32_t node, std::int32_t column);
    void remove(std::int32_t column, std::size_t place);
    void remove(std::int32_t column, std::int32_t node, int position);
    void insert(std::int32_t column, const Digit& digit);
    void count(std::int32_t column, const Digit& digit);
    void collect(const std::vector<Digit>& digits, const Digit& digit);
    void recount();
    std::vector<Summand> summands(std::size_t output) const;
    Deadline deadline(std::size_t output) const { return {limit_, loads_[output]}; }

    // search.cpp
    void count_all();
    void begin();
    void iterate();
    void dissolve_some();
    void dissolve_down(std::int32_t node);
    void dissolve(std::int32_t node);
    void rewrite_some(std::int32_t column);
    bool rewrite(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus, int sum);
    void undo();
    std::vector<std::int32_t> nodes_of(std::int32_t column) const;
    std::uint64_t random();
    std::uint32_t below(std::uint32_t bound);

    Interrupt interrupt_;
    std::int32_t inputs_;
    std::vector<Node> nodes_;
    std::vector<std::int32_t> outputs_;
    std::vector<std::vector<std::int32_t>> parts_;  // columns of each output
    std::uint64_t limit_;
    std::vector<std::uint64_t> loads_;
    std::vector<std::int64_t> costs_;  // of each output's sum
    std::vector<std::vector<Digit>> digits_;
    Counts counts_;
    InputPairs input_pairs_;
    std::unordered_map<Key, std::int32_t> made_;
    std::priority_queue<Rank> queue_;
    std::int64_t cost_ = 0;
    std::uint64_t steps_ = 0;
    std::uint64_t noise_ = 0;   // of this iteration; 0: none
    std::uint64_t random_ = 1;

    // What the last iteration changed.
    std::vector<Saved> saved_;
    std::vector<std::uint64_t> saved_in_;  // by column, the iteration in which it was saved
    std::uint64_t iteration_ = 0;
    std::vector<std::int32_t> born_, died_, dying_, free_, free_before_;
    std::size_t size_before_ = 0;
    std::vector<std::pair<std::size_t, std::int64_t>> costs_before_;

    std::vector<Key> keys_, touched_;
    std::vector<Occurrence> found_;
    std::map<std::size_t, std::uint64_t> room_;  // by output, how many more occurrences the limit allows
    std::vector<std::uint32_t> tallies_;
    bool counting_ = false;
    mutable Sum sum_;
};

}  // namespace bitsmith
