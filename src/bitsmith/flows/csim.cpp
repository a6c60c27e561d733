// Runs the bridge of a generated C++ project on samples: inputs.bin -> outputs.bin, rows of 64-bit words.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

extern "C" void BITSMITH_BRIDGE(const std::uint64_t *in, std::uint64_t *out);

int main(int argc, char **argv) {
    if (argc != 4) {
        std::fprintf(stderr, "error: wanted: inputs.bin outputs.bin samples\n");
        return 2;
    }
    std::FILE *inputs = std::fopen(argv[1], "rb");
    std::FILE *outputs = std::fopen(argv[2], "wb");
    if (inputs == nullptr || outputs == nullptr) {
        std::fprintf(stderr, "error: %s or %s cannot be opened\n", argv[1], argv[2]);
        return 2;
    }
    const long samples = std::atol(argv[3]);
    std::vector<std::uint64_t> in(BITSMITH_IN_WORDS);
    std::vector<std::uint64_t> out(BITSMITH_OUT_WORDS);
    for (long sample = 0; sample < samples; sample++) {
        if (std::fread(in.data(), sizeof in[0], in.size(), inputs) != in.size()) {
            std::fprintf(stderr, "error: sample %ld is missing\n", sample);
            return 2;
        }
        BITSMITH_BRIDGE(in.data(), out.data());
        if (std::fwrite(out.data(), sizeof out[0], out.size(), outputs) != out.size()) {
            std::fprintf(stderr, "error: sample %ld cannot be written\n", sample);
            return 2;
        }
    }
    std::fclose(inputs);
    return std::fclose(outputs) == 0 ? 0 : 2;
}
