// Co-simulation of a top: reads tokens, writes tokens and the measured timing.
//
// usage: Vdut SPEC STIMULI RESPONSES MEASURED FRAMES PATIENCE [WEIGHTS]
//
// SPEC is text: the number of inputs, of outputs, of streams of weights and of memories outside, and whether the circuit waits,
// then for each stream (those to all memories, and then those back) the 32-bit words of a token, the tokens of a frame (of a
// load, where weights are loaded), and the cycles from a token of an input or a memory to the next one. For each memory follow
// its latency, the number of its spans, and the first token and the count of each. STIMULI and RESPONSES hold all tokens of the first
// stream, then those of the next; a token's bits are in little-endian words, least significant first. MEASURED is a JSON object:
// {"latency": .., "interval": ..} or {"mismatch": ".."}. PATIENCE is the number of cycles without a transfer after which the
// circuit is said to hang. WEIGHTS has the tokens of a load of each stream of weights; they are loaded with random waits before
// the first run, and once more while tokens are in flight, instead of the reset: a load must do as well.
//
// Ports of the top: in_valid, in_ready, out_valid, out_ready (a bit per stream), in_data, out_data (a token per stream, each
// in whole words) and out_last; load_valid, load_ready and load_data for weights; ports away_ as out_ and back_ as in_ for
// memories. The circuit is run three times:
//   1. nobody ever waits: latency (first token in to last token out of the first frame) and interval (cycles per frame of the
//      slowest input or output, over the last frames: parts that are not connected have a pace each);
//   2. both sides wait at random, with garbage on in_data meanwhile: the same tokens;
//   3. a reset while tokens are in flight, then some frames as before.
// Last flags must come with the last token of each frame, and tokens must not change while they wait.
//
// A circuit that does not wait takes a token in every cycle that has one, and gives its result a fixed number of cycles later,
// whatever the pauses; it gives nothing else. It is not reset between the first two runs, the second of which is short.
// All registers start with random values, so that what the reset leaves alone cannot matter.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <Vdut.h>  // of the folder that it is compiled in, never one beside this file
#include <verilated.h>

#include "harness.h"

namespace {

struct Stream {
    std::size_t words;   // of a token
    std::size_t tokens;  // of a frame
    std::size_t offset;  // of the token among the port's words
    std::size_t start;   // of the first token in the file, in words
    std::size_t done;    // tokens that went through
    std::int64_t gap;    // cycles from a token to the next one, at least, where nobody waits
    std::int64_t next;   // the cycle of the next one then
};

template <typename Port> std::uint32_t* words_of(Port& port) { return reinterpret_cast<std::uint32_t*>(&port); }

// Memories outside of the circuit: each takes the tokens of a frame in order, and gives its spans of them back.
class Memories {
  public:
    void read(std::ifstream& file, const std::vector<Stream>& outs, const std::vector<Stream>& backs) {
        for (std::size_t k = 0; k < outs.size(); k++) {
            Memory m;
            m.away = outs[k], m.back = backs[k];
            std::size_t spans = 0, first = 0, count = 0;
            file >> m.latency >> spans;
            for (m.in_order = spans == 1; spans && file >> first >> count; spans--)
                while (count--) m.source.push_back(first++);
            const bool inside = std::all_of(m.source.begin(), m.source.end(), [&](std::size_t s) { return s < m.away.tokens; });
            if (!inside || m.source.size() != m.back.tokens) throw std::runtime_error("spans that are not of the memory");
            m.in_order &= m.source.size() == m.away.tokens;
            m.tokens.resize(m.away.words * m.away.tokens);
            m.written.resize(m.away.tokens), m.held.resize(m.away.words);
            memories_.push_back(m);
        }
    }

    // Forgets all tokens, and takes and gives none.
    void forget(Vdut& dut) {
        dut.away_ready = dut.back_valid = offered_ = held_ = 0;
        for (Memory& m : memories_) m.away.done = m.back.done = m.needed = 0, m.away.next = m.back.next = 0, m.ahead = false;
    }

