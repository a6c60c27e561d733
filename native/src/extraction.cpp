// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "sharing.hpp"

namespace bitsmith {
namespace {

constexpr std::uint64_t kNoise = 512;   // in 1024ths of what patterns save
constexpr std::int64_t kLevels = 1 << 16;  // savings that are told apart

}  // namespace

bool Sharing::Rank::operator<(const Rank& other) const {
    return gain != other.gain ? gain < other.gain : key > other.key;
}

/// Patterns by what they save at most; of equal ones that with the newest node is first.
class Sharing::Levels {
public:
    void push(std::int64_t saving, Key key) {
        const auto level = static_cast<std::size_t>(std::min(saving, kLevels - 1));
        if (level >= keys_.size()) keys_.resize(level + 1);
        keys_[level].push_back(key);
        std::ranges::push_heap(keys_[level], {}, newest);
        top_ = std::max(top_, level);
    }

    /// Take out the first, with what it is said to save; false if there are none.
    bool pop(std::int64_t& saving, Key& key) {
        while (top_ > 0 && keys_[top_].empty()) {
            keys_[top_].shrink_to_fit();
            --top_;
        }
        if (top_ == 0) return false;
        std::ranges::pop_heap(keys_[top_], {}, newest);
        saving = static_cast<std::int64_t>(top_);
        key = keys_[top_].back();
        keys_[top_].pop_back();
        return true;
    }

private:
    static std::pair<std::int32_t, Key> newest(Key key) { return {pattern_of(key).b, ~key}; }

