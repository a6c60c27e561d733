#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "@top@_card.h"

#define MOST_BYTES ((1UL << 31) - 1)
@tables@
#ifndef @TOP@_XCLBIN
#define @TOP@_XCLBIN "@top@.xclbin"
#endif

#ifndef @TOP@_CARD
#define @TOP@_CARD 0 /* which of several */
#endif

/* Kernels are those of @top@_card.cpp. Nothing ends one that waits for the rest of a frame: after an error the card is to be reset, and
 * init opens it again. */
static int is_open, is_broken;

static unsigned milliseconds(size_t bytes, size_t frames)
{
    const double time = 1000 * seconds_of(bytes, frames);
    return time < 4e9 ? (unsigned)time : 4000000000U;
}

static uint32_t ask(uint64_t command)
{
    uint32_t answer = 0;
    return is_open && @top@_card_ask(command, &answer, milliseconds(0, 0)) ? answer : 0;
}

static uint32_t in(uint32_t at)
{
    return ask((uint64_t)at << 32);
}

static void out(uint32_t at, uint32_t value)
{
    (void)ask((uint64_t)1 << 63 | (uint64_t)at << 32 | value);
}

static enum @top@_status ended(int well)
{
    is_broken = is_broken || !well;
    return is_broken ? @TOP@_ENGINE : @TOP@_OK;
}

static enum @top@_status start_to(size_t k, const unsigned char *buffer, uint32_t bytes, size_t frames)
{
    const size_t beat = k < INPUT_STREAMS ? inputs[k].beat : beats_of_loads[k - INPUT_STREAMS];
    (void)frames;
    return ended(!is_broken && @top@_card_start(k, 1, buffer, bytes, bytes / beat));
}

static enum @top@_status start_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    (void)buffer;
    (void)frames;
    return ended(!is_broken && @top@_card_start(k, 0, NULL, bytes, bytes / outputs[k].beat));
}

static enum @top@_status end_to(size_t k, uint32_t bytes, size_t frames)
{
    return ended(@top@_card_wait(k, 1, NULL, 0, milliseconds(bytes, frames)));
}

static enum @top@_status end_from(size_t k, unsigned char *buffer, uint32_t bytes, size_t frames)
{
    return ended(@top@_card_wait(k, 0, buffer, bytes, milliseconds(bytes, frames)));
}

static enum @top@_status reset_movers(void)
{
    return is_broken ? @TOP@_ENGINE : @TOP@_OK;
}

static int is_attached(void)
{
    return is_open;
}

static enum @top@_status attach(void)
{
    if (!is_open || is_broken) is_open = @top@_card_open(@TOP@_XCLBIN, @TOP@_CARD, INPUT_STREAMS + LOADS + HAS_REGISTERS, OUTPUT_STREAMS + HAS_REGISTERS);
    is_broken = 0;
    return is_open ? @TOP@_OK : @TOP@_HOST;
}
