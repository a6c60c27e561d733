// Fixed-point numbers for bit-exact C simulation with an ordinary compiler: the class under ap_fixed.h, ap_int.h,
// ac_fixed.h and ac_int.h. Needs C++17 and GCC 11 or Clang 14; unknown pragmas are silenced by -Wno-unknown-pragmas.
//
// Written from the definitions of IEEE 1666 and the vendors' user guides, not from their headers. A value is
// raw * 2**-(W - I). A number is brought into a format by rounding to a multiple of the last place and then, if it is
// out of range, by the overflow mode; docs/rounding.md has both as tables.
//
// The subset is the one that generated code needs, so that what compiles here compiles with the vendors' headers:
//   construction and assignment from integers, float, double and numbers of the same vendor; exact + - * and unary -;
//   & | ^; << >> by a count, which keep the format; == != < <= > >=; compound assignments, ++ and --; explicit
//   conversions to numbers and bool; to_int(), to_uint(), to_int64(), to_uint64(), to_double(), to_float();
//   range(hi, lo), x(hi, lo), range(), slc<W>(lsb), set_slc(lsb, v), x[i]; width, iwidth (i_width), sign,
//   qmode (q_mode), omode (o_mode), length().
// Left out: division, ~, arithmetic and comparisons with double, AP_WRAP_SM, AP_WRAP with N > 0, AC_RND_CONV_ODD.
//
// Where the vendors differ from each other, the numbers here follow the vendor whose name they have:
//   conversion to an integer drops the fraction towards zero (ap_) or towards minus infinity (ac_);
//   ++ and -- step by one (ap_) or by the last place (ac_).
// Where these numbers differ from the vendors' open headers on purpose (all else was found to agree, in all modes):
//   SAT_SYM of one signed bit has only the value 0, where theirs keep -1;
//   a double too large for 64 bits of integer part, or infinite, saturates as IEEE 1666 says (ap_fixed saturates 1e300
//   to 0), and NaN becomes 0;
//   comparisons are exact, while ap_ types of together 32 bits or more take a negative number for a large one if the
//   other is unsigned and has as many integer bits: cast both to one format before comparing;
//   to_double() of more than 53 bits rounds to the nearest, halves to even, and takes all bits of an integer (ap_int
//   takes the lowest 64);
//   << into a text stream writes six digits, but all of integers of up to 64 bits (ac_fixed and longer ap_int: all);
//   a number without initialiser is 0.
#ifndef BITSMITH_FIXED_H
#define BITSMITH_FIXED_H

#include <ostream>

#include "bitsmith_integer.h"