    std::vector<std::vector<Key>> keys_{1};
    std::size_t top_ = 0;
};

void Sharing::run() {
    Levels levels;
    input_pairs_ = InputPairs(inputs_, last_position());
    for (std::int32_t node = 0; node < inputs_; ++node) {
        interrupt_();
        tally(node, levels);
    }
    std::int64_t most = 0;
    Key key = 0;
    for (std::uint64_t step = 0; levels.pop(most, key); ++step) {
        if (step % 256 == 0) interrupt_();
        const Pattern pattern = pattern_of(key);
        const std::int64_t saved = saving(possible(pattern), made_.contains(key), pattern);
        if (std::min(saved, kLevels - 1) == most) {
            find_occurrences(pattern);
            tally(extract(pattern, key), levels);
        } else if (saved > 0) {
            levels.push(saved, key);
        }
    }
    input_pairs_ = InputPairs();
    bury();
    recount();
}

/// The highest position of a digit.
int Sharing::last_position() const {
    int last = 0;
    for (const std::vector<Digit>& column : digits_) {
        for (const Digit& digit : column) last = std::max<int>(last, digit.position);
    }
    return last;
}

/// Count the patterns of a node with itself and those before it, and queue those that save something.
void Sharing::tally(std::int32_t node, Levels& levels) {
    constexpr std::size_t kShifts = 128;
    tallies_.resize(std::max(tallies_.size(), (static_cast<std::size_t>(node) + 1) * kShifts * 2));
    std::vector<std::size_t> seen;
    for (const InColumn& place : at(node).columns) {
        for (std::uint64_t left = place.taken(); left; left &= left - 1) {
            const int position = std::countr_zero(left);
            const bool minus = place.masks[1] >> position & 1;
            for (const Digit& other : digits(place.column)) {
                if (other.node > node || (other.node == node && other.position >= position)) continue;
                const auto shift = static_cast<std::size_t>(position - other.position + static_cast<int>(kShifts / 2));
                const std::size_t index = (static_cast<std::size_t>(other.node) * kShifts + shift) * 2 + (minus != other.minus);
                if (tallies_[index]++ == 0) seen.push_back(index);
            }
            steps_ += digits(place.column).size();
        }
    }
    for (const std::size_t index : seen) {
        const std::uint32_t count = tallies_[index];
        tallies_[index] = 0;
        if (count < 2) continue;
        const Pattern pattern{static_cast<std::int32_t>(index / 2 / kShifts), node,
                              static_cast<std::int32_t>(index / 2 % kShifts) - static_cast<int>(kShifts / 2), index % 2 != 0};
        if (input_pairs_.counts(pattern)) input_pairs_.at(pattern) = count;
        const std::int64_t saved = saving(count, false, pattern);
        if (saved > 0) levels.push(saved, key_of(pattern));
    }
}

/// How often a pattern can be replaced.
std::uint32_t Sharing::possible(const Pattern& pattern) {
    const bool free = !limit_ || !added_load(at(pattern.a).range.arrival, at(pattern.b).range.arrival);
    if (free && pattern.a != pattern.b && input_pairs_.counts(pattern)) return input_pairs_.at(pattern);
    find_occurrences(pattern);
    return static_cast<std::uint32_t>(found_.size());
}

void Sharing::rebuild() {
    enqueue_touched();
    for (std::uint64_t step = 0; !queue_.empty(); ++step) {
        if (step % 256 == 0) interrupt_();
        const Rank rank = queue_.top();
        queue_.pop();
        Count& count = counts_[rank.key];
        if (count.queued != rank.count) {
            counts_.tidy(rank.key);
            continue;
        }
        count.queued = 0;
        const std::uint32_t now = count.now;
        counts_.tidy(rank.key);
        if (now < rank.count) {
            enqueue(rank.key, now);
            continue;
        }
        const Pattern pattern = pattern_of(rank.key);
        find_occurrences(pattern);
        const auto possible = static_cast<std::uint32_t>(found_.size());
        if (possible == rank.count) {
            extract(pattern, rank.key);
            enqueue_touched();
        } else {
            enqueue(rank.key, possible);
        }
    }
    bury();
}

/// Queue a pattern that can be replaced `possible` times, if that saves something.
void Sharing::enqueue(Key key, std::uint32_t possible) {
    const Count count = counts_.get(key);
    if (possible < (count.made ? 1u : 2u) || possible == count.queued) return;
    const std::uint64_t rank = gain(possible, count.made, pattern_of(key), key);
    if (!rank) return;
    counts_[key].queued = possible;
    queue_.push({rank, possible, key});
}

void Sharing::enqueue_touched() {
    for (const Key key : touched_) enqueue(key, counts_.get(key).now);
    touched_.clear();
}

std::uint64_t Sharing::gain(std::uint32_t count, bool made, const Pattern& pattern, Key key) const {
    const std::int64_t saved = saving(count, made, pattern);
    if (saved <= 0) return 0;
    const std::uint64_t factor = 1024 + (noise_ ? mixed(key ^ noise_) % kNoise : 0);
    return (static_cast<std::uint64_t>(saved) * factor << kNodeBits) + static_cast<std::uint64_t>(pattern.b);
}

/// Half full adders, as `Sharing._saving` in Python explains.
std::int64_t Sharing::saving(std::uint32_t count, bool made, const Pattern& pattern) const {
    const Adder adder = adder_of(pattern);
    const Range &a = at(adder.a).range, &b = at(adder.b).range;
    const std::int64_t cost = adder.cost(adder.range(a, b));
    const int apart = std::abs(a.span() + adder.shift_a - b.span() - adder.shift_b);
    return count * (2 * cost - apart) - (made ? 0 : 2 * cost);
}

/// Occurrences that share no digit and that the limit allows, in order of column and position.
void Sharing::find_occurrences(const Pattern& pattern) {
    const bool fewer = at(pattern.a).columns.size() < at(pattern.b).columns.size();
    const std::vector<InColumn>& few = at(fewer ? pattern.a : pattern.b).columns;
    const std::vector<InColumn>& many = at(fewer ? pattern.b : pattern.a).columns;
    room_.clear();
    found_.clear();
    auto other = many.begin();
    for (const InColumn& each : few) {
        other = first_from(each.column, other, many);
        if (other == many.end()) return;
        if (other->column == each.column) fewer ? find_in(each, *other, pattern) : find_in(*other, each, pattern);
    }
}

/// The first of a list, from `start` on, that is in `column` or a later one.
auto Sharing::first_from(std::int32_t column, Places start, const std::vector<InColumn>& list) const -> Places {
    if (start == list.end() || start->column >= column) return start;
    // Each entry is in another column, so it is no farther than the columns between.
    const auto end = start + std::min<std::ptrdiff_t>(column - start->column + 1, list.end() - start);
    if (2 * list.size() > digits_.size()) {
        auto place = end;
        while ((place - 1)->column >= column) --place;
        return place;
    }
    return std::lower_bound(start, end, column, [](const InColumn& each, std::int32_t sought) { return each.column < sought; });
}

/// Occurrences in one column, where the nodes of the pattern have these digits.
void Sharing::find_in(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern) {
    std::uint64_t match[2];
    for (const int minus : {0, 1}) {
        const std::uint64_t partner = of_b.masks[minus ^ static_cast<int>(pattern.opposite)];
        match[minus] = of_a.masks[minus] & (pattern.shift >= 0 ? partner >> pattern.shift : partner << -pattern.shift);
    }
    std::uint64_t used = 0;
    for (std::uint64_t left = match[0] | match[1]; left; left &= left - 1) {
        const int position = std::countr_zero(left);
        if (pattern.a == pattern.b) {
            const std::uint64_t both = std::uint64_t{1} << position | std::uint64_t{1} << (position + pattern.shift);
            if (used & both) continue;
            used |= both;
        }
        if (!take_room(of_a.column, pattern)) return;
        found_.push_back({of_a.column, static_cast<std::int16_t>(position), (match[1] >> position & 1) != 0});
    }
}

/// Return False if the limit of the column's output allows no further occurrence; else count one.
bool Sharing::take_room(std::int32_t column, const Pattern& pattern) {
    if (!limit_) return true;
    const std::uint64_t added = added_load(at(pattern.a).range.arrival, at(pattern.b).range.arrival);
    if (!added) return true;
    std::uint64_t& free = room_.try_emplace(output(column), (limit_ - loads_[output(column)]) / added).first->second;
    if (!free) return false;
    --free;
    return true;
}

/// Put one digit of the pattern's node in place of each occurrence.
std::int32_t Sharing::extract(const Pattern& pattern, Key key) {
    const auto known = made_.find(key);
    const std::int32_t node = known == made_.end() ? make(pattern, key) : known->second;
    const bool swapped = pattern.opposite && pattern.shift < 0;
    const std::vector<Occurrence> found = found_;
    for (const Occurrence& each : found) {
        touch(each.column);
        remove(each.column, pattern.a, each.position);
        remove(each.column, pattern.b, each.position + pattern.shift);
        const auto position = static_cast<std::int16_t>(each.position + std::min(pattern.shift, 0));
        insert(each.column, {node, position, each.minus != swapped});
    }
    return node;
}

}  // namespace bitsmith