    // Takes and gives tokens as soon as this can be, or, with random numbers, not before the next cycle, and at random.
    void show(Vdut& dut, std::int64_t cycle, std::uint64_t* random) {
        std::uint64_t ready = 0;
        for (std::size_t k = 0; k < memories_.size(); k++) {
            Memory& m = memories_[k];
            const std::uint64_t bit = std::uint64_t{1} << k;
            const bool takes = random ? next_random(*random) % 4 > 1 : cycle >= m.away.next;
            const bool gives = random ? next_random(*random) % 3 != 0 : cycle >= m.back.next;
            if (takes && m.away.done < (m.ahead ? m.back.done : m.away.tokens)) ready |= bit;
            if (gives && m.may_give(random ? cycle - 1 : cycle - m.latency)) offered_ |= bit;
            std::uint32_t* port = words_of(dut.back_data) + m.back.offset;
            const std::uint32_t* token = &m.tokens[m.source[m.back.done] * m.back.words];
            for (std::size_t w = 0; w < m.back.words; w++) port[w] = offered_ & bit ? token[w] : ~token[w];
        }
        dut.away_ready = ready, dut.back_valid = offered_;
    }

    // Whether a token was transferred.
    bool move(Vdut& dut, std::int64_t cycle) {
        const std::uint64_t taken = dut.away_ready & dut.away_valid, given = offered_ & dut.back_ready;
        for (std::size_t k = 0; k < memories_.size(); k++) {
            Memory& m = memories_[k];
            const std::uint64_t bit = std::uint64_t{1} << k;
            const std::uint32_t* port = words_of(dut.away_data) + m.away.offset;
            if ((held_ & bit) && (!(dut.away_valid & bit) || std::memcmp(m.held.data(), port, 4 * m.away.words))) {
                throw Mismatch("what goes to memory " + std::to_string(k) + " changes while it waits");
            }
            std::memcpy(m.held.data(), port, 4 * m.away.words);
            if (taken & bit) {
                std::memcpy(&m.tokens[m.away.done * m.away.words], port, 4 * m.away.words);
                m.written[m.away.done++] = cycle;
                const bool last = (dut.away_last & bit) != 0;
                if (last != (m.away.done == m.away.tokens)) throw Mismatch("a wrong last flag to a memory");
                m.away.next = cycle + m.away.gap;
            }
            if (given & bit) {
                m.back.next = cycle + m.back.gap;
                const bool ends = ++m.back.done == m.back.tokens;
                if (ends && !m.in_order) m.away.done = 0;
                if (ends) m.back.done = m.needed = 0, m.ahead = false;
            }
            if (m.in_order && !m.ahead && m.away.done == m.away.tokens) m.away.done = 0, m.ahead = true;
        }
        offered_ &= ~given;
        held_ = dut.away_valid & ~taken;
        return (taken | given) != 0;
    }

  private:
    struct Memory {
        Stream away, back;                // done: of this frame
        std::int64_t latency = 0;
        std::vector<std::size_t> source;  // the token of each read
        std::vector<std::uint32_t> tokens, held;
        std::vector<std::int64_t> written;  // cycles
        std::size_t needed = 0;             // tokens, for the next read
        bool in_order = false, ahead = false;  // each read makes room; what is written is of the frame after what is read

        // Whether what the next read needs was written until a cycle.
        bool may_give(std::int64_t until) {
            needed = back.done + 1 == back.tokens ? away.tokens : std::max(needed, source[back.done] + 1);
            return (ahead || needed <= away.done) && written[needed - 1] <= until;
        }
    };
    std::vector<Memory> memories_;
    std::uint64_t offered_ = 0, held_ = 0;  // to the circuit, and from there while they wait
};

class Bench {
  public:
    // `weights`: what is loaded before, or nothing.
    Bench(const char* spec, const char* stimuli, const char* weights, std::size_t frames, std::int64_t patience)
        : waves_(context_, dut_, weights ? "reloaded_waves.vcd" : "waves.vcd"), frames_(frames), patience_(patience) {
        std::ifstream file(spec);
        std::size_t inputs = 0, outputs = 0, loads = 0, memories = 0;
        file >> inputs >> outputs >> loads >> memories >> waits_;
        in_.resize(inputs);
        out_.resize(outputs);
        load_.resize(loads);
        const std::size_t in_words = read(file, in_, frames_), out_words = read(file, out_, frames_);
        const std::size_t load_words = read(file, load_, 1);
        std::vector<Stream> outs(memories), backs(memories);
        read(file, outs, 1);
        read(file, backs, 1);
        memories_.read(file, outs, backs);
        if (!file) throw std::runtime_error("the description of the streams cannot be read");
        responses_.resize(out_words);
        stimuli_ = filled(in_words, stimuli);
        if (weights) weights_ = filled(load_words, weights);
    }
    ~Bench() { dut_.final(); }

