/* Written by @title@
 * Kernels of a card, between @top@_driver.c and XRT. All give 1, or 0 after an error. */
#ifndef @TOP@_CARD_H
#define @TOP@_CARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Load the card, which has so many kernels that read memory, and that write there; the last ones are those of registers. */
int @top@_card_open(const char *xclbin, unsigned card, size_t readers, size_t writers);

/* Send a command to the circuit's registers, and wait for the answer. */
int @top@_card_ask(uint64_t command, uint32_t *answer, unsigned milliseconds);

/* Start a kernel, on the data that it reads, or with room for what it writes. */
int @top@_card_start(size_t k, int reads, const unsigned char *data, size_t bytes, size_t beats);

/* Wait for a kernel, and take what it wrote. */
int @top@_card_wait(size_t k, int reads, unsigned char *data, size_t bytes, unsigned milliseconds);

#ifdef __cplusplus
}
#endif

#endif
