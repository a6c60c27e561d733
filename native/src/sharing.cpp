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
      spread_(inputs.size()),
      partners_(inputs.size()),
      outputs_(std::move(outputs)),
      limit_(latest < 0 ? 0 : std::uint64_t{1} << latest),
      digits_(columns.size()),
      saved_in_(columns.size(), 0) {
    for (std::size_t node = 0; node < inputs.size(); ++node) {
        nodes_[node].range = inputs[node];
        nodes_[node].most = std::max(-inputs[node].low, inputs[node].high) + 1;
        nodes_[node].uses = 1;
    }
    for (const std::int32_t output : outputs_) parts_.resize(std::max(parts_.size(), static_cast<std::size_t>(output) + 1));
    for (std::size_t column = 0; column < columns.size(); ++column) {
        parts_[output(static_cast<std::int32_t>(column))].push_back(static_cast<std::int32_t>(column));
    }
    loads_.resize(parts_.size());
    costs_.resize(parts_.size());
    found_.room.resize(parts_.size());
    begin();
    for (std::size_t column = 0; column < columns.size(); ++column) {
        interrupt_();
        const auto number = static_cast<std::int32_t>(column);
        touch(number);
        for (const ColumnEntry& entry : columns[column]) {
            for (std::uint64_t left = entry.plus | entry.minus; left; left &= left - 1) {
                const int position = std::countr_zero(left);
                insert(number, {entry.node, position, (entry.minus >> position & 1) != 0});
            }
        }
        given_ += digits(number).size();
        most_.push_back(most(number));
        if (only_subtracts(number)) expand(number, *std::ranges::min_element(digits(number), {}, &Digit::position));
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
        std::vector<Summand> terms;
        summands(output, terms);
        for (Summand& each : terms) each.term.node = place(each.term.node);
        std::ranges::sort(terms, {}, [](const Summand& each) { return std::pair(each.term.node, each.term.shift); });
        sum_.plan(terms, deadline(output));
        if (sum_.stays_negated() && turn_one(nodes, terms)) sum_.plan(terms, deadline(output));
        roots.push_back(sum_.build(nodes, terms));
    }
    return roots;
}

/// The node of a pattern that has none. One that was taken out in this iteration comes back, so that its columns are as before.
std::int32_t Sharing::make(const Pattern& pattern, Key key) {
    const auto gone = std::ranges::find(died_, key, [&](std::int32_t node) { return at(node).key; });
    if (gone != died_.end()) {
        const std::int32_t node = *gone;
        died_.erase(gone);
        revive(node);
        return node;
    }
    std::int32_t node = static_cast<std::int32_t>(nodes_.size());
    if (free_.empty()) {
        nodes_.emplace_back();
        spread_.emplace_back();
        partners_.emplace_back();
    } else {
        node = free_.back();
        free_.pop_back();
    }
    const Adder adder = adder_of(pattern);
    const Range &a = at(adder.a).range, &b = at(adder.b).range;
    const std::int64_t most = (at(adder.a).most << adder.shift_a) + (at(adder.b).most << adder.shift_b);
    at(node) = {pattern, key, adder.range(a, b), most, false, 0, adder.paid(a, b), {}};
    spread(node) = {};
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
    made_.put(revived.key, node);
    link(revived.pattern.a, revived.pattern.b);
    link(revived.pattern.b, revived.pattern.a);
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
        made_.erase(gone.key);
        unlink(gone.pattern.a, gone.pattern.b);
        unlink(gone.pattern.b, gone.pattern.a);
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
    if (saved_count_ == saved_.size()) saved_.emplace_back();
    Saved& saved = saved_[saved_count_++];
    saved.column = column;
    saved.digits = digits(column);
}

/// The digits of a node in a column, or where they would be.
auto Sharing::find(std::int32_t node, std::int32_t column) -> std::vector<InColumn>::iterator {
    std::vector<InColumn>& columns = at(node).columns;
    if (!few_columns()) return std::ranges::lower_bound(columns, column, {}, &InColumn::column);
    const std::uint64_t before = (std::uint64_t{1} << column) - 1;
    return columns.begin() + std::popcount(spread(node).once & before);
}

void Sharing::remove(std::int32_t column, std::size_t place) {
    std::vector<Digit>& all = digits(column);
    const Digit gone = all[place];
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(place));  // the order tells what is new
    input_pairs_.remove(gone, all);
    detach(column, gone);
}

void Sharing::remove(std::int32_t column, std::int32_t node, int position) {
    const std::vector<Digit>& all = digits(column);
    const std::uint64_t sought = Digit(node, position, true).word();
    const auto place = std::ranges::find_if(all, [=](const Digit& digit) { return (digit.word() | 1) == sought; });
    remove(column, static_cast<std::size_t>(place - all.begin()));
}

/// Put a digit into a column; with an equal one there it becomes one of the next position, with an opposite one nothing.
void Sharing::insert(std::int32_t column, const Digit& digit) {
    const auto there = find(digit.node(), column);
    if (there != at(digit.node()).columns.end() && there->column == column && there->taken() >> digit.position() & 1) {
        const bool same = there->masks[digit.minus()] >> digit.position() & 1;
        remove(column, digit.node(), digit.position());
        if (same) insert(column, {digit.node(), digit.position() + 1, digit.minus()});
        return;
    }
    digits(column).push_back(digit);
    attach(column, digit);
}

/// Enter a digit that a column has in the books of its node.
void Sharing::attach(std::int32_t column, const Digit& digit) {
    std::vector<InColumn>& columns = at(digit.node()).columns;
    auto there = find(digit.node(), column);
    if (there == columns.end() || there->column != column) there = columns.insert(there, {column, {0, 0}});
    there->masks[digit.minus()] |= std::uint64_t{1} << digit.position();
    spread(digit.node()).add(column);
    loads_[output(column)] += load(digit.node());
    ++at(digit.node()).uses;
}

void Sharing::detach(std::int32_t column, const Digit& digit) {
    const auto there = find(digit.node(), column);
    there->masks[digit.minus()] ^= std::uint64_t{1} << digit.position();
    spread(digit.node()).remove(column, there->taken(), few_columns());
    if (!there->taken()) at(digit.node()).columns.erase(there);
    loads_[output(column)] -= load(digit.node());
    release(digit.node());
}

/// True if a column has other digits than before this iteration.
bool Sharing::differs(const Saved& saved) const {
    const std::span<const Digit> now = digits_[static_cast<std::size_t>(saved.column)];
    const auto is_new = [&](const Digit& digit) { return std::ranges::find(saved.digits, digit) == saved.digits.end(); };
    return now.size() != saved.digits.size() || std::ranges::any_of(now.subspan(kept(saved)), is_new);
}

/// Take the costs of the sums that changed.
void Sharing::recount() {
    changed_.clear();
    for (const Saved& saved : saved()) {
        if (differs(saved)) changed_.push_back(output(saved.column));
    }
    std::ranges::sort(changed_);
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const std::size_t output : changed_) {
        summands(output, terms_);
        sum_.plan(terms_, deadline(output));
        costs_before_.emplace_back(output, costs_[output]);
        cost_ += sum_.cost() - costs_[output];
        costs_[output] = sum_.cost();
    }
}

void Sharing::summands(std::size_t output, std::vector<Summand>& terms) const {
    terms.clear();
    for (const std::int32_t column : parts_[output]) {
        for (const Digit& digit : digits_[static_cast<std::size_t>(column)]) {
            terms.push_back({{digit.node(), digit.position(), digit.minus()}, at(digit.node()).range});
        }
    }
}

}  // namespace bitsmith