    Measured run() {
        reset();
        load(2463534242ULL);
        reset();  // so that latency is measured from the same cycle as ever; memories keep what they have
        exchange(0, false, 0);
        const Measured measured{latency(), interval()};
        if (waits_) {
            reset();
        } else {
            stay_quiet("the last result");
            forget();
        }
        exchange(88172645463325252ULL, true, waits_ ? 0 : first(256));
        reset();
        exchange(waits_ ? 362436069362436069ULL : 0, true, some());
        if (weights_.empty()) {
            reset();
        } else {
            load(521288629546311691ULL);
        }
        exchange(521288629521288629ULL, true, first(waits_ ? 2 : 16));
        return measured;
    }

    const std::vector<std::uint32_t>& responses() const { return responses_; }

  private:
    // Loads all weights, if there are any.
    void load(std::uint64_t seed) {
        if (weights_.empty()) return;
        std::uint64_t random = seed | 1, offered = 0;
        std::int64_t quiet = 0;
        dut_.in_valid = 0;
        dut_.out_ready = 0;
        for (Stream& s : load_) s.done = 0;
        bool begun = false;
        for (std::size_t left = load_.size(); left;) {
            for (std::size_t k = 0; k < load_.size(); k++) {
                const Stream& s = load_[k];
                if (s.done < s.tokens && next_random(random) % 3) offered |= std::uint64_t{1} << k;
                for (std::size_t w = 0; w < s.words; w++) {
                    const bool given = offered >> k & 1;
                    words_of(dut_.load_data)[s.offset + w] =
                        given ? weights_[s.start + s.done * s.words + w] : static_cast<std::uint32_t>(next_random(random));
                }
            }
            dut_.load_valid = offered;
            dut_.clk = 0;
            settle();
            if (begun && dut_.in_ready) throw Mismatch("tokens are taken while weights are loaded");
            const std::uint64_t taken = offered & dut_.load_ready;
            for (std::size_t k = 0; k < load_.size(); k++) {
                if (taken >> k & 1 && ++load_[k].done == load_[k].tokens) left--;
            }
            offered &= ~taken;
            begun = taken != 0;
            for (const Stream& s : load_) begun |= s.done > 0 && s.done < s.tokens;
            dut_.clk = 1;
            settle();
            quiet = taken ? 0 : quiet + 1;
            if (quiet > patience_) throw Mismatch("weights are not taken");
        }
        dut_.load_valid = 0;
        for (int k = 0; k < 4; k++) clock();
        forget();
    }

    void reset() {
        dut_.rst = 1;
        dut_.in_valid = 0;
        dut_.out_ready = 0;
        dut_.load_valid = 0;
        memories_.forget(dut_);
        for (int k = 0; k < (waits_ ? 4 : 1); k++) clock();
        dut_.rst = 0;
        stay_quiet("a reset");
        forget();
    }

    // A circuit that does not wait gives nothing after a reset, and nothing after the last result.
    void stay_quiet(const char* before) {
        if (waits_) return;
        std::uint64_t random = 1;
        dut_.in_valid = 0;
        for (std::int64_t left = std::max<std::int64_t>(latency_, 0) + 4; left; left--) {
            for (Stream& s : in_) show(s, false, random);
            dut_.clk = 0;
            settle();
            if (dut_.out_valid) throw Mismatch(std::string("out_valid is high without an input after ") + before);
            dut_.clk = 1;
            settle();
        }
    }

