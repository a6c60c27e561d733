#ifndef BITSMITH_DECLARED_HLS_STREAM_H
#define BITSMITH_DECLARED_HLS_STREAM_H
#include "numbers.h"

namespace hls {
template <class T, int DEPTH = 0> struct stream : declared::queue<T> {
    using declared::queue<T>::queue;
};
} // namespace hls
#endif
