#include "sharing.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace bitsmith {
namespace {

constexpr std::uint64_t kCountLimit = (1u << kNodeBits) - 1;

/// The adder of a pattern: a plus or minus b, or b minus a if `swapped`.
Adder adder_of(const Pattern& pattern, bool swapped) {
    const std::int32_t shift_a = std::max(-pattern.shift, 0), shift_b = std::max(pattern.shift, 0);
    if (swapped) return {pattern.b, pattern.a, shift_b, shift_a, true};
    return {pattern.a, pattern.b, shift_a, shift_b, pattern.opposite};
}

struct Match {
    int position;
    bool minus;
};

/// Digits of `a` that form the pattern with a digit of `b`, each digit used once, by rising position.
void find_matches(const std::uint64_t (&in_a)[2], const std::uint64_t (&in_b)[2], const Pattern& pattern,
                  std::vector<Match>& found) {
    found.clear();
    std::uint64_t of_sign[2];
    for (int minus = 0; minus < 2; ++minus) {
        const std::uint64_t partner = in_b[minus ^ static_cast<int>(pattern.opposite)];
        of_sign[minus] = in_a[minus] & (pattern.shift >= 0 ? partner >> pattern.shift : partner << -pattern.shift);
    }
    std::uint64_t used = 0;
    for (std::uint64_t left = of_sign[0] | of_sign[1]; left; left &= left - 1) {
        const int position = std::countr_zero(left);
        if (pattern.a == pattern.b) {
            const std::uint64_t both = std::uint64_t{1} << position | std::uint64_t{1} << (position + pattern.shift);
            if (used & both) continue;
            used |= both;
        }
        found.push_back({position, (of_sign[1] >> position & 1) != 0});
    }
}

}  // namespace

Sharing::Sharing(Nodes& nodes, const std::vector<Column>& columns, std::vector<std::int32_t> outputs, int latest)
    : nodes_(nodes),
      outputs_(std::move(outputs)),
      load_limit_(std::uint64_t{1} << latest),
      masks_(static_cast<std::size_t>(nodes.count())),
      digits_(columns.size()) {
    std::int32_t last = -1;
    for (const std::int32_t output : outputs_) last = std::max(last, output);
    loads_.resize(static_cast<std::size_t>(last + 1));
    for (std::size_t column = 0; column < columns.size(); ++column) {
        for (const ColumnEntry& entry : columns[column]) {
            masks_[static_cast<std::size_t>(entry.node)].push_back(
                {static_cast<std::int32_t>(column), {entry.plus, entry.minus}});
            for (const bool minus : {false, true}) {
                for (std::uint64_t left = minus ? entry.minus : entry.plus; left; left &= left - 1) {
                    digits_[column].push_back({entry.node, static_cast<std::int16_t>(std::countr_zero(left)), minus});
                    loads_[static_cast<std::size_t>(outputs_[column])] += std::uint64_t{1} << nodes_[entry.node].arrival;
                }
            }
        }
    }
}

void Sharing::run(const Interrupt& interrupt) {
    count_patterns(interrupt);
    for (std::uint64_t step = 0; !queue_.empty(); ++step) {
        if (step % 256 == 0) interrupt();
        const Rank rank = queue_.top();
        queue_.pop();
        const auto count = static_cast<std::uint32_t>(kCountLimit - (rank.order >> (kNodeBits + 16)));
        Count& entry = counts_[rank.key];
        if (entry.queued != count) continue;
        entry.queued = 0;
        if (entry.now < count) {
            requeue(rank, entry, entry.now);
            continue;
        }
        const Pattern pattern = pattern_of(rank.key);
        const std::vector<Occurrence> found = occurrences(pattern);
        if (found.size() < count) {
            requeue(rank, entry, static_cast<std::uint32_t>(found.size()));
        } else {
            extract(pattern, found);
        }
    }
}

std::vector<std::vector<Term>> Sharing::terms() const {
    std::vector<std::vector<Term>> found(loads_.size());
    for (std::size_t column = 0; column < digits_.size(); ++column) {
        for (const Digit& digit : digits_[column]) {
            found[static_cast<std::size_t>(outputs_[column])].push_back({digit.node, digit.position, digit.minus});
        }
    }
    return found;
}

void Sharing::count_patterns(const Interrupt& interrupt) {
    for (const std::vector<Digit>& digits : digits_) {
        interrupt();
        for (std::size_t i = 1; i < digits.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) ++counts_[key_of(digits[j], digits[i])].now;
        }
    }
    counts_.each([this](Key key, Count& count) {
        if (count.now > 1) enqueue(key, count);
    });
}

void Sharing::enqueue(Key key, Count& count) {
    const Pattern pattern = pattern_of(key);
    const Range range = nodes_.range_of(adder_of(pattern, false));
    const auto skew = static_cast<std::uint64_t>(std::abs(nodes_[pattern.a].arrival - nodes_[pattern.b].arrival));
    const auto width = static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint64_t>(range.high - range.low)));
    count.queued = count.now;
    const std::uint64_t order = (kCountLimit - count.now) << (kNodeBits + 16) |
                                (kCountLimit - static_cast<std::uint64_t>(pattern.b)) << 16 | skew << 8 | width;
    queue_.push({order, key});
}