namespace bitsmith {

enum class Vendor { AP, AC };
enum class Rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum class Overflow { WRAP, SAT, SAT_ZERO, SAT_SYM };

// v / 2**n rounded to an integer; 0 < n < bits_of<Int> - 1.
template <Rounding Q, class Int>
constexpr Int round_down(Int v, int n) {
    const Int floor = shr(v, n);
    if constexpr (Q == Rounding::TRN) return floor;
    const Int rest = v & ones<Int>(n);
    const Int half = shl(Int(1), n - 1);
    const bool negative = v < Int(0);
    bool up = false;
    if constexpr (Q == Rounding::TRN_ZERO) {
        up = negative && !(rest == Int(0));
    } else if (rest == half) {
        up = Q == Rounding::RND || (Q == Rounding::RND_ZERO && negative) || (Q == Rounding::RND_INF && !negative) ||
             (Q == Rounding::RND_CONV && (floor & Int(1)) == Int(1));
    } else {
        up = half < rest;
    }
    return up ? floor + Int(1) : floor;
}

// v modulo 2**W, in the range of W bits. Int has at least W bits, one more if they are unsigned.
template <int W, bool S, class Int>
constexpr Int wrap(Int v) {
    if constexpr (!S) return v & ones<Int>(W);
    return shr(shl(v, bits_of<Int> - W), bits_of<Int> - W);
}

template <int W, bool S, Overflow O, class Int>
constexpr Int fit(Int v) {
    if constexpr (O == Overflow::WRAP) {
        return wrap<W, S>(v);
    } else {
        const Int hi = ones<Int>(W - S);
        const Int lo = !S ? Int(0) : O == Overflow::SAT_SYM ? -hi : ~hi;
        if (v < lo) return O == Overflow::SAT_ZERO ? Int(0) : lo;
        if (hi < v) return O == Overflow::SAT_ZERO ? Int(0) : hi;
        return v;
    }
}

// raw with frac2 fractional bits, of B2 bits with the sign, brought into W bits with frac fractional bits.
template <int W, int Frac, bool S, Rounding Q, Overflow O, int B2, int Frac2>
constexpr raw_t<W + !S> cast_raw(raw_t<B2> raw) {
    constexpr int up = Frac - Frac2;
    constexpr int needed = up >= 0 ? B2 + up : max_of(B2, 1 - up) + 1;
    using Int = raw_t<max_of(needed, W + !S)>;
    Int v = static_cast<Int>(raw);
    if constexpr (up > 0) v = shl(v, up);
    if constexpr (up < 0) v = round_down<Q>(v, -up);
    return static_cast<raw_t<W + !S>>(fit<W, S, O>(v));
}

template <int W, int Frac, bool S, Rounding Q, Overflow O>
constexpr raw_t<W + !S> cast_double(double value) {
    const auto code = __builtin_bit_cast(std::uint64_t, value);
    const int exponent = static_cast<int>(code >> 52 & 0x7ff);
    auto mantissa = static_cast<std::int64_t>(code & ((std::uint64_t{1} << 52) - 1));
    int up = max_of(exponent, 1) - 1075 + Frac;  // value = +-mantissa * 2**(up - Frac)
    if (exponent == 0x7ff) {
        mantissa = mantissa == 0 ? 1 : 0;  // an infinity is out of any range
        up = W + 1;
    } else if (exponent > 0) {
        mantissa |= std::int64_t{1} << 52;
    }
    if (code >> 63 != 0) mantissa = -mantissa;
    if (up >= 0) {
        // From W + 1 on, all are out of range and have the same (no) bits in it.
        const raw_t<W + 55> v = shl(static_cast<raw_t<W + 55>>(mantissa), up < W + 1 ? up : W + 1);
        return static_cast<raw_t<W + !S>>(fit<W, S, O>(v));
    }
    if (up < -54 && mantissa != 0) {  // below a quarter of the last place: all are rounded as a quarter is
        mantissa = mantissa < 0 ? -1 : 1;
        up = -2;
    }
    if (mantissa == 0) return raw_t<W + !S>(0);
    using Int = raw_t<max_of(64, W + !S)>;
    return static_cast<raw_t<W + !S>>(fit<W, S, O>(static_cast<Int>(round_down<Q>(mantissa, -up))));
}

template <class Number>
class bits_ref;
template <class Number>
class bit_ref;

template <Vendor V, int W, int I, bool S, Rounding Q = Rounding::TRN, Overflow O = Overflow::WRAP>
class fixed {
    static_assert(W > 0, "a number has at least one bit");

    template <class T, class Result>
    using if_integer = std::enable_if_t<std::is_integral_v<T>, Result>;

public:
    using raw_type = raw_t<W + !S>;
    using bits_type = raw_t<W + 1>;  // holds the bits as a natural number
    static constexpr Vendor vendor = V;
    static constexpr int width = W;
    static constexpr int iwidth = I;
    static constexpr int i_width = I;
    static constexpr int frac = W - I;
    static constexpr bool sign = S;
    static constexpr Rounding qmode = Q;
    static constexpr Rounding q_mode = Q;
    static constexpr Overflow omode = O;
    static constexpr Overflow o_mode = O;

    constexpr fixed() = default;
    constexpr fixed(const fixed&) = default;
    constexpr fixed& operator=(const fixed&) = default;

    template <int W2, int I2, bool S2, Rounding Q2, Overflow O2>
    constexpr fixed(const fixed<V, W2, I2, S2, Q2, O2>& v) : raw_(cast_raw<W, W - I, S, Q, O, W2 + !S2, W2 - I2>(v.raw())) {}

    template <class T, class = if_integer<T, void>>
    constexpr fixed(T v) : raw_(cast_raw<W, W - I, S, Q, O, integer_bits<T>, 0>(static_cast<raw_t<integer_bits<T>>>(v))) {}

    constexpr fixed(double v) : raw_(cast_double<W, W - I, S, Q, O>(v)) {}
    constexpr fixed(float v) : fixed(static_cast<double>(v)) {}

    template <class Number>
    constexpr fixed(const bits_ref<Number>& v) : fixed(v.value()) {}
    template <class Number>
    constexpr fixed(const bit_ref<Number>& v) : fixed(static_cast<bool>(v)) {}

