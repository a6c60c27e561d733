// SPDX-License-Identifier: Apache-2.0
#include "solver.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

namespace bitsmith {
namespace {

/// Where an output comes from: a unique column, -1 if it is zero, shifted left.
struct Place {
    std::int32_t column = -1;
    std::int32_t shift{};
};

using Weights = std::vector<std::int64_t>;

/// The non-adjacent form of `weight`: see `digit_masks` in Python.
ColumnEntry entry_of(std::int32_t node, std::int64_t weight) {
    const auto magnitude = static_cast<std::uint64_t>(weight < 0 ? -weight : weight);
    const std::uint64_t half = magnitude >> 1, sum = magnitude + half, digits = half ^ sum;
    const std::uint64_t plus = sum & digits, minus = half & digits;
    return weight < 0 ? ColumnEntry{node, minus, plus} : ColumnEntry{node, plus, minus};
}

int digit_count(const ColumnEntry& entry) { return std::popcount(entry.plus) + std::popcount(entry.minus); }

/// Columns that differ by more than a shift, and the place of each given column.
struct UniqueColumns {
    std::vector<Weights> columns;
    std::vector<Place> places;

    UniqueColumns(std::span<const std::int64_t> weights, std::size_t rows, std::size_t count) {
        std::map<Weights, std::int32_t> known;
        for (std::size_t column = 0; column < count; ++column) {
            Weights values(rows);
            std::uint64_t bits = 0;
            for (std::size_t row = 0; row < rows; ++row) {
                values[row] = weights[row * count + column];
                bits |= static_cast<std::uint64_t>(values[row]);
            }
            places.push_back(bits ? place_of(values, std::countr_zero(bits), known) : Place{});
        }
    }

private:
    Place place_of(Weights& values, int shift, std::map<Weights, std::int32_t>& known) {
        for (std::int64_t& value : values) value >>= shift;
        const auto [place, fresh] = known.try_emplace(values, static_cast<std::int32_t>(columns.size()));
        if (fresh) columns.push_back(values);
        return {place->second, shift};
    }
};

/// The square sum of digits per column and block of `rows` rows.
std::uint64_t pairs(const std::vector<Column>& entries, std::int32_t rows) {
    std::uint64_t total = 0;
    for (const Column& column : entries) {
        std::uint64_t in_block = 0;
        std::int32_t block = 0;
        for (const ColumnEntry& entry : column) {
            if (entry.node / rows != block) {
                total += in_block * in_block;
                in_block = 0;
                block = entry.node / rows;
            }
            in_block += static_cast<std::uint64_t>(digit_count(entry));
        }
        total += in_block * in_block;
    }
    return total;
}

/// Columns cut into the fewest equal blocks of rows that keep the pairs of digits within the limit.
struct Blocks {
    std::vector<Column> parts;
    std::vector<std::int32_t> owners;

    Blocks(const std::vector<Column>& entries, std::int32_t inputs, std::uint64_t pair_limit) {
        std::int32_t rows = std::max(inputs, 1);
        while (rows > 1 && pairs(entries, rows) > pair_limit) rows = (rows + 1) / 2;
        for (std::size_t column = 0; column < entries.size(); ++column) {
            std::int32_t block = -1;
            for (const ColumnEntry& entry : entries[column]) {
                if (entry.node / rows != block) {
                    block = entry.node / rows;
                    parts.emplace_back();
                    owners.push_back(static_cast<std::int32_t>(column));
                }
                parts.back().push_back(entry);
            }
        }
    }
};

/// The earliest time by which every column can be summed: the Kraft bound on its digits' arrivals.
int earliest(const Nodes& nodes, const std::vector<Column>& entries) {
    int latest = 0;
    for (const Column& column : entries) {
        std::uint64_t load = 0;
        for (const ColumnEntry& entry : column) {
            load += static_cast<std::uint64_t>(digit_count(entry)) << nodes[entry.node].arrival;
        }
        latest = std::max(latest, static_cast<int>(std::bit_width(load - 1)));
    }
    return latest;
}

Output output_of(Nodes& nodes, const Term& root, const Place& place) {
    if (root.minus) {
        if (const auto turned = nodes.turned(root.node)) return {*turned, root.shift + place.shift, false};
    }
    return {root.node, root.shift + place.shift, root.minus};
}

/// The graph without adders that no output needs.
Graph without_dead(const Nodes& nodes, std::vector<Output> outputs) {
    const std::int32_t inputs = nodes.inputs();
    std::vector<std::int32_t> renamed(static_cast<std::size_t>(nodes.count()), -1);
    const auto at = [&](std::int32_t node) -> std::int32_t& { return renamed[static_cast<std::size_t>(node)]; };
    for (const Output& output : outputs) {
        if (output.node >= 0) at(output.node) = 0;
    }
    for (std::int32_t node = nodes.count() - 1; node >= inputs; --node) {
        const Adder& adder = nodes.adders()[static_cast<std::size_t>(node - inputs)];
        if (at(node) == 0) at(adder.a) = at(adder.b) = 0;
    }
    for (std::int32_t node = 0; node < inputs; ++node) at(node) = node;
    Graph graph;
    for (std::int32_t node = inputs; node < nodes.count(); ++node) {
        if (at(node) < 0) continue;
        at(node) = inputs + static_cast<std::int32_t>(graph.adders.size());
        Adder adder = nodes.adders()[static_cast<std::size_t>(node - inputs)];
        adder.a = at(adder.a);
        adder.b = at(adder.b);
        graph.adders.push_back(adder);
    }
    for (Output& output : outputs) {
        if (output.node >= 0) output.node = at(output.node);
    }
    graph.outputs = std::move(outputs);
    return graph;
}

}  // namespace

Graph solve(std::span<const std::int64_t> weights, const std::vector<Range>& inputs, std::size_t columns,
            const Settings& settings, const Interrupt& interrupt) {
    const UniqueColumns unique(weights, inputs.size(), columns);
    std::vector<Column> entries;
    for (const Weights& column : unique.columns) {
        Column& fresh = entries.emplace_back();
        for (std::size_t row = 0; row < column.size(); ++row) {
            if (column[row]) fresh.push_back(entry_of(static_cast<std::int32_t>(row), column[row]));
        }
    }
    Nodes nodes(inputs);
    const Blocks blocks(entries, nodes.inputs(), settings.pair_limit);
    const int latest = settings.extra_depth < 0 ? -1 : earliest(nodes, entries) + settings.extra_depth;
    Sharing sharing(inputs, blocks.parts, blocks.owners, latest, interrupt);
    sharing.run();
    sharing.improve(settings.effort, settings.most_steps);
    const std::vector<Term> roots = sharing.build(nodes);
    std::vector<Output> outputs;
    for (const Place& place : unique.places) {
        if (place.column < 0) {
            outputs.emplace_back();
        } else {
            outputs.push_back(output_of(nodes, roots[static_cast<std::size_t>(place.column)], place));
        }
    }
    return without_dead(nodes, std::move(outputs));
}

}  // namespace bitsmith
