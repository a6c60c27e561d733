// SPDX-License-Identifier: Apache-2.0
// Sharing of two-term patterns among the columns of a matrix in signed digits: greedily, then by removing and rebuilding.
// The mirror of bitsmith/netlist/columns.py and sharing.py, which explain it: the same patterns in the same order. Its parts:
// sharing.cpp keeps the books, forms.cpp decides how numbers are written at first, extraction.cpp takes out patterns, search.cpp
// removes and rebuilds.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "graph.hpp"
#include "input_pairs.hpp"
#include "patterns.hpp"
#include "sums.hpp"

namespace bitsmith {

/// One entry of a column: `node` times (`plus` - `minus`), two bit masks without a common bit.
struct ColumnEntry {
    std::int32_t node{};
    std::uint64_t plus{};
    std::uint64_t minus{};
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

    /// Remove and rebuild parts, keeping what costs not much more, and less and less of it, until `effort` times the steps of `run` are done.
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
        Key key{};
        Range range;
        std::int64_t most{};  // more than any part of its sum can be, in magnitude
        bool alive = false;
        std::int32_t uses{};  // digits, and operands of other nodes
        int cost{};
        std::vector<InColumn> columns;
    };
    /// The columns that have a digit of a node, and those that may have several, by number modulo 64.
    struct Spread {
        std::uint64_t once{};
        std::uint64_t twice{};
        std::uint64_t partners{};  // the nodes that it has patterns with, by number modulo 64

        void add(std::int32_t column) {
            const std::uint64_t bit = std::uint64_t{1} << (column % 64);
            twice |= once & bit;
            once |= bit;
        }

        /// A digit of `column` goes, and those of `left` stay there; others have the same bit unless `alone`.
        void remove(std::int32_t column, std::uint64_t left, bool alone) {
            const std::uint64_t bit = std::uint64_t{1} << (column % 64);
            if (!alone || (left & (left - 1))) return;
            twice &= ~bit;
            if (!left) once &= ~bit;
        }
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
    /// How many more occurrences the limit allows an output, as found in search `of`.
    struct Room {
        std::uint64_t of{};
        std::uint64_t left{};
    };
    /// Occurrences of a pattern, and what finding them takes; each thread has its own.
    struct Found {
        std::vector<Occurrence> places;
        std::vector<Room> room;  // by output
        std::uint64_t room_of{};
    };
    struct Saved {
        std::int32_t column{};
        std::vector<Digit> digits;
    };

    Node& at(std::int32_t node) { return nodes_[static_cast<std::size_t>(node)]; }
    const Node& at(std::int32_t node) const { return nodes_[static_cast<std::size_t>(node)]; }
    Spread& spread(std::int32_t node) { return spread_[static_cast<std::size_t>(node)]; }
    const Spread& spread(std::int32_t node) const { return spread_[static_cast<std::size_t>(node)]; }
    std::vector<Digit>& digits(std::int32_t column) { return digits_[static_cast<std::size_t>(column)]; }
    std::size_t output(std::int32_t column) const {
        return static_cast<std::size_t>(outputs_[static_cast<std::size_t>(column)]);
    }
    /// True if the bits of `Spread` are those of columns.
    bool few_columns() const { return digits_.size() <= 64; }

    /// The columns that this iteration changed.
    std::span<const Saved> saved() const { return std::span(saved_).first(saved_count_); }
    std::uint64_t load(std::int32_t node) const { return limit_ ? std::uint64_t{1} << at(node).range.arrival : 0; }

    // forms.cpp
    void choose_forms();
    void choose_forms(std::int32_t column, std::int32_t node);
    bool more_in_common(std::int32_t column, const std::array<Digit, 2>& now, const std::array<Digit, 2>& other) const;

    // extraction.cpp
    void tally(std::int32_t node, Levels& levels);
    std::int64_t most_saved(Key key, Found& found) const;
    bool take_first(std::int64_t level, Levels& levels);
    int last_position() const;
    void rebuild();
    void enqueue(Key key);
    void enqueue_considered();
    void consider(std::int32_t column, const Digit& digit, std::span<const Digit> others);
    void consider_all(std::int32_t node);
    bool may_repeat(const Pattern& pattern, std::int32_t column) const;
    std::uint64_t gain(std::uint32_t count, bool made, const Pattern& pattern, Key key) const;
    std::int64_t saving(std::uint32_t count, bool made, const Pattern& pattern) const;
    void find_occurrences(const Pattern& pattern) { find_occurrences(pattern, found_); }
    void find_occurrences(const Pattern& pattern, Found& found) const;
    using Places = std::vector<InColumn>::const_iterator;
    Places first_from(std::int32_t column, Places start, const std::vector<InColumn>& list) const;
    static std::uint64_t matches(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern);
    void find_in(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern, Found& found) const;
    bool take_room(std::int32_t column, const Pattern& pattern, Found& found) const;
    std::int32_t extract(const Pattern& pattern, Key key);