    static constexpr fixed from_raw(const raw_type& raw) {
        fixed v;
        v.raw_ = raw;
        return v;
    }
    constexpr const raw_type& raw() const { return raw_; }

    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    constexpr explicit operator T() const {
        if constexpr (std::is_same_v<T, bool>)
            return !(raw_ == raw_type(0));
        else if constexpr (std::is_integral_v<T>)
            return to_integer<T>();
        else
            return static_cast<T>(to_double());
    }
    constexpr int to_int() const { return to_integer<int>(); }
    constexpr unsigned to_uint() const { return to_integer<unsigned>(); }
    constexpr std::int64_t to_int64() const { return to_integer<std::int64_t>(); }
    constexpr std::uint64_t to_uint64() const { return to_integer<std::uint64_t>(); }
    double to_double() const { return __builtin_ldexp(bitsmith::to_double(raw_), I - W); }
    float to_float() const { return static_cast<float>(to_double()); }
    static constexpr int length() { return W; }

    // Bits as natural numbers, the least significant is number 0.
    constexpr bits_type get_bits(int hi, int lo) const {
        return shr(static_cast<bits_type>(raw_), lo) & ones<bits_type>(hi - lo + 1);
    }
    constexpr void set_bits(int hi, int lo, const bits_type& v) {
        const bits_type mask = shl(ones<bits_type>(hi - lo + 1), lo);
        const bits_type all = (static_cast<bits_type>(raw_) & ~mask) | (shl(v, lo) & mask);
        raw_ = static_cast<raw_type>(wrap<W, S>(all));
    }
    constexpr bits_ref<fixed> range(int hi = W - 1, int lo = 0) { return {*this, hi, lo}; }
    constexpr bits_ref<const fixed> range(int hi = W - 1, int lo = 0) const { return {*this, hi, lo}; }
    constexpr bits_ref<fixed> operator()(int hi, int lo) { return range(hi, lo); }
    constexpr bits_ref<const fixed> operator()(int hi, int lo) const { return range(hi, lo); }
    constexpr bit_ref<fixed> operator[](int i) { return {*this, i}; }
    constexpr bool operator[](int i) const { return get_bits(i, i) == bits_type(1); }

    template <int Count>
    constexpr fixed<V, Count, Count, S> slc(int lsb) const {
        const bits_type bits = shr(static_cast<bits_type>(raw_), lsb);
        using Result = fixed<V, Count, Count, S>;
        return Result::from_raw(cast_raw<Count, 0, S, Q, Overflow::WRAP, W + 1, 0>(bits));
    }
    template <int W2, bool S2>
    constexpr fixed& set_slc(int lsb, const fixed<V, W2, W2, S2>& v) {
        set_bits(lsb + W2 - 1, lsb, static_cast<bits_type>(v.raw()));
        return *this;
    }

    template <class T>
    constexpr fixed& operator+=(const T& v) { return *this = *this + v; }
    template <class T>
    constexpr fixed& operator-=(const T& v) { return *this = *this - v; }
    template <class T>
    constexpr fixed& operator*=(const T& v) { return *this = *this * v; }
    template <class T>
    constexpr fixed& operator&=(const T& v) { return *this = *this & v; }
    template <class T>
    constexpr fixed& operator|=(const T& v) { return *this = *this | v; }
    template <class T>
    constexpr fixed& operator^=(const T& v) { return *this = *this ^ v; }
    template <class T>
    constexpr fixed& operator<<=(const T& n) { return *this = *this << n; }
    template <class T>
    constexpr fixed& operator>>=(const T& n) { return *this = *this >> n; }
    constexpr fixed& operator++() { return *this += step(); }
    constexpr fixed& operator--() { return *this -= step(); }
    constexpr fixed operator++(int) {
        const fixed before = *this;
        ++*this;
        return before;
    }
    constexpr fixed operator--(int) {
        const fixed before = *this;
        --*this;
        return before;
    }

    constexpr bool operator!() const { return raw_ == raw_type(0); }
    constexpr const fixed& operator+() const { return *this; }
    constexpr fixed<V, W + 1, I + 1, true> operator-() const {
        using Result = fixed<V, W + 1, I + 1, true>;
        return Result::from_raw(-static_cast<typename Result::raw_type>(raw_));
    }

private:
    template <class T>
    static constexpr int integer_bits = std::is_same_v<T, bool> ? 2 : bits_of<T> + !std::is_signed_v<T>;

