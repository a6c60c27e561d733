// Co-simulation of one generated top: reads stimuli, writes responses and the measured timing.
//
// usage: Vdut STIMULI RESPONSES MEASURED SAMPLES IN_WIDTH PATIENCE
//
// STIMULI and RESPONSES hold one record per sample: the bits of in_data or out_data, least significant first, in
// little-endian 32-bit words. MEASURED is a JSON object: either {"latency": .., "interval": ..} or {"mismatch": ".."},
// the sentence that says where the circuit broke its contract. PATIENCE is the number of cycles without an output
// after which the circuit is said to hang.
//
// The circuit is run three times without a reset between the first two:
//   1. all samples back to back: latency and initiation interval must be the same for all of them;
//   2. a prefix with pseudo-random pauses and garbage on in_data during them: same outputs, same latency;
//   3. a reset while samples are in flight: none of them may come out, and those that follow must be right.
// All registers start with random values, so that what the reset leaves alone cannot matter.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <Vdut.h>  // of the folder that it is compiled in, never one beside this file
#include <verilated.h>

#include "harness.h"

namespace {

// A port is an 8, 16, 32 or 64-bit integer or an array of 32-bit words, by its width.
template <typename Port>
constexpr std::size_t words_of(const Port&) {
    return sizeof(Port) <= 4 ? 1 : sizeof(Port) / 4;
}

template <typename Port>
void drive(Port& port, const std::uint32_t* words) {
    if constexpr (sizeof(Port) < 4) {
        port = static_cast<Port>(words[0]);
    } else {
        std::memcpy(&port, words, sizeof(Port));
    }
}

template <typename Port>
void sample(const Port& port, std::uint32_t* words) {
    if constexpr (sizeof(Port) < 4) {
        words[0] = port;
    } else {
        std::memcpy(words, &port, sizeof(Port));
    }
}

class Bench {
  public:
    Bench(std::vector<std::uint32_t> stimuli, std::size_t samples, unsigned in_width, std::int64_t patience)
        : dut_(randomized(context_)), stimuli_(std::move(stimuli)), samples_(samples), patience_(patience) {
        in_words_ = words_of(dut_.in_data);
        out_words_ = words_of(dut_.out_data);
        if (in_width % 32) top_mask_ = (std::uint32_t{1} << (in_width % 32)) - 1;
        if (stimuli_.size() != samples_ * in_words_) throw std::runtime_error("the stimuli do not fit in_data");
        responses_.resize(samples_ * out_words_);
        current_.resize(out_words_);
        garbage_.resize(in_words_);
    }

    ~Bench() { dut_.final(); }

    Measured run() {
        reset();
        back_to_back();
        with_pauses();
        reset_in_flight();
        return measured_;
    }

    const std::vector<std::uint32_t>& responses() const { return responses_; }

  private:
    void settle() {
        dut_.eval();
        waves_.show();
    }

    // One clock cycle with the given inputs; afterwards current_ and valid_ hold the outputs during that cycle.
    void cycle(bool rst, bool in_valid, const std::uint32_t* words) {
        dut_.clk = 0;
        dut_.rst = rst;
        dut_.in_valid = in_valid;
        drive(dut_.in_data, words);
        settle();
        valid_ = dut_.out_valid;
        if (valid_) sample(dut_.out_data, current_.data());
        dut_.clk = 1;
        settle();
        ++now_;
    }

    const std::uint32_t* garbage() {
        for (auto& word : garbage_) word = static_cast<std::uint32_t>(next_random(random_));
        garbage_.back() &= top_mask_;  // Verilator wants the unused upper bits of a port to be zero
        return garbage_.data();
    }

    void reset() {
        for (int i = 0; i < 2; ++i) cycle(true, false, garbage());
    }

    const std::uint32_t* stimulus(std::size_t k) const { return &stimuli_[k * in_words_]; }

    void expect(std::size_t k, const char* phase) const {
        if (std::memcmp(&responses_[k * out_words_], current_.data(), out_words_ * 4) != 0) {
            throw Mismatch("sample " + std::to_string(k) + " gives another output " + phase);
        }
    }

    void expect_quiet(std::int64_t cycles, const char* phase) {
        for (std::int64_t i = 0; i < cycles; ++i) {
            cycle(false, false, garbage());
            if (valid_) throw Mismatch(std::string("out_valid is high without an input ") + phase);
        }
    }

