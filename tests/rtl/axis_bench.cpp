// An AXI4-Stream wrapper under random stalls.
// usage: Vdut STIMULI RESPONSES SAMPLES IN_STALL OUT_STALL SEED
// Stalls are in eighths of the cycles. STIMULI: per sample the words of TDATA, then TLAST; RESPONSES alike.
// Prints the cycles from the first to the last output, and from the first input to the first output.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

template <typename Port>
constexpr std::size_t words_of(const Port&) {
    return sizeof(Port) <= 4 ? 1 : sizeof(Port) / 4;
}

template <typename Port>
void drive(Port& port, const std::uint32_t* words) {
    std::memcpy(&port, words, sizeof(Port));
}

template <typename Port>
std::vector<std::uint32_t> sample(const Port& port) {
    std::vector<std::uint32_t> words(words_of(port));
    std::memcpy(words.data(), &port, sizeof(Port));
    return words;
}

int fail(long cycle, const char* what) {
    std::printf("error: cycle %ld: %s\n", cycle, what);
    return 1;
}

int main(int, char** argv) {
    const std::size_t samples = std::strtoull(argv[3], nullptr, 10);
    const unsigned in_stall = std::atoi(argv[4]), out_stall = std::atoi(argv[5]);
    std::mt19937 random(std::atoi(argv[6]));
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    const std::size_t record = words_of(dut.s_axis_tdata) + 1;
    std::vector<std::uint32_t> stimuli(samples * record), responses;
    std::FILE* file = std::fopen(argv[1], "rb");
    if (!file || std::fread(stimuli.data(), 4, stimuli.size(), file) != stimuli.size()) return fail(0, "no stimuli");
    std::fclose(file);

    std::size_t sent = 0, received = 0;
    bool offered = false, waiting = false;
    std::vector<std::uint32_t> held;
    long first_in = -1, first_out = -1, last_out = -1;
    for (long now = 0; received < samples; ++now) {
        if (now > static_cast<long>(samples) * 100 + 1000) return fail(now, "it hangs");
        const bool reset = now < 3;
        // A master that has offered a transfer keeps offering it.
        offered = !reset && sent < samples && (offered || random() % 8 >= in_stall);
        dut.aclk = 0;
        dut.aresetn = !reset;
        dut.s_axis_tvalid = offered;
        if (offered) {
            drive(dut.s_axis_tdata, &stimuli[sent * record]);
            dut.s_axis_tlast = stimuli[sent * record + record - 1];
        }
        // Now and then a stall much longer than the pipeline.
        dut.m_axis_tready = random() % 8 >= out_stall && !(out_stall && (now / 100) % 4 == 3);
        dut.eval();
        if (!reset) {
            std::vector<std::uint32_t> shown = sample(dut.m_axis_tdata);
            shown.push_back(dut.m_axis_tlast);
            if (waiting && !dut.m_axis_tvalid) return fail(now, "TVALID is withdrawn");
            if (waiting && shown != held) return fail(now, "TDATA or TLAST change while TREADY is low");
            waiting = dut.m_axis_tvalid && !dut.m_axis_tready;
            held = shown;
            if (dut.m_axis_tvalid && dut.m_axis_tready) {
                if (received++ == 0) first_out = now;
                last_out = now;
                responses.insert(responses.end(), shown.begin(), shown.end());
            }
            if (offered && dut.s_axis_tready) {
                if (sent++ == 0) first_in = now;
                offered = false;
            }
        } else if (now > 0 && dut.m_axis_tvalid) {
            return fail(now, "TVALID is high in reset");
        }
        dut.aclk = 1;
        dut.eval();
    }
    file = std::fopen(argv[2], "wb");
    if (!file || std::fwrite(responses.data(), 4, responses.size(), file) != responses.size()) return 1;
    std::fclose(file);
    std::printf("%ld %ld\n", last_out - first_out, first_out - first_in);
}