    template <class T>
    constexpr T to_integer() const {
        constexpr int bits = bits_of<T>;
        constexpr bool is_signed = std::is_signed_v<T>;
        constexpr Rounding rounding = V == Vendor::AP ? Rounding::TRN_ZERO : Rounding::TRN;
        return static_cast<T>(cast_raw<bits, 0, is_signed, rounding, Overflow::WRAP, W + !S, W - I>(raw_));
    }

    static constexpr auto step() {
        constexpr int last = V == Vendor::AP ? 0 : W - I;
        return fixed<V, 2, 2 - last, true>::from_raw(1);
    }

    raw_type raw_{};
};

// The bits hi..lo of a number as a natural number; what the ap_ types call a range.
template <class Number>
class bits_ref {
    Number& number_;
    int hi_, lo_;

public:
    using value_type = fixed<Number::vendor, Number::width, Number::width, false>;

    constexpr bits_ref(Number& number, int hi, int lo) : number_(number), hi_(hi), lo_(lo) {}
    constexpr value_type value() const { return value_type::from_raw(number_.get_bits(hi_, lo_)); }
    constexpr operator std::uint64_t() const { return value().to_uint64(); }
    constexpr std::uint64_t to_uint64() const { return value().to_uint64(); }
    constexpr std::int64_t to_int64() const { return value().to_int64(); }
    constexpr int to_int() const { return value().to_int(); }
    constexpr int length() const { return hi_ - lo_ + 1; }

    constexpr const bits_ref& operator=(const value_type& v) const {
        number_.set_bits(hi_, lo_, static_cast<typename Number::bits_type>(v.raw()));
        return *this;
    }
    template <class Other>
    constexpr const bits_ref& operator=(const bits_ref<Other>& v) const { return *this = value_type(v.value()); }
    constexpr const bits_ref& operator=(const bits_ref& v) const { return *this = v.value(); }
    constexpr bits_ref(const bits_ref&) = default;
};

// One bit of a number.
template <class Number>
class bit_ref {
    Number& number_;
    int i_;

public:
    constexpr bit_ref(Number& number, int i) : number_(number), i_(i) {}
    constexpr operator bool() const { return !(number_.get_bits(i_, i_) == typename Number::bits_type(0)); }
    constexpr bool to_bool() const { return *this; }
    constexpr const bit_ref& operator=(bool v) const {
        number_.set_bits(i_, i_, typename Number::bits_type(v));
        return *this;
    }
    constexpr const bit_ref& operator=(const bit_ref& v) const { return *this = static_cast<bool>(v); }
    constexpr bit_ref(const bit_ref&) = default;
};

// Operands of an operator: numbers of one vendor, or one number and one built-in integer.
template <class T>
constexpr bool is_fixed = false;
template <Vendor V, int W, int I, bool S, Rounding Q, Overflow O>
constexpr bool is_fixed<fixed<V, W, I, S, Q, O>> = true;

template <class Other, Vendor V, int W, int I, bool S, Rounding Q, Overflow O>
constexpr const fixed<V, W, I, S, Q, O>& as_fixed(const fixed<V, W, I, S, Q, O>& v) {
    return v;
}
template <class Other, class T, class = std::enable_if_t<std::is_integral_v<T>>>
constexpr auto as_fixed(T v) {
    constexpr int bits = std::is_same_v<T, bool> ? 1 : bits_of<T>;
    return fixed<Other::vendor, bits, bits, std::is_signed_v<T>>(v);
}

template <class A, class B>
using if_operands = std::enable_if_t<(is_fixed<A> && (is_fixed<B> || std::is_integral_v<B>)) ||
                                     (is_fixed<B> && std::is_integral_v<A>)>;

// Both operands as raw integers with the same last place, in a format that holds any bits of either.
template <class A, class B>
struct aligned {
    static constexpr bool sign = A::sign || B::sign;
    static constexpr int frac = max_of(A::frac, B::frac);
    static constexpr int iwidth = max_of(A::iwidth + (B::sign && !A::sign), B::iwidth + (A::sign && !B::sign));
    static constexpr int width = iwidth + frac;
    static constexpr Vendor vendor = A::vendor;
    static_assert(A::vendor == B::vendor, "numbers of two vendors do not mix");
    using Int = raw_t<width + 2>;  // with room for a sum or a difference

    Int a, b;