    void back_to_back() {
        const std::int64_t start = now_;
        std::int64_t last = start;
        std::size_t sent = 0, received = 0, told = 0;
        while (received < samples_) {
            const std::int64_t cycle_number = now_;
            const bool send = sent < samples_;
            cycle(false, send, send ? stimulus(sent) : garbage());
            sent += send;
            if (valid_) {
                if (received >= sent) throw Mismatch("out_valid is high before the first input");
                std::memcpy(&responses_[received * out_words_], current_.data(), out_words_ * 4);
                measure(received, cycle_number, start, last);
                last = cycle_number;
                ++received;
                if (received * 10 / samples_ > told) {
                    told = received * 10 / samples_;
                    std::printf("%zu of %zu samples simulated\n", received, samples_);
                    std::fflush(stdout);
                }
            } else if (cycle_number - last > patience_) {
                throw Mismatch("no output for " + std::to_string(patience_) + " cycles after " +
                               std::to_string(received) + " of " + std::to_string(samples_) + " samples");
            }
        }
        expect_quiet(measured_.latency + 4, "after all outputs of back-to-back samples");
    }

    void measure(std::size_t k, std::int64_t cycle_number, std::int64_t start, std::int64_t last) {
        if (k == 0) {
            measured_.latency = cycle_number - start;
            if (measured_.latency < 1) throw Mismatch("out_valid follows in_valid within the same cycle");
        } else if (k == 1) {
            measured_.interval = cycle_number - last;
        } else if (cycle_number - last != measured_.interval) {
            throw Mismatch("the initiation interval is " + std::to_string(cycle_number - last) + " cycles at sample " +
                           std::to_string(k) + " and " + std::to_string(measured_.interval) + " before it");
        }
        if (measured_.interval > 1) throw Mismatch("samples given every cycle come out every " +
                                                   std::to_string(measured_.interval) + " cycles");
    }

    void with_pauses() {
        const std::size_t prefix = samples_ < 256 ? samples_ : 256;
        std::vector<std::int64_t> given(prefix);
        std::size_t sent = 0, received = 0;
        std::int64_t last = now_;
        while (received < prefix) {
            const std::int64_t cycle_number = now_;
            const bool send = sent < prefix && (next_random(random_) >> 40) % 3 == 0;
            cycle(false, send, send ? stimulus(sent) : garbage());
            if (send) given[sent++] = cycle_number;
            if (valid_) {
                if (received >= sent) throw Mismatch("out_valid is high without an input during pauses");
                expect(received, "when inputs have pauses between them");
                if (cycle_number - given[received] != measured_.latency) {
                    throw Mismatch("sample " + std::to_string(received) + " takes " +
                                   std::to_string(cycle_number - given[received]) + " cycles with pauses and " +
                                   std::to_string(measured_.latency) + " without");
                }
                ++received;
                last = cycle_number;
            } else if (cycle_number - last > patience_ + 64) {
                throw Mismatch("sample " + std::to_string(received) + " does not come out when inputs have pauses");
            }
        }
    }

    void reset_in_flight() {
        const std::size_t depth = static_cast<std::size_t>(measured_.latency);
        for (std::size_t i = 0; i < depth; ++i) cycle(false, true, stimulus(i % samples_));
        cycle(true, false, garbage());
        expect_quiet(measured_.latency + 4, "after a reset");
        const std::size_t prefix = samples_ < 16 ? samples_ : 16;
        std::size_t received = 0;
        for (std::size_t i = 0; i < prefix + depth; ++i) {
            cycle(false, i < prefix, i < prefix ? stimulus(i) : garbage());
            if (valid_) {
                if (received >= prefix) throw Mismatch("more outputs than inputs after a reset");
                expect(received++, "after a reset");
            }
        }
        if (received != prefix) throw Mismatch("fewer outputs than inputs after a reset");
    }

    VerilatedContext context_;
    Vdut dut_;
    Waves<Vdut> waves_{context_, dut_, "waves.vcd"};
    std::vector<std::uint32_t> stimuli_, responses_, current_, garbage_;
    std::size_t samples_, in_words_ = 0, out_words_ = 0;
    std::int64_t patience_, now_ = 0;
    std::uint32_t top_mask_ = ~std::uint32_t{0};
    std::uint64_t random_ = 0x9e3779b97f4a7c15u;
    bool valid_ = false;
    Measured measured_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "error: usage: %s STIMULI RESPONSES MEASURED SAMPLES IN_WIDTH PATIENCE\n", argv[0]);
        return 2;
    }
    return simulate(argv[2], argv[3], [&] {
        return Bench(read_words(argv[1]), std::strtoull(argv[4], nullptr, 10),
                     static_cast<unsigned>(std::strtoul(argv[5], nullptr, 10)), std::strtoll(argv[6], nullptr, 10));
    });
}