    // Puts the next token of an input, or garbage where none is `offered`, on its part of the port.
    void show(const Stream& s, bool offered, std::uint64_t& random) {
        std::uint32_t* port = words_of(dut_.in_data) + s.offset;
        if (offered) {
            std::memcpy(port, &stimuli_[s.start + s.done * s.words], 4 * s.words);
        } else {
            for (std::size_t w = 0; w < s.words; w++) port[w] = static_cast<std::uint32_t>(next_random(random));
        }
    }

    // Runs until `until` tokens of the first output came out (all, if 0); `compare`: against the tokens of the first run.
    void exchange(std::uint64_t seed, bool compare, std::size_t until) {
        std::uint64_t random = seed | 1;
        std::int64_t quiet = 0;
        std::uint64_t held_valid = 0;
        std::vector<std::uint32_t> held(out_total_words());
        first_in_ = -1;
        ends_.assign(out_.size() * frames_, -1);
        begun_.assign(frames_, -1);
        std::uint64_t offered = 0;
        for (std::int64_t cycle = 0;; cycle++) {
            std::uint64_t ready = 0;
            for (std::size_t k = 0; k < in_.size(); k++) {
                const bool left = in_[k].done < in_[k].tokens * frames_;
                const std::uint64_t bit = std::uint64_t{1} << k;
                const bool given = seed == 0 ? cycle >= in_[k].next : next_random(random) % 3 != 0;
                if (left && ((offered & bit) || given)) offered |= bit;
                show(in_[k], (offered & bit) != 0, random);
            }
            for (std::size_t k = 0; k < out_.size(); k++) {
                // What does not depend on any input never ends: no more than the frames is taken of it.
                const bool wanted = out_[k].done < out_[k].tokens * frames_;
                if (wanted && (seed == 0 || !waits_ || next_random(random) % 4 > 1)) ready |= std::uint64_t{1} << k;
            }
            dut_.in_valid = offered;
            dut_.out_ready = ready;
            memories_.show(dut_, cycle, seed ? &random : nullptr);
            dut_.clk = 0;
            settle();
            bool moved = memories_.move(dut_, cycle);
            const std::uint64_t taken = offered & dut_.in_ready, given = ready & dut_.out_valid, valid = dut_.out_valid;
            for (std::size_t k = 0; k < out_.size(); k++) {
                const std::uint32_t* port = words_of(dut_.out_data) + out_[k].offset;
                std::uint32_t* before = &held[out_[k].offset];
                if (held_valid >> k & 1) {
                    if (!(valid >> k & 1) || std::memcmp(before, port, 4 * out_[k].words)) {
                        throw Mismatch("output " + std::to_string(k) + " changes while it waits");
                    }
                }
                std::memcpy(before, port, 4 * out_[k].words);
                if (given >> k & 1) {
                    put(k, port, (dut_.out_last >> k & 1) != 0, compare, cycle);
                    moved = true;
                }
            }
            held_valid = valid & ~given;
            for (std::size_t k = 0; k < in_.size(); k++) {
                if (taken >> k & 1) {
                    if (first_in_ < 0) first_in_ = cycle;
                    if (!waits_) begun_[in_[k].done] = cycle;
                    in_[k].done++;
                    in_[k].next = cycle + in_[k].gap;
                    offered &= ~(std::uint64_t{1} << k);
                    moved = true;
                }
            }
            dut_.clk = 1;
            settle();
            quiet = moved ? 0 : quiet + 1;
            if (quiet > patience_) throw Mismatch("nothing moves after " + std::to_string(out_[0].done) + " tokens");
            if (until ? out_[0].done >= until : finished()) return;
        }
    }

    std::int64_t latency() const {
        std::int64_t last = 0;
        for (std::size_t k = 0; k < out_.size(); k++) last = std::max(last, ends_[k * frames_]);
        return last - first_in_;
    }
    std::int64_t interval() const {
        const std::size_t several = std::max<std::size_t>(1, frames_ / 4 * 2);
        std::int64_t found = 0;
        for (const Stream& s : in_) found = std::max(found, static_cast<std::int64_t>(s.tokens));
        for (std::size_t k = 0; k < out_.size(); k++) {
            const std::int64_t* end = &ends_[(k + 1) * frames_ - 1];
            found = std::max(found, (end[0] - end[-static_cast<std::ptrdiff_t>(several)]) / static_cast<std::int64_t>(several));
        }
        return found;
    }
    // Tokens of the first output: some and one more, with which others are in flight; and those of so many frames.
    std::size_t some() const { return out_[0].tokens * std::min<std::size_t>(frames_ / 2, 2) + 1; }
    std::size_t first(std::size_t frames) const { return out_[0].tokens * std::min(frames_, frames); }

