// Two's complement integers of any width fixed at compile time, always signed: what the fixed-point numbers are made of.
//
// raw_t<B> is the smallest type here that holds B bits, sign included: int64_t, __int128, then wide<limbs>. All offer
// + - * & | ~ and comparisons among one type, shifts by shl() and shr(), and static_cast between each other, which
// extends the sign or cuts off upper bits. Results that do not fit are the caller's mistake: formats are chosen so that
// they do, which -fsanitize=undefined watches.
#ifndef BITSMITH_INTEGER_H
#define BITSMITH_INTEGER_H

#include <cstdint>
#include <type_traits>

namespace bitsmith {

__extension__ typedef __int128 int128_t;
__extension__ typedef unsigned __int128 uint128_t;

constexpr int max_of(int a, int b) { return a > b ? a : b; }

// N limbs of 64 bits, the least first.
template <int N>
struct wide {
    std::uint64_t limb[N] = {};

    constexpr wide() = default;
    constexpr wide(int128_t v) {
        limb[0] = static_cast<std::uint64_t>(v);
        limb[1] = static_cast<std::uint64_t>(v >> 64);
        for (int i = 2; i < N; ++i) limb[i] = v < 0 ? ~std::uint64_t{0} : 0;
    }
    template <int M>
    constexpr explicit wide(const wide<M>& v) {
        for (int i = 0; i < N; ++i) limb[i] = i < M ? v.limb[i] : v.extension();
    }
    constexpr explicit operator std::int64_t() const { return static_cast<std::int64_t>(limb[0]); }
    constexpr explicit operator int128_t() const {
        return static_cast<int128_t>(static_cast<uint128_t>(limb[1]) << 64 | limb[0]);
    }

    constexpr bool negative() const { return limb[N - 1] >> 63 != 0; }
    constexpr std::uint64_t extension() const { return negative() ? ~std::uint64_t{0} : 0; }

    friend constexpr wide operator+(const wide& a, const wide& b) {
        wide sum;
        uint128_t carry = 0;
        for (int i = 0; i < N; ++i) {
            carry += static_cast<uint128_t>(a.limb[i]) + b.limb[i];
            sum.limb[i] = static_cast<std::uint64_t>(carry);
            carry >>= 64;
        }
        return sum;
    }
    friend constexpr wide operator~(wide a) {
        for (std::uint64_t& limb : a.limb) limb = ~limb;
        return a;
    }
    friend constexpr wide operator-(const wide& a) { return ~a + wide(1); }
    friend constexpr wide operator-(const wide& a, const wide& b) { return a + -b; }
    friend constexpr wide operator*(const wide& a, const wide& b) {
        wide product;
        for (int i = 0; i < N; ++i) {
            uint128_t carry = 0;
            for (int j = 0; i + j < N; ++j) {
                carry += static_cast<uint128_t>(a.limb[i]) * b.limb[j] + product.limb[i + j];
                product.limb[i + j] = static_cast<std::uint64_t>(carry);
                carry >>= 64;
            }
        }
        return product;
    }
    friend constexpr wide operator&(wide a, const wide& b) {
        for (int i = 0; i < N; ++i) a.limb[i] &= b.limb[i];
        return a;
    }
    friend constexpr wide operator|(wide a, const wide& b) {
        for (int i = 0; i < N; ++i) a.limb[i] |= b.limb[i];
        return a;
    }
    friend constexpr wide operator^(wide a, const wide& b) {
        for (int i = 0; i < N; ++i) a.limb[i] ^= b.limb[i];
        return a;
    }
    friend constexpr bool operator==(const wide& a, const wide& b) {
        for (int i = 0; i < N; ++i)
            if (a.limb[i] != b.limb[i]) return false;
        return true;
    }
    friend constexpr bool operator<(const wide& a, const wide& b) {
        if (a.negative() != b.negative()) return a.negative();
        for (int i = N - 1; i >= 0; --i)
            if (a.limb[i] != b.limb[i]) return a.limb[i] < b.limb[i];
        return false;
    }
    friend constexpr wide shl(const wide& a, int n) {
        wide out;
        for (int i = n / 64; i < N; ++i) {
            const int from = i - n / 64;
            const std::uint64_t below = from > 0 ? a.limb[from - 1] : 0;
            out.limb[i] = static_cast<std::uint64_t>(((static_cast<uint128_t>(a.limb[from]) << 64 | below) << n % 64) >> 64);
        }
        return out;
    }
    friend constexpr wide shr(const wide& a, int n) {
        wide out;
        for (int i = 0; i < N; ++i) {
            const int from = i + n / 64;
            const std::uint64_t low = from < N ? a.limb[from] : a.extension();
            const std::uint64_t high = from + 1 < N ? a.limb[from + 1] : a.extension();
            out.limb[i] = static_cast<std::uint64_t>((static_cast<uint128_t>(high) << 64 | low) >> n % 64);
        }
        return out;
    }
};

template <int Bits>
using raw_t = std::conditional_t<Bits <= 64, std::int64_t,
                                 std::conditional_t<Bits <= 128, int128_t, wide<max_of(3, (Bits + 63) / 64)>>>;

template <class Int>
constexpr int bits_of = 8 * static_cast<int>(sizeof(Int));

// Shifts by 0 .. bits_of<Int> - 1. Built-in shifts of negative numbers to the left are undefined in C++17.
constexpr std::int64_t shl(std::int64_t v, int n) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(v) << n);
}
constexpr std::int64_t shr(std::int64_t v, int n) { return v >> n; }
constexpr int128_t shl(int128_t v, int n) { return static_cast<int128_t>(static_cast<uint128_t>(v) << n); }
constexpr int128_t shr(int128_t v, int n) { return v >> n; }

// The number with the lowest n bits set; n < bits_of<Int>.
template <class Int>
constexpr Int ones(int n) {
    return ~shl(~Int(0), n);
}

inline double to_double(std::int64_t v) { return static_cast<double>(v); }
inline double to_double(int128_t v) { return static_cast<double>(v); }

// The nearest double, halves to even: the highest two limbs decide, with a bit for whatever is below them.
template <int N>
double to_double(const wide<N>& v) {
    const wide<N> magnitude = v.negative() ? -v : v;
    int top = N - 1;
    while (top > 1 && magnitude.limb[top] == 0) --top;
    std::uint64_t below = 0;
    for (int i = 0; i < top - 1; ++i) below |= magnitude.limb[i];
    const uint128_t high =
        static_cast<uint128_t>(magnitude.limb[top]) << 64 | magnitude.limb[top - 1] | (below != 0 ? 1 : 0);
    const double result = __builtin_ldexp(static_cast<double>(high), 64 * (top - 1));
    return v.negative() ? -result : result;
}

}  // namespace bitsmith

#endif
