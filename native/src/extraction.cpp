// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "sharing.hpp"
#include "team.hpp"

namespace bitsmith {
namespace {

constexpr std::uint64_t kNoise = 512;   // in 1024ths of what patterns save
constexpr std::int64_t kLevels = 1 << 16;  // savings that are told apart
constexpr std::uint64_t kFewSteps = 500'000;  // of counting the inputs' patterns; fewer are no work for several threads
constexpr std::size_t kMembers = 4;
constexpr std::size_t kAhead = 2048;  // patterns that are looked up together at most

}  // namespace

bool Sharing::Rank::operator<(const Rank& other) const {
    if (gain != other.gain) return gain < other.gain;
    return key != other.key ? key > other.key : count > other.count;
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

    /// Take out the first ones of the highest level, `most` or as many as it has; false if there are none.
    bool pop(std::size_t most, std::size_t& level, std::vector<Key>& first) {
        while (top_ > 0 && keys_[top_].empty()) {
            keys_[top_].shrink_to_fit();
            --top_;
        }
        level = top_;
        first.clear();
        while (top_ > 0 && first.size() < most && !keys_[top_].empty()) {
            std::ranges::pop_heap(keys_[top_], {}, newest);
            first.push_back(keys_[top_].back());
            keys_[top_].pop_back();
        }
        return !first.empty();
    }

private:
    static std::pair<std::int32_t, Key> newest(Key key) { return {pattern_of(key).b, ~key}; }

    std::vector<std::vector<Key>> keys_{1};
    std::size_t top_ = 0;
};

void Sharing::run() {
    Levels levels;
    input_pairs_ = InputPairs(inputs_, last_position());
    choose_forms();
    for (std::int32_t node = 0; node < inputs_; ++node) {
        interrupt_();
        tally(node, levels);
    }
    // How many are looked up together must not depend on the machine, for patterns that a node has already may become more.
    const std::size_t ahead = steps_ >= kFewSteps ? kAhead : 1;
    Team team(ahead > 1 ? std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMembers) : 1);
    std::vector<Found> found(team.members(), Found{{}, std::vector<Room>(parts_.size()), 0});
    std::size_t most = 1, level = 0;
    for (std::uint64_t step = 0; levels.pop(most, level, ahead_); ++step) {
        if (most > 1 || step % 256 == 0) interrupt_();
        ahead_saved_.resize(ahead_.size());
        team.share(ahead_.size(), [&](std::size_t member, std::size_t first, std::size_t last) {
            for (std::size_t k = first; k < last; ++k) ahead_saved_[k] = most_saved(ahead_[k], found[member]);
        });
        most = take_first(static_cast<std::int64_t>(level), levels) ? 1 : std::min(2 * most, ahead);
    }
    input_pairs_ = InputPairs();
    bury();
    recount();
}

/// Extract the first of the patterns that were looked up that saves as much as was thought; the others wait again.
bool Sharing::take_first(std::int64_t level, Levels& levels) {
    std::int32_t taken = -1;
    Key taken_key = 0;
    for (std::size_t k = 0; k < ahead_.size(); ++k) {
        const Key key = ahead_[k];
        const Pattern pattern = pattern_of(key);
        std::int64_t saved = ahead_saved_[k];
        if (taken < 0 && std::min(saved, kLevels - 1) == level) {
            find_occurrences(pattern);
            taken = extract(pattern, key);
            taken_key = key;
            tally(taken, levels);
            continue;
        }
        if (taken >= 0 && (key == taken_key || pattern.a == taken || pattern.b == taken)) saved = level;  // may be more now
        if (saved > 0) levels.push(saved, key);
    }
    return taken >= 0;
}