    constexpr aligned(const A& x, const B& y)
        : a(shl(static_cast<Int>(x.raw()), frac - A::frac)), b(shl(static_cast<Int>(y.raw()), frac - B::frac)) {}

    template <int Extra, bool S>
    static constexpr auto result(const Int& raw) {
        using Result = fixed<vendor, width + Extra, iwidth + Extra, S>;
        return Result::from_raw(static_cast<typename Result::raw_type>(raw));
    }
};

template <class A, class B>
constexpr auto align(const A& a, const B& b) {
    const auto& x = as_fixed<B>(a);
    const auto& y = as_fixed<A>(b);
    return aligned<std::decay_t<decltype(x)>, std::decay_t<decltype(y)>>(x, y);
}

template <class A, class B, class = if_operands<A, B>>
constexpr auto operator+(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.template result<1, v.sign>(v.a + v.b);
}
template <class A, class B, class = if_operands<A, B>>
constexpr auto operator-(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.template result<1, true>(v.a - v.b);
}
template <class A, class B, class = if_operands<A, B>>
constexpr auto operator*(const A& a, const B& b) {
    const auto& x = as_fixed<B>(a);
    const auto& y = as_fixed<A>(b);
    using X = std::decay_t<decltype(x)>;
    using Y = std::decay_t<decltype(y)>;
    static_assert(X::vendor == Y::vendor, "numbers of two vendors do not mix");
    using Result = fixed<X::vendor, X::width + Y::width, X::iwidth + Y::iwidth, X::sign || Y::sign>;
    using Int = typename Result::raw_type;
    return Result::from_raw(static_cast<Int>(x.raw()) * static_cast<Int>(y.raw()));
}
template <class A, class B, class = if_operands<A, B>>
constexpr auto operator&(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.template result<0, v.sign>(v.a & v.b);
}
template <class A, class B, class = if_operands<A, B>>
constexpr auto operator|(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.template result<0, v.sign>(v.a | v.b);
}
template <class A, class B, class = if_operands<A, B>>
constexpr auto operator^(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.template result<0, v.sign>(v.a ^ v.b);
}

template <class A, class B, class = if_operands<A, B>>
constexpr bool operator==(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.a == v.b;
}
template <class A, class B, class = if_operands<A, B>>
constexpr bool operator<(const A& a, const B& b) {
    const auto v = align(a, b);
    return v.a < v.b;
}
template <class A, class B, class = if_operands<A, B>>
constexpr bool operator!=(const A& a, const B& b) { return !(a == b); }
template <class A, class B, class = if_operands<A, B>>
constexpr bool operator>(const A& a, const B& b) { return b < a; }
template <class A, class B, class = if_operands<A, B>>
constexpr bool operator<=(const A& a, const B& b) { return !(b < a); }
template <class A, class B, class = if_operands<A, B>>
constexpr bool operator>=(const A& a, const B& b) { return !(a < b); }

// Shifts keep the format: bits that leave it are lost. A negative count shifts the other way.
template <Vendor V, int W, int I, bool S, Rounding Q, Overflow O>
constexpr fixed<V, W, I, S> shifted(const fixed<V, W, I, S, Q, O>& v, std::int64_t left) {
    using Result = fixed<V, W, I, S>;
    using Int = typename Result::raw_type;
    if (left >= W) return Result();
    if (left >= 0) return Result::from_raw(wrap<W, S>(shl(v.raw(), static_cast<int>(left))));
    return Result::from_raw(left > -W ? shr(v.raw(), static_cast<int>(-left)) : v.raw() < Int(0) ? ~Int(0) : Int(0));
}
template <class A, class N, class = std::enable_if_t<is_fixed<A> && (is_fixed<N> || std::is_integral_v<N>)>>
constexpr auto operator<<(const A& a, const N& n) { return shifted(a, static_cast<std::int64_t>(n)); }
template <class A, class N, class = std::enable_if_t<is_fixed<A> && (is_fixed<N> || std::is_integral_v<N>)>>
constexpr auto operator>>(const A& a, const N& n) { return shifted(a, -static_cast<std::int64_t>(n)); }

template <Vendor V, int W, int I, bool S, Rounding Q, Overflow O>
std::ostream& operator<<(std::ostream& out, const fixed<V, W, I, S, Q, O>& v) {
    if constexpr (W == I && W <= 64) return S ? out << v.to_int64() : out << v.to_uint64();
    return out << v.to_double();
}

}  // namespace bitsmith

#endif
