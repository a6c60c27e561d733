// bitsmith_memory_write with words of four beats of a byte, against what a memory then holds, with random traffic. usage: Vdut CYCLES SEED
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "Vdut.h"
#include "verilated.h"

static int fail(int now, const char* what) {
    std::printf("error: cycle %d: %s\n", now, what);
    return 1;
}

// Beats of a byte into words of four, at any number of bytes; a memory that keeps what strobes say.
static int run(Vdut& dut, int cycles, std::mt19937& random) {
    std::map<unsigned, unsigned> memory, wanted;
    std::deque<unsigned> places;
    std::deque<std::pair<unsigned, unsigned>> words;  // data and strobes, which may come before their address
    unsigned at = 0, left = 0, frames = 0, confirm = 0, ending = 0;
    for (int now = 0; now < cycles; ++now) {
        dut.aclk = 0;
        dut.aresetn = now > 1;
        dut.clear = 0;
        dut.start = dut.aresetn && random() % 8 == 0;
        dut.address = (0x1000 + random() % 64) & ~3u;
        dut.bytes = 1 + random() % 150;
        dut.s_tvalid = random() % 4 != 0;
        dut.s_tdata = random();
        dut.m_axi_awready = random() % 2;
        dut.m_axi_wready = random() % 4 != 0;
        dut.m_axi_bvalid = confirm > 0 && random() % 2;
        dut.m_axi_bresp = 0;
        dut.eval();
        if (now > 1) {
            if (dut.start && !dut.busy) {
                if (memory != wanted) return fail(now, "memory holds something else");
                memory.clear(), wanted.clear();
                at = dut.address, left = dut.bytes, ++frames;
            }
            if (dut.s_tvalid && dut.s_tready) {
                if (left-- == 0) return fail(now, "a beat too many is taken");
                wanted[at++] = dut.s_tdata;
            }
            if (dut.m_axi_awvalid && dut.m_axi_awready) {
                const unsigned first = dut.m_axi_awaddr, count = dut.m_axi_awlen + 1u;
                if (count > 16 || first / 64 != (first + 4 * count - 1) / 64) return fail(now, "a burst over a border");
                for (unsigned k = 0; k < count; ++k) places.push_back(first + 4 * k);
            }
            if (dut.m_axi_bvalid && dut.m_axi_bready) --confirm;
            if (dut.m_axi_wvalid && dut.m_axi_wready) {
                words.emplace_back(dut.m_axi_wdata, dut.m_axi_wstrb);
                ending += dut.m_axi_wlast;
            }
            for (; !words.empty() && !places.empty(); words.pop_front(), places.pop_front()) {
                for (unsigned k = 0; k < 4; ++k) {
                    if (words.front().second >> k & 1) memory[places.front() + k] = words.front().first >> 8 * k & 0xff;
                }
            }
            if (words.empty()) confirm += ending, ending = 0;
        }
        dut.aclk = 1;
        dut.eval();
    }
    std::printf("%u\n", frames);
    return frames < 20;
}

int main(int, char** argv) {
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::mt19937 random(std::atoi(argv[2]));
    return run(dut, std::atoi(argv[1]), random);
}
