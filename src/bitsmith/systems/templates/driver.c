/* Written by @title@ */
#include "@top@_driver.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "sleep.h"
#include "xil_cache.h"
#include "xil_io.h"
#include "xparameters.h"

/* An engine's registers (PG021), simple mode; those of the way back are S2MM bytes on. */
enum { CONTROL = 0x00, STATUS = 0x04, ADDRESS = 0x18, ADDRESS_HIGH = 0x1C, LENGTH = 0x28, S2MM = 0x30 };
enum { RUN = 1 << 0, RESET = 1 << 2, IDLE = 1 << 1, ERRORS = 0x70 };

/* The circuit's registers; those from START on are of one that reads and writes memory itself. */
enum { DIGEST_LOW = 0x08, DIGEST_HIGH = 0x0C, CIRCUIT_CONTROL = 0x10, CIRCUIT_STATUS = 0x14, FRAMES_OUT = 0x24, PACKET_FRAMES = 0x28, PAGE = 0x30 };
enum { CYCLES = 0x400, CRC = 0x600, FAULTS = 0x700, FAULTY = 0x708, FORGET = 1 << 1, START = 0x800, FAILED = 0x804, PLACES = 0x810, IN_RESET = 1 << 0, EARLY = 1 << 1 };

#ifndef @TOP@_PATIENCE
#define @TOP@_PATIENCE 100000000UL /* looks at a status before it is an error */
#endif

enum rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum overflow { WRAP, SAT, SAT_ZERO, SAT_SYM };

/* Some elements of a tensor: raw values are real ones times 2**frac, from lo to hi. */
struct range {
    size_t count;
    int frac;
    int64_t lo, hi;
};

struct tensor {
    size_t size;
    const struct range *ranges;
    enum rounding rounding;
    enum overflow overflow;
};

/* Some elements of a token. */
struct run {
    size_t count;
    unsigned width;
    int is_signed, frac;
};

/* Tokens of a frame, bytes of a token and of a beat, and the tensors whose elements are in it. */
struct stream {
    size_t tokens, bytes, beat, first, tensors;
    const struct run *runs;
    unsigned char *buffer;
};

#if @TOP@_RANGES > 0
/* A monitor: its registers, of a page, the fractional bits of what they have, and what calibration data have shown. */
struct watch {
    const char *name;
    uint32_t page, at;
    int frac, is_calibrated;
    double expected[2], shares[8];
};
#endif

#if @TOP@_LOADS > 0
/* Weights of a memory: a matrix, cut into tiles (parts of its rows, and of its columns), whose elements are as in a range. What comes
 * with each frame has as many copies. */
struct weights {
    size_t rows, columns, steps, groups, block_rows, block_columns, across;
    const int *blocks; /* of the tensor, of which a row has so many blocks: which one is where, -1: zeros */
    /* Where the model has an element (i, j, ...) of the tensor: at each start and the sum of a place for i, one for j, ... */
    size_t summed, axes;
    const size_t *starts, *lengths;
    const ptrdiff_t *places;
    double factor;
    struct range format;
    unsigned width;
    size_t each, tokens, bytes, copies;
    unsigned char *buffer;
};

static unsigned char given[@TOP@_LOADS];
#endif

@tables@

static int64_t limit(int64_t raw, int64_t lo, int64_t hi)
{
    return raw < lo ? lo : raw > hi ? hi : raw;
}

static int quantize(double real, const struct tensor *about, const struct range *in, int64_t *raw)
{
    double x = ldexp(real, in->frac), whole, rest;
    const double span = (double)in->hi - (double)in->lo + 1;
    int up = 0, tie;
    if (!isfinite(real)) return 0;
    if (isinf(x)) {
        x = about->overflow == WRAP ? 0 : copysign(1e300, x);
    }
    if (real != 0 && fabs(x) < 0x1p-60) x = copysign(0x1p-60, real);
    whole = floor(fabs(x));
    rest = fabs(x) - whole;
    tie = rest == 0.5;
    switch (about->rounding) {
    case TRN: up = x < 0 && rest > 0; break;
    case TRN_ZERO: break;
    case RND: up = rest > 0.5 || (tie && x > 0); break;
    case RND_ZERO: up = rest > 0.5; break;
    case RND_INF: up = rest > 0.5 || tie; break;
    case RND_MIN_INF: up = rest > 0.5 || (tie && x < 0); break;
    case RND_CONV: up = rest > 0.5 || (tie && fmod(whole, 2) == 1); break;
    }
    x = copysign(whole + up, x);
    if (about->overflow == WRAP) x = fmod(x, span);
    *raw = x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;
    switch (about->overflow) {
    case WRAP:
        if (*raw < in->lo) *raw += in->hi - in->lo + 1;
        if (*raw > in->hi) *raw -= in->hi - in->lo + 1;
        break;
    case SAT_ZERO: *raw = *raw < in->lo || *raw > in->hi ? 0 : *raw; break;
    case SAT_SYM: *raw = limit(*raw, in->lo > -in->hi ? in->lo : -in->hi, in->hi); break;
    case SAT: *raw = limit(*raw, in->lo, in->hi); break;
    }
    return 1;
}

