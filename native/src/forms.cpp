// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "sharing.hpp"

namespace bitsmith {
namespace {

constexpr int kSweeps = 2;
constexpr std::size_t kMostCounts = 1 << 18;  // patterns that may be counted

}  // namespace

/// Write 4 - 1 as 2 + 1 where the patterns that this makes are more frequent than those that were there.
void Sharing::choose_forms() {
    if (input_pairs_.size() == 0 || input_pairs_.size() > kMostCounts) return;
    for (const std::vector<Digit>& column : digits_) {
        const std::span<const Digit> all = column;
        for (std::size_t k = 0; k < all.size(); ++k) input_pairs_.insert(all[k], all.first(k));
    }
    const auto columns = static_cast<std::int32_t>(digits_.size());
    for (std::int32_t k = 0; k < kSweeps * columns; ++k) {
        interrupt_();
        const std::int32_t column = k % columns;
        sorted_.clear();
        for (const Digit& digit : digits(column)) sorted_.push_back(digit.node());
        std::ranges::sort(sorted_);
        sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
        for (const std::int32_t node : sorted_) choose_forms(column, node);
    }
}

/// Choose the forms of the digits of one input in a column, from the lowest pair on.
void Sharing::choose_forms(std::int32_t column, std::int32_t node) {
    std::uint64_t above = ~std::uint64_t{0};
    while (true) {
        const auto [plus, minus] = find(node, column)->masks;
        const std::uint64_t pairs = ((plus >> 2 & minus) | (minus >> 2 & plus)) & ~((plus | minus) >> 1) & above;
        if (!pairs) return;
        const int low = std::countr_zero(pairs);
        const bool sign = (minus >> (low + 2) & 1) != 0;
        const std::array<Digit, 2> now{Digit(node, low + 2, sign), Digit(node, low, !sign)};
        const std::array<Digit, 2> other{Digit(node, low + 1, sign), Digit(node, low, sign)};
        above = ~std::uint64_t{1} << low;
        if (!more_in_common(column, now, other)) continue;
        for (const Digit& digit : now) remove(column, node, digit.position());
        for (const Digit& digit : other) {
            input_pairs_.insert(digit, digits(column));
            insert(column, digit);
        }
    }
}

/// True if the patterns of two digits with the rest of their column are less frequent elsewhere than they would be as `other` two.
bool Sharing::more_in_common(std::int32_t column, const std::array<Digit, 2>& now, const std::array<Digit, 2>& other) const {
    const auto count = [&](const Digit& a, const Digit& b) { return static_cast<std::int64_t>(input_pairs_.at(a, b)); };
    std::int64_t gain = count(other[0], other[1]) - count(now[0], now[1]) + 1;
    for (const Digit& each : digits_[static_cast<std::size_t>(column)]) {
        if (each == now[0] || each == now[1]) continue;
        gain += count(other[0], each) + count(other[1], each) - count(now[0], each) - count(now[1], each) + 2;
    }
    return gain > 0;
}

}  // namespace bitsmith
