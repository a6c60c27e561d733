// What the test programs of test_csim_types.py are made of, for the numbers of either family: bits go in and out one by
// one, because that is written alike everywhere.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

template <class Number>
void set_bits(Number& v, const char* hex) {
    const int digits = static_cast<int>(std::strlen(hex));
    for (int i = 0; i < Number::width; ++i) {
        const int digit = digits - 1 - i / 4;
        const char one[2] = {digit < 0 ? '0' : hex[digit], 0};
        v[i] = (std::strtol(one, nullptr, 16) >> i % 4 & 1) != 0;
    }
}

template <class Number>
void print_bits(const Number& v) {
    for (int digit = (Number::width - 1) / 4; digit >= 0; --digit) {
        int value = 0;
        for (int i = 3; i >= 0; --i) {
            const int bit = 4 * digit + i;
            value = 2 * value + (bit < Number::width && v[bit] ? 1 : 0);
        }
        std::putchar("0123456789abcdef"[value]);
    }
    std::putchar(' ');
}

template <class From, class To>
void cast() {
    for (int raw = 0; raw < 1 << From::width; ++raw) {
        char hex[16];
        std::snprintf(hex, sizeof hex, "%x", static_cast<unsigned>(raw));
        From v = 0;
        set_bits(v, hex);
        const To result = v;
        print_bits(result);
    }
    std::putchar('\n');
}

template <class To>
void doubles(int first, int last, int frac) {
    for (int i = first; i <= last; ++i) {
        const To result = std::ldexp(static_cast<double>(i), -frac);
        print_bits(result);
    }
    std::putchar('\n');
}

template <class Number>
void print_result(const Number& v) {
    std::printf("%x ", static_cast<unsigned>(Number::width));
    print_bits(v);
}

template <class A, class B, class To>
void operations(int count, int shift) {
    for (int i = 0; i < count; ++i) {
        char a_hex[256], b_hex[256];
        if (std::scanf("%255s %255s", a_hex, b_hex) != 2) std::exit(2);
        A a = 0;
        B b = 0;
        set_bits(a, a_hex);
        set_bits(b, b_hex);
        print_result(a + b);
        print_result(a - b);
        print_result(a * b);
        print_result(-a);
        print_result(a << shift);
        print_result(a >> shift);
        print_result(To(a));
        print_bits(a & b);
        print_bits(a | b);
        print_bits(a ^ b);
        std::printf("%d %d %d %d %d %d\n", a == b, a != b, a < b, a <= b, a > b, a >= b);
    }
}
