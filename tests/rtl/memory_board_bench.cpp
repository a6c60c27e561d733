// A circuit with AXI4-Lite registers and AXI4 ports to a memory, told over standard input what to do, as a processor beside it would.
// usage: Vdut SEED READERS WRITERS FILE BASE WORD_BYTES...
//        (the file that is the memory, its address, bytes of a word of each reader, then of each writer)
//   r ADDRESS              reads a register; prints its value
//   w ADDRESS VALUE        writes one
//   m LATENCY MORE PERIOD PAUSE BITS READER WORD
//                          the memory answers after LATENCY cycles and up to MORE, gives BITS to readers in a cycle, and nothing in
//                          the first PAUSE of each PERIOD cycles; of READER's words from now on this one is an error (-1: none is)
//   s CYCLES               lets time pass; prints the cycles since the start
// All numbers are decimal. A broken rule of a protocol ends it with an error.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "Vdut.h"
#include "processor.h"
#include "verilated.h"

static constexpr std::size_t LANE = 16;  // bytes

struct Burst {
    std::uint64_t address;
    unsigned words;
    long due;
};

struct Port {
    std::size_t word = 0;
    std::deque<Burst> bursts;
    long came = 0;
    unsigned answers = 0;
};

template <class Signals>
unsigned char* bytes_of(Signals& signals) {
    return reinterpret_cast<unsigned char*>(&signals);
}

template <class Signals>
bool bit(Signals& signals, std::size_t k) {
    return bytes_of(signals)[k / 8] >> k % 8 & 1;
}

template <class Signals>
void set(Signals& signals, std::size_t k, bool value) {
    unsigned char& byte = bytes_of(signals)[k / 8];
    byte = static_cast<unsigned char>((byte & ~(1u << k % 8)) | unsigned(value) << k % 8);
}

