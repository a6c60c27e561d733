#pragma once
#include "../../../sycl.hpp"
