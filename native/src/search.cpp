// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "sharing.hpp"

namespace bitsmith {
namespace {

constexpr int kOfColumn = 4;              // digits of a column that an iteration dissolves
constexpr std::size_t kEverywhere = 2;    // columns of a node that is dissolved in all of them
constexpr std::uint64_t kRewritten = 2;   // one of so many pairs that have another form is written in it
constexpr std::uint64_t kPerDigit = 32;   // steps for each digit that a unit of effort has at least
constexpr std::uint64_t kFewest = 500;    // steps that a unit of effort has at least
constexpr std::uint64_t kOverhead = 80;   // steps that an iteration counts in any case
constexpr std::uint64_t kFirstWarmth = 40;  // sixteenths of a full adder, for the first unit of effort
constexpr std::int64_t kMost = 2;         // how many times as large as given the digits of a column may become

/// The integer square root of a number of up to 52 bits.
std::uint64_t root(std::uint64_t square) { return static_cast<std::uint64_t>(std::sqrt(static_cast<double>(square))); }

/// A number for a pair of digits, the lower one at position `low`.
std::uint64_t place_of(std::int32_t column, std::int32_t node, int low, int minus, int sum) {
    return static_cast<std::uint64_t>(column) << 40 | static_cast<std::uint64_t>(node) << 16 |
           static_cast<std::uint64_t>(low * 4 + minus * 2 + sum);
}

}  // namespace

void Sharing::improve(std::uint64_t effort, std::uint64_t most_steps) {
    if (!effort || digits_.empty()) return;
    const std::uint64_t unit = std::max({steps_, kPerDigit * given_, kFewest}), budget = std::min(effort * unit, most_steps);
    const std::uint64_t start = steps_, warm = budget - budget / 8;
    const std::uint64_t first = root(kFirstWarmth * kFirstWarmth * budget / unit);
    while (steps_ - start < budget) {
        const std::uint64_t done = std::min(steps_ - start, warm);
        warmth_ = first * (warm - done) / warm;
        iterate();
    }
}

void Sharing::begin() {
    ++iteration_;
    saved_count_ = 0;
    born_.clear();
    died_.clear();
    costs_before_.clear();
    free_before_ = free_;
    size_before_ = nodes_.size();
}

void Sharing::iterate() {
    begin();
    const std::int64_t before = cost_;
    steps_ += kOverhead;
    noise_ = random() | 1;
    dissolve_some();
    rebuild();
    recount();
    const std::int64_t slack = warmth_ && cost_ > before ? below(static_cast<std::uint32_t>(warmth_)) / 16 : 0;
    if (cost_ > before + slack) {
        undo();
        return;
    }
    std::ranges::sort(died_, std::greater());
    free_.insert(free_.end(), died_.begin(), died_.end());
}

/// Dissolve digits of a column taken at random.
void Sharing::dissolve_some() {
    const auto column = static_cast<std::int32_t>(below(static_cast<std::uint32_t>(digits_.size())));
    touch(column);  // also where nothing is shared numbers are written in other forms
    for (int each = 0; each < kOfColumn; ++each) {
        const std::vector<Digit>& all = digits(column);
        dissolve_down(column, all[below(static_cast<std::uint32_t>(all.size()))].node());
    }
    for (const Saved& saved : saved()) rewrite_some(saved.column);
}

/// Dissolve a node, and some of those that it was made of.
void Sharing::dissolve_down(std::int32_t column, std::int32_t node) {
    while (node >= inputs_ && at(node).alive) {
        const Pattern pattern = at(node).pattern;
        dissolve(column, node);
        bury();
        const std::uint32_t choice = below(4);
        if (choice >= 2) return;
        node = choice ? pattern.a : pattern.b;
    }
}

/// Write some pairs of digits of a column in their other form: 3 as 4 - 1 or as 2 + 1, and 2 - 1 as 1.
void Sharing::rewrite_some(std::int32_t column) {
    expand_one(column);
    sorted_.clear();
    for (const Digit& digit : digits(column)) {
        if (spread(digit.node()).twice >> (column % 64) & 1) sorted_.push_back(digit.node());
    }
    std::ranges::sort(sorted_);
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
    for (const std::int32_t node : sorted_) {
        const std::array<std::uint64_t, 2> masks = find(node, column)->masks;
        bool done = false;
        for (const int form : {0, 1, 2, 3}) done = done || rewrite(column, node, masks, form >> 1, form & 1);
        for (const int minus : {0, 1}) done = done || contract(column, node, masks, minus);
    }
}

/// Write one of the digits of a column that only subtracts in its longer form, if noise says so.
void Sharing::expand_one(std::int32_t column) {
    const std::vector<Digit>& all = digits(column);
    const std::uint64_t choice = mixed(static_cast<std::uint64_t>(column) ^ noise_);
    if (choice % 2 == 0 && only_subtracts(column)) expand(column, all[(choice >> 1) % all.size()]);
}

/// Write -1 as 1 - 2 if there is time, so that a sum of subtractions need not be negated.
void Sharing::expand(std::int32_t column, Digit digit) {
    const std::size_t of = output(column);
    if (limit_ && loads_[of] + load(digit.node()) > limit_) return;
    const std::int64_t more = at(digit.node()).most << (digit.position() + 1);
    if (most(column) + more > kMost * most_[static_cast<std::size_t>(column)]) return;
    remove(column, digit.node(), digit.position());
    insert(column, {digit.node(), digit.position() + 1, true});
    insert(column, {digit.node(), digit.position(), false});
}

/// Write 2 - 1 as 1, the higher one of sign `minus`, if there is such a pair and noise selects it.
bool Sharing::contract(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus) {
    const std::uint64_t same = of[static_cast<std::size_t>(minus)], other = of[static_cast<std::size_t>(1 - minus)];
    for (std::uint64_t left = same >> 1 & other; left; left &= left - 1) {
        const int low = std::countr_zero(left);
        if (mixed(place_of(column, node, low, minus, 0) ^ noise_) % kRewritten) continue;
        remove(column, node, low + 1);
        remove(column, node, low);
        insert(column, {node, low, minus != 0});
        return true;
    }
    return false;
}

/// More than any part of a column's sum can be, in magnitude.
std::int64_t Sharing::most(std::int32_t column) const {
    std::int64_t sum = 0;
    for (const Digit& digit : digits_[static_cast<std::size_t>(column)]) sum += at(digit.node()).most << digit.position();
    return sum;
}

/// Write a pair of digits of a node, the higher one of sign `minus`, in its other form, if there is one that noise selects.
bool Sharing::rewrite(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus, int sum) {
    const std::uint64_t same = of[static_cast<std::size_t>(minus)], other = of[static_cast<std::size_t>(1 - minus)];
    const std::uint64_t taken = same | other;
    const std::uint64_t pairs = sum ? same & same >> 1 & ~(taken >> 2) : same >> 2 & other & ~(taken >> 1);
    for (std::uint64_t left = pairs; left; left &= left - 1) {
        const int low = std::countr_zero(left);
        if (mixed(place_of(column, node, low, minus, sum) ^ noise_) % kRewritten) continue;
        const int high = sum ? low + 1 : low + 2, fresh = sum ? low + 2 : low + 1;
        remove(column, node, high);
        remove(column, node, low);
        insert(column, {node, fresh, minus != 0});
        insert(column, {node, low, (minus != 0) != (sum != 0)});
        return true;
    }
    return false;
}

/// Put the operands of a node in place of its digits in a column, and in all others if they are few.
void Sharing::dissolve(std::int32_t column, std::int32_t node) {
    if (at(node).columns.size() > kEverywhere) {
        const auto there = find(node, column);
        if (there != at(node).columns.end() && there->column == column) dissolve(node, *there);
        return;
    }
    while (!at(node).columns.empty()) dissolve(node, at(node).columns.back());
}

/// Put the operands of a node in place of its digits in one column.
void Sharing::dissolve(std::int32_t node, InColumn digits) {
    touch(digits.column);
    const Pattern pattern = at(node).pattern;
    const bool swapped = pattern.opposite && pattern.shift < 0;
    for (std::uint64_t left = digits.taken(); left; left &= left - 1) {
        const int place = std::countr_zero(left);
        remove(digits.column, node, place);
        const int position = place - std::min(pattern.shift, 0);
        const bool minus = (digits.masks[1] >> place & 1) != swapped;
        insert(digits.column, {pattern.a, position, minus});
        insert(digits.column, {pattern.b, position + pattern.shift, minus != pattern.opposite});
    }
}

/// How many digits of a column are older than this iteration; they come first.
std::size_t Sharing::kept(const Saved& saved) const {
    const std::vector<Digit>& now = digits_[static_cast<std::size_t>(saved.column)];
    std::size_t kept = 0;
    for (const Digit& digit : saved.digits) kept += kept < now.size() && now[kept] == digit;
    return kept;
}

/// Go back to what there was before this iteration.
void Sharing::undo() {
    for (const Saved& saved : saved()) {
        const std::vector<Digit>& now = digits(saved.column);
        for (std::size_t fresh = kept(saved); fresh < now.size(); ++fresh) detach(saved.column, now[fresh]);
    }
    bury();
    std::ranges::sort(born_);
    for (const std::int32_t node : died_) {
        if (!std::ranges::binary_search(born_, node)) revive(node);
    }
    for (const Saved& saved : saved()) {
        std::vector<Digit>& now = digits(saved.column);
        std::size_t kept = 0;
        for (const Digit& digit : saved.digits) {
            if (kept < now.size() && now[kept] == digit) {
                ++kept;
            } else {
                attach(saved.column, digit);
            }
        }
        now = saved.digits;
    }
    for (const auto& [output, cost] : costs_before_) {
        cost_ += cost - costs_[output];
        costs_[output] = cost;
    }
    nodes_.resize(size_before_);
    spread_.resize(size_before_);
    partners_.resize(size_before_);
    free_ = free_before_;
}

std::uint64_t Sharing::random() {
    random_ += 0x9E3779B97F4A7C15u;
    return mixed(random_);
}

std::uint32_t Sharing::below(std::uint32_t bound) { return static_cast<std::uint32_t>((random() >> 32) * bound >> 32); }

}  // namespace bitsmith
