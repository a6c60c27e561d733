// Declarations of vendors' numbers, for reading generated code without a vendor's headers: nothing here computes.
#ifndef BITSMITH_DECLARED_NUMBERS_H
#define BITSMITH_DECLARED_NUMBERS_H

namespace declared {

struct any {};

template <class T> inline constexpr bool is_number = __is_base_of(any, T);
template <class T> inline constexpr bool is_number<const T> = is_number<T>;

/// Bits of a number, to be read or written.
struct slice {
    template <class T> slice &operator=(const T &);
    operator long long() const;
};

/// What an operation gives: it becomes whatever is wanted.
struct wide : any {
    wide();
    wide(const wide &);
    template <class T> wide(const T &);
    template <class T> wide &operator=(const T &);
    explicit operator bool() const;
};

template <int W, int I> struct number : any {
    static const int width = W;
    static const int iwidth = I;
    static const int i_width = I;
    static const int _I_W = I;
    number();
    number(const number &);
    template <class T> number(const T &);
    number &operator=(const number &);
    template <class T> number &operator=(const T &);
    slice range(int, int) const;
    slice range() const;
    slice operator()(int, int) const;
    bool operator[](int) const;
    template <int> slice slc(int) const;
    template <class T> number &set_slc(int, const T &);
    long long to_int64() const;
    unsigned long long to_uint64() const;
    int to_int() const;
    unsigned to_uint() const;
    long to_long() const;
    double to_double() const;
    int length() const;
    explicit operator bool() const;
};

template <class A, class B>
concept operands = is_number<A> || is_number<B>;

template <class A, class B> requires operands<A, B> wide operator+(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator-(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator*(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator/(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator%(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator&(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator|(const A &, const B &);
template <class A, class B> requires operands<A, B> wide operator^(const A &, const B &);
template <class A> requires operands<A, A> A operator<<(const A &, int);
template <class A> requires operands<A, A> A operator>>(const A &, int);
template <class A> requires operands<A, A> A operator-(const A &);
template <class A> requires operands<A, A> A operator~(const A &);
template <class A> requires operands<A, A> bool operator!(const A &);
template <class A, class B> requires operands<A, B> bool operator==(const A &, const B &);
template <class A, class B> requires operands<A, B> bool operator!=(const A &, const B &);
template <class A, class B> requires operands<A, B> bool operator<(const A &, const B &);
template <class A, class B> requires operands<A, B> bool operator<=(const A &, const B &);
template <class A, class B> requires operands<A, B> bool operator>(const A &, const B &);
template <class A, class B> requires operands<A, B> bool operator>=(const A &, const B &);
template <class A, class B> requires operands<A, A> A &operator+=(A &, const B &);
template <class A, class B> requires operands<A, A> A &operator-=(A &, const B &);

/// A queue, whoever's.
template <class T> struct queue {
    queue();
    explicit queue(int);
    explicit queue(const char *);
    T read();
    void read(T &);
    bool read_nb(T &);
    void write(const T &);
    bool empty() const;
    bool available(unsigned) const;
};

} // namespace declared


#endif
