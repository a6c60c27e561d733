// Runs the bridge of a generated C++ project on samples, rows of 64-bit words: what the shared library exports.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <pthread.h>

extern "C" void BITSMITH_BRIDGE(const std::uint64_t *in, std::uint64_t *out);

namespace {

// Tensors are local variables of the generated functions. Pages that are not touched cost nothing.
constexpr std::size_t STACK_BYTES = std::size_t{1} << 29;

struct Job {
    const std::uint64_t *in;
    std::uint64_t *out;
    std::size_t samples;
    char *message;
    std::size_t room;
    bool failed;
};

void *work(void *argument) {
    Job &job = *static_cast<Job *>(argument);
    try {
        for (std::size_t sample = 0; sample < job.samples; sample++) {
            BITSMITH_BRIDGE(job.in + sample * BITSMITH_IN_WORDS, job.out + sample * BITSMITH_OUT_WORDS);
        }
    } catch (const std::exception &error) {
        std::snprintf(job.message, job.room, "%s", error.what());
        job.failed = true;
    }
    return nullptr;
}

} // namespace

// 0, or another number with the reason in `message` of `room` bytes.
extern "C" __attribute__((visibility("default"))) int bitsmith_csim(const std::uint64_t *in, std::uint64_t *out,
                                                                    std::size_t samples, char *message,
                                                                    std::size_t room) {
    Job job{in, out, samples, message, room, false};
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    const int refused = pthread_create(&thread, &attributes, work, &job);
    pthread_attr_destroy(&attributes);
    if (refused != 0) {
        std::snprintf(message, room, "no thread with a stack of %zu MiB", STACK_BYTES >> 20);
        return refused;
    }
    pthread_join(thread, nullptr);
    return job.failed ? 1 : 0;
}
