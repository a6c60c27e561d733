#include "sharing.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <tuple>

namespace bitsmith {
namespace {

constexpr int kColumns = 2;               // columns from which an iteration starts to dissolve
constexpr int kOfColumn = 4;              // digits of each of them
constexpr std::uint64_t kNoise = 512;     // in 1024ths of what patterns save
constexpr std::uint64_t kRewritten = 4;   // one of so many pairs that have another form is written in it
constexpr std::uint64_t kOverhead = 100;  // steps that an iteration counts in any case

std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

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

/// The adder of a pattern, the operand with the smaller shift not subtracted where there is one.
Adder adder_of(const Pattern& pattern) {
    const std::int32_t shift_a = std::max(-pattern.shift, 0), shift_b = std::max(pattern.shift, 0);
    if (pattern.opposite && pattern.shift < 0) return {pattern.b, pattern.a, shift_b, shift_a, true};
    return {pattern.a, pattern.b, shift_a, shift_b, pattern.opposite};
}

bool has(const std::vector<Digit>& digits, const Digit& digit) { return std::ranges::find(digits, digit) != digits.end(); }

}  // namespace

bool Sharing::Rank::operator<(const Rank& other) const {
    return gain != other.gain ? gain < other.gain : key > other.key;
}

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

void Sharing::run() {
    rebuild();
    recount();
}

void Sharing::improve(std::uint64_t effort, std::uint64_t most_steps) {
    const std::uint64_t end = steps_ + std::min(effort * steps_, most_steps);
    while (steps_ < end && static_cast<std::int32_t>(nodes_.size()) > inputs_) iterate();
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

/// What `Sharing._saving` says in Python, changed by noise; of equal ones the pattern with the newest node is first.
std::uint64_t Sharing::gain(std::uint32_t count, bool made, const Pattern& pattern, Key key) const {
    const Adder adder = adder_of(pattern);
    const Range &a = at(adder.a).range, &b = at(adder.b).range;
    const std::int64_t cost = adder.cost(adder.range(a, b));
    const int apart = std::abs(a.span() + adder.shift_a - b.span() - adder.shift_b);
    const std::int64_t saved = count * (2 * cost - apart) - (made ? 0 : 2 * cost);
    if (saved <= 0) return 0;
    const std::uint64_t factor = 1024 + (noise_ ? mixed(key ^ noise_) % kNoise : 0);
    return (static_cast<std::uint64_t>(saved) * factor << kNodeBits) + static_cast<std::uint64_t>(pattern.b);
}

/// The columns that have digits of a node, each once.
std::vector<std::int32_t> Sharing::columns_of(std::int32_t node) const {
    std::vector<std::int32_t> columns = at(node).columns;
    std::ranges::sort(columns);
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    return columns;
}

/// Occurrences that share no digit and that the limit allows, in order of column and position.
void Sharing::find_occurrences(const Pattern& pattern) {
    const bool fewer = at(pattern.a).columns.size() < at(pattern.b).columns.size();
    const std::uint64_t added = limit_ ? added_load(at(pattern.a).range.arrival, at(pattern.b).range.arrival) : 0;
    std::map<std::size_t, std::uint64_t> room;
    found_.clear();
    for (const std::int32_t column : columns_of(fewer ? pattern.a : pattern.b)) {
        std::uint64_t of_a[2] = {0, 0}, of_b[2] = {0, 0};
        for (const Digit& digit : digits(column)) {
            if (digit.node == pattern.a) of_a[digit.minus] |= std::uint64_t{1} << digit.position;
            if (digit.node == pattern.b) of_b[digit.minus] |= std::uint64_t{1} << digit.position;
        }
        std::uint64_t match[2];
        for (const int minus : {0, 1}) {
            const std::uint64_t partner = of_b[minus ^ static_cast<int>(pattern.opposite)];
            match[minus] = of_a[minus] & (pattern.shift >= 0 ? partner >> pattern.shift : partner << -pattern.shift);
        }
        std::uint64_t used = 0;
        for (std::uint64_t left = match[0] | match[1]; left; left &= left - 1) {
            const int position = std::countr_zero(left);
            if (pattern.a == pattern.b) {
                const std::uint64_t both = std::uint64_t{1} << position | std::uint64_t{1} << (position + pattern.shift);
                if (used & both) continue;
                used |= both;
            }
            if (added) {
                auto& free = room.try_emplace(output(column), (limit_ - loads_[output(column)]) / added).first->second;
                if (!free) break;
                --free;
            }
            found_.push_back({column, static_cast<std::int16_t>(position), (match[1] >> position & 1) != 0});
        }
    }
}

/// Put one digit of the pattern's node in place of each occurrence.
void Sharing::extract(const Pattern& pattern, Key key) {
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
    enqueue_touched();
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

void Sharing::remove(std::int32_t column, std::size_t place) {
    std::vector<Digit>& all = digits(column);
    const Digit gone = all[place];
    all[place] = all.back();
    all.pop_back();
    collect(all, gone);
    for (const Key key : keys_) counts_.decrease(key);
    loads_[output(column)] -= load(gone.node);
    std::vector<std::int32_t>& columns = at(gone.node).columns;
    *std::ranges::find(columns, column) = columns.back();
    columns.pop_back();
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
    const auto there = std::ranges::find_if(digits(column), [&](const Digit& each) {
        return each.node == digit.node && each.position == digit.position;
    });
    if (there != digits(column).end()) {
        const bool same = there->minus == digit.minus;
        remove(column, digit.node, digit.position);
        if (same) insert(column, {digit.node, static_cast<std::int16_t>(digit.position + 1), digit.minus});
        return;
    }
    collect(digits(column), digit);
    for (const Key key : keys_) {
        Count& count = counts_[key];
        ++count.now;
        if (count.now > 1 || count.made) touched_.push_back(key);
    }
    digits(column).push_back(digit);
    loads_[output(column)] += load(digit.node);
    at(digit.node).columns.push_back(column);
    ++at(digit.node).uses;
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
            std::vector<std::int32_t> nodes;
            for (const Digit& digit : digits(column)) nodes.push_back(digit.node);
            std::ranges::sort(nodes);
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
    std::map<std::int32_t, std::array<std::uint64_t, 2>> masks;
    for (const Digit& digit : digits(column)) masks[digit.node][digit.minus] |= std::uint64_t{1} << digit.position;
    for (const auto& [node, of] : masks) {
        for (const int form : {0, 1, 2, 3}) {
            if (rewrite(column, node, of, form >> 1, form & 1)) break;
        }
    }
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
    for (const std::int32_t column : columns_of(node)) {
        touch(column);
        std::vector<Digit> found;
        std::ranges::copy_if(digits(column), std::back_inserter(found), [&](const Digit& each) { return each.node == node; });
        std::ranges::sort(found, {}, &Digit::position);
        for (const Digit& digit : found) {
            remove(column, node, digit.position);
            const auto position = static_cast<std::int16_t>(digit.position - std::min(pattern.shift, 0));
            const bool minus = digit.minus != swapped;
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

std::uint64_t Sharing::random() {
    random_ += 0x9E3779B97F4A7C15u;
    return mixed(random_);
}

std::uint32_t Sharing::below(std::uint32_t bound) { return static_cast<std::uint32_t>((random() >> 32) * bound >> 32); }

}  // namespace bitsmith
