// Moves tokens through a process between FIFOs. Every token lies in WORDS words of 32 bits.
//
// usage: Vdut OPERANDS WORDS TAKES IN_STALL OUT_STALL SEED ENDLESS
// Operand k's tokens come from in_<k>.bin; the first TAKES results go to out.bin, the cycles (the first after reset
// being 0) in which they are taken to cycles.bin. IN_STALL and OUT_STALL eighths of the cycles are idle. Before, there
// is random traffic that a reset ends. Unless ENDLESS, it is an error if operands or results are left.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {

constexpr int kWarmUp = 200;
constexpr int kPatience = 20000;
constexpr int kAfter = 200;

std::vector<std::uint32_t> read_words(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const auto* words = reinterpret_cast<const std::uint32_t*>(bytes.data());
    return {words, words + bytes.size() / 4};
}

template <class T>
void write_all(const char* path, const std::vector<T>& values) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

}  // namespace

int main(int, char** argv) {
    const unsigned operands = std::strtoul(argv[1], nullptr, 10), words = std::strtoul(argv[2], nullptr, 10);
    const std::size_t takes = std::strtoull(argv[3], nullptr, 10);
    const unsigned in_stall = std::strtoul(argv[4], nullptr, 10), out_stall = std::strtoul(argv[5], nullptr, 10);
    std::mt19937 random(std::strtoul(argv[6], nullptr, 10));
    const bool endless = std::atoi(argv[7]) != 0;
    std::vector<std::vector<std::uint32_t>> tokens;
    for (unsigned k = 0; k < operands; ++k) tokens.push_back(read_words("in_" + std::to_string(k) + ".bin"));
    std::vector<std::size_t> given(operands, 0);
    std::vector<std::uint32_t> results;
    std::vector<std::int64_t> cycles;
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);

    const auto tick = [&](bool reset, auto&& drive) {
        dut.clk = 0;
        dut.rst = reset;
        dut.in_valid = 0;
        dut.out_take = 0;
        dut.eval();
        drive();
        dut.eval();
        dut.clk = 1;
        dut.eval();
    };
    const auto noise = [&] {
        dut.in_valid = random() & dut.in_free;
        for (unsigned word = 0; word < operands * words; ++word) dut.in_data[word] = random();
        dut.out_take = (random() & 1) & dut.out_valid;
    };
    tick(true, [] {});
    for (int k = 0; k < kWarmUp; ++k) tick(false, noise);
    tick(true, noise);

    std::int64_t now = 0, last = 0;
    for (int after = 0; after < kAfter && now - last < kPatience; ++now) {
        bool extra = false;
        tick(false, [&] {
            for (unsigned k = 0; k < operands; ++k) {
                const bool there = given[k] * words < tokens[k].size();
                const bool give = there && ((dut.in_free >> k) & 1) && random() % 8 >= in_stall;
                for (unsigned word = 0; word < words; ++word) {
                    dut.in_data[k * words + word] = give ? tokens[k][given[k] * words + word] : random();
                }
                if (give) dut.in_valid |= 1u << k, ++given[k];
            }
            if (dut.out_valid && random() % 8 >= out_stall) {
                dut.out_take = 1;
                extra = cycles.size() == takes;
                if (!extra) {
                    for (unsigned word = 0; word < words; ++word) results.push_back(dut.out_data[word]);
                    cycles.push_back(now);
                    last = now;
                }
            }
        });
        if (extra && !endless) {
            std::printf("error: more than %zu results\n", takes);
            return 1;
        }
        if (cycles.size() == takes) ++after;
    }
    if (cycles.size() < takes) {
        std::printf("error: only %zu of %zu results\n", cycles.size(), takes);
        return 1;
    }
    for (unsigned k = 0; k < operands && !endless; ++k) {
        if (given[k] * words != tokens[k].size()) {
            std::printf("error: only %zu tokens of operand %u went in\n", given[k], k);
            return 1;
        }
    }
    write_all("out.bin", results);
    write_all("cycles.bin", cycles);
    dut.final();
}
