"""Scripts of hls4ml as they are: ``import bitsmith.compat`` before ``import hls4ml`` makes that name bitsmith's.

Modules have what bitsmith has under the same names. A name that hls4ml has and bitsmith has not is an error that says what to use
instead.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "hls4ml"

_SAME = (
    *("converters", "model", "model.profiling", "report", "utils"),
    *("utils.config", "utils.example_models", "utils.plot"),
)
_PRUNERS = ("", ".objectives", ".objectives.vivado_objectives", ".scheduler")

MODULES: Mapping[str, str] = {
    NAME: "bitsmith",
    **{f"{NAME}.{name}": f"bitsmith.{name}" for name in _SAME},
    f"{NAME}.backends": "bitsmith.compat.backends",
    **{f"{NAME}.optimization{name}": "bitsmith.compat.optimization" for name in _PRUNERS},
    **{f"{NAME}.optimization.dsp_aware_pruning{name}": "bitsmith.compat.optimization" for name in _PRUNERS},
    **{f"{NAME}.report.{tool}_report": "bitsmith.report" for tool in ("catapult", "oneapi", "quartus", "vivado")},
}
"""Modules of hls4ml, and those here that have their names."""

_LAYERS = "say what the layer computes: convert(model, layers={MyLayer: translate}) (docs/custom-layers.md)"
_GRAPHS = "bitsmith.split gives the parts of a model, and bitsmith.compose a model of parts (docs/split-and-compose.md)"
_BOARDS = "convert(model, board='pynq-z2'); docs/boards.md lists the boards"
_PASSES = "formats follow from the model's own quantizers, and circuits, with the depths of FIFOs, from its program"

_SAVED = "model.save('model.json') keeps a model, and load_saved_model has it again"
_PRUNING = "bitsmith.cost gives the price of each weight, and masks within budgets (docs/cost.md)"

_PRUNED = (
    *("keras", "attributes", "config", "knapsack", "objectives.gpu_objectives"),
    "get_attributes_from_keras_model_and_hls4ml_config",
)

_BACKENDS = (
    "backends are names: convert(model, backend='vitis'); bitsmith.backends.BACKENDS lists them; of a layer of your own, "
    "convert(model, layers={MyLayer: translate}) takes what it computes (docs/custom-layers.md)"
)
_TOOLS = (
    "backend",
    "catapult",
    "fpga",
    "libero",
    "oneapi",
    "quartus",
    "symbolic",
    "vitis",
    "vivado",
    "vivado_accelerator",
)
_BACKEND_CLASSES = (
    *("Backend", "CatapultBackend", "FPGABackend", "LiberoBackend", "OneAPIBackend", "QuartusBackend"),
    *(
        "SymbolicExpressionBackend",
        "VitisBackend",
        "VivadoAcceleratorBackend",
        "VivadoAcceleratorConfig",
        "VivadoBackend",
    ),
)

_FRAMEWORKS = ("keras", "keras_v2", "keras_v3", "onnx", "pytorch")

INSTEAD: Mapping[str, str] = {
    **{f"{NAME}.converters.register_{framework}_layer_handler": _LAYERS for framework in _FRAMEWORKS},
    **{f"{NAME}.converters.{name}": _LAYERS for name in ("utils", *_FRAMEWORKS)},
    **{f"{NAME}.{name}": _LAYERS for name in ("contrib", "utils.torch", "model.layers", "model.attributes")},
    **{f"{NAME}.optimization{room}.{name}": _PRUNING for room in ("", ".dsp_aware_pruning") for name in _PRUNED},
    f"{NAME}.converters.get_supported_keras_layers": "docs/layers.md lists all layers with their limits",
    f"{NAME}.converters.link_existing_project": _SAVED,
    **{f"{NAME}.backends.{name}": _BACKENDS for name in (*_TOOLS, *_BACKEND_CLASSES, "register_backend")},
    f"{NAME}.model.graph": _GRAPHS,
    **{f"{NAME}.model.{name}": _GRAPHS for name in ("MultiModelGraph", "to_multi_model_graph")},
    f"{NAME}.model.ModelGraph": (
        "models have graph, get_layers, get_weight_variables, get_output_variables, trace, output_dir and target"
    ),
    f"{NAME}.model.Layer": (
        "rows of get_layers() have name, title (the framework's class), inputs, shape, get_weights, constants and result"
    ),
    f"{NAME}.model.optimizer": _PASSES,
    f"{NAME}.model.flow": _PASSES,
    f"{NAME}.model.types": "formats are texts such as 'fixed<16,6>' (docs/configuration.md)",
    f"{NAME}.templates": _BOARDS,
    f"{NAME}.writer": "model.write() writes the project; docs/new-hls-dialect.md says how to add a tool",
    f"{NAME}.utils.fixed_point_utils": "formats are texts such as 'fixed<16,6>' (docs/configuration.md)",
    f"{NAME}.utils.serialization": _SAVED,
    f"{NAME}.utils.symbolic_utils": "convert_from_symbolic_expression chooses tables by precision (docs/formulas.md)",
}
"""Modules and names of hls4ml without a counterpart of the name, and what to use instead."""


_LOADS, _CONFIGURES = "load_saved_model", "config_from_pytorch_model"


class Alias(ModuleType):
    """A module of hls4ml whose names are those of a module here."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The module ``{MODULES[name]}`` under the name ``{name}``.")
        self.__path__: list[str] = []

    def __getattr__(self, attribute: str) -> object:
        name = f"{self.__name__}.{attribute}"
        if name in MODULES:
            return importlib.import_module(name)
        if name in INSTEAD:
            # No AttributeError, whose message an import from a module would not show.
            raise ModuleNotFoundError(missing(name), name=name)
        found = getattr(importlib.import_module(MODULES[self.__name__]), attribute, None)
        if found is None:
            raise AttributeError(missing(name))
        return _as_there(attribute, found) if callable(found) else found

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(MODULES[self.__name__]))


@cache
def _as_there(attribute: str, member: object) -> object:
    """A name of bitsmith, the one that hls4ml has it for: models have its arrays, and configurations say which."""
    makes_models = attribute.startswith("convert_from_") or attribute.endswith("_to_hls")
    if not callable(member) or not (makes_models or attribute in (_LOADS, _CONFIGURES)):
        return member
    from bitsmith.compat import familiar

    return familiar.with_layout(member) if attribute == _CONFIGURES else familiar.flat(member)


class Finder(MetaPathFinder, Loader):
    """The importer of modules of hls4ml."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the way to import a module of hls4ml; None of all others.

        Raises:
            ModuleNotFoundError: one without a counterpart.
        """
        if fullname in MODULES:
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{NAME}."):
            raise ModuleNotFoundError(missing(fullname), name=fullname)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the alias."""
        return Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the names are looked up when they are used."""


def missing(name: str) -> str:
    """The message about a name of hls4ml that bitsmith has not, with what to use instead."""
    above = name
    while above not in INSTEAD and "." in above:
        above = above.rpartition(".")[0]
    return f"bitsmith has no {name}: {INSTEAD.get(above, 'docs/coming-from.md lists what it has')}"


def install() -> None:
    """Let ``import hls4ml`` give bitsmith, in this process.

    Raises:
        ImportError: hls4ml itself is imported already.
    """
    if NAME in sys.modules and not isinstance(sys.modules[NAME], Alias):
        raise ImportError(f"{NAME} is imported already: import bitsmith.compat before it")
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


install()
