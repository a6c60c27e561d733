/* Written by @title@ */
@head@
#include "@top@_driver.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The circuit's registers. */
enum { DIGEST_LOW = 0x08, DIGEST_HIGH = 0x0C, CIRCUIT_CONTROL = 0x10, CIRCUIT_STATUS = 0x14, FRAMES_OUT = 0x24, PACKET_FRAMES = 0x28, PAGE = 0x30 };
enum { CYCLES = 0x400, CRC = 0x600, FAULTS = 0x700, FAULTY = 0x708, FORGET = 1 << 1, IN_RESET = 1 << 0, EARLY = 1 << 1 };

enum rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum overflow { WRAP, SAT, SAT_ZERO, SAT_SYM };

/* The codes of a quantizer, from least to most: (x * units + shift) / scale + offset, rounded. */
struct ladder {
    enum rounding rounding;
    double scale, units, shift, offset, least, most;
};

/* Some elements of a tensor: raw values are real ones times 2**frac, from lo to hi, of the same codes on so many ladders. */
struct range {
    size_t count;
    int frac;
    int64_t lo, hi;
    size_t ladders;
    const struct ladder *steps;
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

#if @TOP@_IMAGES > 0
/* Weights in memory: the bytes that come with a frame, their CRC, and a buffer with as many copies as fill whole words. */
struct image {
    size_t bytes, copies;
    uint32_t crc;
    unsigned char *buffer;
};

static unsigned char is_here[@TOP@_IMAGES];
#endif

@tables@

@transport@
static int64_t limit(int64_t raw, int64_t lo, int64_t hi)
{
    return raw < lo ? lo : raw > hi ? hi : raw;
}

static double rounded(double x, enum rounding mode)
{
    const double whole = floor(fabs(x)), rest = fabs(x) - whole;
    const int tie = rest == 0.5;
    int up = 0;
    switch (mode) {
    case TRN: up = x < 0 && rest > 0; break;
    case TRN_ZERO: break;
    case RND: up = rest > 0.5 || (tie && x > 0); break;
    case RND_ZERO: up = rest > 0.5; break;
    case RND_INF: up = rest > 0.5 || tie; break;
    case RND_MIN_INF: up = rest > 0.5 || (tie && x < 0); break;
    case RND_CONV: up = rest > 0.5 || (tie && fmod(whole, 2) == 1); break;
    }
    return copysign(whole + up, x);
}

static double code(double x, const struct ladder *of)
{
    const double real = fmax(-0x1p100, fmin(x, 0x1p100));
    /* Codes change at multiples of a half alone; products of single precision, and of the rest, are exact. */
    const double half = rounded(2 * ((real * of->units + of->shift) / of->scale + of->offset), RND_CONV) / 2;
    const double times = half - of->offset, coarse = (float)of->scale, near = (float)real;
    const double product = near * of->units, bound = times * coarse, apart = product - bound, back = apart - product;
    const double lost = (product - (apart - back)) - (bound + back); /* by rounding, where the shift cancels what is apart */
    const double off = ((apart + of->shift) + lost) + ((real - near) * of->units - times * (of->scale - coarse));
    const double side = ((off > 0) - (off < 0)) * copysign(0.25, of->scale), raw = rounded(half + side, of->rounding);
    return raw < of->least ? of->least : raw > of->most ? of->most : raw;
}

static int differs(double real, double x, const struct range *in)
{
    for (size_t k = 0; k < in->ladders; k++)
        if (code(real, in->steps + k) != code(ldexp(x, -in->frac), in->steps + k)) return 1;
    return 0;
}

static int quantize(double real, const struct tensor *about, const struct range *in, int64_t *raw)
{
    double x = ldexp(real, in->frac), moved;
    const double span = (double)in->hi - (double)in->lo + 1;
    if (!isfinite(real)) return 0;
    if (isinf(x)) {
        x = about->overflow == WRAP ? 0 : copysign(1e300, x);
    }
    if (real != 0 && fabs(x) < 0x1p-60) x = copysign(0x1p-60, real);
    x = rounded(x, about->rounding);
    moved = real > ldexp(x, -in->frac) ? x + 1 : x - 1;
    if (differs(real, x, in) && !differs(real, moved, in)) x = moved;
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

/* The tensors of a frame, of so many samples in all, become its tokens. */
static int pack(const struct stream *of, unsigned char *to, const @TOP@_REAL *const x[], size_t frame, size_t samples)
{
    for (size_t k = 0; k < of->tokens * of->bytes; k++) to[k] = 0;
    for (size_t token = 0; token < of->tokens; token++) {
        const struct run *run = of->runs;
        size_t at = 0, left = run->count;
        for (size_t k = of->first; k < of->first + of->tensors; k++) {
            const struct tensor *about = &input_tensors[k];
            const size_t each = about->size / of->tokens, last = samples * @top@_input_size[k] - 1;
            size_t place = frame * about->size + token * each;
            for (size_t element = token * each; element < (token + 1) * each; element++, place++, left--) {
                const struct range *in = range_of(about, element);
                int64_t raw;
                if (left == 0) left = (++run)->count;
                if (!quantize((double)x[k][place < last ? place : last], about, in, &raw)) return 0;
                put(to, at, run->width, (uint64_t)raw << (run->frac - in->frac));
                at += run->width;
            }
        }
        to += of->bytes;
    }
    return 1;
}

/* The tokens of a frame become its tensors, but for samples beyond all. */
static void unpack(const struct stream *of, const unsigned char *from, @TOP@_REAL *const y[], size_t frame, size_t samples)
{
    for (size_t token = 0; token < of->tokens; token++) {
        const struct run *run = of->runs;
        size_t at = 0, left = run->count;
        for (size_t k = of->first; k < of->first + of->tensors; k++) {
            const size_t size = @TOP@_BATCH * @top@_output_size[k], each = size / of->tokens;
            for (size_t place = frame * size + token * each; place < frame * size + (token + 1) * each; place++, left--) {
                uint64_t bits;
                if (left == 0) left = (++run)->count;
                bits = get(from, at, run->width);
                if (run->is_signed && bits >> (run->width - 1) & 1) bits |= ~(uint64_t)0 << (run->width - 1);
                if (place < samples * @top@_output_size[k]) y[k][place] = (@TOP@_REAL)ldexp((double)(int64_t)bits, -run->frac);
                at += run->width;
            }
        }
        from += of->bytes;
    }
}

/* Until some bits of a register of the circuit are as wanted. */
static enum @top@_status settles(uint32_t at, uint32_t mask, uint32_t wanted)
{
    struct limit limit = limit_of(0, 0);
    for (;;) {
        const int late = is_over(&limit);
        if ((in(at) & mask) == wanted) return @TOP@_OK;
        if (late) return @TOP@_ENGINE;
    }
}

/* What is left of frames in the engines and the circuit would come before the next results. */
static enum @top@_status reset_all(void)
{
    enum @top@_status status = reset_movers();
    if (HAS_REGISTERS && status == @TOP@_OK) {
        out(CIRCUIT_CONTROL, 1);
        status = settles(CIRCUIT_STATUS, IN_RESET, 0);
    }
    return status;
}

static int is_this(void)
{
    return in(0) == 0x62736D74 && in(DIGEST_LOW) == DIGEST[0] && in(DIGEST_HIGH) == DIGEST[1];
}

enum @top@_status @top@_init(void)
{
    const enum @top@_status status = attach();
    if (status != @TOP@_OK) return status;
    return HAS_REGISTERS && !is_this() ? @TOP@_OTHER_CIRCUIT : reset_all();
}

/* Of a program that has not called init. */
static enum @top@_status attached(void)
{
    return is_attached() ? @TOP@_OK : attach();
}

static uint32_t bytes_of(const struct stream *of, size_t frames)
{
    return (uint32_t)(frames * of->tokens * of->bytes);
}

/* If a memory with check bits has given a word that may be wrong. */
static int has_faults(void)
{
    return @TOP@_MEMORIES > 0 && in(FAULTS) != 0;
}

static enum @top@_status exchange(size_t frames)
{
    enum @top@_status status = start_loops();
    const uint32_t before = HAS_REGISTERS ? in(FRAMES_OUT) : 0;
    if (HAS_REGISTERS) out(PACKET_FRAMES, (uint32_t)frames);
    for (size_t k = 0; k < OUTPUT_STREAMS && status == @TOP@_OK; k++) {
        status = start_from(k, outputs[k].buffer, bytes_of(&outputs[k], frames), frames);
    }
    for (size_t k = 0; k < INPUT_STREAMS && status == @TOP@_OK; k++) {
        status = start_to(k, inputs[k].buffer, bytes_of(&inputs[k], frames), frames);
    }
    for (size_t k = 0; k < INPUT_STREAMS && status == @TOP@_OK; k++) status = end_to(k, bytes_of(&inputs[k], frames), frames);
    for (size_t k = 0; k < OUTPUT_STREAMS && status == @TOP@_OK; k++)
        status = end_from(k, outputs[k].buffer, bytes_of(&outputs[k], frames), frames);
    if (status == @TOP@_OK) status = end_loops(frames);
    if (HAS_REGISTERS && status == @TOP@_OK &&
        (in(CIRCUIT_STATUS) & EARLY || (uint32_t)(in(FRAMES_OUT) - before) != frames)) {
        status = @TOP@_ENGINE;
    }
    return status == @TOP@_OK && has_faults() ? @TOP@_MEMORY : status;
}

/* If all weights that come with each frame were given. */
static int has_weights(void)
{
#if @TOP@_LOADS > 0
    for (size_t k = 0; k < external; k++) {
        if (!given[k]) return 0;
    }
#endif
#if @TOP@_IMAGES > 0
    for (size_t k = 0; k < @TOP@_IMAGES; k++) {
        if (!is_here[k]) return 0;
    }
#endif
    return 1;
}

#if HAS_READ_BACK || @TOP@_IMAGES > 0
/* The CRC of more bytes, between two complements. */
static uint32_t crc_with(uint32_t found, const unsigned char *data, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) {
        found ^= data[k];
        for (int bit = 0; bit < 8; bit++) found = found >> 1 ^ (found & 1 ? 0xEDB88320 : 0);
    }
    return found;
}
#endif

#if HAS_READ_BACK
/* If a memory held what it was given when the circuit last read it back, after a reset or a load. */
static int holds(size_t which)
{
    return in(CRC + 4 * (uint32_t)(which - external)) == held[which];
}

/* The CRC of what is sent to a memory, whose tokens have zeros above them. */
static uint32_t crc_of_load(const struct weights *of)
{
    uint32_t found = ~(uint32_t)0;
    for (size_t token = 0; token < of->tokens; token++) {
        found = crc_with(found, of->buffer + token * of->bytes, (of->each * of->width + 7) / 8);
    }
    return ~found;
}
#endif

@selftest@
enum @top@_status @top@_predict(const @TOP@_REAL *const x[@TOP@_INPUTS], @TOP@_REAL *const y[@TOP@_OUTPUTS], size_t samples)
{
    if (!has_weights()) return @TOP@_NO_WEIGHTS;
    if (attached() != @TOP@_OK) return @TOP@_HOST;
    for (size_t first = 0, all = (samples + @TOP@_BATCH - 1) / @TOP@_BATCH; first < all; first += @TOP@_FRAMES) {
        const size_t frames = all - first < @TOP@_FRAMES ? all - first : @TOP@_FRAMES;
        for (size_t k = 0; k < INPUT_STREAMS - external - IMAGES; k++) {
            for (size_t frame = 0; frame < frames; frame++) {
                if (!pack(&inputs[k], inputs[k].buffer + frame * inputs[k].tokens * inputs[k].bytes, x, first + frame, samples)) {
                    return @TOP@_NUMBER;
                }
            }
        }
        const enum @top@_status status = exchange(frames);
        if (status != @TOP@_OK) {
            (void)reset_all();
            return status;
        }
        for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
            for (size_t frame = 0; frame < frames; frame++) {
                unpack(&outputs[k], outputs[k].buffer + frame * outputs[k].tokens * outputs[k].bytes, y, first + frame, samples);
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
    if (attached() != @TOP@_OK) return @TOP@_HOST;
    const size_t mover = INPUT_STREAMS + (size_t)which - external;
    enum @top@_status status = start_to(mover, of->buffer, (uint32_t)bytes, 0);
    if (status == @TOP@_OK) status = end_to(mover, (uint32_t)bytes, 0);
#if HAS_READ_BACK
    held[which] = crc_of_load(of);
    if (status == @TOP@_OK) status = settles(CIRCUIT_STATUS, IN_RESET, 0);
#endif
    if (status != @TOP@_OK) (void)reset_all(); /* half a load would be followed by the next one */
#if HAS_READ_BACK
    if (status == @TOP@_OK && !holds(which)) status = @TOP@_WEIGHTS;
#endif
    return status;
}
#endif

#if @TOP@_IMAGES > 0
enum @top@_status @top@_image(enum @top@_images which, const unsigned char *data, size_t bytes)
{
    const struct image *of = &images[which];
    is_here[which] = 0;
    if (bytes != of->bytes || ~crc_with(~(uint32_t)0, data, bytes) != of->crc) return @TOP@_IMAGE;
    for (size_t k = 0; k < of->copies; k++) memcpy(of->buffer + k * bytes, data, bytes);
    publish(of->buffer, of->copies * bytes);
    is_here[which] = 1;
    return @TOP@_OK;
}
#endif

@monitors@