/* Time on Linux, a part of driver.c: limits are those of the driver in Python. */
#ifndef @TOP@_SECONDS
#define @TOP@_SECONDS 10.0 /* that the board may take for what it is told, and as long again for each MiB that it moves */
#endif

#define SLOWEST_HZ 1e7 /* a clock that is slower than that of any circuit */

static double seconds_of(size_t bytes, size_t frames)
{
    return @TOP@_SECONDS * (1 + (double)bytes / (1 << 20)) + (double)frames * INTERVAL / SLOWEST_HZ;
}

static double now(void)
{
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* When something has failed. */
struct limit {
    double end;
};

static struct limit limit_of(size_t bytes, size_t frames)
{
    const struct limit limit = {now() + seconds_of(bytes, frames)};
    return limit;
}

static int is_over(const struct limit *limit)
{
    return now() > limit->end;
}

static inline void wait_a_millisecond(void)
{
    const struct timespec time = {0, 1000000};
    nanosleep(&time, NULL);
}
