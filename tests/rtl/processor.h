// A processor at the AXI4-Lite registers of a bench's circuit. What is driven or sampled is so in the low half of the clock.
#pragma once

#include <cstdio>
#include <cstdlib>

[[noreturn]] inline void fail(const char* what) {
    std::printf("error: %s\n", what);
    std::exit(1);
}

// The value of a register, which is taken `wait` cycles after its address was.
template <class Dut, class Low, class High>
unsigned read_register(Dut& dut, unsigned address, unsigned wait, Low low, High high) {
    dut.araddr = address, dut.arvalid = 1;
    for (low(); !dut.arready; low()) high();
    high();
    dut.arvalid = 0;
    for (; wait; --wait) low(), high();
    dut.rready = 1;
    for (low(); !dut.rvalid; low()) high();
    const unsigned value = dut.rdata;
    if (dut.rresp) fail("a read is not OKAY");
    high();
    dut.rready = 0;
    return value;
}

// Writes a register, of which address or data may be offered already.
template <class Dut, class Low, class High>
void write_register(Dut& dut, unsigned address, unsigned value, Low low, High high) {
    dut.awaddr = address, dut.wdata = value, dut.wstrb = 15, dut.awvalid = 1, dut.wvalid = 1;
    for (low(); !(dut.awready && dut.wready); low()) high();
    high();
    dut.awvalid = 0, dut.wvalid = 0, dut.bready = 1;
    for (low(); !dut.bvalid; low()) high();
    if (dut.bresp) fail("a write is not OKAY");
    high();
    dut.bready = 0;
}
