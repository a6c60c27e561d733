#ifndef BITSMITH_DECLARED_AC_CHANNEL_H
#define BITSMITH_DECLARED_AC_CHANNEL_H
#include "numbers.h"

template <class T> struct ac_channel : declared::queue<T> {
    using declared::queue<T>::queue;
};
#endif
