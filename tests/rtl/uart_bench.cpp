// A serial wrapper talked to as a host does.
// usage: Vdut REQUESTS REPLIES WORDS IN_BYTES OUT_BYTES CLOCKS_PER_BIT IDLE_BITS
// REQUESTS holds WORDS * IN_BYTES bytes; REPLIES gets WORDS * OUT_BYTES. Before the second word a part of a word is sent and
// left incomplete for IDLE_BITS bit times, which the wrapper must forget; before the third a glitch shorter than half a bit.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

// The light of a wrapper that has one, or 0.
template <typename T> auto light(const T& dut, int) -> decltype(int(dut.led)) { return int(dut.led); }
template <typename T> int light(const T&, long) { return 0; }

class Host {
  public:
    Host(Vdut& dut, int clocks_per_bit) : dut_(dut), clocks_per_bit_(clocks_per_bit) { dut_.uart_rx = 1; }

    // What is under way is forgotten.
    void set_rate(int clocks_per_bit) { clocks_per_bit_ = clocks_per_bit, phase_ = -1, heard.clear(); }

    void wait(long clocks) {
        for (long i = 0; i < clocks; ++i) {
            dut_.clk = 0;
            dut_.eval();
            listen();
            dut_.clk = 1;
            dut_.eval();
        }
    }

    void line(int level, long clocks) {
        dut_.uart_rx = level;
        wait(clocks);
    }

    void send(unsigned char byte) {
        line(0, clocks_per_bit_);
        for (int i = 0; i < 8; ++i) line(byte >> i & 1, clocks_per_bit_);
        line(1, clocks_per_bit_);
    }

    std::vector<unsigned char> heard;
    int bad_stops = 0;

  private:
    void listen() {
        if (phase_ < 0) {
            if (!dut_.uart_tx) phase_ = 0, byte_ = 0;
            return;
        }
        ++phase_;
        if (phase_ % clocks_per_bit_ != clocks_per_bit_ / 2) return;
        const int bit = phase_ / clocks_per_bit_;
        if (bit == 0 && dut_.uart_tx) phase_ = -1;  // a glitch: registers are random until the wrapper has reset itself
        if (bit >= 1 && bit <= 8) byte_ |= dut_.uart_tx << (bit - 1);
        if (bit == 9) {
            bad_stops += !dut_.uart_tx;
            heard.push_back(static_cast<unsigned char>(byte_));
            phase_ = -1;
        }
    }

    Vdut& dut_;
    int clocks_per_bit_;
    int phase_ = -1;
    unsigned byte_ = 0;
};

// usage: Vdut CLOCKS_PER_BIT: does what standard input says, a line each, and answers with a line
//   s DATA         sends bytes (hexadecimal)
//   b BITS         sends a break of so many bit times
//   c CLOCKS       from now on a bit has so many clocks
//   r BYTES BITS   takes so many bytes, those that come within so many bit times; prints them and whether the light is on
void obey(Vdut& dut, int clocks_per_bit) {
    Host host(dut, clocks_per_bit);
    host.wait(64);
    char verb;
    while (std::scanf(" %c", &verb) == 1) {
        if (verb == 's') {
            char text[8192];
            if (std::scanf("%8191s", text) != 1) return;
            unsigned byte;
            for (const char* at = text; std::sscanf(at, "%2x", &byte) == 1; at += 2) host.send(static_cast<unsigned char>(byte));
            std::printf("ok\n");
        } else if (verb == 'c') {
            if (std::scanf("%d", &clocks_per_bit) != 1) return;
            host.set_rate(clocks_per_bit);
            std::printf("ok\n");
        } else if (verb == 'b') {
            long bits;
            if (std::scanf("%ld", &bits) != 1) return;
            host.heard.clear();
            host.line(0, bits * clocks_per_bit);
            host.line(1, 2L * clocks_per_bit);
            std::printf("ok\n");
        } else {
            std::size_t bytes;
            long bits;
            if (std::scanf("%zu %ld", &bytes, &bits) != 2) return;
            for (; bits > 0 && host.heard.size() < bytes; --bits) host.wait(clocks_per_bit);
            bytes = bytes < host.heard.size() ? bytes : host.heard.size();
            std::printf("%d ", light(dut, 0));
            for (std::size_t k = 0; k < bytes; ++k) std::printf("%02x", host.heard[k]);
            std::printf("\n");
            host.heard.erase(host.heard.begin(), host.heard.begin() + static_cast<long>(bytes));
        }
        std::fflush(stdout);
    }
}

int main(int argc, char** argv) {
    if (argc == 2) {
        VerilatedContext context;
        context.randReset(2);
        Vdut dut(&context);
        obey(dut, std::atoi(argv[1]));
        return 0;
    }
    const std::size_t words = std::strtoull(argv[3], nullptr, 10);
    const std::size_t in_bytes = std::strtoull(argv[4], nullptr, 10), out_bytes = std::strtoull(argv[5], nullptr, 10);
    const int clocks_per_bit = std::atoi(argv[6]), idle_bits = std::atoi(argv[7]);
    std::vector<unsigned char> requests(words * in_bytes);
    std::FILE* file = std::fopen(argv[1], "rb");
    if (!file || std::fread(requests.data(), 1, requests.size(), file) != requests.size()) return 1;
    std::fclose(file);
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    Host host(dut, clocks_per_bit);
    host.wait(64);
    for (std::size_t word = 0; word < words; ++word) {
        if (word == 1) {
            for (std::size_t i = 0; i + 1 < in_bytes; ++i) host.send(0xa5);
            host.wait(static_cast<long>(clocks_per_bit) * (idle_bits + 12));
        }
        if (word == 2) {
            host.line(0, clocks_per_bit / 4);
            host.line(1, clocks_per_bit * 12L);
        }
        for (std::size_t i = 0; i < in_bytes; ++i) host.send(requests[word * in_bytes + i]);
        for (int i = 0; i < 1000 && host.heard.size() < (word + 1) * out_bytes; ++i) host.wait(clocks_per_bit * 10L);
        if (host.heard.size() != (word + 1) * out_bytes) {
            std::printf("error: %zu bytes heard after word %zu\n", host.heard.size(), word);
            return 1;
        }
    }
    if (host.bad_stops) {
        std::printf("error: %d bytes without a stop bit\n", host.bad_stops);
        return 1;
    }
    file = std::fopen(argv[2], "wb");
    if (!file || std::fwrite(host.heard.data(), 1, host.heard.size(), file) != host.heard.size()) return 1;
    std::fclose(file);
}
