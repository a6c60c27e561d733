"""Drivers in C, compiled with stand-ins for what they are linked with, in front of a simulated or emulated board."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.systems.test_card import FakeCard, FakeRun
from tests.systems.test_soc_fpga import FakeSoc

OPTIONS = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-fPIC", "-I."]
LINUX = {
    "linux.c": """\
#define _POSIX_C_SOURCE 200809L
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "linux.h"
static double (*now)(void);
static void (*pass)(double);
void connect_time(double (*is)(void), void (*passes)(double)) { now = is; pass = passes; }
int clock_gettime(clockid_t id, struct timespec *time)
{
    const double seconds = now();
    (void)id;
    time->tv_sec = (time_t)seconds;
    time->tv_nsec = (long)((seconds - (double)time->tv_sec) * 1e9);
    return 0;
}
int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    pass((double)time->tv_sec + 1e-9 * (double)time->tv_nsec);
    return 0;
}
static uint32_t (*in32)(size_t);
static void (*out32)(size_t, uint32_t);
void connect_board(uint32_t (*in)(size_t), void (*out)(size_t, uint32_t)) { in32 = in; out32 = out; }
uint32_t board_in32(size_t at) { return in32(at); }
void board_out32(size_t at, uint32_t value) { out32(at, value); }
""",
    "linux.h": """\
unsigned board_in32(__SIZE_TYPE__ at);
void board_out32(__SIZE_TYPE__ at, unsigned value);
""",
}
"""The clock, and registers that answer: memory is a file."""

XRT = {
    "xrt/xrt_device.h": """\
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
enum ert_cmd_state { ERT_CMD_STATE_COMPLETED = 4, ERT_CMD_STATE_ERROR = 5, ERT_CMD_STATE_ABORT = 6, ERT_CMD_STATE_TIMEOUT = 8 };
extern "C" { extern int (*card_load)(const char *, unsigned); }
namespace xrt {
class uuid {};
class device {
    unsigned card = ~0U;
public:
    device() {}
    explicit device(unsigned int index) : card(index) {}
    uuid load_xclbin(const std::string &name) {
        if (!card_load(name.c_str(), card)) throw std::runtime_error("no such card");
        return {};
    }
};
}
""",
    "xrt/xrt_bo.h": """\
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>
#include "xrt/xrt_device.h"
enum xclBOSyncDirection { XCL_BO_SYNC_BO_TO_DEVICE, XCL_BO_SYNC_BO_FROM_DEVICE };
namespace xrt {
class bo {
    struct Content { std::vector<unsigned char> host, card; };
    std::shared_ptr<Content> content;
public:
    bo() {}
    bo(const device &, size_t size, std::uint32_t group) : content(new Content{}) {
        if (group != 0) throw std::runtime_error("a group of memory that is no argument's");
        content->host.resize(size);
        content->card.resize(size);
    }
    void write(const void *data, size_t size, size_t seek) {
        const auto *from = static_cast<const unsigned char *>(data);
        std::copy(from, from + size, content->host.data() + seek);
    }
    void read(void *data, size_t size, size_t skip) {
        std::copy(content->host.data() + skip, content->host.data() + skip + size, static_cast<unsigned char *>(data));
    }
    void sync(xclBOSyncDirection way, size_t size, size_t offset) {
        auto &from = way == XCL_BO_SYNC_BO_TO_DEVICE ? content->host : content->card;
        auto &to = way == XCL_BO_SYNC_BO_TO_DEVICE ? content->card : content->host;
        std::copy(from.data() + offset, from.data() + offset + size, to.data() + offset);
    }
    unsigned char *on_card() const { return content->card.data(); }
    size_t size() const { return content->card.size(); }
};
}
""",
    "xrt/xrt_kernel.h": """\
#pragma once
#include <chrono>
#include "xrt/xrt_bo.h"
extern "C" {
extern int (*card_start)(const char *, unsigned char *, size_t, unsigned);
extern int (*card_wait)(const char *, unsigned);
}
namespace xrt {
class run {
    std::string name;
public:
    run() {}
    explicit run(const std::string &of) : name(of) {}
    ert_cmd_state wait(const std::chrono::milliseconds &limit) const {
        return static_cast<ert_cmd_state>(card_wait(name.c_str(), static_cast<unsigned>(limit.count())));
    }
};
class kernel {
    std::string name;
public:
    kernel(const device &, const uuid &, const std::string &of) : name(of) {}
    int group_id(int argument) const { return argument; }
    run operator()(const bo &buffer, unsigned int beats) {
        card_start(name.c_str(), buffer.on_card(), buffer.size(), beats);
        return run(name);
    }
};
}
""",
    "xrt.cpp": """\
#include "xrt/xrt_kernel.h"
extern "C" {
int (*card_load)(const char *, unsigned);
int (*card_start)(const char *, unsigned char *, size_t, unsigned);
int (*card_wait)(const char *, unsigned);
void connect_card(int (*load)(const char *, unsigned), int (*start)(const char *, unsigned char *, size_t, unsigned),
                  int (*wait)(const char *, unsigned)) {
    card_load = load;
    card_start = start;
    card_wait = wait;
}
}
""",
}
"""XRT's classes, of which a buffer has what is on the host and what is on the card."""

