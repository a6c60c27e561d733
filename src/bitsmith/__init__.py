"""bitsmith: trained neural networks in, verified bit-exact FPGA firmware out."""

from typing import TYPE_CHECKING

from bitsmith.base.homes import imported_from
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

__getattr__ = imported_from(
    __name__,
    {
        "bitsmith.conversion.composition": ("compose",),
        "bitsmith.conversion.conversion": ("convert",),
        "bitsmith.conversion.explanation": ("explain",),
        "bitsmith.conversion.exploration": ("explore",),
        "bitsmith.conversion.fit": ("fit",),
        "bitsmith.conversion.splitting": ("Split", "split"),
        "bitsmith.errors": ("ApproximationWarning", "FewSamplesWarning", "FidelityWarning", "InputRangeWarning"),
        "bitsmith.model.goal": ("Goal",),
        "bitsmith.model.images": ("write_image",),
        "bitsmith.model.model": ("Model",),
        "bitsmith.model.pricing": ("cost",),
        "bitsmith.model.streaming": ("streamed",),
        "bitsmith.report.report": ("Report",),
        "bitsmith.sweeps.sweep": ("sweep",),
    },
    ("converters", "custom", "errors", "model", "profiling", "report", "utils"),
)


def __dir__() -> list[str]:
    return __all__