void Sharing::requeue(const Rank& rank, Count& entry, std::uint32_t count) {
    if (count < 2) return;
    entry.queued = count;
    constexpr std::uint64_t rest = (std::uint64_t{1} << (kNodeBits + 16)) - 1;
    queue_.push({(kCountLimit - count) << (kNodeBits + 16) | (rank.order & rest), rank.key});
}

std::vector<Sharing::Occurrence> Sharing::occurrences(const Pattern& pattern) const {
    const std::vector<Masks>& in_a = masks_[static_cast<std::size_t>(pattern.a)];
    const std::vector<Masks>& in_b = masks_[static_cast<std::size_t>(pattern.b)];
    const int arrival_a = nodes_[pattern.a].arrival, arrival_b = nodes_[pattern.b].arrival;
    const std::uint64_t added =
        (std::uint64_t{2} << std::max(arrival_a, arrival_b)) - (std::uint64_t{1} << arrival_a) - (std::uint64_t{1} << arrival_b);
    std::vector<std::pair<std::int32_t, std::uint64_t>> taken;  // per output, how often; few
    std::vector<Occurrence> found;
    std::vector<Match> matches;
    auto b = in_b.begin();
    for (const Masks& a : in_a) {
        while (b != in_b.end() && b->column < a.column) ++b;
        if (b == in_b.end()) break;
        if (b->column != a.column) continue;
        find_matches(a.of, b->of, pattern, matches);
        if (added && !matches.empty()) {
            const std::int32_t output = outputs_[static_cast<std::size_t>(a.column)];
            auto place = std::find_if(taken.begin(), taken.end(), [&](const auto& each) { return each.first == output; });
            if (place == taken.end()) place = taken.insert(taken.end(), {output, 0});
            const std::uint64_t room = (load_limit_ - loads_[static_cast<std::size_t>(output)]) / added - place->second;
            if (matches.size() > room) matches.resize(static_cast<std::size_t>(room));
            place->second += matches.size();
        }
        for (const Match& match : matches) found.push_back({a.column, match.position, match.minus});
    }
    return found;
}

void Sharing::extract(const Pattern& pattern, const std::vector<Occurrence>& found) {
    std::size_t minus_count = 0;
    for (const Occurrence& each : found) minus_count += each.minus;
    const bool swapped = pattern.opposite && 2 * minus_count > found.size();
    const std::int32_t node = nodes_.add(adder_of(pattern, swapped));
    masks_.resize(std::max(masks_.size(), static_cast<std::size_t>(node) + 1));
    const std::int32_t offset = std::min(pattern.shift, 0);
    grown_.clear();
    for (const Occurrence& each : found) {
        remove(each.column, pattern.a, each.position, each.minus);
        remove(each.column, pattern.b, each.position + pattern.shift, each.minus != pattern.opposite);
        insert(each.column, node, each.position + offset, each.minus != swapped);
    }
    for (const Key key : grown_) {
        Count& count = counts_[key];
        if (count.now > std::max(count.queued, 1u)) enqueue(key, count);
    }
}

Sharing::Masks& Sharing::masks(std::int32_t node, std::int32_t column) {
    std::vector<Masks>& of_node = masks_[static_cast<std::size_t>(node)];
    const auto before = [](const Masks& each, std::int32_t wanted) { return each.column < wanted; };
    auto place = std::lower_bound(of_node.begin(), of_node.end(), column, before);
    if (place == of_node.end() || place->column != column) place = of_node.insert(place, {column, {0, 0}});
    return *place;
}

void Sharing::remove(std::int32_t column, std::int32_t node, std::int32_t position, bool minus) {
    std::vector<Digit>& digits = digits_[static_cast<std::size_t>(column)];
    const auto place = std::find_if(digits.begin(), digits.end(), [&](const Digit& digit) {
        return digit.node == node && digit.position == position;
    });
    const Digit gone = *place;
    digits.erase(place);
    loads_[static_cast<std::size_t>(outputs_[static_cast<std::size_t>(column)])] -= std::uint64_t{1} << nodes_[node].arrival;
    Masks& held = masks(node, column);
    held.of[minus] ^= std::uint64_t{1} << position;
    if (!(held.of[0] | held.of[1])) {
        std::vector<Masks>& of_node = masks_[static_cast<std::size_t>(node)];
        of_node.erase(of_node.begin() + (&held - of_node.data()));
    }
    for (const Digit& digit : digits) --counts_[key_of(gone, digit)].now;
}

void Sharing::insert(std::int32_t column, std::int32_t node, std::int32_t position, bool minus) {
    std::vector<Digit>& digits = digits_[static_cast<std::size_t>(column)];
    const Digit fresh{node, static_cast<std::int16_t>(position), minus};
    for (const Digit& digit : digits) {
        const Key key = key_of(fresh, digit);
        if (++counts_[key].now > 1) grown_.push_back(key);
    }
    digits.push_back(fresh);
    loads_[static_cast<std::size_t>(outputs_[static_cast<std::size_t>(column)])] += std::uint64_t{1} << nodes_[node].arrival;
    masks(node, column).of[minus] |= std::uint64_t{1} << position;
}

}  // namespace bitsmith
