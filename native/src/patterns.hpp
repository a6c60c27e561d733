// SPDX-License-Identifier: Apache-2.0
// Digits and patterns of two of them as 64-bit words, and the nodes made of patterns.

#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitsmith {

/// A digit of a column: a node shifted left by a position, subtracted if minus. One word, in the order of node and position.
class Digit {
public:
    Digit(std::int32_t node, int position, bool minus)
        : word_(static_cast<std::uint64_t>(node) << kNode | static_cast<std::uint64_t>(position) << 1 | static_cast<std::uint64_t>(minus)) {}

    std::int32_t node() const { return static_cast<std::int32_t>(word_ >> kNode); }
    int position() const { return static_cast<int>(word_ & kPosition) >> 1; }
    bool minus() const { return (word_ & 1) != 0; }
    std::uint64_t word() const { return word_; }

    bool operator==(const Digit&) const = default;

    static constexpr int kNode = 16;
    static constexpr std::uint64_t kPosition = (1 << kNode) - 2;

private:
    std::uint64_t word_;
};

/// Node `a` with node `b` shifted by `shift` (which may be negative) against it, of equal or opposite sign.
struct Pattern {
    std::int32_t a{};
    std::int32_t b{};
    std::int32_t shift{};
    bool opposite = false;
};

/// A pattern as a number, in the order of (a, b, shift, opposite).
using Key = std::uint64_t;

inline constexpr int kNodeBits = 24;
inline constexpr int kShiftBits = 15;
inline constexpr int kShiftBias = 1 << (kShiftBits - 1);

inline Key key_of(const Pattern& pattern) {
    return static_cast<Key>(pattern.a) << (kNodeBits + kShiftBits + 1) | static_cast<Key>(pattern.b) << (kShiftBits + 1) |
           static_cast<Key>(pattern.shift + kShiftBias) << 1 | static_cast<Key>(pattern.opposite);
}

/// The key of the pattern of two digits.
inline Key key_of(const Digit& first, const Digit& second) {
    constexpr int bits = Digit::kNode;
    const Key a = std::min(first.word(), second.word()), b = std::max(first.word(), second.word());
    const Key shift = (b & Digit::kPosition) - (a & Digit::kPosition) + (kShiftBias << 1);
    return a >> bits << (kNodeBits + bits) | b >> bits << bits | shift | ((a ^ b) & 1);
}

inline Pattern pattern_of(Key key) {
    constexpr Key mask = (Key{1} << kNodeBits) - 1;
    return {static_cast<std::int32_t>(key >> (kNodeBits + kShiftBits + 1)), static_cast<std::int32_t>(key >> (kShiftBits + 1) & mask),
            static_cast<std::int32_t>(key >> 1 & ((1 << kShiftBits) - 1)) - kShiftBias, (key & 1) != 0};
}

/// Nodes by the keys of their patterns: a hash table with open addressing.
class NodesByKey {
public:
    NodesByKey() : slots_(std::size_t{1} << kFirstBits), sieve_(slots_.size() << kSieveBits) {}

    /// The node of `key`, -1 if there is none.
    std::int32_t find(Key key) const { return has_passed(key) ? slots_[place_of(key)].node : -1; }

    void put(Key key, std::int32_t node) {
        if (2 * ++used_ > slots_.size()) grow();
        slots_[place_of(key)] = {key, node};
        ++sieve_[place_in_sieve(key)];
    }

    /// Take out a key that is there, and move those up that were put further on because its place was taken.
    void erase(Key key) {
        const std::size_t mask = slots_.size() - 1;
        std::size_t hole = place_of(key);
        --sieve_[place_in_sieve(key)];
        for (std::size_t next = (hole + 1) & mask; slots_[next].node >= 0; next = (next + 1) & mask) {
            const std::size_t distance = (next - first_place_of(slots_[next].key)) & mask;
            if (distance < ((next - hole) & mask)) continue;
            slots_[hole] = slots_[next];
            hole = next;
        }
        slots_[hole] = Slot{};
        --used_;
    }

private:
    static constexpr int kFirstBits = 8;
    static constexpr int kSieveBits = 3;
    struct Slot {
        Key key{};
        std::int32_t node = -1;
    };

    // Only the top bits of the product depend on all bits of the key.
    std::size_t first_place_of(Key key) const { return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> drop_); }
    std::size_t place_in_sieve(Key key) const { return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> (drop_ - kSieveBits)); }

    /// False for most keys that are not there: fifteen of sixteen cells are 0.
    bool has_passed(Key key) const { return sieve_[place_in_sieve(key)] != 0; }

    std::size_t place_of(Key key) const {
        std::size_t place = first_place_of(key);
        while (slots_[place].node >= 0 && slots_[place].key != key) place = (place + 1) & (slots_.size() - 1);
        return place;
    }

    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        --drop_;
        sieve_.assign(slots_.size() << kSieveBits, 0);
        for (const Slot& slot : old) {
            if (slot.node < 0) continue;
            slots_[place_of(slot.key)] = slot;
            ++sieve_[place_in_sieve(slot.key)];
        }
    }

    std::vector<Slot> slots_;
    std::vector<std::uint16_t> sieve_;  // how many keys have this place
    std::size_t used_ = 0;
    int drop_ = 64 - kFirstBits;
};

}  // namespace bitsmith
