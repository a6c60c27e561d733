// Written by @title@
// Kernels of a card by XRT's native C++ interface. Link with -lxrt_coreutil.
#include "@top@_card.h"

#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_kernel.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

// A kernel, what it does now, and the buffer that it does it on, which XRT itself does not hold.
struct Mover {
    xrt::kernel kernel;
    xrt::bo buffer;
    xrt::run run;
};

struct Card {
    xrt::device device;
    std::vector<Mover> readers;  // the last one takes commands, if the circuit has registers
    std::vector<Mover> writers;  // the last one gives answers
};

std::unique_ptr<Card> card;

// 1, or 0 after an error, which is printed.
template <typename Action>
int tried(Action action) {
    try {
        return action() ? 1 : 0;
    } catch (const std::exception &error) {
        std::cerr << "@top@: " << error.what() << '\n';
        return 0;
    }
}

void start(Mover &mover, const void *data, size_t bytes, size_t beats) {
    mover.buffer = xrt::bo(card->device, bytes, mover.kernel.group_id(0));
    if (data != nullptr) {
        mover.buffer.write(data, bytes, 0);
        mover.buffer.sync(XCL_BO_SYNC_BO_TO_DEVICE, bytes, 0);
    }
    mover.run = mover.kernel(mover.buffer, static_cast<unsigned int>(beats));
}

// What lies in memory after any other end is no result.
bool ends(Mover &mover, unsigned milliseconds) {
    return mover.run.wait(std::chrono::milliseconds(milliseconds)) == ERT_CMD_STATE_COMPLETED;
}

void take(Mover &mover, void *data, size_t bytes) {
    mover.buffer.sync(XCL_BO_SYNC_BO_FROM_DEVICE, bytes, 0);
    mover.buffer.read(data, bytes, 0);
}

Mover &mover_of(size_t k, int reads) {
    return (reads != 0 ? card->readers : card->writers).at(k);
}

}  // namespace

int @top@_card_open(const char *xclbin, unsigned index, size_t readers, size_t writers) {
    return tried([&] {
        card = std::make_unique<Card>();
        card->device = xrt::device(index);
        const auto uuid = card->device.load_xclbin(std::string(xclbin));
        for (size_t k = 0; k < readers; k++) {
            card->readers.push_back({xrt::kernel(card->device, uuid, "read_" + std::to_string(k)), {}, {}});
        }
        for (size_t k = 0; k < writers; k++) {
            card->writers.push_back({xrt::kernel(card->device, uuid, "write_" + std::to_string(k)), {}, {}});
        }
        return true;
    });
}

int @top@_card_ask(uint64_t command, uint32_t *answer, unsigned milliseconds) {
    return tried([&] {
        Mover &asks = card->readers.back(), &answers = card->writers.back();
        start(asks, &command, sizeof command, 1);
        start(answers, nullptr, sizeof *answer, 1);
        if (!ends(asks, milliseconds) || !ends(answers, milliseconds)) return false;
        take(answers, answer, sizeof *answer);
        return true;
    });
}

int @top@_card_start(size_t k, int reads, const unsigned char *data, size_t bytes, size_t beats) {
    return tried([&] {
        start(mover_of(k, reads), data, bytes, beats);
        return true;
    });
}

int @top@_card_wait(size_t k, int reads, unsigned char *data, size_t bytes, unsigned milliseconds) {
    return tried([&] {
        Mover &mover = mover_of(k, reads);
        if (!ends(mover, milliseconds)) return false;
        if (data != nullptr) take(mover, data, bytes);
        return true;
    });
}
