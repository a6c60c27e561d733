// SPDX-License-Identifier: Apache-2.0
#include "sharing.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace bitsmith {
namespace {

/// Turn the first subtraction among the terms round, which are all subtracted.
bool turn_one(Nodes& nodes, std::vector<Summand>& terms) {
    for (Summand& each : terms) {
        if (const auto turned = nodes.turned(each.term.node)) {
            each = {{*turned, each.term.shift, false}, nodes[*turned]};
            return true;
        }
    }
    return false;
}

}  // namespace

Sharing::Sharing(const std::vector<Range>& inputs, const std::vector<Column>& columns, std::vector<std::int32_t> outputs,
                 int latest, Interrupt interrupt)
    : interrupt_(std::move(interrupt)),
      inputs_(static_cast<std::int32_t>(inputs.size())),
      nodes_(inputs.size()),
      outputs_(std::move(outputs)),
      limit_(latest < 0 ? 0 : std::uint64_t{1} << latest),
      digits_(columns.size()),
      saved_in_(columns.size(), 0) {
    for (std::size_t node = 0; node < inputs.size(); ++node) {
        nodes_[node].range = inputs[node];
        nodes_[node].uses = 1;
    }
    for (const std::int32_t output : outputs_) parts_.resize(std::max(parts_.size(), static_cast<std::size_t>(output) + 1));
    for (std::size_t column = 0; column < columns.size(); ++column) {
        parts_[output(static_cast<std::int32_t>(column))].push_back(static_cast<std::int32_t>(column));
    }
    loads_.resize(parts_.size());
    costs_.resize(parts_.size());
    begin();
    for (std::size_t column = 0; column < columns.size(); ++column) {
        interrupt_();
        const auto number = static_cast<std::int32_t>(column);
        touch(number);
        for (const ColumnEntry& entry : columns[column]) {
            for (std::uint64_t left = entry.plus | entry.minus; left; left &= left - 1) {
                const auto position = static_cast<std::int16_t>(std::countr_zero(left));
                insert(number, {entry.node, position, (entry.minus >> position & 1) != 0});
            }
        }
    }
}

std::vector<Term> Sharing::build(Nodes& nodes) const {
    std::vector<std::int32_t> made(nodes_.size(), -1);
    const auto place = [&](std::int32_t node) -> std::int32_t& { return made[static_cast<std::size_t>(node)]; };
    for (std::int32_t node = 0; node < inputs_; ++node) place(node) = node;
    std::vector<std::int32_t> order;
    for (std::int32_t node = inputs_; node < static_cast<std::int32_t>(nodes_.size()); ++node) {
        if (at(node).alive) order.push_back(node);
    }
    std::ranges::sort(order, {}, [&](std::int32_t node) { return std::pair(at(node).range.arrival, node); });
    for (const std::int32_t node : order) {
        Adder adder = adder_of(at(node).pattern);
        adder.a = place(adder.a);
        adder.b = place(adder.b);
        place(node) = nodes.add(adder);
    }
    std::vector<Term> roots;
    for (std::size_t output = 0; output < parts_.size(); ++output) {
        std::vector<Summand> terms = summands(output);
        for (Summand& each : terms) each.term.node = place(each.term.node);
        std::ranges::sort(terms, {}, [](const Summand& each) { return std::pair(each.term.node, each.term.shift); });
        sum_.plan(terms, deadline(output));
        if (sum_.stays_negated() && turn_one(nodes, terms)) sum_.plan(terms, deadline(output));
        roots.push_back(sum_.build(nodes, terms));
    }
    return roots;
}

std::int32_t Sharing::make(const Pattern& pattern, Key key) {
    std::int32_t node = static_cast<std::int32_t>(nodes_.size());
    if (free_.empty()) {
        nodes_.emplace_back();
    } else {
        node = free_.back();
        free_.pop_back();
    }
    const Adder adder = adder_of(pattern);
    const Range range = adder.range(at(adder.a).range, at(adder.b).range);
    at(node) = {pattern, key, range, false, 0, adder.cost(range), {}};
    born_.push_back(node);
    revive(node);
    return node;
}

void Sharing::revive(std::int32_t node) {
    Node& revived = at(node);
    revived.alive = true;
    ++at(revived.pattern.a).uses;
    ++at(revived.pattern.b).uses;
    cost_ += revived.cost;
    counts_[revived.key].made = 1;
    made_[revived.key] = node;
}

void Sharing::release(std::int32_t node) {
    if (--at(node).uses == 0) dying_.push_back(node);
}

