// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <functional>

#include "sharing.hpp"

namespace bitsmith {
namespace {

constexpr int kColumns = 2;               // columns from which an iteration starts to dissolve
constexpr int kOfColumn = 4;              // digits of each of them
constexpr std::uint64_t kRewritten = 4;   // one of so many pairs that have another form is written in it
constexpr std::uint64_t kOverhead = 100;  // steps that an iteration counts in any case

bool has(const std::vector<Digit>& digits, const Digit& digit) { return std::ranges::find(digits, digit) != digits.end(); }

}  // namespace

void Sharing::improve(std::uint64_t effort, std::uint64_t most_steps) {
    if (!effort) return;
    const std::uint64_t end = steps_ + std::min(effort * steps_, most_steps);
    count_all();
    while (steps_ < end && static_cast<std::int32_t>(nodes_.size()) > inputs_) iterate();
}

/// Count all patterns there are, from here on kept up to date.
void Sharing::count_all() {
    if (counting_) return;
    counting_ = true;
    for (std::vector<Digit>& column : digits_) {
        std::vector<Digit> all;
        all.swap(column);
        const auto number = static_cast<std::int32_t>(&column - digits_.data());
        for (const Digit& digit : all) {
            count(number, digit);
            column.push_back(digit);
        }
    }
    touched_.clear();
}

void Sharing::begin() {
    ++iteration_;
    saved_.clear();
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
    if (cost_ > before) {
        undo();
        return;
    }
    std::ranges::sort(died_, std::greater());
    free_.insert(free_.end(), died_.begin(), died_.end());
}

/// Dissolve digits of a few columns taken at random.
void Sharing::dissolve_some() {
    for (int start = 0; start < kColumns; ++start) {
        const auto column = static_cast<std::int32_t>(below(static_cast<std::uint32_t>(digits_.size())));
        for (int each = 0; each < kOfColumn; ++each) {
            const std::vector<std::int32_t> nodes = nodes_of(column);
            dissolve_down(nodes[below(static_cast<std::uint32_t>(nodes.size()))]);
        }
    }
    for (const Saved& saved : saved_) rewrite_some(saved.column);
}

/// Dissolve a node, and some of those that it was made of.
void Sharing::dissolve_down(std::int32_t node) {
    while (node >= inputs_ && at(node).alive) {
        const Pattern pattern = at(node).pattern;
        dissolve(node);
        bury();
        const std::uint32_t choice = below(4);
        if (choice >= 2) return;
        node = choice ? pattern.a : pattern.b;
    }
}

/// Write some pairs of digits of a column in their other form: 3 as 4 - 1 or as 2 + 1.
void Sharing::rewrite_some(std::int32_t column) {
    std::vector<std::int32_t> nodes = nodes_of(column);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    for (const std::int32_t node : nodes) {
        const std::array<std::uint64_t, 2> masks = find(node, column)->masks;
        for (const int form : {0, 1, 2, 3}) {
            if (rewrite(column, node, masks, form >> 1, form & 1)) break;
        }
    }
}

/// The nodes of a column's digits, in order.
std::vector<std::int32_t> Sharing::nodes_of(std::int32_t column) const {
    std::vector<std::int32_t> nodes;
    for (const Digit& digit : digits_[static_cast<std::size_t>(column)]) nodes.push_back(digit.node);
    std::ranges::sort(nodes);
    return nodes;
}

/// Write a pair of digits of a node, the higher one of sign `minus`, in its other form, if there is one that noise selects.
bool Sharing::rewrite(std::int32_t column, std::int32_t node, const std::array<std::uint64_t, 2>& of, int minus, int sum) {
    const std::uint64_t same = of[static_cast<std::size_t>(minus)], other = of[static_cast<std::size_t>(1 - minus)];
    const std::uint64_t taken = same | other;
    const std::uint64_t pairs = sum ? same & same >> 1 & ~(taken >> 2) : same >> 2 & other & ~(taken >> 1);
    for (std::uint64_t left = pairs; left; left &= left - 1) {
        const int low = std::countr_zero(left);
        const auto place = static_cast<std::uint64_t>(column) << 40 | static_cast<std::uint64_t>(node) << 16 |
                           static_cast<std::uint64_t>(low * 4 + minus * 2 + sum);
        if (mixed(place ^ noise_) % kRewritten) continue;
        const int high = sum ? low + 1 : low + 2, fresh = sum ? low + 2 : low + 1;
        remove(column, node, high);
        remove(column, node, low);
        insert(column, {node, static_cast<std::int16_t>(fresh), minus != 0});
        insert(column, {node, static_cast<std::int16_t>(low), (minus != 0) != (sum != 0)});
        return true;
    }
    return false;
}

/// Put the operands of a node in place of its digits.
void Sharing::dissolve(std::int32_t node) {
    const Pattern pattern = at(node).pattern;
    const bool swapped = pattern.opposite && pattern.shift < 0;
    const std::vector<InColumn> columns = at(node).columns;
    for (const auto& [column, masks] : columns) {
        touch(column);
        for (std::uint64_t left = masks[0] | masks[1]; left; left &= left - 1) {
            const int place = std::countr_zero(left);
            remove(column, node, place);
            const auto position = static_cast<std::int16_t>(place - std::min(pattern.shift, 0));
            const bool minus = (masks[1] >> place & 1) != swapped;
            insert(column, {pattern.a, position, minus});
            insert(column, {pattern.b, static_cast<std::int16_t>(position + pattern.shift), minus != pattern.opposite});
        }
    }
}

/// Go back to what there was before this iteration.
void Sharing::undo() {
    for (const Saved& saved : saved_) {
        for (std::size_t place = digits(saved.column).size(); place-- > 0;) {
            if (!has(saved.digits, digits(saved.column)[place])) remove(saved.column, place);
        }
    }
    bury();
    std::ranges::sort(born_);
    for (const std::int32_t node : died_) {
        if (!std::ranges::binary_search(born_, node)) revive(node);
    }
    for (const Saved& saved : saved_) {
        for (const Digit& digit : saved.digits) {
            if (!has(digits(saved.column), digit)) insert(saved.column, digit);
        }
    }
    touched_.clear();
    for (const auto& [output, cost] : costs_before_) {
        cost_ += cost - costs_[output];
        costs_[output] = cost;
    }
    nodes_.resize(size_before_);
    free_ = free_before_;
}

std::uint64_t Sharing::random() {
    random_ += 0x9E3779B97F4A7C15u;
    return mixed(random_);
}

std::uint32_t Sharing::below(std::uint32_t bound) { return static_cast<std::uint32_t>((random() >> 32) * bound >> 32); }

}  // namespace bitsmith
