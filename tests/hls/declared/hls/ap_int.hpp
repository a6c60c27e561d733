#pragma once
#include "../numbers.h"
namespace hls {
template <int W> struct ap_int : declared::number<W, W> {
    using declared::number<W, W>::number;
    operator long long() const;
};
template <int W> struct ap_uint : declared::number<W, W> {
    using declared::number<W, W>::number;
    operator long long() const;
};
} // namespace hls
