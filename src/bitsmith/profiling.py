"""The profiles of :mod:`bitsmith.model.profiling`, by a shorter name."""

from bitsmith.model.profiling import Comparison, Figures, Plot, compare, get_ymodel, get_ymodel_keras, numerical

__all__ = ["Comparison", "Figures", "Plot", "compare", "get_ymodel", "get_ymodel_keras", "numerical"]
