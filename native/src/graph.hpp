// SPDX-License-Identifier: Apache-2.0
// Two-operand adders over integer nodes, and the growing list of them. The mirror of bitsmith/netlist/adders.py.

#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace bitsmith {

/// Inclusive range of an integer, and when it arrives, counted in adders that come before it.
struct Range {
    std::int64_t low{};
    std::int64_t high{};
    int arrival{};

    /// Bits that hold every value of the range.
    int width() const {
        const auto bits = [](std::int64_t value) { return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value))); };
        if (low >= 0) return bits(high);
        return std::max(bits(-low - 1), high > 0 ? bits(high) : 0) + 1;
    }

    Range negated() const { return {-high, -low, arrival}; }

    /// Bits of the distance of its ends.
    int span() const { return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(high - low))); }
};

/// `(v[a] << shift_a) + (v[b] << shift_b)`, or minus if `subtract`; the smaller of the shifts is 0.
struct Adder {
    std::int32_t a{};
    std::int32_t b{};
    std::int32_t shift_a{};
    std::int32_t shift_b{};
    bool subtract = false;

    bool operator==(const Adder&) const = default;

    /// The result of operands in these ranges.
    Range range(const Range& of_a, const Range& of_b) const {
        const std::int64_t a_low = of_a.low << shift_a, a_high = of_a.high << shift_a;
        const std::int64_t b_low = of_b.low << shift_b, b_high = of_b.high << shift_b;
        const int arrival = std::max(of_a.arrival, of_b.arrival) + 1;
        if (subtract) return {a_low - b_high, a_high - b_low, arrival};
        return {a_low + b_low, a_high + b_high, arrival};
    }

    /// Full adders: the bits of the result but the lowest ones of an operand that is added and has nothing against it.
    int cost(const Range& result) const {
        const int passed = subtract ? shift_b : shift_a + shift_b;
        return std::max(result.width() - passed, 0);
    }

    /// True if the operands have no bit in common: their sum is wiring.
    bool joins(const Range& of_a, const Range& of_b) const {
        const Range& lower = shift_b ? of_a : of_b;
        const int apart = std::max(shift_a, shift_b);
        return !subtract && apart > 0 && lower.low >= 0 && lower.width() <= apart;
    }

    /// Full adders for operands in these ranges.
    int paid(const Range& of_a, const Range& of_b) const { return joins(of_a, of_b) ? 0 : cost(range(of_a, of_b)); }
};

/// `node` shifted left by `shift`, subtracted if `minus`.
struct Term {
    std::int32_t node{};
    std::int32_t shift{};
    bool minus = false;
};

struct AdderHash {
    std::size_t operator()(const Adder& adder) const {
        std::uint64_t key = static_cast<std::uint32_t>(adder.a);
        key = key * 0x9E3779B97F4A7C15u + static_cast<std::uint32_t>(adder.b);
        key = key * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(adder.shift_a * 256 + adder.shift_b * 2);
        return static_cast<std::size_t>((key + (adder.subtract ? 1 : 0)) * 0x9E3779B97F4A7C15u >> 7);
    }
};

/// Inputs and the adders made so far; an adder asked for twice is made once.
class Nodes {
public:
    explicit Nodes(std::vector<Range> inputs) : ranges_(std::move(inputs)), inputs_(count()) {}

    std::int32_t count() const { return static_cast<std::int32_t>(ranges_.size()); }
    std::int32_t inputs() const { return inputs_; }
    const Range& operator[](std::int32_t node) const { return ranges_[static_cast<std::size_t>(node)]; }
    const std::vector<Adder>& adders() const { return adders_; }

    /// The node that computes `adder`.
    std::int32_t add(const Adder& adder) {
        const auto [place, fresh] = known_.try_emplace(adder, count());
        if (fresh) {
            adders_.push_back(adder);
            ranges_.push_back(adder.range((*this)[adder.a], (*this)[adder.b]));
        }
        return place->second;
    }

    /// A node of the opposite value if `node` is a subtraction, which costs its adder at most once more.
    std::optional<std::int32_t> turned(std::int32_t node) {
        if (node < inputs_) return std::nullopt;
        const Adder adder = adders_[static_cast<std::size_t>(node - inputs_)];
        if (!adder.subtract) return std::nullopt;
        return add({adder.b, adder.a, adder.shift_b, adder.shift_a, true});
    }

private:
    std::vector<Range> ranges_;
    std::int32_t inputs_;
    std::vector<Adder> adders_;
    std::unordered_map<Adder, std::int32_t, AdderHash> known_;
};

}  // namespace bitsmith
