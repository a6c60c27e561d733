#ifndef BITSMITH_DECLARED_AP_INT_H
#define BITSMITH_DECLARED_AP_INT_H
#include "numbers.h"

template <int W> struct ap_int : declared::number<W, W> {
    using declared::number<W, W>::number;
    operator long long() const;
};
template <int W> struct ap_uint : declared::number<W, W> {
    using declared::number<W, W>::number;
    operator long long() const;
};
#endif
