// Waveforms of the first cycles, in a file that viewers open; nothing unless Verilator was asked for them.
#pragma once

#include <cstdint>

#include <verilated.h>
#if VM_TRACE
#include <verilated_vcd_c.h>
#endif

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
