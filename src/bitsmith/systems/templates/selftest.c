/* The self-test, a part of driver.c: a stored frame, and what is wrong if its result is another one. */
#if HAS_SELFTEST
/* What the circuit has counted of a stream since its reset, inputs first. */
enum count { TRANSFERS = 0x410, STALLS = 0x414, CHECK = 0x418 };

static uint32_t seen[INPUT_STREAMS + OUTPUT_STREAMS][3];

static void look(void)
{
    for (size_t k = 0; k < INPUT_STREAMS + OUTPUT_STREAMS; k++) {
        for (size_t field = 0; field < 3; field++) seen[k][field] = in(TRANSFERS + (uint32_t)(16 * k + 4 * field));
    }
}

/* A byte, where each word of `size` has its bytes in the other order. */
static unsigned char swapped(const unsigned char *data, size_t bytes, size_t size, size_t at)
{
    const size_t first = at / size * size, last = first + size < bytes ? first + size : bytes;
    return data[first + last - 1 - at];
}

/* The register CHECK after such a frame: rotated left with each beat, whose 32-bit words are added modulo 2. */
static uint32_t check_of(const struct stream *of, const unsigned char *data, size_t size)
{
    const size_t bytes = bytes_of(of, 1);
    uint32_t found = 0;
    for (size_t at = 0; at < bytes; at++) {
        if (at % of->beat == 0) found = found << 1 | found >> 31;
        found ^= (uint32_t)swapped(data, bytes, size, at) << at % of->beat % 4 * 8;
    }
    return found;
}

static int arrived(size_t size)
{
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
        const size_t bytes = bytes_of(&outputs[k], 1);
        for (size_t at = 0; at < bytes; at++) {
            if (swapped(outputs[k].buffer, bytes, size, at) != expected[k][at]) return 0;
        }
    }
    return 1;
}

static uint32_t result(void)
{
    uint32_t found = 0;
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) found = found * 31 + check_of(&outputs[k], outputs[k].buffer, 1);
    return found;
}

static int lacks_a_beat(const struct stream *of, const unsigned char *have, const unsigned char *want)
{
    const size_t bytes = bytes_of(of, 1);
    size_t same = 0;
    while (same < bytes && have[same] == want[same]) same++;
    same -= same % of->beat;
    return same + of->beat < bytes && memcmp(have + same, want + same + of->beat, bytes - same - of->beat) == 0;
}

/* One frame, whose words of `size` have their bytes in the other order. */
static enum @top@_status send(size_t size)
{
    enum @top@_status status = reset_all();
    if (status != @TOP@_OK) return status;
    for (size_t k = 0; k < INPUT_STREAMS - IMAGES; k++) {
        const size_t bytes = bytes_of(&inputs[k], 1);
        for (size_t at = 0; at < bytes; at++) inputs[k].buffer[at] = swapped(sent[k], bytes, size, at);
    }
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) memset(outputs[k].buffer, 0, bytes_of(&outputs[k], 1));
    status = exchange(1);
    if (HAS_COUNTERS) look();
    if (status != @TOP@_OK) (void)reset_all();
    return status;
}

/* Why no result came. */
static enum @top@_status silence(void)
{
    int all = 1, waits = 0;
    if (!HAS_COUNTERS) return @TOP@_RESET;
    for (size_t k = 0; k < INPUT_STREAMS; k++) {
        if (seen[k][0] != bytes_of(&inputs[k], 1) / inputs[k].beat) return @TOP@_LINK;
    }
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
        const int came = seen[INPUT_STREAMS + k][0] == bytes_of(&outputs[k], 1) / outputs[k].beat;
        all = all && came;
        waits = waits || (!came && seen[INPUT_STREAMS + k][1] != 0);
    }
    return all || waits ? @TOP@_LINK : @TOP@_RESET;
}

static const size_t word_sizes[] = {2, 4, 8, 16};

enum { WORD_SIZES = sizeof word_sizes / sizeof word_sizes[0] };

/* Where the frame or its result was changed, by what the circuit has counted. */
static enum @top@_status by_counts(void)
{
    for (size_t k = 0; k < INPUT_STREAMS; k++) {
        if (seen[k][2] == check_of(&inputs[k], sent[k], 1)) continue;
        for (size_t n = 0; n < WORD_SIZES; n++) {
            if (seen[k][2] == check_of(&inputs[k], sent[k], word_sizes[n])) return @TOP@_ORDER;
        }
        return @TOP@_LINK;
    }
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) {
        if (seen[INPUT_STREAMS + k][2] != check_of(&outputs[k], expected[k], 1)) return @TOP@_WEIGHTS;
    }
    for (size_t n = 0; n < WORD_SIZES; n++) {
        if (arrived(word_sizes[n])) return @TOP@_ORDER;
    }
    return @TOP@_LINK;
}

/* The same of a circuit that counts nothing, by frames whose bytes are in other orders. */
static enum @top@_status by_trials(void)
{
    int lacks = 0;
    for (size_t k = 0; k < OUTPUT_STREAMS; k++) lacks = lacks || lacks_a_beat(&outputs[k], outputs[k].buffer, expected[k]);
    for (size_t n = 0; n < WORD_SIZES; n++) {
        if (arrived(word_sizes[n])) return @TOP@_ORDER;
    }
    for (size_t n = 0; n < WORD_SIZES; n++) {
        if (send(word_sizes[n]) == @TOP@_OK && arrived(1)) return @TOP@_ORDER;
    }
    return lacks ? @TOP@_LINK : @TOP@_WEIGHTS;
}

/* The clock differs from the planned one by a quarter at most: processors divide theirs by integers. */
static enum @top@_status clock_status(void)
{
    const uint32_t planned = CYCLES_OF_MS, first = in(CYCLES);
    uint32_t cycles;
    wait_a_millisecond();
    cycles = in(CYCLES) - first;
    if (cycles == 0) return @TOP@_RESET;
    return cycles < planned / 4 * 3 || cycles > planned / 4 * 5 ? @TOP@_CLOCK : @TOP@_OK;
}
#endif

enum @top@_status @top@_selftest(void)
{
#if HAS_SELFTEST
    enum @top@_status status = @TOP@_OK;
    uint32_t first;
    if (!has_weights()) return @TOP@_NO_WEIGHTS;
    if (attached() != @TOP@_OK) return @TOP@_HOST;
    if (HAS_REGISTERS && !is_this()) return @TOP@_LINK;
    if (reset_all() != @TOP@_OK) return @TOP@_RESET;
#if HAS_READ_BACK
    for (size_t k = external; k < @TOP@_LOADS; k++) {
        if (!holds(k)) return @TOP@_WEIGHTS;
    }
#endif
    if (@TOP@_MEMORIES > 0) out(CIRCUIT_CONTROL, FORGET);
    if (HAS_COUNTERS) status = clock_status();
    if (status != @TOP@_OK) return status;
    status = send(1);
    if (has_faults()) return @TOP@_MEMORY;
    if (status != @TOP@_OK) return silence();
    if (arrived(1)) return @TOP@_OK;
    first = result();
    if (send(1) != @TOP@_OK) return silence();
    if (arrived(1) && !HAS_REGISTERS) return @TOP@_RESET; /* a result of earlier frames came first */
    if (result() != first) return @TOP@_CLOCK;
    return HAS_COUNTERS ? by_counts() : by_trials();
#else
    return @TOP@_NO_WEIGHTS;
#endif
}
