// bitsmith_load with random traffic and resets. usage: Vdut ELEMENT PARTS WORDS CYCLES; a word has at most 32 bits.
//
// Prints loads that were complete, and words that were written. Each write must be the word that is due, and loading must be
// high from the cycle after the first transfer of a load to the second one after its last write.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "Vdut.h"
#include "verilated.h"

int main(int, char** argv) {
    const unsigned element = std::atoi(argv[1]), parts = std::atoi(argv[2]), words = std::atoi(argv[3]);
    const int cycles = std::atoi(argv[4]);
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::mt19937 random(11);
    unsigned count = 0, loads = 0, written = 0, due_address = 0;
    std::uint32_t word = 0, due_word = 0;
    bool due = false, was_due = false, begun = false;
    for (int now = 0; now < cycles; ++now) {
        dut.clk = 0;
        dut.rst = now == 0 || now % 700 == 699;
        const bool hasty = (now / 50) % 3 != 1;
        dut.load_valid = hasty || random() % 4 == 0;
        dut.load_data = random() & ((std::uint64_t{1} << element) - 1);
        dut.eval();
        if (dut.load_ready == dut.rst || (now == 0 && dut.write)) {
            std::printf("error: cycle %d: ready %d, write %d in reset\n", now, dut.load_ready, dut.write);
            return 1;
        }
        if (now > 0 && !dut.rst) {
            const bool busy = begun || due || was_due || count != 0;
            if (dut.write != due || (due && (dut.address != due_address || dut.word != due_word)) || dut.loading != busy) {
                std::printf("error: cycle %d: write %d, loading %d\n", now, dut.write, dut.loading);
                return 1;
            }
            written += due;
        }
        was_due = due && !dut.rst;
        due = begun = false;
        if (dut.rst) {
            count = 0;
        } else if (dut.load_valid) {
            const unsigned part = count % parts;
            if (part == 0) word = 0;
            word |= static_cast<std::uint32_t>(dut.load_data) << (part * element);
            due = part == parts - 1, due_word = word, due_address = count / parts;
            begun = true;
            if (++count == parts * words) count = 0, ++loads;
        }
        dut.clk = 1;
        dut.eval();
    }
    std::printf("%u %u\n", loads, written);
}
