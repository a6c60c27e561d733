"""Types of the arrays of a layer; :mod:`bitsmith.layers.layer` has them too, for all that is outside of its own imports."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Shape: TypeAlias = tuple[int, ...]
Floats: TypeAlias = npt.NDArray[np.float64]
Exponents: TypeAlias = npt.NDArray[np.int64]
