// What generated code and its users may do with either family of numbers: -DFAMILY_AP or -DFAMILY_AC. Compiled with
// bitsmith's headers, and with the vendors' where they are at hand. Prints a line per failed check.
#include <cstdio>
#include <sstream>

#ifdef FAMILY_AP
#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
template <int W, int I>
using Fixed = ap_fixed<W, I>;
template <int W, int I>
using UFixed = ap_ufixed<W, I>;
template <int W, int I>
using Saturated = ap_fixed<W, I, AP_RND, AP_SAT>;
template <int W>
using Int = ap_int<W>;
template <int W>
using UInt = ap_uint<W>;
#else
#include "ac_fixed.h"
#include "ac_int.h"
#include "ac_channel.h"
template <int W, int I>
using Fixed = ac_fixed<W, I, true>;
template <int W, int I>
using UFixed = ac_fixed<W, I, false>;
template <int W, int I>
using Saturated = ac_fixed<W, I, true, AC_RND, AC_SAT>;
template <int W>
using Int = ac_int<W, true>;
template <int W>
using UInt = ac_int<W, false>;
#endif

static int failures = 0;

#define CHECK(...)                                               \
    do {                                                         \
        if (!(__VA_ARGS__)) {                                    \
            std::printf("line %d: %s\n", __LINE__, #__VA_ARGS__);\
            ++failures;                                          \
        }                                                        \
    } while (false)

static void numbers() {
    const Fixed<8, 4> a = -1.25;
    const Fixed<8, 4> b = 2.5;
    CHECK(a.to_double() == -1.25);
    CHECK((a + b).to_double() == 1.25);
    CHECK((a - b).to_double() == -3.75);
    CHECK((a * b).to_double() == -3.125);
    CHECK((UFixed<8, 4>(1.5) * a).to_double() == -1.875);
    CHECK(decltype(UFixed<8, 4>(1.5) * a + a)::width == 17 && decltype(a * UFixed<8, 4>(1.5) + a)::width == 17);
    CHECK((-a).to_double() == 1.25);
    CHECK(decltype(a + b)::width == 9 && decltype(a * b)::width == 16);
    CHECK((b + 1).to_double() == 3.5);
    CHECK((2 * b).to_double() == 5.0);
    CHECK((10 - b).to_double() == 7.5);
    CHECK(a < b && b > a && a != b && a <= b && b >= a && a == a);
    CHECK(a < 0 && b > 2 && 3 > b && Fixed<8, 4>(3) == 3);
    CHECK((a << 1).to_double() == -2.5);
    CHECK((a >> 1).to_double() == -0.625);
    CHECK((b << 2).to_double() == -6.0);
    CHECK((b << 20).to_double() == 0.0);
    CHECK((a >> 20).to_double() == -0.0625);
    CHECK((b << 70).to_double() == 0.0 && (a >> 70).to_double() == -0.0625);
    CHECK((a > b ? a : b).to_double() == 2.5);
    Fixed<8, 4> c = a;
    c += b;
    CHECK(c.to_double() == 1.25);
    c *= b;
    CHECK(c.to_double() == 3.125);
    c -= 1;
    CHECK(c.to_double() == 2.125);
    c = 0;
    CHECK(c == 0 && !c);
    c = 1000L;
    CHECK(c.to_double() == -8.0);
    c = true;
    CHECK(c.to_double() == 1.0);
    c = 0.5f;
    CHECK(c.to_double() == 0.5);
    c = UFixed<6, 1>(1.90625);
    CHECK(c.to_double() == 1.875);
    const Saturated<8, 4> d = 100;
    CHECK(d.to_double() == 7.9375);
    CHECK(Saturated<8, 4>(0.03125).to_double() == 0.0625);
    CHECK(Saturated<8, 4>(-100.5).to_double() == -8.0);
    CHECK((Fixed<4, 8>(100).to_double() == 96.0));
    CHECK((Fixed<4, -2>(0.05).to_double() == 0.046875));
    CHECK(UInt<8>(-1).to_int() == 255);
    CHECK((Fixed<20, 12>(-3.75) + Fixed<20, 12>(0.75)).to_int() == -3);
}

static void integers() {
    Int<8> i = 200;
    CHECK(i == -56 && i.to_int() == -56 && i.length() == 8);
    UInt<4> u = 17;
    CHECK(u == 1 && u.to_uint() == 1u);
    CHECK(decltype(i + u)::width == 9 && decltype(i * u)::width == 12);
    CHECK((u * i).to_int() == -56 && (i * u).to_int() == -56);
    CHECK((u - UInt<4>(3)).to_int() == -2);
    CHECK(++u == 2 && u++ == 2 && u-- == 3 && u == 2);
    CHECK((UInt<4>(12) & UInt<4>(10)) == 8);
    CHECK((UInt<4>(12) | UInt<4>(10)) == 14);
    CHECK((UInt<4>(12) ^ UInt<4>(10)) == 6);
    CHECK((Int<4>(-1) & UInt<4>(10)) == 10);
    u <<= 2;
    CHECK(u == 8);
    u >>= UInt<2>(1);
    CHECK(u == 4);
    CHECK(Int<64>(-1).to_int64() == -1 && UInt<64>(-1).to_uint64() == ~0ull);
    Int<200> large = 1;
    for (int n = 0; n < 5; ++n) large = large * Int<200>(1LL << 37);
    CHECK(large[185] == 1 && large[184] == 0 && (large >> 180) == 32);
    CHECK((large - 1) < large && (large >> 185).to_int() == 1);
}

static void bits() {
    Fixed<8, 4> a = -1.25;
    CHECK(a[7] == 1 && a[0] == 0 && a[2] == 1);
    a[7] = 0;
    CHECK(a.to_double() == 6.75);
#ifdef FAMILY_AP
    a.range(7, 4) = 3;
    CHECK(a.to_double() == 3.75);
    const UInt<8> whole = a.range(7, 0);
    CHECK(whole == 0x3c && a.range(5, 2).to_uint64() == 15);
    Fixed<8, 4> b;
    b.range(7, 0) = whole;
    CHECK(b == a);
    UInt<12> u = 0xabc;
    CHECK(u(7, 4) == 0xb);
    u(3, 0) = u(11, 8);
    CHECK(u == 0xaba);
#else
    a.set_slc(4, Int<4>(3));
    CHECK(a.to_double() == 3.75);
    CHECK(a.slc<4>(2) == -1);
    CHECK((UInt<12>(0xabc).slc<4>(4) == 0xb));
#endif
}

static void deviations() {
#ifdef FAMILY_AP
    CHECK((Fixed<8, 4>(-1.25).to_int() == -1));
    Fixed<8, 4> a = 1.5;
    CHECK((++a).to_double() == 2.5);
#else
    CHECK((Fixed<8, 4>(-1.25).to_int() == -2));
    Fixed<8, 4> a = 1.5;
    CHECK((++a).to_double() == 1.5625);
#endif
#ifdef BITSMITH_FIXED_H
    std::ostringstream out;
    out << Fixed<8, 4>(-1.25) << ' ' << Fixed<8, 4>(0) << ' ' << Fixed<4, 8>(-96) << ' ' << Fixed<4, -2>(0.046875) << ' '
        << Int<64>(-1234567890123) << ' ' << UInt<64>(-1) << ' ' << UInt<200>(1) * UInt<64>(-1) * UInt<64>(-1) << ' ' << Fixed<20, 2>(0.123456789);
    CHECK(out.str() == "-1.25 0 -96 0.046875 -1234567890123 18446744073709551615 3.40282e+38 0.123455");
    CHECK((Saturated<8, 4>(1e300).to_double() == 7.9375 && Saturated<8, 4>(-__builtin_inf()).to_double() == -8.0));
    CHECK((Fixed<8, 4>(1e300) == 0 && Saturated<8, 4>(__builtin_nan("")) == 0));
    CHECK((Fixed<8, 4>() == 0));
    const Int<200> large = (Int<200>(3) << 180) + 1;
    CHECK(large.to_double() == 3 * 0x1p180 && (-large).to_double() == -3 * 0x1p180);
    const Int<200> one = 1;
    CHECK(((one << 182) + (one << 129)).to_double() == 0x1p182);
    CHECK(((one << 182) + (one << 129) + 1).to_double() == 0x1p182 + 0x1p130);
#endif
}

#ifdef FAMILY_AP
static void streams() {
    static hls::stream<Fixed<8, 4>> s("s");
    CHECK(s.empty() && s.size() == 0);
    s.write(1.5);
    s << Fixed<8, 4>(2.5);
    CHECK(s.size() == 2 && s.write_nb(3.5));
    Fixed<8, 4> v = s.read();
    CHECK(v.to_double() == 1.5);
    s >> v;
    CHECK(v.to_double() == 2.5);
    CHECK(s.read_nb(v) && v.to_double() == 3.5 && !s.read_nb(v) && s.empty());
#ifdef BITSMITH_FIXED_H
    hls::stream<Fixed<8, 4>, 16> deep("deep");
    hls::stream<Fixed<8, 4>>& any = deep;
    bool refused = false;
    try {
        any.read(v);
    } catch (const std::underflow_error&) {
        refused = true;
    }
    CHECK(refused);
#endif
}
#else
static void streams() {
    static ac_channel<Fixed<8, 4>> s;
    CHECK(s.empty() && !s.available(1));
    s.write(1.5);
    s.write(2.5);
    CHECK(s.available(2) && !s.available(3) && s.size() == 2);
    Fixed<8, 4> v = s.read();
    CHECK(v.to_double() == 1.5);
    s.read(v);
    CHECK(v.to_double() == 2.5 && s.empty() && !s.nb_read(v));
}
#endif

int main() {
#pragma HLS DATAFLOW
    numbers();
    integers();
    bits();
    deviations();
    streams();
    return failures != 0;
}
