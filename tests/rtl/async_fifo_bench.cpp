// bitsmith_async_fifo against a queue, between clocks of unlike periods and random phases, with random traffic and resets.
// usage: Vdut SEED IN_PERIOD OUT_PERIOD DEPTH TIME STEADY. Each half of a clock takes its period, more or less an eighth of it.
// STEADY: neither side ever waits, and there is no reset; refusals are counted when the FIFO has settled.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>

#include "Vdut.h"
#include "verilated.h"

struct Clock {
    long period;
    long next;
    bool level = false;
};

int main(int, char** argv) {
    std::mt19937 random(std::atoi(argv[1]));
    Clock in{std::atol(argv[2]), 1 + long(random() % 50)}, out{std::atol(argv[3]), 1 + long(random() % 50)};
    const std::size_t depth = std::strtoull(argv[4], nullptr, 10);
    const long end = std::atol(argv[5]);
    const bool steady = std::atoi(argv[6]);
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::deque<std::uint32_t> model;
    std::size_t fullest = 0, taken = 0, full = 0, empty = 0, resets = 0;
    std::uint32_t number = 0;
    int quiet_in = 4, quiet_out = 4;  // edges for which a side is still in reset
    dut.in_clk = dut.out_clk = 0;
    dut.in_rst = dut.out_rst = 1;
    dut.in_valid = dut.out_ready = 0;
    dut.eval();
    while (in.next < end || out.next < end) {
        const long now = std::min(in.next, out.next);
        const unsigned phase = now / 20'000 % 3;
        if (!steady && random() % 4000 == 0) {  // at any time, of any side, for both; each ends with its clock
            ++resets;
            dut.in_rst = dut.out_rst = 1;
            quiet_in = quiet_out = 3;
            dut.eval();
            if (dut.out_valid || dut.in_ready) return std::printf("error: handshakes in a reset\n"), 1;
            model.clear();
        }
        const bool in_edge = in.next == now, out_edge = out.next == now;
        for (Clock* clock : {&in, &out}) {
            if (clock->next != now) continue;
            clock->level = !clock->level;
            clock->next += clock->period + long(random() % (clock->period / 4 + 1)) - clock->period / 8;
        }
        const bool in_rises = in_edge && in.level, out_rises = out_edge && out.level;
        // What is sampled before the edges is what they see.
        const bool put = in_rises && dut.in_valid && dut.in_ready && !dut.in_rst;
        const bool take = out_rises && dut.out_valid && dut.out_ready && !dut.out_rst;
        const bool counts = !steady || now > end / 4;
        full += counts && in_rises && dut.in_valid && !dut.in_ready && !dut.in_rst;
        empty += counts && out_rises && dut.out_ready && !dut.out_valid && !dut.out_rst;
        if (take) {
            if (model.empty()) return std::printf("error: a word that nobody put\n"), 1;
            if (dut.out_data != model.front()) return std::printf("error: a word lost, doubled or out of order\n"), 1;
            model.pop_front(), ++taken;
        }
        if (put) model.push_back(dut.in_data);
        fullest = std::max(fullest, model.size());
        if (model.size() > depth + 1) return std::printf("error: more words than places\n"), 1;
        dut.in_clk = in.level, dut.out_clk = out.level;
        dut.eval();
        if (in_rises && quiet_in && --quiet_in == 0) dut.in_rst = 0;
        if (out_rises && quiet_out && --quiet_out == 0) dut.out_rst = 0;
        if (in_rises) {  // phases that fill, drain and mix; what is offered stays until it is taken
            if (put || !dut.in_valid || dut.in_rst) {
                dut.in_valid = (steady || random() % 64 < (phase == 0 ? 64u : phase == 1 ? 2u : 32u)) && !dut.in_rst;
                dut.in_data = ++number & 0xffff;
            }
        }
        if (out_rises) dut.out_ready = steady || random() % 64 < (phase == 1 ? 64u : phase == 0 ? 2u : 32u);
        dut.eval();
    }
    if (!model.empty() && taken == 0) return std::printf("error: nothing comes out\n"), 1;
    std::printf("%zu %zu %zu %zu %zu\n", fullest, taken, full, empty, resets);
}
