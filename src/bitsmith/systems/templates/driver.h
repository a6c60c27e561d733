/* Written by @title@
 * The circuit @top@ @where@ */
#ifndef @TOP@_DRIVER_H
#define @TOP@_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers outside of the circuit. */
#ifndef @TOP@_REAL
#define @TOP@_REAL float
#endif

/* Samples that the circuit computes together, as a frame; the last one is filled up with the last sample. */
#define @TOP@_BATCH @batch@

/* Frames that are sent at once: buffers have room for so many. */
#ifndef @TOP@_FRAMES
#define @TOP@_FRAMES 16
#endif

#define @TOP@_INPUTS @inputs@
#define @TOP@_OUTPUTS @outputs@
#define @TOP@_LOADS @loads@
#define @TOP@_IMAGES @images@
#define @TOP@_RANGES @ranges@
#define @TOP@_MEMORIES @memories@

/* Elements of a sample of each. */
extern const size_t @top@_input_size[@TOP@_INPUTS];
extern const size_t @top@_output_size[@TOP@_OUTPUTS];

enum @top@_status {
    @TOP@_OK = 0,
    @TOP@_OTHER_CIRCUIT = 1, /* the bitstream is of another network */
    @TOP@_ENGINE = 2,        /* a DMA engine or the circuit tells of an error, or does not end: call init again */
    @TOP@_NUMBER = 3,        /* a number is NaN or infinite, or weights do not fit */
    @TOP@_NO_WEIGHTS = 4,    /* weights that come with each frame were not given: a self-test has no result then */
    /* Of a self-test that failed: what is wrong. */
    @TOP@_LINK = 5,    /* a part of the frame or its result was lost or changed on its way */
    @TOP@_RESET = 6,   /* the circuit stays in its reset, takes no frame in, or had earlier frames in it */
    @TOP@_CLOCK = 7,   /* the clock is not the planned one, or results of one frame differ */
    @TOP@_ORDER = 8,   /* bytes are in another order */
    @TOP@_WEIGHTS = 9, /* the circuit has other weights than the model */
    @TOP@_MEMORY = 10, /* bits of a memory have flipped, as its check bits say; also of predict */
    @TOP@_HOST = 11,   /* this processor does not reach the board: no such device, no right to it, or memory that is in use */
    @TOP@_IMAGE = 12,  /* an image of weights has another length or CRC than that of the build */
};

/* Look if the circuit is this one, and reset it and its engines. Call it before all others. */
enum @top@_status @top@_init(void);

/* The result of a stored frame, compared with that of the model; if it is another one, the kind of fault. Weights that were loaded
 * since init give another one. */
enum @top@_status @top@_selftest(void);

/* The results y of samples x, one array of `samples` rows for each input and output. They are those of the model's predict. */
enum @top@_status @top@_predict(const @TOP@_REAL *const x[@TOP@_INPUTS], @TOP@_REAL *const y[@TOP@_OUTPUTS], size_t samples);

#if @TOP@_LOADS > 0
/* Weights that come with each frame, or that a memory has, each with its values. */
enum @top@_weights { @weights@ };

/* Replace them, by real numbers in the layout of the model that was converted, all of its tensor; numbers outside of the
 * circuit's format are @TOP@_NUMBER. What comes with each frame goes with all that follow. For a memory it is sent now, and
 * frames that are under way are lost. */
enum @top@_status @top@_load(enum @top@_weights which, const @TOP@_REAL *values);
#endif

#if @TOP@_IMAGES > 0
/* Weights that the circuit reads from memory with each frame. */
enum @top@_images { @read@ };

/* Copy them there: all bytes of their file, @top@_<weights>.bin, before the first frame. Others than those of the build are
 * @TOP@_IMAGE. */
enum @top@_status @top@_image(enum @top@_images which, const unsigned char *data, size_t bytes);
#endif

#if @TOP@_MEMORIES > 0
/* Names of memories with check bits: the layers, and what is in them. */
extern const char *const @top@_memory_names[@TOP@_MEMORIES];

/* Which of them have given words that may be wrong, and of which a bit was corrected, since power-on or the last self-test. */
void @top@_faults(int wrong[@TOP@_MEMORIES], int corrected[@TOP@_MEMORIES]);
#endif

#if @TOP@_RANGES > 0
/* What a monitor has seen of an input, an output or a layer's result since the last reset. */
struct @top@_range {
    const char *name;
    double least, most;         /* of all elements that passed */
    double expected[2];         /* least and most of the calibration data, or of the type */
    uint32_t beyond, bins[8];   /* tokens with an element outside of these; tokens by their greatest element */
    double drift;               /* share of the tokens in other bins than those of the calibration data, 0 without */
};

/* Read all monitors, those of inputs first, then of outputs, then of layers. */
void @top@_ranges(struct @top@_range found[@TOP@_RANGES]);
#endif

#ifdef __cplusplus
}
#endif

#endif
