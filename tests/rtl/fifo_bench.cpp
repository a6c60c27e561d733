// bitsmith_fifo against a queue, with random claims, puts and takes. usage: Vdut DEPTH CYCLES; WIDTH is at most 32.
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
    std::size_t promised = 0, fullest = 0, taken = 0;  // promised: claimed and not yet put
    for (int now = 0; now < cycles; ++now) {
        // Phases that fill, drain and mix; a reset now and then.
        const unsigned fill = (now / 97) % 3 == 0 ? 8 : 3, drain = (now / 97) % 3 == 1 ? 8 : 3;
        dut.clk = 0;
        dut.rst = now == 0 || now % 2000 == 1999;
        dut.claim = dut.put = dut.take = 0;
        dut.eval();
        if (now > 0 && (dut.valid != !model.empty() || dut.free != (model.size() + promised < depth) ||
                        (dut.valid && dut.data != model.front()))) {
            std::printf("error: cycle %d: %zu tokens held, %zu promised\n", now, model.size(), promised);
            return 1;
        }
        if (!dut.rst) {
            dut.claim = dut.free && random() % 8 < fill;
            dut.put = promised + dut.claim > 0 && random() % 8 < 5;
            dut.take = dut.valid && random() % 8 < drain;
        }
        dut.put_data = random() & 0x1f;
        dut.eval();
        promised += dut.claim;
        if (dut.put) --promised, model.push_back(dut.put_data);
        if (dut.take) model.pop_front(), ++taken;
        if (dut.rst) promised = 0, model.clear();
        fullest = std::max(fullest, model.size() + promised + dut.take);
        dut.clk = 1;
        dut.eval();
    }
    std::printf("%zu %zu\n", fullest, taken);
    dut.final();
}
