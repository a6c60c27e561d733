// bitsmith_axis_fifo against a queue, with random traffic. usage: Vdut DEPTH CYCLES; WIDTH is at most 32.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>

#include "Vdut.h"
#include "verilated.h"

int main(int, char** argv) {
    const std::size_t depth = std::strtoull(argv[1], nullptr, 10);
    const int cycles = std::atoi(argv[2]);
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::mt19937 random(7);
    std::deque<std::uint32_t> model;
    std::size_t fullest = 0, taken = 0;
    dut.rst = 1;
    dut.in_valid = 0;
    dut.out_ready = 0;
    for (int now = 0; now < cycles; ++now) {
        // Phases that fill, drain and mix; a reset now and then.
        const unsigned fill = (now / 64) % 3 == 0 ? 7 : 3, drain = (now / 64) % 3 == 1 ? 7 : 3;
        dut.clk = 0;
        dut.rst = now == 0 || now % 1000 == 999;
        dut.in_valid = random() % 8 < fill;
        dut.in_data = random() & 0x1f;
        dut.out_ready = random() % 8 < drain;
        dut.eval();
        if (now > 0) {
            if (dut.out_valid != !model.empty() || dut.in_ready != (model.size() < depth) ||
                (dut.out_valid && dut.out_data != model.front())) {
                std::printf("error: cycle %d: %zu words held\n", now, model.size());
                return 1;
            }
        }
        if (dut.rst) {
            model.clear();
        } else {
            const bool put = dut.in_valid && dut.in_ready, take = dut.out_valid && dut.out_ready;
            if (put) model.push_back(dut.in_data);
            if (take) model.pop_front(), ++taken;
            fullest = std::max(fullest, model.size());
        }
        dut.clk = 1;
        dut.eval();
    }
    std::printf("%zu %zu\n", fullest, taken);
}