/// The highest position of a digit.
int Sharing::last_position() const {
    int last = 0;
    for (const std::vector<Digit>& column : digits_) {
        for (const Digit& digit : column) last = std::max(last, digit.position());
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
            const std::uint64_t limit = Digit(node, position, false).word();
            for (const Digit& other : digits(place.column)) {
                if (other.word() >= limit) continue;
                const auto shift = static_cast<std::size_t>(position - other.position() + static_cast<int>(kShifts / 2));
                const std::size_t index = (static_cast<std::size_t>(other.node()) * kShifts + shift) * 2 + (minus != other.minus());
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

/// What a pattern saves now, so at most later.
std::int64_t Sharing::most_saved(Key key, Found& found) const {
    const Pattern pattern = pattern_of(key);
    const bool free = !limit_ || !added_load(at(pattern.a).range.arrival, at(pattern.b).range.arrival);
    const bool known = free && pattern.a != pattern.b && input_pairs_.counts(pattern);
    if (!known) find_occurrences(pattern, found);
    const std::uint32_t count = known ? input_pairs_.at(pattern) : static_cast<std::uint32_t>(found.places.size());
    return saving(count, made_.find(key) >= 0, pattern);
}

/// Extract the patterns of what is new in columns that save something, and those that come of it.
void Sharing::rebuild() {
    for (const Saved& saved : saved()) {
        const std::span<const Digit> all = digits(saved.column);
        for (std::size_t fresh = kept(saved); fresh < all.size(); ++fresh) consider(saved.column, all[fresh], all.first(fresh));
    }
    enqueue_considered();
    for (std::uint64_t step = 0; !queue_.empty(); ++step) {
        if (step % 256 == 0) interrupt_();
        const Rank rank = queue_.top();
        queue_.pop();
        const Pattern pattern = pattern_of(rank.key);
        find_occurrences(pattern);
        if (found_.places.size() != rank.count) {
            enqueue(rank.key);
            continue;
        }
        consider_all(extract(pattern, rank.key));
        enqueue_considered();
    }
    bury();
}

/// Queue a pattern of which the occurrences were found, if replacing them saves something.
void Sharing::enqueue(Key key) {
    const bool made = made_.find(key) >= 0;
    const auto count = static_cast<std::uint32_t>(found_.places.size());
    if (count < (made ? 1u : 2u)) return;
    const std::uint64_t rank = gain(count, made, pattern_of(key), key);
    if (rank) queue_.push({rank, count, key});
}

void Sharing::enqueue_considered() {
    std::ranges::sort(considered_);
    considered_.erase(std::unique(considered_.begin(), considered_.end()), considered_.end());
    for (const Key key : considered_) {
        find_occurrences(pattern_of(key));
        enqueue(key);
    }
    considered_.clear();
}

/// Consider the digits of a node in the columns where it was put.
void Sharing::consider_all(std::int32_t node) {
    std::int32_t last = -1;
    for (const Occurrence& each : found_.places) {
        if (each.column == last) continue;
        last = each.column;
        const std::span<const Digit> all = digits(last);
        for (const Digit& digit : all) {
            if (digit.node() == node) consider(last, digit, all);
        }
    }
}

/// Note the patterns of a digit with others of its column, but those that cannot occur twice and that no node has.
void Sharing::consider(std::int32_t column, const Digit& digit, std::span<const Digit> others) {
    const Spread mine = spread(digit.node());
    const std::uint64_t here = std::uint64_t{1} << (column % 64), apart = few_columns() ? here : 0;
    for (const Digit& other : others) {
        const Spread& theirs = spread(other.node());
        const bool once = (mine.once & theirs.once) == apart && !(here & mine.twice & theirs.twice);
        const bool partner = mine.partners >> (other.node() % 64) & 1;
        if ((once && !partner) || other == digit) continue;
        const Key key = key_of(digit, other);
        if ((partner && made_.find(key) >= 0) || (!once && may_repeat(pattern_of(key), column))) considered_.push_back(key);
    }
    steps_ += others.size();
}

/// Return False if the pattern, which occurs in `column`, surely does so once only.
bool Sharing::may_repeat(const Pattern& pattern, std::int32_t column) const {
    const Spread &of_a = spread(pattern.a), &of_b = spread(pattern.b);
    const std::uint64_t both = of_a.once & of_b.once, here = std::uint64_t{1} << (column % 64);
    if (!few_columns()) return (both & (both - 1)) || (both & of_a.twice & of_b.twice);
    const InColumn *const in_a = at(pattern.a).columns.data(), *const in_b = at(pattern.b).columns.data();
    const auto found = [&](std::uint64_t bit) {
        return matches(in_a[std::popcount(of_a.once & (bit - 1))], in_b[std::popcount(of_b.once & (bit - 1))], pattern);
    };
    for (std::uint64_t left = both & ~here; left; left &= left - 1) {
        if (found(left & -left)) return true;
    }
    if (!(here & of_a.twice & of_b.twice)) return false;
    const std::uint64_t match = found(here);
    return (match & (match - 1)) != 0;
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
void Sharing::find_occurrences(const Pattern& pattern, Found& found) const {
    ++found.room_of;
    found.places.clear();
    if (few_columns()) {
        const std::uint64_t in_a = spread(pattern.a).once, in_b = spread(pattern.b).once;
        const InColumn *const of_a = at(pattern.a).columns.data(), *const of_b = at(pattern.b).columns.data();
        for (std::uint64_t left = in_a & in_b; left; left &= left - 1) {
            const std::uint64_t before = (left & -left) - 1;
            find_in(of_a[std::popcount(in_a & before)], of_b[std::popcount(in_b & before)], pattern, found);
        }
        return;
    }
    const bool fewer = at(pattern.a).columns.size() < at(pattern.b).columns.size();
    const std::vector<InColumn>& few = at(fewer ? pattern.a : pattern.b).columns;
    const std::vector<InColumn>& many = at(fewer ? pattern.b : pattern.a).columns;
    auto other = many.begin();
    for (const InColumn& each : few) {
        other = first_from(each.column, other, many);
        if (other == many.end()) return;
        if (other->column == each.column) fewer ? find_in(each, *other, pattern, found) : find_in(*other, each, pattern, found);
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

/// The positions at which `a` has a digit that forms the pattern with one of `b`.
std::uint64_t Sharing::matches(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern) {
    const auto aligned = [&](std::uint64_t mask) { return pattern.shift >= 0 ? mask >> pattern.shift : mask << -pattern.shift; };
    return (of_a.masks[0] & aligned(of_b.masks[pattern.opposite])) | (of_a.masks[1] & aligned(of_b.masks[!pattern.opposite]));
}

/// Occurrences in one column, where the nodes of the pattern have these digits.
void Sharing::find_in(const InColumn& of_a, const InColumn& of_b, const Pattern& pattern, Found& found) const {
    std::uint64_t used = 0;
    for (std::uint64_t left = matches(of_a, of_b, pattern); left; left &= left - 1) {
        const int position = std::countr_zero(left);
        if (pattern.a == pattern.b) {
            const std::uint64_t both = std::uint64_t{1} << position | std::uint64_t{1} << (position + pattern.shift);
            if (used & both) continue;
            used |= both;
        }
        if (!take_room(of_a.column, pattern, found)) return;
        found.places.push_back({of_a.column, static_cast<std::int16_t>(position), (of_a.masks[1] >> position & 1) != 0});
    }
}

/// Return False if the limit of the column's output allows no further occurrence; else count one.
bool Sharing::take_room(std::int32_t column, const Pattern& pattern, Found& found) const {
    if (!limit_) return true;
    const std::uint64_t added = added_load(at(pattern.a).range.arrival, at(pattern.b).range.arrival);
    if (!added) return true;
    Room& room = found.room[output(column)];
    if (room.of != found.room_of) room = {found.room_of, (limit_ - loads_[output(column)]) / added};
    if (!room.left) return false;
    --room.left;
    return true;
}

/// Put one digit of the pattern's node in place of each occurrence.
std::int32_t Sharing::extract(const Pattern& pattern, Key key) {
    const std::int32_t known = made_.find(key);
    const std::int32_t node = known < 0 ? make(pattern, key) : known;
    const bool swapped = pattern.opposite && pattern.shift < 0;
    for (const Occurrence& each : found_.places) {
        touch(each.column);
        remove(each.column, pattern.a, each.position);
        remove(each.column, pattern.b, each.position + pattern.shift);
        insert(each.column, {node, each.position + std::min(pattern.shift, 0), each.minus != swapped});
    }
    return node;
}

}  // namespace bitsmith
