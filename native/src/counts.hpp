// SPDX-License-Identifier: Apache-2.0
// Patterns as 64-bit keys, and what is known of each: a hash table with open addressing.

#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bitsmith {

/// A digit of a column: `node` shifted left by `position`, subtracted if `minus`.
struct Digit {
    std::int32_t node = 0;
    std::int16_t position = 0;
    bool minus = false;

    bool operator==(const Digit&) const = default;
};

/// Node `a` with node `b` shifted by `shift` (which may be negative) against it, of equal or opposite sign.
struct Pattern {
    std::int32_t a = 0;
    std::int32_t b = 0;
    std::int32_t shift = 0;
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

inline Pattern pattern_of(const Digit& first, const Digit& second) {
    const bool ordered = first.node != second.node ? first.node < second.node : first.position < second.position;
    const Digit &a = ordered ? first : second, &b = ordered ? second : first;
    return {a.node, b.node, b.position - a.position, a.minus != b.minus};
}

inline Key key_of(const Digit& first, const Digit& second) { return key_of(pattern_of(first, second)); }

inline Pattern pattern_of(Key key) {
    constexpr Key mask = (Key{1} << kNodeBits) - 1;
    return {static_cast<std::int32_t>(key >> (kNodeBits + kShiftBits + 1)), static_cast<std::int32_t>(key >> (kShiftBits + 1) & mask),
            static_cast<std::int32_t>(key >> 1 & ((1 << kShiftBits) - 1)) - kShiftBias, (key & 1) != 0};
}

/// How often a pattern occurs, with which count it is queued (0: not), and whether a node has it.
struct Count {
    std::uint32_t now = 0;
    std::uint32_t queued : 31 = 0;
    std::uint32_t made : 1 = 0;

    bool empty() const { return !now && !queued && !made; }
};

/// Counts by key. Entries that become empty are taken out, so that the table stays small enough for caches.
class Counts {
public:
    Counts() : slots_(1024) {}

    /// Have the entry of `key` fetched from memory, for use soon.
    void prefetch(Key key) const {
#if defined(__GNUC__)
        __builtin_prefetch(&slots_[place_of(key)], 1);
#else
        static_cast<void>(key);
#endif
    }

    /// The entry of `key`, made if there is none; valid until the next call.
    Count& operator[](Key key) {
        std::size_t place = find(key);
        if (slots_[place].key == kFree) {
            if (2 * (used_ + 1) > slots_.size()) {
                grow();
                place = find(key);
            }
            slots_[place].key = key;
            ++used_;
        }
        return slots_[place].count;
    }

    /// The entry of `key`, or an empty one.
    Count get(Key key) const { return slots_[find(key)].count; }

    /// One occurrence of `key` less.
    void decrease(Key key) {
        const std::size_t place = find(key);
        --slots_[place].count.now;
        if (slots_[place].count.empty()) erase(place);
    }

    /// Take out the entry of `key` if it is empty.
    void tidy(Key key) {
        const std::size_t place = find(key);
        if (slots_[place].key != kFree && slots_[place].count.empty()) erase(place);
    }

private:
    static constexpr Key kFree = ~Key{0};
    struct Slot {
        Key key = kFree;
        Count count;
    };

    std::size_t place_of(Key key) const {
        // Only the top bits of the product depend on all bits of the key.
        return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> (64 - std::countr_zero(slots_.size())));
    }

    std::size_t find(Key key) const {
        std::size_t place = place_of(key);
        while (slots_[place].key != key && slots_[place].key != kFree) place = (place + 1) & (slots_.size() - 1);
        return place;
    }

    /// Free a slot, and move those up that were put further on because it was taken.
    void erase(std::size_t hole) {
        const std::size_t mask = slots_.size() - 1;
        for (std::size_t next = (hole + 1) & mask; slots_[next].key != kFree; next = (next + 1) & mask) {
            const std::size_t distance = (next - place_of(slots_[next].key)) & mask;
            if (distance < ((next - hole) & mask)) continue;
            slots_[hole] = slots_[next];
            hole = next;
        }
        slots_[hole] = Slot{};
        --used_;
    }

    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.key != kFree) slots_[find(slot.key)] = slot;
        }
    }

    std::vector<Slot> slots_;
    std::size_t used_ = 0;
};

}  // namespace bitsmith
