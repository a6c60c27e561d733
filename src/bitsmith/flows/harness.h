// What the harnesses of co-simulations share: waveforms, random numbers, files, and the frame of the program.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <verilated.h>
#if VM_TRACE
#include <verilated_vcd_c.h>
#endif

// Waveforms of the first cycles, in a file that viewers open; nothing unless Verilator was asked for them.
template <typename Dut>
class Waves {
  public:
#if VM_TRACE
    // Before the first evaluation of dut.
    Waves(VerilatedContext& context, Dut& dut, const char* path) {
        context.traceEverOn(true);
        dut.trace(&file_, kLevels);
        file_.open(path);
    }
    ~Waves() { file_.close(); }

    // What signals are after each evaluation, of which a clock cycle has two.
    void show() {
        if (shown_ < kMost) file_.dump(shown_++ * kHalfCycle);
    }

  private:
    static constexpr int kLevels = 99;
    static constexpr std::uint64_t kMost = 4000, kHalfCycle = 5000;  // picoseconds: a cycle is shown as 10 ns
    VerilatedVcdC file_;
    std::uint64_t shown_ = 0;
#else
    Waves(VerilatedContext&, Dut&, const char*) {}
    void show() {}
#endif
};

// A sentence that says where the circuit broke its contract.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Measured {
    std::int64_t latency = -1;
    std::int64_t interval = -1;
};

inline std::uint64_t next_random(std::uint64_t& state) {  // xorshift64
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// The context of a circuit whose registers start with random values.
inline VerilatedContext* randomized(VerilatedContext& context) {
    context.randReset(2);
    context.randSeed(1);
    return &context;
}

inline std::vector<std::uint32_t> read_words(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) throw std::runtime_error(std::string("cannot read ") + path);
    std::fseek(file, 0, SEEK_END);
    std::vector<std::uint32_t> words(static_cast<std::size_t>(std::ftell(file)) / 4);
    std::rewind(file);
    const std::size_t got = words.empty() ? 0 : std::fread(words.data(), 4, words.size(), file);
    std::fclose(file);
    if (got != words.size()) throw std::runtime_error(std::string("cannot read all of ") + path);
    return words;
}

inline void write_bytes(const char* path, const void* data, std::size_t size) {
    std::FILE* file = std::fopen(path, "wb");
    const bool written = file && std::fwrite(data, 1, size, file) == size;
    if (!file || std::fclose(file) != 0 || !written) throw std::runtime_error(std::string("cannot write ") + path);
}

// Runs the bench that `make` returns, and writes its responses and what it measured; the program's exit status.
template <typename Make>
int simulate(const char* responses, const char* measured, Make make) {
    try {
        auto bench = make();
        std::string text;
        try {
            const Measured m = bench.run();
            text = "{\"latency\": " + std::to_string(m.latency) + ", \"interval\": " + std::to_string(m.interval) + "}\n";
        } catch (const Mismatch& mismatch) {
            text = std::string("{\"mismatch\": \"") + mismatch.what() + "\"}\n";
        }
        write_bytes(responses, bench.responses().data(), bench.responses().size() * 4);
        write_bytes(measured, text.data(), text.size());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
    return 0;
}
