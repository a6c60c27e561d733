"""bitsmith: trained neural networks in, verified bit-exact FPGA firmware out."""

import importlib
import sys
from typing import TYPE_CHECKING

from bitsmith.version import __version__

if TYPE_CHECKING:
    from bitsmith import converters, custom, errors, model, profiling, report, utils
    from bitsmith.conversion.composition import compose
    from bitsmith.conversion.conversion import convert
    from bitsmith.conversion.explanation import explain
    from bitsmith.conversion.exploration import explore
    from bitsmith.conversion.fit import fit
    from bitsmith.conversion.splitting import Split, split
    from bitsmith.errors import ApproximationWarning, FewSamplesWarning, FidelityWarning, InputRangeWarning
    from bitsmith.model import Model
    from bitsmith.model.goal import Goal
    from bitsmith.model.images import write_image
    from bitsmith.model.pricing import cost
    from bitsmith.model.streaming import streamed
    from bitsmith.report import Report
    from bitsmith.sweeps.sweep import sweep

__all__ = [
    "ApproximationWarning",
    "FewSamplesWarning",
    "FidelityWarning",
    "Goal",
    "InputRangeWarning",
    "Model",
    "Report",
    "Split",
    "__version__",
    "compose",
    "convert",
    "converters",
    "cost",
    "custom",
    "errors",
    "explain",
    "explore",
    "fit",
    "model",
    "profiling",
    "report",
    "split",
    "streamed",
    "sweep",
    "utils",
    "write_image",
]

_HOMES = {
    "ApproximationWarning": "bitsmith.errors",
    "FewSamplesWarning": "bitsmith.errors",
    "FidelityWarning": "bitsmith.errors",
    "InputRangeWarning": "bitsmith.errors",
    "Goal": "bitsmith.model.goal",
    "Model": "bitsmith.model",
    "Report": "bitsmith.report",
    "Split": "bitsmith.conversion.splitting",
    "compose": "bitsmith.conversion.composition",
    "convert": "bitsmith.conversion.conversion",
    "cost": "bitsmith.model.pricing",
    "explain": "bitsmith.conversion.explanation",
    "explore": "bitsmith.conversion.exploration",
    "fit": "bitsmith.conversion.fit",
    "split": "bitsmith.conversion.splitting",
    "streamed": "bitsmith.model.streaming",
    "sweep": "bitsmith.sweeps.sweep",
    "write_image": "bitsmith.model.images",
}


def __getattr__(name: str) -> object:
    """Import parts of the package when they are first used: ``import bitsmith`` alone stays cheap."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"bitsmith.{name}")
    raise AttributeError(f"module 'bitsmith' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return __all__
