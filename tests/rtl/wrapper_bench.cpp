// A wrapper with AXI4-Lite registers and AXI4-Streams, told over standard input what to do, as a processor with DMA would.
// usage: Vdut SEED INPUTS OUTPUTS LANE_WORDS TOKEN_BYTES... [no-packets]
//        (bytes of a token of each input, then of each output; no-packets: outputs have no TLAST)
//   r ADDRESS              reads a register; prints its value
//   w ADDRESS VALUE        writes one, address and data in either order
//   x DATA... BYTES...     sends DATA (hexadecimal, "-" for none) on each input, TLAST with the last token, and takes so many
//                          bytes of each output, both sides waiting at random; prints a line per output, or "hangs" where
//                          nothing moves for long
//   s CYCLES               lets time pass; prints the cycles since the start
// All numbers but DATA are decimal. A broken rule of a protocol ends it with an error.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "Vdut.h"
#include "processor.h"
#include "verilated.h"

struct Stream {
    std::size_t token_bytes = 0;
    std::vector<unsigned char> bytes;
    std::size_t wanted = 0, done = 0;
    bool offered = false, waiting = false, held_last = false;
    std::vector<unsigned char> held;
};

template <class Top>
auto core_clock(Top& top, int) -> decltype(&top.core_clk) {
    return &top.core_clk;
}

template <class Top>
CData* core_clock(Top&, long) {
    return nullptr;
}

int main(int argc, char** argv) {
    std::mt19937 random(std::atoi(argv[1]));
    const std::size_t inputs = std::strtoull(argv[2], nullptr, 10), outputs = std::strtoull(argv[3], nullptr, 10);
    const std::size_t lane_bytes = 4 * std::strtoull(argv[4], nullptr, 10);
    std::vector<Stream> in(inputs), out(outputs);
    for (std::size_t k = 0; k < inputs + outputs; ++k)
        (k < inputs ? in[k] : out[k - inputs]).token_bytes = std::strtoull(argv[5 + k], nullptr, 10);
    const bool packets = std::size_t(argc) == 5 + inputs + outputs;
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    auto* in_lanes = reinterpret_cast<unsigned char*>(&dut.in_data);
    auto* out_lanes = reinterpret_cast<unsigned char*>(&dut.out_data);

    // A second clock, if there is one, whose halves take a fifth to two of the first one's, more or less, seed by seed.
    std::mt19937 phases(random());
    const long half = 4 + long(phases() % 37);
    long now_core = 0, next_core = 1 + long(phases() % 50);
    CData* const core = core_clock(dut, 0);
    auto pass = [&] {
        for (const long end = now_core + 20; core && now_core < end; ++now_core)
            if (now_core == next_core)
                *core ^= 1, dut.eval(), next_core += half - half / 8 + long(phases() % (half / 4 + 1));
    };
    // Inputs are driven in the low half of the clock; what is sampled there is what the rising edge sees.
    auto low = [&] { dut.clk = 0, dut.eval(), pass(); };
    long cycles = 0;
    auto high = [&] { dut.clk = 1, dut.eval(), ++cycles, pass(); };
    auto step = [&] { low(), high(); };
    dut.rstn = 0, dut.in_valid = 0, dut.out_ready = 0;
    dut.awvalid = 0, dut.wvalid = 0, dut.bready = 0, dut.arvalid = 0, dut.rready = 0;
    for (int k = 0; k < 4; ++k) step();
    dut.rstn = 1;
    step();

    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        alarm(verb == "s" ? 600 : 60);  // a handshake that never comes
        if (verb == "r") {
            unsigned address;
            words >> address;
            std::printf("%u\n", read_register(dut, address, random() % 4, low, high));
        } else if (verb == "w") {
            unsigned address, value;
            words >> address >> value;
            dut.awaddr = address, dut.wdata = value, dut.wstrb = 15;
            const bool address_first = random() % 2;
            (address_first ? dut.awvalid : dut.wvalid) = 1;
            for (unsigned wait = random() % 3; wait; --wait) {
                low();
                if (dut.awready || dut.wready) fail("half a write is taken");
                high();
            }
            write_register(dut, address, value, low, high);
            std::printf("ok\n");
        } else if (verb == "x") {
            for (Stream& s : in) {
                std::string text;
                words >> text;
                s = Stream{s.token_bytes};
                for (std::size_t k = 0; text != "-" && k < text.size(); k += 2)
                    s.bytes.push_back(static_cast<unsigned char>(std::stoul(text.substr(k, 2), nullptr, 16)));
            }
            for (Stream& s : out) {
                s = Stream{s.token_bytes};
                words >> s.wanted;
            }
            bool busy = true;
            long moved = 0;
            for (long now = 0; busy && now < moved + 20'000; ++now) {
                unsigned valid = 0, last = 0, ready = 0;
                for (std::size_t k = 0; k < inputs; ++k) {
                    Stream& s = in[k];
                    s.offered = s.done < s.bytes.size() && (s.offered || random() % 8 >= 3);
                    if (!s.offered) continue;
                    valid |= 1u << k;
                    last |= unsigned(s.done + s.token_bytes == s.bytes.size()) << k;
                    std::memcpy(in_lanes + k * lane_bytes, &s.bytes[s.done], s.token_bytes);
                }
                for (std::size_t k = 0; k < outputs; ++k)
                    ready |= unsigned(out[k].bytes.size() < out[k].wanted && random() % 8 >= 3 && now / 64 % 4 != 3) << k;
                dut.in_valid = valid, dut.in_last = last, dut.out_ready = ready;
                low();
                for (std::size_t k = 0; k < inputs; ++k) {
                    if (!(valid >> k & dut.in_ready >> k & 1)) continue;
                    moved = now;
                    in[k].done += in[k].token_bytes;
                    in[k].offered = false;
                }
                busy = false;
                for (std::size_t k = 0; k < outputs; ++k) {
                    Stream& s = out[k];
                    const bool shown = dut.out_valid >> k & 1, at_end = dut.out_last >> k & 1;
                    const unsigned char* lane = out_lanes + k * lane_bytes;
                    const std::vector<unsigned char> token(lane, lane + s.token_bytes);
                    if (s.waiting && !shown) fail("TVALID is withdrawn");
                    if (s.waiting && (token != s.held || at_end != s.held_last)) fail("TDATA or TLAST change while they wait");
                    s.waiting = shown && !(ready >> k & 1);
                    s.held = token, s.held_last = at_end;
                    if (shown && (ready >> k & 1)) {
                        moved = now;
                        s.bytes.insert(s.bytes.end(), token.begin(), token.end());
                        if (packets && at_end != (s.bytes.size() == s.wanted)) fail("TLAST is not with the last token of the packet");
                    }
                    busy |= s.bytes.size() < s.wanted;
                }
                for (const Stream& s : in) busy |= s.done < s.bytes.size();
                high();
            }
            dut.in_valid = 0, dut.out_ready = 0;
            if (busy) std::printf("hangs\n");
            for (const Stream& s : out) {
                if (busy) break;
                for (unsigned char byte : s.bytes) std::printf("%02x", byte);
                std::printf("\n");
            }
        } else if (verb == "s") {
            long wait;
            for (words >> wait; wait; --wait) step();
            std::printf("%ld\n", cycles);
        } else {
            fail("unknown command");
        }
        std::fflush(stdout);
    }
}
