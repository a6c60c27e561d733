#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Memory that Linux does not use: started with mem=768M, it leaves the last quarter of the 1 GiB alone. */
#ifndef @TOP@_BUFFERS
#define @TOP@_BUFFERS 0x30000000 /* address of that memory, */
#define @TOP@_BUFFERS_BYTES 0x10000000 /* and its size */
#endif

#define MOST_BYTES ((@TOP@_BUFFERS_BYTES) / STREAMS / 4096 * 4096 < 1 << 23 ? (@TOP@_BUFFERS_BYTES) / STREAMS / 4096 * 4096 : 1 << 23)
@tables@
#ifndef @TOP@_DEVICE
#define @TOP@_DEVICE "/dev/mem" /* all of the machine's memory and registers */
#define @TOP@_USED "/proc/iomem" /* which of it is in use */
#endif

/* The processor's narrow bridge (Cyclone V Hard Processor System Technical Reference Manual): engines, then the circuit. */
enum { ENGINE_BYTES = 0x40, CIRCUIT = 0x1000, BRIDGE_BYTES = 0x2000 };
static const uint32_t BRIDGE = 0xFF200000;

/* Modular scatter-gather DMA engines (Embedded Peripherals IP User Guide, standard descriptors). */
enum { STATUS = 0x00, CONTROL = 0x04, READ = 0x20, WRITE = 0x24, LENGTH = 0x28, ORDER = 0x2C };
enum { BUSY = 1 << 0, EMPTY = 1 << 1, RESETTING = 1 << 6, RESET = 1 << 1 };
static const uint32_t GO = (uint32_t)1 << 31;

static volatile uint32_t *bridge, *memory;

#ifndef @TOP@_IN32
#define @TOP@_IN32(at) bridge[(at) / 4]
#define @TOP@_OUT32(at, value) (bridge[(at) / 4] = (value))
#endif

static uint32_t in(uint32_t at)
{
    return bridge == NULL ? 0 : @TOP@_IN32(CIRCUIT + at);
}

static void out(uint32_t at, uint32_t value)
{
    if (bridge != NULL) @TOP@_OUT32(CIRCUIT + at, value);
}

static enum @top@_status until(uint32_t at, uint32_t mask, uint32_t wanted, struct limit limit)
{
    for (;;) {
        const int late = is_over(&limit);
        if ((@TOP@_IN32(at) & mask) == wanted) return @TOP@_OK;
        if (late) return @TOP@_ENGINE;
    }
}

/* Engines of inputs, of weights for memories, of outputs. */
static uint32_t engine(size_t stream)
{
    return (uint32_t)(ENGINE_BYTES * stream);
}

static enum @top@_status start(size_t stream, uint32_t from, uint32_t to, uint32_t bytes)
{
    const uint32_t at = engine(stream);
    @TOP@_OUT32(at + READ, from);
    @TOP@_OUT32(at + WRITE, to);
    @TOP@_OUT32(at + LENGTH, bytes);
    @TOP@_OUT32(at + ORDER, GO);
    return @TOP@_OK;
}

/* Each stream has a part of the memory. */
static uint32_t place(size_t stream)
{
    return (uint32_t)(@TOP@_BUFFERS + stream * MOST_BYTES);
}

/* Memory that is not cached takes whole words only. */
static volatile uint32_t *words_of(size_t stream)
{
    return memory + stream * MOST_BYTES / 4;
}

static enum @top@_status start_to(size_t k, const unsigned char *buffer, uint32_t bytes, size_t frames)
{
    (void)frames;
    for (size_t at = 0; at < bytes; at += 4) {
        uint32_t word = 0;
        memcpy(&word, buffer + at, bytes - at < 4 ? bytes - at : 4);
        words_of(k)[at / 4] = word;
    }
    return start(k, place(k), 0, bytes);
}

static enum @top@_status start_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    (void)buffer;
    (void)frames;
    return start(INPUT_STREAMS + LOADS + k, 0, place(INPUT_STREAMS + LOADS + k), bytes);
}

static enum @top@_status ends(size_t stream, uint32_t bytes, size_t frames)
{
    return until(engine(stream) + STATUS, BUSY | EMPTY, EMPTY, limit_of(bytes, frames));
}

static enum @top@_status end_to(size_t k, uint32_t bytes, size_t frames)
{
    return ends(k, bytes, frames);
}

static enum @top@_status end_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    const size_t stream = INPUT_STREAMS + LOADS + k;
    const enum @top@_status status = ends(stream, bytes, frames);
    for (size_t at = 0; at < bytes; at += 4) {
        const uint32_t word = words_of(stream)[at / 4];
        memcpy(buffer + at, &word, bytes - at < 4 ? bytes - at : 4);
    }
    return status;
}

static enum @top@_status reset_movers(void)
{
    enum @top@_status status = @TOP@_OK;
    for (size_t stream = 0; stream < STREAMS && status == @TOP@_OK; stream++) {
        @TOP@_OUT32(engine(stream) + CONTROL, RESET);
        status = until(engine(stream) + STATUS, RESETTING, 0, limit_of(0, 0));
    }
    return status;
}

/* If Linux does not use the memory. */
static int is_free(void)
{
    FILE *const file = fopen(@TOP@_USED, "r");
    char line[256];
    int found = file != NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long first, last;
        if (strstr(line, " : System RAM") == NULL || sscanf(line, "%lx-%lx", &first, &last) != 2 || line[0] == ' ') continue;
        if (first < (unsigned long)@TOP@_BUFFERS + @TOP@_BUFFERS_BYTES && last >= (unsigned long)@TOP@_BUFFERS) found = 0;
    }
    if (file != NULL) fclose(file);
    return found;
}

static int is_attached(void)
{
    return bridge != NULL;
}

static enum @top@_status attach(void)
{
    void *found[2] = {MAP_FAILED, MAP_FAILED};
    int file;
    if (is_attached()) return @TOP@_OK;
    if (!is_free()) return @TOP@_HOST;
    file = open(@TOP@_DEVICE, O_RDWR | O_SYNC);
    if (file < 0) return @TOP@_HOST;
    found[0] = mmap(NULL, BRIDGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)BRIDGE);
    found[1] = mmap(NULL, @TOP@_BUFFERS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)@TOP@_BUFFERS);
    (void)close(file);
    if (found[0] == MAP_FAILED || found[1] == MAP_FAILED) return @TOP@_HOST;
    bridge = found[0];
    memory = found[1];
    return @TOP@_OK;
}