static const struct range *range_of(const struct tensor *about, size_t element)
{
    const struct range *in = about->ranges;
    while (element >= in->count) element -= in++->count;
    return in;
}

static void put(unsigned char *to, size_t at, unsigned width, uint64_t bits)
{
    for (unsigned k = 0; k < width; k++) {
        if (bits >> k & 1) to[(at + k) / 8] |= (unsigned char)(1 << (at + k) % 8);
    }
}

static uint64_t get(const unsigned char *from, size_t at, unsigned width)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < width; k++) bits |= (uint64_t)(from[(at + k) / 8] >> (at + k) % 8 & 1) << k;
    return bits;
}

/* A sample's tensors become the tokens of a frame. */
static int pack(const struct stream *of, unsigned char *to, const @TOP@_REAL *const x[], size_t sample)
{
    for (size_t k = 0; k < of->tokens * of->bytes; k++) to[k] = 0;
    for (size_t token = 0; token < of->tokens; token++) {
        const struct run *run = of->runs;
        size_t at = 0, left = run->count;
        for (size_t k = of->first; k < of->first + of->tensors; k++) {
            const struct tensor *about = &input_tensors[k];
            const size_t each = about->size / of->tokens;
            for (size_t element = token * each; element < (token + 1) * each; element++, left--) {
                const struct range *in = range_of(about, element);
                int64_t raw;
                if (left == 0) left = (++run)->count;
                if (!quantize((double)x[k][sample * about->size + element], about, in, &raw)) return 0;
                put(to, at, run->width, (uint64_t)raw << (run->frac - in->frac));
                at += run->width;
            }
        }
        to += of->bytes;
    }
    return 1;
}

/* The tokens of a frame become a sample's tensors. */
static void unpack(const struct stream *of, const unsigned char *from, @TOP@_REAL *const y[], size_t sample)
{
    for (size_t token = 0; token < of->tokens; token++) {
        const struct run *run = of->runs;
        size_t at = 0, left = run->count;
        for (size_t k = of->first; k < of->first + of->tensors; k++) {
            const size_t size = @top@_output_size[k], each = size / of->tokens;
            for (size_t element = token * each; element < (token + 1) * each; element++, left--) {
                uint64_t bits;
                if (left == 0) left = (++run)->count;
                bits = get(from, at, run->width);
                if (run->is_signed && bits >> (run->width - 1) & 1) bits |= ~(uint64_t)0 << (run->width - 1);
                y[k][sample * size + element] = (@TOP@_REAL)ldexp((double)(int64_t)bits, -run->frac);
                at += run->width;
            }
        }
        from += of->bytes;
    }
}

static enum @top@_status until(UINTPTR address, uint32_t mask, uint32_t wanted, uint32_t errors)
{
    for (unsigned long k = 0; k < @TOP@_PATIENCE; k++) {
        const uint32_t found = Xil_In32(address);
        if (found & errors) return @TOP@_ENGINE; /* an engine that stopped at one is idle, too */
        if ((found & mask) == wanted) return @TOP@_OK;
    }
    return @TOP@_ENGINE;
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

static void start(struct mover with, const unsigned char *buffer, uint32_t bytes)
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
}

static enum @top@_status wait(struct mover with)
{
    const uint32_t bit = (uint32_t)1 << with.number;
    if (!HAS_MASTERS) return until(with.registers + STATUS, IDLE, IDLE, ERRORS);
    if (until(with.registers + START, bit, 0, 0) != @TOP@_OK) return @TOP@_ENGINE;
    return Xil_In32(with.registers + FAILED) & bit ? @TOP@_ENGINE : @TOP@_OK;
}

static enum @top@_status reset(struct mover with)
{
    if (HAS_MASTERS) return @TOP@_OK;
    Xil_Out32(with.registers + CONTROL, RESET);
    return until(with.registers + CONTROL, RESET, 0, 0);
}

