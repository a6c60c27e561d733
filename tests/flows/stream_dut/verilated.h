// What the harnesses use of Verilator's run-time library.
#pragma once

struct VerilatedContext {
    void randReset(int) {}
    void randSeed(int) {}
};