    // sharing.cpp
    std::int32_t make(const Pattern& pattern, Key key);
    void revive(std::int32_t node);
    /// A node has one more pattern with a partner, or one less.
    void link(std::int32_t node, std::int32_t partner) {
        spread(node).partners |= std::uint64_t{1} << (partner % 64);
        ++partners_[static_cast<std::size_t>(node)][static_cast<std::size_t>(partner % 64)];
    }
    void unlink(std::int32_t node, std::int32_t partner) {
        if (--partners_[static_cast<std::size_t>(node)][static_cast<std::size_t>(partner % 64)] == 0) {
            spread(node).partners &= ~(std::uint64_t{1} << (partner % 64));
        }
    }
    void bury();
    void release(std::int32_t node);

    void touch(std::int32_t column);
    std::vector<InColumn>::iterator find(std::int32_t node, std::int32_t column);
    void remove(std::int32_t column, std::size_t place);
    void remove(std::int32_t column, std::int32_t node, int position);
    void insert(std::int32_t column, const Digit& digit);
    void attach(std::int32_t column, const Digit& digit);
    void detach(std::int32_t column, const Digit& digit);
    bool differs(const Saved& saved) const;
    void recount();
    void summands(std::size_t output, std::vector<Summand>& terms) const;
    Deadline deadline(std::size_t output) const { return {limit_, loads_[output]}; }

    // search.cpp
    void begin();
    void iterate();
    void dissolve_some();
    void dissolve_down(std::int32_t column, std::int32_t node);
    void dissolve(std::int32_t column, std::int32_t node);
    void dissolve(std::int32_t node, InColumn digits);
    void rewrite_some(std::int32_t column);
    void expand_one(std::int32_t column);
    void expand(std::int32_t column, Digit digit);
    bool only_subtracts(std::int32_t column) const {
        return std::ranges::all_of(digits_[static_cast<std::size_t>(column)], &Digit::minus);
    }
    bool contract(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus);
    bool rewrite(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus, int sum);
    void undo();
    std::int64_t most(std::int32_t column) const;
    std::size_t kept(const Saved& saved) const;
    std::uint64_t random();
    std::uint32_t below(std::uint32_t bound);

    Interrupt interrupt_;
    std::int32_t inputs_;
    std::vector<Node> nodes_;
    std::vector<Spread> spread_;  // of each node
    std::vector<std::array<std::uint16_t, 64>> partners_;  // of each node, how many patterns it has with nodes of a number modulo 64
    std::vector<std::int32_t> outputs_;
    std::vector<std::vector<std::int32_t>> parts_;  // columns of each output
    std::uint64_t limit_;
    std::vector<std::uint64_t> loads_;
    std::vector<std::int64_t> costs_;  // of each output's sum
    std::vector<std::vector<Digit>> digits_;
    std::vector<std::int64_t> most_;  // of each column
    InputPairs input_pairs_;
    NodesByKey made_;
    std::priority_queue<Rank> queue_;
    std::int64_t cost_ = 0;
    std::uint64_t given_ = 0;  // digits at the start
    std::uint64_t steps_ = 0;
    std::uint64_t noise_ = 0;   // of this iteration; 0: none
    std::uint64_t warmth_ = 0;  // how much worse an iteration may leave things, in 16ths of a full adder
    std::uint64_t random_ = 1;

    // What the last iteration changed.
    std::vector<Saved> saved_;
    std::size_t saved_count_ = 0;          // the rest of them only keeps its memory
    std::vector<std::uint64_t> saved_in_;  // by column, the iteration in which it was saved
    std::uint64_t iteration_ = 0;
    std::vector<std::int32_t> born_, died_, dying_, free_, free_before_;
    std::size_t size_before_ = 0;
    std::vector<std::pair<std::size_t, std::int64_t>> costs_before_;

    std::vector<Key> considered_;
    Found found_;
    std::vector<Key> ahead_;               // patterns that are looked up together
    std::vector<std::int64_t> ahead_saved_;  // what they save
    std::vector<std::int32_t> sorted_;
    std::vector<Summand> terms_;
    std::vector<std::size_t> changed_;
    std::vector<std::uint32_t> tallies_;
    mutable Sum sum_;
};

}  // namespace bitsmith
