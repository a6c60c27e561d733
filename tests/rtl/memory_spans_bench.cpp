// bitsmith_memory_spans between a circuit and a memory with random traffic; writes are seen when they are acknowledged.
// usage: Vdut CYCLES SEED BYTES BEATS FIRST COUNT... (bytes of a beat, beats of a frame, its spans)
// With seed 0 nobody ever waits, and memory answers at once.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

static int fail(int now, const char* what) {
    std::printf("error: cycle %d: %s\n", now, what);
    return 1;
}

struct Burst {
    unsigned address, words;
    std::vector<std::pair<unsigned, unsigned char>> bytes;  // that were written
};

int main(int argc, char** argv) {
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    const bool steady = std::atoi(argv[2]) == 0;
    std::mt19937 generator(std::atoi(argv[2]));
    auto random = [&] { return steady ? 0u : unsigned(generator()); };
    const int cycles = std::atoi(argv[1]);
    const unsigned size = std::atoi(argv[3]), beats = std::atoi(argv[4]), word = sizeof(dut.m_axi_wdata);
    std::vector<unsigned> source;
    for (int k = 5; k + 1 < argc; k += 2)
        for (int b = 0; b < std::atoi(argv[k + 1]); ++b) source.push_back(std::atoi(argv[k]) + b);
    const bool in_order = argc == 7 && source.size() == beats;  // a FIFO, whose beats are counted over all frames

    std::map<unsigned, unsigned char> memory;
    std::deque<Burst> told, answers, reads;
    std::vector<unsigned> frame;
    unsigned base = 0, read = 0, frames = 0, errors = 0, seen = 0, wait_for = 0, long_wait = 0, resets = 0, clearing = 0, quiet = 0;
    bool started = false, offered = false;
    unsigned beat = 0, held = 0;
    for (int now = 0; now < cycles; ++now) {
        dut.aclk = 0;
        dut.aresetn = now > 1;
        if (clearing) clearing = dut.busy || clearing < 3 ? clearing + 1 : 0;
        else if (now > 10 && random() % 5000 == 0 && !steady) clearing = 1, ++resets;
        dut.clear = clearing != 0;
        if (dut.clear) started = offered = false, frame.clear(), read = 0, wait_for = 0, held = 0;
        dut.start = dut.aresetn && !dut.clear && random() % 8 == 0 && !(steady && started);  // ignored while a frame is under way
        dut.address = (0x10000 + random() % 0x4000) / word * word;
        const unsigned pace = steady ? 0 : now / 400 % 4;  // fast, slow, or with long pauses
        if (long_wait) --long_wait;
        if (!offered && started && read >= wait_for && !long_wait) {
            offered = pace == 0 || random() % (pace == 1 ? 9 : 2) == 0;
            beat = unsigned(generator());
        }
        dut.s_tvalid = offered;
        dut.s_tdata = offered ? beat : random();
        dut.m_tready = pace != 3 || random() % 8 == 0;
        dut.m_axi_awready = steady || random() % 2;
        dut.m_axi_wready = !told.empty() && (steady || random() % 4 != 0);
        dut.m_axi_arready = steady || random() % 2;
        dut.m_axi_bvalid = !answers.empty() && random() % 8 == 0;
        dut.m_axi_bresp = !steady && random() % 64 == 0 ? 2 : 0;
        dut.m_axi_rvalid = !reads.empty() && (steady || random() % 4 != 0);
        dut.m_axi_rresp = !steady && random() % 64 == 0 ? 2 : 0;
        dut.m_axi_rlast = !reads.empty() && reads[0].words == 1;
        for (unsigned k = 0; k < word; ++k)
            reinterpret_cast<unsigned char*>(&dut.m_axi_rdata)[k] = reads.empty() ? 0 : memory[reads[0].address + k];
        dut.eval();
        if (now > 1) {
            if (in_order && !dut.busy && !dut.clear && frame.size() > read) return fail(now, "not busy while it holds beats");
            const bool wrong_answer = dut.m_axi_bvalid && dut.m_axi_bresp, wrong_word = dut.m_axi_rvalid && dut.m_axi_rresp;
            if (dut.failed) seen += 1 + (wrong_answer && wrong_word);
            if (dut.m_axi_bvalid) {
                if (!dut.m_axi_bready) return fail(now, "an answer is not taken");
                for (const auto& [at, byte] : answers[0].bytes) memory[at] = byte;
                answers.pop_front();
                errors += dut.m_axi_bresp == 2;
            }
            if (dut.m_axi_rvalid) {
                if (!dut.m_axi_rready) return fail(now, "a word that was asked for is not taken");
                errors += dut.m_axi_rresp == 2;
                reads[0].address += word;
                if (--reads[0].words == 0) reads.pop_front();
            }
            if (dut.m_axi_wvalid && dut.m_axi_wready) {
                if (told.empty()) return fail(now, "a word of which memory was not told");
                for (unsigned k = 0; k < word; ++k)
                    if (dut.m_axi_wstrb >> k & 1)
                        told[0].bytes.emplace_back(told[0].address + k, reinterpret_cast<unsigned char*>(&dut.m_axi_wdata)[k]);
                told[0].address += word;
                if (dut.m_axi_wlast != (told[0].words == 1)) return fail(now, "a burst of another length");
                if (--told[0].words == 0) answers.push_back(told[0]), told.pop_front();
            }
            for (const bool writes : {true, false}) {
                if (!(writes ? dut.m_axi_awvalid && dut.m_axi_awready : dut.m_axi_arvalid && dut.m_axi_arready)) continue;
                const unsigned from = writes ? dut.m_axi_awaddr : dut.m_axi_araddr;
                const unsigned words = (writes ? dut.m_axi_awlen : dut.m_axi_arlen) + 1u;
                const unsigned last = from + words * word - 1, end = base + (beats * size + word - 1) / word * word;
                if (words > 16 || from % word || from / (16 * word) != last / (16 * word)) return fail(now, "a burst over a border");
                if (!dut.clear && (from < base || last >= end)) return fail(now, "beyond the frame");
                (writes ? told : reads).push_back({from, words, {}});
            }
            if (dut.s_tvalid && dut.s_tready) {
                frame.push_back(beat & (size == 4 ? ~0u : (1u << 8 * size) - 1));
                offered = false;
                unsigned needed = 0, can = 0;
                while (!in_order && can < source.size() && (needed = std::max(needed, source[can] + 1)) <= frame.size()) ++can;
                // What comes depends on what is read.
                if (!steady && random() % 16 == 0) wait_for = in_order ? frame.size() : std::min<unsigned>(can, source.size() - 1);
                if (!steady && random() % 20 == 0) long_wait = random() % 200;
            }
            if (dut.m_tvalid && dut.m_tready) {
                const unsigned from = in_order ? read : source[read];
                if (frame.size() <= from) return fail(now, "a beat that has not come");
                if (dut.m_tdata != frame[from]) return fail(now, "another beat");
                if (++read == source.size()) held = !in_order;
                frames += in_order && read % beats == 0;
            }
            if (held && frame.size() == beats) frame.clear(), read = wait_for = held = 0, ++frames;
            if (!held && frame.size() > beats + (in_order ? read : 0)) return fail(now, "a beat for which there is no room");
            quiet = dut.clear || (dut.s_tvalid && dut.s_tready) || (dut.m_tvalid && dut.m_tready) ? 0 : quiet + 1;
            if (quiet > 1500) return fail(now, "nothing moves");
            if (dut.start && !dut.busy) started = true, base = dut.address;
            else if (!dut.busy && (!answers.empty() || !reads.empty() || !told.empty())) return fail(now, "not busy too early");
        }
        dut.aclk = 1;
        dut.eval();
    }
    if (seen != errors) return fail(cycles, "errors are not told");
    std::printf("%u %u %u\n", frames, errors, resets);
    return 0;
}
