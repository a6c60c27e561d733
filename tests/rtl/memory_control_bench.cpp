// bitsmith_memory_control with two streams, against a few variables, with random traffic. usage: Vdut CYCLES SEED
#include <cstdio>
#include <cstdlib>
#include <random>

#include "Vdut.h"
#include "verilated.h"

static int fail(int now, const char* what) {
    std::printf("error: cycle %d: %s\n", now, what);
    return 1;
}

// Registers of two streams: what is written is read, a stream starts alone, and its error stays until it starts again.
static int run(Vdut& dut, int cycles, std::mt19937& random) {
    unsigned failed = 0, values[2][3] = {}, forgotten = 0;
    bool known[2][3] = {};
    for (int now = 0; now < cycles; ++now) {
        dut.aclk = 0;
        dut.aresetn = now > 1;
        dut.written = dut.aresetn && random() % 2;
        dut.write_word = random() % 12;
        dut.data = random();
        dut.strobe = random() % 4 ? 15 : random() % 16;
        dut.busy = random() % 4;
        dut.failed = random() % 4 ? 0 : random() % 4;
        dut.read_word = random() % 12;
        dut.eval();
        const unsigned stream = dut.write_word / 4 - 1, field = dut.write_word % 4;
        unsigned mask = 0;
        for (unsigned k = 0; k < 4; ++k) mask |= (dut.strobe >> k & 1) * 0xffu << 8 * k;
        if (now > 1) {
            const unsigned read = dut.read_word, start = dut.written && dut.write_word == 0 ? dut.data & mask & 3 : 0;
            if (dut.start != start) return fail(now, "another start");
            if (read == 0 && dut.value != dut.busy) return fail(now, "another busy");
            if (read == 1 && dut.value != failed) return fail(now, "another error");
            if (read >= 4 && read % 4 < 3 && known[read / 4 - 1][read % 4] && dut.value != values[read / 4 - 1][read % 4]) {
                return fail(now, "another value");
            }
            if (read >= 4 && read % 4 == 3 && dut.value != 0) return fail(now, "a value where there is none");
            forgotten += (failed & start) != 0;
            failed = (failed & ~start) | dut.failed;
            if (dut.written && dut.write_word >= 4 && field < 3) {
                values[stream][field] = (values[stream][field] & ~mask) | (dut.data & mask);
                known[stream][field] |= dut.strobe == 15;
            }
        }
        dut.aclk = 1;
        dut.eval();
    }
    std::printf("%u\n", forgotten);
    return forgotten == 0;
}

int main(int, char** argv) {
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::mt19937 random(std::atoi(argv[2]));
    return run(dut, std::atoi(argv[1]), random);
}