NOW, PASS = ctypes.CFUNCTYPE(ctypes.c_double), ctypes.CFUNCTYPE(None, ctypes.c_double)
IN, OUT = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_size_t), ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32)
LOAD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
START = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint)
WAIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def compiled(folder: Path, stubs: dict[str, str], sources: Sequence[str], options: Sequence[str]) -> ctypes.CDLL:
    """The driver of the project in ``folder``, with its stand-ins; C++ as such."""
    for name, text in stubs.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    objects = list[str]()
    for source in sources:
        objects.append(f"{Path(source).stem}.o")
        language = ["g++", "-std=c++14"] if source.endswith(".cpp") else ["gcc", "-std=c99"]
        own = [*OPTIONS, "-DNET_REAL=double", "-DNET_FRAMES=3", *options]
        subprocess.run([*language, *own, "-c", source, "-o", objects[-1]], cwd=folder, check=True)
    link = ["g++", "-shared", "-Wl,-Bsymbolic", *objects, "-o", "driver.so", "-lm"]
    subprocess.run(link, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "driver.so"))


class InC:
    """A driver in C on a board; it keeps what the driver calls."""

    def __init__(self, library: ctypes.CDLL, *kept: object) -> None:
        self.library, self._kept = library, kept

    def predict(self, x: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> tuple[int, list[np.ndarray]]:
        """The status, and the results of such shapes, samples first."""
        given = [np.ascontiguousarray(values, np.float64) for values in x]
        found = [np.zeros(shape) for shape in shapes]
        pointers = [
            (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays]) for arrays in (given, found)
        ]
        return int(self.library.net_predict(*pointers, ctypes.c_size_t(len(given[0])))), found


def timed(library: ctypes.CDLL, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> list[object]:
    """Connect a clock."""
    functions = [NOW(monotonic), PASS(sleep)]
    library.connect_time(*functions)
    return [*functions]


def on_soc(folder: Path, soc: FakeSoc, clock: Any, seconds: float = 1.0) -> InC:
    """The driver of an Intel board, whose memory is a file."""
    with (folder / "memory").open("wb") as file:
        file.truncate(soc.BASE + len(soc.memory))
    soc.memory = np.memmap(folder / "memory", np.uint8, "r+", offset=soc.BASE, shape=soc.memory.shape)  # type: ignore[assignment]
    (folder / "iomem").write_text(
        "00000000-2fffffff : System RAM\n  00008000-00bfffff : Kernel code\nff200000-ff201fff : x\n"
    )
    options = [
        "-includelinux.h",
        "-DNET_IN32=board_in32",
        "-DNET_OUT32=board_out32",
        f"-DNET_BUFFERS={soc.BASE:#x}",
        f"-DNET_BUFFERS_BYTES={len(soc.memory):#x}",
        f'-DNET_DEVICE="{folder}/memory"',
        f'-DNET_USED="{folder}/iomem"',
        f"-DNET_SECONDS={seconds}",
    ]
    library = compiled(folder, LINUX, ["linux.c", "system/export/net_driver.c"], options)

    def read(at: int) -> int:
        return int(soc.read(at - 0x1000) if at >= 0x1000 else soc.status(at // 0x40)) & 0xFFFFFFFF

    def write(at: int, value: int) -> None:
        if at >= 0x1000:
            soc.write(at - 0x1000, value)
        else:
            soc.written(at // 0x40, at % 0x40 // 4, value)

    functions = [IN(read), OUT(write)]
    library.connect_board(*functions)
    return InC(library, *functions, *timed(library, clock.monotonic, clock.sleep))


def on_card(folder: Path, card: FakeCard, net: ModuleType, clock: Any, seconds: float = 1.0) -> InC:
    """The driver of a card."""
    sources = ["linux.c", "xrt.cpp", "system/export/net_driver.c", "system/export/net_card.cpp"]
    library = compiled(folder, {**LINUX, **XRT}, sources, [f"-DNET_SECONDS={seconds}"])
    asking = f"read_{len(net.INPUTS) + len(net.LOADS)}", f"write_{len(net.OUTPUTS)}"

    def load(name: bytes, index: int) -> int:
        return int((name, index) == (b"net.xclbin", 0))

    def start(name: bytes, place: int, size: int, beats: int) -> int:
        content = memoryview((ctypes.c_ubyte * size).from_address(place)).cast("B")
        buffer: Any = SimpleNamespace(content=content)
        if name.startswith(b"read"):
            card.sources[name.decode()] = lambda: buffer  # type: ignore[assignment]
        else:
            card.targets[name.decode()] = buffer, beats
        return 1

    def wait(name: bytes, milliseconds: int) -> int:
        return int(FakeRun(card, name.decode() in asking).wait(milliseconds).value)

    functions = [LOAD(load), START(start), WAIT(wait)]
    library.connect_card(*functions)
    return InC(library, *functions, *timed(library, clock.monotonic, clock.sleep))