    void forget() {
        for (Stream& s : in_) s.done = 0, s.next = 0;
        for (Stream& s : out_) s.done = 0;
    }
    static std::vector<std::uint32_t> filled(std::size_t count, const char* path) {
        std::vector<std::uint32_t> words = read_words(path);
        if (words.size() < count) throw std::runtime_error("a short file");
        return words;
    }
    static std::size_t read(std::ifstream& file, std::vector<Stream>& streams, std::size_t frames) {
        std::size_t offset = 0, start = 0;
        for (Stream& s : streams) {
            file >> s.words >> s.tokens >> s.gap;
            s.offset = offset;
            s.start = start;
            offset += s.words;
            start += s.words * s.tokens * frames;
        }
        return start;
    }
    std::size_t out_total_words() const { return out_.back().offset + out_.back().words; }
    bool finished() const {
        for (const Stream& s : out_) {
            if (s.done < s.tokens * frames_) return false;
        }
        return true;
    }
    void put(std::size_t k, const std::uint32_t* port, bool last, bool compare, std::int64_t cycle) {
        Stream& s = out_[k];
        if (last != ((s.done + 1) % s.tokens == 0)) throw Mismatch("a wrong last flag at token " + std::to_string(s.done));
        if (!waits_) check_latency(s.done, cycle);
        std::uint32_t* place = &responses_[s.start + s.done * s.words];
        if (compare && std::memcmp(place, port, 4 * s.words)) {
            throw Mismatch("token " + std::to_string(s.done) + " of output " + std::to_string(k) + " depends on who waits when");
        }
        std::memcpy(place, port, 4 * s.words);
        if (last) ends_[k * frames_ + s.done / s.tokens] = cycle;
        s.done++;
        const std::size_t frames = s.done / s.tokens, tenth = frames * 10 / frames_;
        if (k == 0 && last && !compare && tenth != (frames - 1) * 10 / frames_) {
            std::printf("%zu of %zu samples simulated\n", frames, frames_);
            std::fflush(stdout);
        }
    }
    // The latency of a circuit that does not wait is that of its first sample.
    void check_latency(std::size_t sample, std::int64_t cycle) {
        if (sample >= in_[0].done) throw Mismatch("out_valid is high without an input in a cycle before");
        const std::int64_t taken = cycle - begun_[sample];
        if (latency_ < 0) latency_ = taken;
        if (taken != latency_) {
            throw Mismatch("sample " + std::to_string(sample) + " takes " + std::to_string(taken) + " cycles, and others " +
                           std::to_string(latency_));
        }
    }
    void settle() {
        dut_.eval();
        waves_.show();
    }

    void clock() {
        dut_.clk = 0;
        settle();
        dut_.clk = 1;
        settle();
    }

    VerilatedContext context_;
    Vdut dut_{randomized(context_)};
    Waves<Vdut> waves_;
    std::size_t frames_;
    std::int64_t patience_;
    std::vector<Stream> in_, out_, load_;
    Memories memories_;
    std::vector<std::uint32_t> stimuli_, responses_, weights_;
    std::vector<std::int64_t> ends_;  // of outputs, their frames one after another
    std::vector<std::int64_t> begun_;  // cycles in which samples were taken, where none waits
    std::int64_t first_in_ = -1;
    std::int64_t latency_ = -1;  // of each sample, where none waits
    bool waits_ = true;          // the circuit, for tokens and for room
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7 && argc != 8) return 2;
    return simulate(argv[3], argv[4], [&] {
        return Bench(argv[1], argv[2], argc == 8 ? argv[7] : nullptr, std::strtoul(argv[5], nullptr, 10),
                     std::strtoll(argv[6], nullptr, 10));
    });
}