/// Take out the nodes that nothing uses any more.
void Sharing::bury() {
    while (!dying_.empty()) {
        const std::int32_t node = dying_.back();
        dying_.pop_back();
        Node& gone = at(node);
        if (!gone.alive || gone.uses) continue;
        gone.alive = false;
        cost_ -= gone.cost;
        counts_[gone.key].made = 0;
        counts_.tidy(gone.key);
        made_.erase(gone.key);
        died_.push_back(node);
        release(gone.pattern.a);
        release(gone.pattern.b);
    }
}

/// Keep the digits of a column as they were before this iteration.
void Sharing::touch(std::int32_t column) {
    std::uint64_t& saved_in = saved_in_[static_cast<std::size_t>(column)];
    if (saved_in == iteration_) return;
    saved_in = iteration_;
    saved_.push_back({column, digits(column)});
}

void Sharing::collect(const std::vector<Digit>& others, const Digit& digit) {
    keys_.clear();
    for (const Digit& other : others) {
        keys_.push_back(key_of(digit, other));
        counts_.prefetch(keys_.back());
    }
    steps_ += others.size();
}

/// The digits of a node in a column, or where they would be.
auto Sharing::find(std::int32_t node, std::int32_t column) -> std::vector<InColumn>::iterator {
    return std::ranges::lower_bound(at(node).columns, column, {}, &InColumn::column);
}

void Sharing::remove(std::int32_t column, std::size_t place) {
    std::vector<Digit>& all = digits(column);
    const Digit gone = all[place];
    all[place] = all.back();
    all.pop_back();
    if (counting_) {
        collect(all, gone);
        for (const Key key : keys_) counts_.decrease(key);
    } else if (gone.node < inputs_) {
        input_pairs_.remove(gone, all);
    }
    loads_[output(column)] -= load(gone.node);
    const auto there = find(gone.node, column);
    there->masks[gone.minus] ^= std::uint64_t{1} << gone.position;
    if (!there->taken()) at(gone.node).columns.erase(there);
    release(gone.node);
}

void Sharing::remove(std::int32_t column, std::int32_t node, int position) {
    const std::vector<Digit>& all = digits(column);
    const auto place = std::ranges::find_if(
        all, [&](const Digit& digit) { return digit.node == node && digit.position == position; });
    remove(column, static_cast<std::size_t>(place - all.begin()));
}

/// Put a digit into a column; with an equal one there it becomes one of the next position, with an opposite one nothing.
void Sharing::insert(std::int32_t column, const Digit& digit) {
    std::vector<InColumn>& columns = at(digit.node).columns;
    auto there = find(digit.node, column);
    if (there == columns.end() || there->column != column) {
        there = columns.insert(there, {column, {0, 0}});
    } else if (there->taken() >> digit.position & 1) {
        const bool same = there->masks[digit.minus] >> digit.position & 1;
        remove(column, digit.node, digit.position);
        if (same) insert(column, {digit.node, static_cast<std::int16_t>(digit.position + 1), digit.minus});
        return;
    }
    there->masks[digit.minus] |= std::uint64_t{1} << digit.position;
    if (counting_) count(column, digit);
    digits(column).push_back(digit);
    loads_[output(column)] += load(digit.node);
    ++at(digit.node).uses;
}

/// Count the patterns of a digit with the others of its column; those that may save something are touched.
void Sharing::count(std::int32_t column, const Digit& digit) {
    collect(digits(column), digit);
    for (const Key key : keys_) {
        Count& count = counts_[key];
        ++count.now;
        if (count.now > 1 || count.made) touched_.push_back(key);
    }
}

/// Take the costs of the sums that changed.
void Sharing::recount() {
    std::vector<std::size_t> changed;
    for (const Saved& saved : saved_) changed.push_back(output(saved.column));
    std::ranges::sort(changed);
    changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
    for (const std::size_t output : changed) {
        sum_.plan(summands(output), deadline(output));
        costs_before_.emplace_back(output, costs_[output]);
        cost_ += sum_.cost() - costs_[output];
        costs_[output] = sum_.cost();
    }
}

std::vector<Summand> Sharing::summands(std::size_t output) const {
    std::vector<Summand> terms;
    for (const std::int32_t column : parts_[output]) {
        for (const Digit& digit : digits_[static_cast<std::size_t>(column)]) {
            terms.push_back({{digit.node, digit.position, digit.minus}, at(digit.node).range});
        }
    }
    return terms;
}

}  // namespace bitsmith