/* What is left of frames in the engines and the circuit would come before the next results. */
static enum @top@_status reset_all(void)
{
    enum @top@_status status = @TOP@_OK;
    for (size_t k = 0; k < INPUT_STREAMS + @TOP@_LOADS - external && status == @TOP@_OK; k++) status = reset(reader(k));
    for (size_t k = 0; k < OUTPUT_STREAMS && status == @TOP@_OK; k++) status = reset(writer(k));
    if (HAS_REGISTERS && status == @TOP@_OK) {
        Xil_Out32(CIRCUIT + CIRCUIT_CONTROL, 1);
        status = until(CIRCUIT + CIRCUIT_STATUS, IN_RESET, 0, 0);
    }
    return status;
}

static int is_this(void)
{
    return Xil_In32(CIRCUIT) == 0x62736D74 && Xil_In32(CIRCUIT + DIGEST_LOW) == DIGEST[0] &&
           Xil_In32(CIRCUIT + DIGEST_HIGH) == DIGEST[1];
}

enum @top@_status @top@_init(void)
{
    return HAS_REGISTERS && !is_this() ? @TOP@_OTHER_CIRCUIT : reset_all();
}

static uint32_t bytes_of(const struct stream *of, size_t frames)
{
    return (uint32_t)(frames * of->tokens * of->bytes);
}

/* If a memory with check bits has given a word that may be wrong. */
static int has_faults(void)
{
    return @TOP@_MEMORIES > 0 && Xil_In32(CIRCUIT + FAULTS) != 0;
}

static enum @top@_status exchange(size_t frames)
{
    enum @top@_status status = @TOP@_OK;
    const uint32_t before = HAS_REGISTERS ? Xil_In32(CIRCUIT + FRAMES_OUT) : 0;
    if (HAS_REGISTERS) Xil_Out32(CIRCUIT + PACKET_FRAMES, (uint32_t)frames);
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
        const uint32_t bytes = bytes_of(&outputs[k], frames);
        Xil_DCacheFlushRange((UINTPTR)outputs[k].buffer, bytes);
        start(writer(k), outputs[k].buffer, bytes);
    }
    for (size_t k = 0; k < INPUT_STREAMS; k++) {
        const uint32_t bytes = bytes_of(&inputs[k], frames);
        Xil_DCacheFlushRange((UINTPTR)inputs[k].buffer, bytes);
        start(reader(k), inputs[k].buffer, bytes);
    }
    for (size_t k = 0; k < INPUT_STREAMS && status == @TOP@_OK; k++) status = wait(reader(k));
    for (size_t k = 0; k < OUTPUT_STREAMS && status == @TOP@_OK; k++) {
        status = wait(writer(k));
        /* An engine that was given a shorter packet says how many bytes there were (PG021, S2MM_LENGTH). */
        if (status == @TOP@_OK && !HAS_MASTERS && Xil_In32(writer(k).registers + LENGTH) != bytes_of(&outputs[k], frames)) {
            status = @TOP@_ENGINE;
        }
        Xil_DCacheInvalidateRange((UINTPTR)outputs[k].buffer, bytes_of(&outputs[k], frames));
    }
    if (HAS_REGISTERS && status == @TOP@_OK &&
        (Xil_In32(CIRCUIT + CIRCUIT_STATUS) & EARLY || (uint32_t)(Xil_In32(CIRCUIT + FRAMES_OUT) - before) != frames)) {
        status = @TOP@_ENGINE;
    }
    return status == @TOP@_OK && has_faults() ? @TOP@_MEMORY : status;
}

#if HAS_READ_BACK
/* If a memory held what it was given when the circuit last read it back, after a reset or a load. */
static int holds(size_t which)
{
    return Xil_In32(CIRCUIT + CRC + 4 * (which - external)) == held[which];
}

/* The CRC of what is sent to a memory, whose tokens have zeros above them. */
static uint32_t crc_of_load(const struct weights *of)
{
    uint32_t found = ~(uint32_t)0;
    for (size_t token = 0; token < of->tokens; token++) {
        for (size_t k = 0; k < (of->each * of->width + 7) / 8; k++) {
            found ^= of->buffer[token * of->bytes + k];
            for (int bit = 0; bit < 8; bit++) found = found >> 1 ^ (found & 1 ? 0xEDB88320 : 0);
        }
    }
    return ~found;
}
#endif

