#include "sleep.h"
#include "xil_cache.h"
#include "xil_io.h"
#include "xparameters.h"

#define MOST_BYTES ((1UL << 26) - 1) /* what an engine can count */

/* Memory into which the circuit writes, and which it reads: whole lines of the cache. */
struct loop {
    unsigned char *buffer;
    uint32_t bytes;
};
@tables@
/* DMA engines and the circuit's registers by AMD's standalone libraries. Engines read memory behind the caches, which are flushed. */
#ifndef @TOP@_PATIENCE
#define @TOP@_PATIENCE 100000000UL /* looks at a status before it is an error, and one more for each cycle of the frames */
#endif

/* An engine's registers (PG021), simple mode; those of the way back are S2MM bytes on. */
enum { CONTROL = 0x00, STATUS = 0x04, ADDRESS = 0x18, ADDRESS_HIGH = 0x1C, LENGTH = 0x28, S2MM = 0x30 };
enum { RUN = 1 << 0, RESET = 1 << 2, IDLE = 1 << 1, ERRORS = 0x70 };

/* Registers of a circuit that reads and writes memory itself. */
enum { START = 0x800, FAILED = 0x804, PLACES = 0x810 };

#if HAS_REGISTERS
#define CIRCUIT ((UINTPTR)XPAR_CIRCUIT_BASEADDR)
#else
#define CIRCUIT ((UINTPTR)0)
#endif

static uint32_t in(uint32_t at)
{
    return Xil_In32(CIRCUIT + at);
}

static void out(uint32_t at, uint32_t value)
{
    Xil_Out32(CIRCUIT + at, value);
}

static inline void wait_a_millisecond(void)
{
    usleep(1000);
}

/* Looks at a status that are left. */
struct limit {
    unsigned long looks;
};

static struct limit limit_of(size_t bytes, size_t frames)
{
    const struct limit limit = {@TOP@_PATIENCE + (unsigned long)(bytes + frames * INTERVAL)};
    return limit;
}

static int is_over(struct limit *limit)
{
    return limit->looks-- <= 1;
}

static enum @top@_status until(UINTPTR address, uint32_t mask, uint32_t wanted, uint32_t errors, struct limit limit)
{
    for (;;) {
        const int late = is_over(&limit);
        const uint32_t found = Xil_In32(address);
        if (found & errors) return @TOP@_ENGINE; /* an engine that stopped at one is idle, too */
        if ((found & mask) == wanted) return @TOP@_OK;
        if (late) return @TOP@_ENGINE;
    }
}

/* What moves the bytes of a stream: the registers of an engine, or of the circuit and the stream's number there. */
struct mover {
    UINTPTR registers;
    uint32_t number;
};

/* Of inputs, then of weights for memories. */
static struct mover reader(size_t k)
{
    const struct mover master = {CIRCUIT, (uint32_t)(k < INPUT_STREAMS ? k : k + OUTPUT_STREAMS)};
    const struct mover engine = {engines[HAS_MASTERS ? 0 : k], 0};
    return HAS_MASTERS ? master : engine;
}

static struct mover writer(size_t k)
{
    const struct mover master = {CIRCUIT, (uint32_t)(INPUT_STREAMS + k)};
    const struct mover engine = {engines[HAS_MASTERS ? 0 : k] + S2MM, 0};
    return HAS_MASTERS ? master : engine;
}

static enum @top@_status start(struct mover with, const unsigned char *buffer, uint32_t bytes)
{
    const UINTPTR at = with.registers + (HAS_MASTERS ? PLACES + 16 * with.number : (UINTPTR)ADDRESS);
    if (!HAS_MASTERS) Xil_Out32(with.registers + CONTROL, RUN);
    Xil_Out32(at, (uint32_t)(UINTPTR)buffer);
    if (HAS_MASTERS || sizeof(UINTPTR) > 4) Xil_Out32(at + 4, (uint32_t)((uint64_t)(UINTPTR)buffer >> 32));
    if (HAS_MASTERS) Xil_Out32(at + 8, bytes);
    if (HAS_MASTERS) {
        Xil_Out32(with.registers + START, (uint32_t)1 << with.number);
    } else {
        Xil_Out32(with.registers + LENGTH, bytes);
    }
    return @TOP@_OK;
}

