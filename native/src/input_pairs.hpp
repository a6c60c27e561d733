// SPDX-License-Identifier: Apache-2.0
// How often each pattern of two inputs occurs while digits of inputs are only removed: a table without holes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "patterns.hpp"

namespace bitsmith {

/// Counts of patterns of inputs. They tell in which form numbers have more in common, and save searching columns.
class InputPairs {
public:
    /// A table that counts nothing.
    InputPairs() = default;

    /// For so many inputs, whose digits have positions up to `last`; counts nothing if that takes more than 64 MB.
    InputPairs(std::int32_t inputs, int last) : inputs_(inputs), last_(last) {
        const std::size_t size = static_cast<std::size_t>(inputs) * static_cast<std::size_t>(inputs) * shifts() * 2;
        if (size > (std::size_t{1} << 24)) {
            inputs_ = 0;
        } else {
            counts_.resize(size);
        }
    }

    /// True if occurrences of the pattern are counted.
    bool counts(const Pattern& pattern) const { return pattern.b < inputs_; }

    /// How many patterns the table has a place for.
    std::size_t size() const { return counts_.size(); }

    std::uint32_t& at(const Pattern& pattern) { return counts_[place_of(pattern)]; }
    std::uint32_t at(const Pattern& pattern) const { return counts_[place_of(pattern)]; }
    std::uint32_t at(const Digit& one, const Digit& other) const { return counts_[place_of(pattern_of(key_of(one, other)))]; }

    /// A digit comes to `others` in a column.
    void insert(const Digit& fresh, std::span<const Digit> others) {
        for (const Digit& other : others) ++counts_[place_of(pattern_of(key_of(fresh, other)))];
    }

    /// A digit leaves a column, in which `others` stay.
    void remove(const Digit& gone, std::span<const Digit> others) {
        if (gone.node() >= inputs_) return;
        for (const Digit& other : others) {
            if (other.node() >= inputs_) continue;
            std::uint32_t& count = at(pattern_of(key_of(gone, other)));
            if (count) --count;  // what occurs once may not have been noted
        }
    }

private:
    std::size_t place_of(const Pattern& pattern) const {
        const std::size_t row = static_cast<std::size_t>(pattern.b) * static_cast<std::size_t>(inputs_);
        const std::size_t pair = row + static_cast<std::size_t>(pattern.a);
        return (pair * shifts() + static_cast<std::size_t>(pattern.shift + last_)) * 2 + pattern.opposite;
    }

    std::size_t shifts() const { return 2 * static_cast<std::size_t>(last_) + 1; }

    std::int32_t inputs_ = 0;
    int last_ = 0;
    std::vector<std::uint32_t> counts_;
};

}  // namespace bitsmith
