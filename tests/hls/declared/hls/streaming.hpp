#pragma once
#include "../numbers.h"
namespace hls {
template <class T, bool PACK = false> struct FIFO : declared::queue<T> {
    using declared::queue<T>::queue;
    void setDepth(int);
};
} // namespace hls