static enum @top@_status wait(struct mover with, uint32_t bytes, size_t frames)
{
    const uint32_t bit = (uint32_t)1 << with.number;
    const struct limit limit = limit_of(bytes, frames);
    if (!HAS_MASTERS) return until(with.registers + STATUS, IDLE, IDLE, ERRORS, limit);
    if (until(with.registers + START, bit, 0, 0, limit) != @TOP@_OK) return @TOP@_ENGINE;
    return Xil_In32(with.registers + FAILED) & bit ? @TOP@_ENGINE : @TOP@_OK;
}

static enum @top@_status start_to(size_t k, const unsigned char *buffer, uint32_t bytes, size_t frames)
{
    (void)frames;
    /* An image has been published, and is shorter than what is read of it. */
    if (k < INPUT_STREAMS - IMAGES || k >= INPUT_STREAMS) Xil_DCacheFlushRange((UINTPTR)buffer, bytes);
    return start(reader(k), buffer, bytes);
}

static enum @top@_status start_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    (void)frames;
    Xil_DCacheFlushRange((UINTPTR)buffer, bytes);
    return start(writer(k), buffer, bytes);
}

static enum @top@_status end_to(size_t k, uint32_t bytes, size_t frames)
{
    return wait(reader(k), bytes, frames);
}

static enum @top@_status end_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    enum @top@_status status = wait(writer(k), bytes, frames);
    /* An engine that was given a shorter packet says how many bytes there were (PG021, S2MM_LENGTH). */
    if (status == @TOP@_OK && !HAS_MASTERS && Xil_In32(writer(k).registers + LENGTH) != bytes) status = @TOP@_ENGINE;
    Xil_DCacheInvalidateRange((UINTPTR)buffer, bytes);
    return status;
}

#if HAS_LOOPS
static struct mover loop(size_t k)
{
    const struct mover master = {CIRCUIT, (uint32_t)(INPUT_STREAMS + OUTPUT_STREAMS + LOADS + k)};
    return master;
}

static enum @top@_status start_loops(void)
{
    for (size_t k = 0; k < LOOPS; k++) {
        Xil_DCacheFlushRange((UINTPTR)loops[k].buffer, loops[k].bytes);
        start(loop(k), loops[k].buffer, loops[k].bytes);
    }
    return @TOP@_OK;
}

static enum @top@_status end_loops(size_t frames)
{
    enum @top@_status status = @TOP@_OK;
    for (size_t k = 0; k < LOOPS && status == @TOP@_OK; k++) status = wait(loop(k), loops[k].bytes, frames);
    return status;
}
#endif

#if @TOP@_IMAGES > 0
/* Circuits read what the processor has written. */
static void publish(const unsigned char *buffer, size_t bytes)
{
    Xil_DCacheFlushRange((UINTPTR)buffer, (uint32_t)bytes);
}
#endif

static enum @top@_status reset(struct mover with)
{
    Xil_Out32(with.registers + CONTROL, RESET);
    return until(with.registers + CONTROL, RESET, 0, 0, limit_of(0, 0));
}

static enum @top@_status reset_movers(void)
{
    enum @top@_status status = @TOP@_OK;
    for (size_t k = 0; !HAS_MASTERS && k < INPUT_STREAMS + LOADS && status == @TOP@_OK; k++) status = reset(reader(k));
    for (size_t k = 0; !HAS_MASTERS && k < OUTPUT_STREAMS && status == @TOP@_OK; k++) status = reset(writer(k));
    return status;
}

static int is_attached(void)
{
    return 1;
}

static enum @top@_status attach(void)
{
    return @TOP@_OK;
}
