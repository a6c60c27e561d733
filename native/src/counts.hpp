// Patterns as 64-bit keys, and how often each occurs: a hash table with open addressing.

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
inline constexpr int kShiftBias = 128;

inline Key key_of(const Digit& first, const Digit& second) {
    const bool ordered =
        first.node != second.node ? first.node < second.node : first.position < second.position;
    const Digit &a = ordered ? first : second, &b = ordered ? second : first;
    return static_cast<Key>(a.node) << (kNodeBits + 9) | static_cast<Key>(b.node) << 9 |
           static_cast<Key>(b.position - a.position + kShiftBias) << 1 | static_cast<Key>(a.minus != b.minus);
}

inline Pattern pattern_of(Key key) {
    constexpr Key mask = (Key{1} << kNodeBits) - 1;
    return {static_cast<std::int32_t>(key >> (kNodeBits + 9)), static_cast<std::int32_t>(key >> 9 & mask),
            static_cast<std::int32_t>(key >> 1 & 0xFF) - kShiftBias, (key & 1) != 0};
}

/// How often a pattern occurs, and with which count it is queued (0: not).
struct Count {
    std::uint32_t now = 0;
    std::uint32_t queued = 0;
};

/// Counts by key; entries that are zero vanish when the table grows.
class Counts {
public:
    Counts() : slots_(1024) {}

    /// The entry of `key`, made if there is none; valid until the next call.
    Count& operator[](Key key) {
        if (2 * (used_ + 1) > slots_.size()) grow();
        Slot& slot = find(key);
        if (slot.key == kFree) {
            slot.key = key;
            ++used_;
        }
        return slot.count;
    }

    template <typename Visit>
    void each(Visit visit) {
        for (Slot& slot : slots_) {
            if (slot.key != kFree) visit(slot.key, slot.count);
        }
    }

private:
    static constexpr Key kFree = ~Key{0};
    struct Slot {
        Key key = kFree;
        Count count;
    };

    Slot& find(Key key) {
        const std::size_t mask = slots_.size() - 1;
        std::size_t place = static_cast<std::size_t>(key * 0x9E3779B97F4A7C15u >> 20) & mask;
        while (slots_[place].key != key && slots_[place].key != kFree) place = (place + 1) & mask;
        return slots_[place];
    }

    void grow() {
        std::size_t live = 0;
        for (const Slot& slot : slots_) live += slot.key != kFree && (slot.count.now || slot.count.queued);
        std::vector<Slot> old(std::max<std::size_t>(1024, std::bit_ceil(4 * (live + 1))));
        old.swap(slots_);
        used_ = 0;
        for (const Slot& slot : old) {
            if (slot.key == kFree || !(slot.count.now || slot.count.queued)) continue;
            find(slot.key) = slot;
            ++used_;
        }
    }

    std::vector<Slot> slots_;
    std::size_t used_ = 0;
};

}  // namespace bitsmith
