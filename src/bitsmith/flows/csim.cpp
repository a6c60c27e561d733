// Runs the bridge of a generated C++ project on samples, rows of 64-bit words: what the shared library exports, or, with
// BITSMITH_PROGRAM, a program that reads them from a file and writes the results into another.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#ifdef BITSMITH_PROGRAM
#include <fstream>
#include <vector>
#endif
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

#ifdef BITSMITH_PROGRAM
int main(int count, char **names) {
    if (count != 3) {
        std::fprintf(stderr, "usage: %s STIMULI RESPONSES\n", names[0]);
        return 2;
    }
    std::ifstream stimuli(names[1], std::ios::binary | std::ios::ate);
    const std::size_t row = sizeof(std::uint64_t) * BITSMITH_IN_WORDS;
    const std::size_t samples = stimuli ? static_cast<std::size_t>(stimuli.tellg()) / row : 0;
    std::vector<std::uint64_t> in(samples * BITSMITH_IN_WORDS), out(samples * BITSMITH_OUT_WORDS);
    stimuli.seekg(0);
    stimuli.read(reinterpret_cast<char *>(in.data()), static_cast<std::streamsize>(samples * row));
    char message[1024] = "no samples";
    if (samples == 0 || !stimuli || bitsmith_csim(in.data(), out.data(), samples, message, sizeof message) != 0) {
        std::fprintf(stderr, "error: %s\n", message);
        return 1;
    }
    std::ofstream responses(names[2], std::ios::binary);
    responses.write(reinterpret_cast<const char *>(out.data()), static_cast<std::streamsize>(out.size() * sizeof out[0]));
    return responses.flush() ? 0 : 1;
}
#endif
