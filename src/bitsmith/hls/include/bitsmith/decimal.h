// SPDX-License-Identifier: Apache-2.0
// Numbers as exact decimal text: how test benches read and write tensors. No part of the circuit.
#ifndef BITSMITH_KERNELS_DECIMAL_H
#define BITSMITH_KERNELS_DECIMAL_H

#include <stdint.h>
#include <stdlib.h>

#include <string>

#include "words.h"

namespace kernels {

/// digits * factor + carry; the least digit comes first.
inline void scale(std::string &digits, int factor, int carry) {
    for (std::string::size_type i = 0; i < digits.size(); i++) {
        carry += digits[i] * factor;
        digits[i] = static_cast<char>(carry % 10);
        carry /= 10;
    }
    for (; carry > 0; carry /= 10) {
        digits.push_back(static_cast<char>(carry % 10));
    }
}

/// digits / 2; the result is what remains, 0 or 1.
inline int halve(std::string &digits) {
    int rest = 0;
    for (std::string::size_type i = digits.size(); i-- > 0;) {
        const int value = 10 * rest + digits[i];
        digits[i] = static_cast<char>(value / 2);
        rest = value % 2;
    }
    return rest;
}

/// digits / 10; the result is what remains.
inline int shorten(std::string &digits) {
    const int rest = digits.empty() ? 0 : digits[0];
    digits.erase(0, 1);
    return rest;
}

/// -n, of K words.
template <int K> void negate(uint64_t n[K]) {
    bool carry = true;
    for (int k = 0; k < K; k++) {
        n[k] = ~n[k] + (carry ? 1 : 0);
        carry = carry && n[k] == 0;
    }
}

/// The exact value of x, without superfluous zeros.
template <class T> std::string to_decimal(const T &x) {
    const int K = format<T>::width / 64 + 1;
    const int places = format<T>::fraction > 0 ? format<T>::fraction : 0;
    uint64_t bits[K];
    store<1, K>(&x, bits);
    const bool negative = bits[K - 1] >> 63 != 0;
    if (negative) {
        negate<K>(bits);
    }
    std::string digits;
    for (int bit = 64 * K - 1; bit >= 0; bit--) {
        scale(digits, 2, static_cast<int>(bits[bit / 64] >> (bit % 64) & 1));
    }
    for (int i = format<T>::fraction; i < 0; i++) {
        scale(digits, 2, 0);
    }
    for (int i = 0; i < places; i++) {
        scale(digits, 5, 0); // n / 2**places = n * 5**places / 10**places
    }
    std::string text = negative ? "-" : "";
    const int count = static_cast<int>(digits.size());
    for (int i = (count > places ? count : places + 1) - 1; i >= 0; i--) {
        text.push_back(static_cast<char>('0' + (i < count ? digits[i] : 0)));
        if (i == places && places > 0) {
            text.push_back('.');
        }
    }
    if (places > 0) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text[text.size() - 1] == '.') {
            text.erase(text.size() - 1);
        }
    }
    return text;
}

/// The number that `text` says, rounded down to the places of T and without the bits that T has no room for; 0 for no
/// number. An exponent may follow it.
template <class T> T from_decimal(const std::string &text) {
    const int K = format<T>::width / 64 + 1;
    std::string digits;
    bool point = false;
    int power = 0; // the value is digits * 10**power
    std::string::size_type at = text.find_first_not_of("+-");
    for (; at < text.size() && (text[at] == '.' || (text[at] >= '0' && text[at] <= '9')); at++) {
        if (text[at] == '.') {
            point = true;
        } else {
            digits.insert(digits.begin(), static_cast<char>(text[at] - '0'));
            power -= point ? 1 : 0;
        }
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        power += atoi(text.c_str() + at + 1);
    }
    for (int i = 0; i < power; i++) {
        scale(digits, 10, 0);
    }
    for (int i = 0; i < format<T>::fraction; i++) {
        scale(digits, 2, 0);
    }
    int rest = 0;
    for (int i = format<T>::fraction; i < 0; i++) {
        rest |= halve(digits);
    }
    for (int i = power; i < 0 && !digits.empty(); i++) {
        rest |= shorten(digits);
    }
    const bool negative = !text.empty() && text[0] == '-';
    if (negative && rest != 0) {
        scale(digits, 1, 1);
    }
    uint64_t bits[K] = {};
    for (int bit = 0; bit < 64 * K; bit++) {
        bits[bit / 64] |= static_cast<uint64_t>(halve(digits)) << (bit % 64);
    }
    if (negative) {
        negate<K>(bits);
    }
    T x;
    load<1, K>(bits, &x);
    return x;
}

} // namespace kernels

#endif
