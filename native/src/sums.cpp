// SPDX-License-Identifier: Apache-2.0
#include "sums.hpp"

#include <algorithm>
#include <functional>

namespace bitsmith {
namespace {

constexpr std::uint64_t kJoinsAfter = std::uint64_t{1} << 39;
constexpr std::uint64_t kSumsAfter = std::uint64_t{1} << 40;
constexpr std::int32_t kMostShift = 1 << 16;

}  // namespace

Sum::Place Sum::place_of(std::int32_t partial, std::uint64_t order) const {
    const Partial& value = partials_[static_cast<std::size_t>(partial)];
    const auto top = static_cast<std::uint64_t>(value.range.span() + value.shift);
    const auto rank = top << kTop | static_cast<std::uint64_t>(kMostShift - value.shift) << 1 | static_cast<std::uint64_t>(value.minus);
    const auto size = static_cast<std::uint64_t>(value.range.high - value.range.low);
    return {rank, size, order, size << value.shift, partial, value.range.arrival};
}

std::int32_t Sum::joined(std::int32_t first, std::int32_t second) {
    const auto swapped = [](const Partial& a, const Partial& b) { return b.shift < a.shift || (b.shift == a.shift && a.minus && !b.minus); };
    if (swapped(partials_[static_cast<std::size_t>(first)], partials_[static_cast<std::size_t>(second)])) std::swap(first, second);
    const Partial &a = partials_[static_cast<std::size_t>(first)], &b = partials_[static_cast<std::size_t>(second)];
    const int apart = b.shift - a.shift;
    const Adder adder{0, 0, 0, apart, a.minus != b.minus};
    const int turn_cost = adder.subtract ? apart : std::min(a.turn_cost, b.turn_cost + apart);
    const Partial sum{adder.range(a.range, b.range), a.shift, a.minus, first, second, adder.subtract, turn_cost};
    cost_ += adder.paid(a.range, b.range);
    partials_.push_back(sum);
    return static_cast<std::int32_t>(partials_.size()) - 1;
}

/// Join terms that have no bit in common with a higher one of their sign, as far as there is time: that is wiring.
void Sum::join(Deadline& deadline) {
    const auto count = static_cast<std::int32_t>(partials_.size());
    const auto at = [&](std::int32_t partial) -> const Partial& { return partials_[static_cast<std::size_t>(partial)]; };
    if (std::ranges::none_of(partials_, [](const Partial& term) { return term.range.low >= 0; })) return;
    rising_.clear();
    for (std::int32_t term = 0; term < count; ++term) rising_.push_back(term);
    std::ranges::sort(rising_, {}, [&](std::int32_t term) { return std::pair(at(term).shift, term); });
    joined_.assign(partials_.size(), 0);
    std::uint64_t order = kJoinsAfter;
    for (std::size_t first = 0; first < rising_.size(); ++first) {
        std::int32_t lower = rising_[first];
        if (joined_[static_cast<std::size_t>(lower)]) continue;
        for (std::size_t second = first + 1; second < rising_.size() && at(lower).range.low >= 0; ++second) {
            const std::int32_t upper = rising_[second];
            if (joined_[static_cast<std::size_t>(upper)] || at(upper).minus != at(lower).minus) continue;
            if (at(upper).shift < at(lower).shift + at(lower).range.width()) continue;
            const std::uint64_t added = added_load(at(lower).range.arrival, at(upper).range.arrival);
            if (deadline.limit && deadline.load + added > deadline.limit) continue;
            deadline.load += added;
            joined_[static_cast<std::size_t>(upper)] = 1;
            joined_[static_cast<std::size_t>(rising_[first])] = 1;
            lower = joined(lower, upper);

        }
        if (lower >= count) waiting_.push_back(place_of(lower, order++));
    }
    std::erase_if(waiting_, [&](const Place& place) { return place.partial < count && joined_[static_cast<std::size_t>(place.partial)]; });
}

/// What to join a waiting value with: of those after it that the limit allows, the one with which the sum's top is least, that adds the
/// least load, and that fills it most. The value itself if there is none.
std::size_t Sum::fitting(std::size_t first, const Deadline& deadline) const {
    const Place& one = waiting_[first];
    std::size_t found = first;
    std::uint64_t least_top = 0, least_load = 0, most = 0;
    for (std::size_t k = first; k-- > 0;) {
        const Place& other = waiting_[k];
        if (found != first && other.top() > least_top) break;
        const std::uint64_t load = deadline.limit ? added_load(one.arrival, other.arrival) : 0;
        if (deadline.limit && deadline.load + load > deadline.limit) continue;
        const std::uint64_t size = one.scaled + other.scaled;
        const auto top = static_cast<std::uint64_t>(std::bit_width(size));
        if (found != first) {
            if (top > least_top || (top == least_top && load > least_load)) continue;
            if (top == least_top && load == least_load && size <= most) continue;
        }
        found = k;
        least_top = top;
        least_load = load;
        most = size;
    }
    return found;
}

/// Put the sum of two waiting values in its place among the others; `second` is before `first`.
void Sum::replace(std::size_t first, std::size_t second, const Place& sum) {
    std::size_t end = second;
    for (std::size_t k = second + 1; k < waiting_.size(); ++k) {
        if (k != first) waiting_[end++] = waiting_[k];
    }
    for (; end > 0 && sum > waiting_[end - 1]; --end) waiting_[end] = waiting_[end - 1];
    waiting_[end] = sum;
    waiting_.pop_back();
}

void Sum::plan(const std::vector<Summand>& terms, Deadline deadline) {
    partials_.clear();
    waiting_.clear();
    cost_ = 0;
    partials_.reserve(2 * terms.size());
    for (const auto& [term, range] : terms) {
        partials_.push_back({range, term.shift, term.minus});
        const auto order = static_cast<std::uint64_t>(term.node) * 64 + static_cast<std::uint64_t>(term.shift);
        waiting_.push_back(place_of(static_cast<std::int32_t>(partials_.size()) - 1, order));
    }
    join(deadline);
    std::ranges::sort(waiting_, std::greater());
    for (std::uint64_t order = kSumsAfter; waiting_.size() > 1; ++order) {
        std::size_t i = waiting_.size() - 1, j = fitting(i, deadline);
        while (j == i) j = fitting(--i, deadline);
        if (deadline.limit) deadline.load += added_load(waiting_[i].arrival, waiting_[j].arrival);
        const std::int32_t sum = joined(waiting_[i].partial, waiting_[j].partial);
        replace(i, j, place_of(sum, order));
    }
    const Partial& root = partials_.back();
    if (wrong()) cost_ += stays_negated() ? root.range.negated().width() + 1 : root.turn_cost;
}

std::int32_t Sum::node_of(Nodes& nodes, const std::vector<Summand>& terms, std::int32_t partial, bool turned) const {
    const Partial& value = partials_[static_cast<std::size_t>(partial)];
    if (value.left < 0) return terms[static_cast<std::size_t>(partial)].term.node;
    const Partial &a = partials_[static_cast<std::size_t>(value.left)], &b = partials_[static_cast<std::size_t>(value.right)];
    const int apart = b.shift - a.shift;
    const bool by_b = turned && !value.subtract && b.turn_cost + apart < a.turn_cost;
    const bool by_a = turned && !value.subtract && !by_b;
    const std::int32_t left = node_of(nodes, terms, value.left, by_a);
    const std::int32_t right = node_of(nodes, terms, value.right, by_b);
    if (by_b || (turned && value.subtract)) return nodes.add({right, left, apart, 0, true});
    return nodes.add({left, right, 0, apart, value.subtract || by_a});
}

Term Sum::build(Nodes& nodes, const std::vector<Summand>& terms) const {
    const Partial& root = partials_.back();
    const bool turned = wrong() && !stays_negated();
    const auto last = static_cast<std::int32_t>(partials_.size()) - 1;
    return {node_of(nodes, terms, last, turned), root.shift, root.minus && !turned};
}

}  // namespace bitsmith
