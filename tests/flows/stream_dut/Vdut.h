// A circuit with streams, written by hand in place of one that Verilator made: two inputs, two outputs and two loads.
//
// Output 0 is input 0 plus the token of load 0; output 1 is input 1 (two words a token) xor the two tokens of load 1. The
// environment says how many cycles each output takes (LATENCY0, LATENCY1), how many between two tokens (PACE0, PACE1), and
// which mistake the circuit has (FAULT).
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>

#include <verilated.h>

class Vdut {
  public:
    std::uint8_t clk = 0, rst = 0, in_valid = 0, in_ready = 0, out_valid = 0, out_ready = 0, out_last = 0;
    std::uint8_t load_valid = 0, load_ready = 0;
    std::array<std::uint32_t, 3> in_data{}, out_data{};
    std::array<std::uint32_t, 2> load_data{};
    std::uint8_t away_valid = 0, away_ready = 0, away_last = 0, back_valid = 0, back_ready = 0;
    std::array<std::uint32_t, 2> away_data{}, back_data{};

    explicit Vdut(VerilatedContext*) {}
    void final() {}

    void eval() {
        if (clk && !before_) edge();
        before_ = clk;
        if (!clk) show();
    }

  private:
    struct Token {
        std::array<std::uint32_t, 2> words;
        long ready;
        bool last;
    };
    static constexpr int WORDS[2] = {1, 2}, TOKENS[2] = {2, 3}, FIRST[2] = {0, 1}, LOADS[2] = {1, 2};

    static long number(const char* name, long usual) {
        const char* text = std::getenv(name);
        return text ? std::atol(text) : usual;
    }
    static bool has(const char* fault) {
        const char* text = std::getenv("FAULT");
        return text && std::string(text) == fault;
    }
    bool loading() const { return loaded_[0] % LOADS[0] != 0 || loaded_[1] % LOADS[1] != 0 || begun_[0] != begun_[1]; }

    void show() {
        in_ready = out_valid = out_last = load_ready = 0;
        for (int k = 0; k < 2; k++) {
            if (queue_[k].size() < 64 && (!loading() || has("takes tokens while it loads"))) in_ready |= 1 << k;
            if (!has("takes no weights") && begun_[k] <= begun_[1 - k]) load_ready |= 1 << k;
            bool valid = !queue_[k].empty() && queue_[k].front().ready <= time_ && next_[k] <= time_;
            if (has("hangs") && given_[k] == 5) valid = false;
            if (has("takes back") && k == 1 && waits_[k] == 2) valid = false;
            if (!valid) continue;
            out_valid |= 1 << k;
            const bool last = has("no last flag") && k == 1 ? given_[k] == 2 : queue_[k].front().last;
            if (last) out_last |= 1 << k;
            for (int w = 0; w < WORDS[k]; w++) out_data[FIRST[k] + w] = queue_[k].front().words[w];
            if (has("changes while it waits") && k == 1 && waits_[k] > 0) out_data[2] ^= 1;
        }
    }

    void edge() {
        time_++;
        if (rst) {
            for (int k = 0; k < 2; k++) {
                if (!has("keeps tokens")) queue_[k].clear();
                taken_[k] = given_[k] = waits_[k] = 0;
                next_[k] = 0;
                loaded_[k] = begun_[k] = 0;
            }
            waited_ = false;
            return;
        }
        for (int k = 0; k < 2; k++) {
            const bool valid = out_valid >> k & 1;
            if (valid && (out_ready >> k & 1)) {
                queue_[k].pop_front();
                given_[k]++;
                waits_[k] = 0;
                next_[k] = time_ + number(k ? "PACE1" : "PACE0", 1) - 1;
            } else if (valid) {
                waits_[k]++;
                waited_ = true;
            }
            if ((in_valid >> k & 1) && (in_ready >> k & 1)) take(k);
        }
        for (int k = 0; k < 2; k++) {
            if ((load_valid >> k & 1) && (load_ready >> k & 1)) load(k);
        }
    }

    void take(int k) {
        Token token;
        for (int w = 0; w < 2; w++) {
            const std::uint32_t x = w < WORDS[k] ? in_data[FIRST[k] + w] : 0;
            token.words[w] = k == 0 ? x + weights_[0][0] : x ^ weights_[1][w];
            if (has("counts waits") && k == 1 && waited_) token.words[w] ^= 1u << 31;
        }
        token.ready = time_ + number(k ? "LATENCY1" : "LATENCY0", 1) - 1;
        token.last = ++taken_[k] % TOKENS[k] == 0;
        queue_[k].push_back(token);
    }

    void load(int k) {
        if (loaded_[k] % LOADS[k] == 0) begun_[k]++;
        weights_[k][loaded_[k]++ % LOADS[k]] = load_data[k] + (has("loads garbage") && time_ > 60 ? 1 : 0);
        if (has("keeps tokens")) return;
        for (int i = 0; i < 2; i++) {
            queue_[i].clear();
            taken_[i] = given_[i] = waits_[i] = 0;
            next_[i] = 0;
        }
    }

    std::deque<Token> queue_[2];
    std::array<std::uint32_t, 2> weights_[2] = {{7, 0}, {9, 11}};
    int taken_[2] = {0, 0}, given_[2] = {0, 0}, waits_[2] = {0, 0}, loaded_[2] = {0, 0}, begun_[2] = {0, 0};
    long next_[2] = {0, 0}, time_ = 0;
    bool waited_ = false;
    std::uint8_t before_ = 0;
};
