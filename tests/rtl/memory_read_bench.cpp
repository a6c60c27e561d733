// bitsmith_memory_read with words of four beats of a byte, between a memory and a consumer with random traffic, and perhaps in
// rounds of so many bytes. usage: Vdut CYCLES SEED ROUND
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>

#include "Vdut.h"
#include "verilated.h"

static int fail(int now, const char* what) {
    std::printf("error: cycle %d: %s\n", now, what);
    return 1;
}

static unsigned byte_at(unsigned address) { return (address * 37 + address / 256) & 0xff; }

// A memory that answers each read after some time, and a consumer that may stop for long.
static int run(Vdut& dut, int cycles, std::mt19937& random, unsigned round) {
    std::deque<std::pair<unsigned, bool>> owed;  // addresses of words to come, and whether one is the last of a burst
    unsigned first = 0, next = 0, asked = 0, left = 0, held = 0, frames = 0, errors = 0, seen = 0;
    for (int now = 0; now < cycles; ++now) {
        dut.aclk = 0;
        dut.aresetn = now > 1;
        const bool slow = now / 300 % 3 == 1;  // a consumer that takes nothing for a while
        dut.clear = 0;
        dut.start = dut.aresetn && left == 0 && owed.empty() && random() % 4 == 0;
        if (dut.start || round == 0) dut.address = (0x1000 + random() % 64) & ~3u;
        dut.bytes = 1 + random() % 800;
        dut.m_axi_arready = random() % 2;
        dut.m_tready = !slow && random() % 4 != 0;
        dut.m_axi_rvalid = !owed.empty() && random() % 4 != 0;
        dut.m_axi_rdata = owed.empty() ? 0 : byte_at(owed.front().first + 3) << 24 | byte_at(owed.front().first + 2) << 16 |
                                            byte_at(owed.front().first + 1) << 8 | byte_at(owed.front().first);
        dut.m_axi_rlast = !owed.empty() && owed.front().second;
        dut.m_axi_rresp = random() % 64 == 0 ? 2 : 0;
        dut.eval();
        if (now > 1) {
            if (dut.m_axi_rvalid && dut.m_axi_rready) {
                errors += dut.m_axi_rresp == 2;
                owed.pop_front();
                if (++held > 64) return fail(now, "more words than places for them");
            }
            if (dut.m_axi_rvalid && !dut.m_axi_rready) return fail(now, "a word that was asked for is not taken");
            if (dut.failed) ++seen;
            if (dut.m_tvalid && dut.m_tready) {
                if (left == 0) return fail(now, "a beat too many");
                if (dut.m_tdata != byte_at(first + (round ? next % round : next))) return fail(now, "another beat");
                ++next, --left;
                held -= next % 4 == 0 || left == 0;
                frames += left == 0;
            }
            if (dut.m_axi_arvalid && dut.m_axi_arready) {
                const unsigned from = dut.m_axi_araddr, words = dut.m_axi_arlen + 1u;
                if (words > 16 || from / 64 != (from + 4 * words - 1) / 64) return fail(now, "a burst over a border");
                if (from != first + (round ? asked % round : asked)) return fail(now, "another address");
                if (round && asked % round + 4 * words > round) return fail(now, "a burst over the end of a round");
                asked += 4 * words;
                if (held + owed.size() + words > 64) return fail(now, "asks without room");
                for (unsigned k = 0; k < words; ++k) owed.emplace_back(from + 4 * k, k + 1 == words);
            }
            if (dut.start && !dut.busy) first = dut.address, next = asked = 0, left = dut.bytes;
            else if (!dut.busy && left) return fail(now, "not busy with beats left");
        }
        dut.aclk = 1;
        dut.eval();
    }
    if (seen != errors) return fail(cycles, "errors are not told");
    std::printf("%u %u\n", frames, errors);
    return frames < 20 || errors == 0;
}

int main(int argc, char** argv) {
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    std::mt19937 random(std::atoi(argv[2]));
    return run(dut, std::atoi(argv[1]), random, argc > 3 ? std::atoi(argv[3]) : 0);
}