int main(int, char** argv) {
    std::mt19937 random(std::atoi(argv[1]));
    std::vector<Port> readers(std::strtoull(argv[2], nullptr, 10)), writers(std::strtoull(argv[3], nullptr, 10));
    const std::uint64_t base = std::strtoull(argv[5], nullptr, 10);
    for (std::size_t k = 0; k < readers.size() + writers.size(); ++k)
        (k < readers.size() ? readers[k] : writers[k - readers.size()]).word = std::strtoull(argv[6 + k], nullptr, 10);
    const int file = open(argv[4], O_RDWR);
    struct stat about;
    fstat(file, &about);
    const std::size_t size = std::size_t(about.st_size);
    auto* memory = static_cast<unsigned char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    long cycles = 0, latency = 20, more = 0, period = 1, pause = 0, wrong_reader = -1, wrong_word = -1;
    double bits = 1e9, credit = 0;

    auto burst = [&](std::uint64_t address, unsigned length, std::size_t word) {
        const std::uint64_t last = address + (length + 1) * word - 1;
        if (address % word || address / 4096 != last / 4096 || length > 15) fail("a burst that is not aligned, or too long");
        if (address < base || last >= base + size) fail("an address outside of the memory");
        return Burst{address - base, length + 1, cycles + latency + (more ? long(random() % (more + 1)) : 0)};
    };
    // What memory drives, in the low half of the clock; what is sampled there is what the rising edge sees.
    auto low = [&] {
        dut.clk = 0;
        const bool pauses = cycles % period < pause;
        credit = std::min(credit + (pauses ? 0 : bits), 16.0 * 8 * LANE);
        for (std::size_t k = 0; k < readers.size(); ++k) {
            Port& port = readers[k];
            set(dut.rd_arready, k, port.bursts.size() < 8 && (!more || random() % 4));
            const bool valid = !port.bursts.empty() && port.bursts[0].due <= cycles && !pauses && credit >= 8.0 * port.word;
            set(dut.rd_rvalid, k, valid);
            if (!valid) continue;
            const bool wrong = long(k) == wrong_reader && port.came == wrong_word;
            std::memcpy(bytes_of(dut.rd_rdata) + LANE * k, memory + port.bursts[0].address, port.word);
            if (wrong) std::memset(bytes_of(dut.rd_rdata) + LANE * k, 0x5a, port.word);
            set(dut.rd_rresp, 2 * k + 1, wrong);
            set(dut.rd_rlast, k, port.bursts[0].words == 1);
        }
        for (std::size_t k = 0; k < writers.size(); ++k) {
            set(dut.wr_awready, k, writers[k].bursts.size() < 8 && (!more || random() % 4));
            set(dut.wr_wready, k, !writers[k].bursts.empty() && !pauses);
            set(dut.wr_bvalid, k, writers[k].answers != 0);
        }
        dut.eval();
    };
    auto high = [&] {
        for (std::size_t k = 0; k < readers.size() && dut.rstn; ++k) {
            Port& port = readers[k];
            if (bit(dut.rd_rvalid, k)) {
                if (!bit(dut.rd_rready, k)) fail("a word that was asked for is not taken");
                credit -= 8.0 * double(port.word);
                ++port.came;
                port.bursts[0].address += port.word;
                if (--port.bursts[0].words == 0) port.bursts.pop_front();
            }
            if (bit(dut.rd_arvalid, k) && bit(dut.rd_arready, k)) {
                std::uint64_t address;
                std::memcpy(&address, bytes_of(dut.rd_araddr) + 8 * k, 8);
                port.bursts.push_back(burst(address, bytes_of(dut.rd_arlen)[k], port.word));
            }
        }
        for (std::size_t k = 0; k < writers.size() && dut.rstn; ++k) {
            Port& port = writers[k];
            if (bit(dut.wr_bvalid, k) && bit(dut.wr_bready, k)) --port.answers;
            if (bit(dut.wr_wvalid, k) && bit(dut.wr_wready, k)) {
                for (std::size_t at = 0; at < port.word; ++at)
                    if (bit(dut.wr_wstrb, LANE * k + at))
                        memory[port.bursts[0].address + at] = bytes_of(dut.wr_wdata)[LANE * k + at];
                port.bursts[0].address += port.word;
                if (bit(dut.wr_wlast, k) != (port.bursts[0].words == 1)) fail("a burst of another length");
                if (--port.bursts[0].words == 0) port.bursts.pop_front(), ++port.answers;
            }
            if (bit(dut.wr_awvalid, k) && bit(dut.wr_awready, k)) {
                std::uint64_t address;
                std::memcpy(&address, bytes_of(dut.wr_awaddr) + 8 * k, 8);
                port.bursts.push_back(burst(address, bytes_of(dut.wr_awlen)[k], port.word));
            }
        }
        dut.clk = 1, dut.eval(), ++cycles;
    };
    auto step = [&] { low(), high(); };
    dut.rstn = 0, dut.awvalid = 0, dut.wvalid = 0, dut.bready = 0, dut.arvalid = 0, dut.rready = 0;
    dut.rd_rresp = 0, dut.wr_bresp = 0;
    for (int k = 0; k < 4; ++k) step();
    dut.rstn = 1;
    step();

    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        alarm(60);  // a handshake that never comes
        if (verb == "r") {
            unsigned address;
            words >> address;
            std::printf("%u\n", read_register(dut, address, 0, low, high));
        } else if (verb == "w") {
            unsigned address, value;
            words >> address >> value;
            write_register(dut, address, value, low, high);
            std::printf("ok\n");
        } else if (verb == "m") {
            words >> latency >> more >> period >> pause >> bits >> wrong_reader >> wrong_word;
            for (Port& port : readers) port.came = 0;
            std::printf("ok\n");
        } else {
            long wait = 0;
            words >> wait;
            while (wait-- > 0) step();
            std::printf("%ld\n", cycles);
        }
        std::fflush(stdout);
    }
    dut.final();
    return 0;
}