@selftest@
enum @top@_status @top@_predict(const @TOP@_REAL *const x[@TOP@_INPUTS], @TOP@_REAL *const y[@TOP@_OUTPUTS], size_t samples)
{
#if @TOP@_LOADS > 0
    for (size_t k = 0; k < external; k++) {
        if (!given[k]) return @TOP@_NO_WEIGHTS;
    }
#endif
    for (size_t first = 0; first < samples; first += @TOP@_FRAMES) {
        const size_t frames = samples - first < @TOP@_FRAMES ? samples - first : @TOP@_FRAMES;
        enum @top@_status status;
        for (size_t k = 0; k < INPUT_STREAMS - external; k++) {
            for (size_t frame = 0; frame < frames; frame++) {
                if (!pack(&inputs[k], inputs[k].buffer + frame * inputs[k].tokens * inputs[k].bytes, x, first + frame)) {
                    return @TOP@_NUMBER;
                }
            }
        }
        status = exchange(frames);
        if (status != @TOP@_OK) {
            (void)reset_all();
            return status;
        }
        for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
            for (size_t frame = 0; frame < frames; frame++) {
                unpack(&outputs[k], outputs[k].buffer + frame * outputs[k].tokens * outputs[k].bytes, y, first + frame);
            }
        }
    }
    return @TOP@_OK;
}

#if @TOP@_LOADS > 0
/* An element of the tensor, counted row by row, from the one of the model. */
static double element(const struct weights *of, const @TOP@_REAL *values, size_t at)
{
    double sum = 0;
    ptrdiff_t place = 0;
    size_t end = 0;
    for (size_t axis = 0; axis < of->axes; axis++) end += of->lengths[axis];
    for (size_t axis = of->axes; axis-- > 0; at /= of->lengths[axis]) {
        end -= of->lengths[axis];
        place += of->places[end + at % of->lengths[axis]];
    }
    for (size_t k = 0; k < of->summed; k++) sum += (double)values[(ptrdiff_t)of->starts[k] + place];
    return of->factor * sum;
}

enum @top@_status @top@_load(enum @top@_weights which, const @TOP@_REAL *values)
{
    const struct weights *of = &loads[which];
    const size_t size = (of->rows + of->steps - 1) / of->steps, columns = of->columns / of->groups, bytes = of->tokens * of->bytes;
    for (size_t k = 0; k < bytes; k++) of->buffer[k] = 0;
    for (size_t k = 0; k < of->tokens * of->each; k++) {
        const size_t column = k % columns, tile = k / columns / size;
        const size_t row = tile % of->steps * size + k / columns % size;
        double x = 0;
        if (row < of->rows) {
            const size_t at = tile / of->steps * columns + column, across = of->columns / of->block_columns;
            const int block = of->blocks[row / of->block_rows * across + at / of->block_columns];
            if (block >= 0) {
                const size_t given_row = (size_t)block / of->across * of->block_rows + row % of->block_rows;
                const size_t given_column = (size_t)block % of->across * of->block_columns + at % of->block_columns;
                x = rint(ldexp(element(of, values, given_row * of->across * of->block_columns + given_column), of->format.frac));
            }
        }
        if (!(x >= (double)of->format.lo && x <= (double)of->format.hi)) {
            given[which] = 0;
            return @TOP@_NUMBER;
        }
        put(of->buffer + k / of->each * of->bytes, k % of->each * of->width, of->width, (uint64_t)(int64_t)x);
    }
    given[which] = 1;
    for (size_t k = bytes; k < of->copies * bytes; k++) of->buffer[k] = of->buffer[k - bytes];
    if ((size_t)which < external) return @TOP@_OK; /* they are sent with the frames */
    Xil_DCacheFlushRange((UINTPTR)of->buffer, (uint32_t)bytes);
    start(reader(INPUT_STREAMS + (size_t)which - external), of->buffer, (uint32_t)bytes);
    enum @top@_status status = wait(reader(INPUT_STREAMS + (size_t)which - external));
#if HAS_READ_BACK
    held[which] = crc_of_load(of);
    if (status == @TOP@_OK) status = until(CIRCUIT + CIRCUIT_STATUS, IN_RESET, 0, 0);
#endif
    if (status != @TOP@_OK) (void)reset_all(); /* half a load would be followed by the next one */
#if HAS_READ_BACK
    if (status == @TOP@_OK && !holds(which)) status = @TOP@_WEIGHTS;
#endif
    return status;
}
#endif

@monitors@