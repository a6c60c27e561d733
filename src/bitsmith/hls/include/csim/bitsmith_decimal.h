// Exact decimal text of fixed-point numbers, for test benches.
#ifndef BITSMITH_DECIMAL_H
#define BITSMITH_DECIMAL_H

#include <string>

#include "bitsmith_integer.h"

namespace bitsmith {

// Digits of a natural number in base 10, the least first, times `factor` plus `carry`.
inline void scale_digits(std::string& digits, int factor, int carry) {
    for (char& digit : digits) {
        carry += digit * factor;
        digit = static_cast<char>(carry % 10);
        carry /= 10;
    }
    for (; carry > 0; carry /= 10) digits.push_back(static_cast<char>(carry % 10));
}

// raw * 2**-frac, where raw * 2**-frac = raw * 5**frac / 10**frac has exactly frac decimal places.
template <int N>
std::string decimal(const wide<N>& raw, int frac) {
    const wide<N> magnitude = raw.negative() ? -raw : raw;
    std::string digits;
    for (int bit = 64 * N - 1; bit >= 0; --bit) scale_digits(digits, 2, magnitude.limb[bit / 64] >> bit % 64 & 1);
    for (int i = frac; i < 0; ++i) scale_digits(digits, 2, 0);
    for (int i = 0; i < frac; ++i) scale_digits(digits, 5, 0);
    std::string text = raw.negative() ? "-" : "";
    const int places = max_of(frac, 0);
    const int count = static_cast<int>(digits.size());
    for (int i = max_of(count, places + 1) - 1; i >= 0; --i) {
        text.push_back(static_cast<char>('0' + (i < count ? digits[static_cast<std::size_t>(i)] : 0)));
        if (i == places && places > 0) text.push_back('.');
    }
    if (places == 0) return text;
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
}

}  // namespace bitsmith

#endif
