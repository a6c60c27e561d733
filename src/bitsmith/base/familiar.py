"""Names of hls4ml: modules here that have them, and what to use instead of those that bitsmith has not."""

import sys
from collections.abc import Mapping

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

_LAYER_ROWS = "rows of get_layers() have name, title (the framework's class), inputs, shape, constants and result"
_NODES = f"the layers are model.get_layers(), and change where the model is made; {_GRAPHS}"
_VARIABLES = "model.get_input_variables() and get_output_variables() have names, shapes and types"
_TARGETS = (
    "model.target has the part, the clock, the backend and the project; model.network the layers with their settings"
)
_WEIGHTS = "model.get_weight_variables() has the trained tensors of all layers; those of a layer are row.constants"

OF_MODELS: Mapping[str, str] = {
    "config": _TARGETS,
    **dict.fromkeys(("inputs", "outputs", "output_vars", "get_layer_output_variable"), _VARIABLES),
    **dict.fromkeys(("insert_node", "make_node", "next_layer", "remove_node", "replace_node", "split_node"), _NODES),
    **dict.fromkeys(("from_layer_list", "index", "register_output_variable"), _NODES),
    **dict.fromkeys(("deserialize", "from_saved_state", "serialize"), _SAVED),
    "apply_flow": _PASSES,
}
"""Attributes of hls4ml's models that ours have not, and what to use instead."""

OF_LAYERS: Mapping[str, str] = {
    "class_name": "title is the framework's class",
    **dict.fromkeys(("add_weights", "add_weights_variable", "get_weights", "weights"), _WEIGHTS),
    **dict.fromkeys(("get_input_variable", "get_output_variable", "get_variables", "variables", "types"), _LAYER_ROWS),
    **dict.fromkeys(("get_layer_precision", "get_input_node", "get_output_nodes", "outputs"), _LAYER_ROWS),
    **dict.fromkeys(("attributes", "expected_attributes", "get_attr", "set_attr", "serialize_state"), _LAYER_ROWS),
    **dict.fromkeys(("add_bias", "add_output_variable", "get_output_use_map", "index", "initialize", "model"), _NODES),
    "code": _PASSES,
}
"""The same of its layers, which are rows of :meth:`Model.get_layers`."""


def absent(found: object, name: str, instead: Mapping[str, str]) -> AttributeError:
    """The error about an attribute that an object has not, with what stands in for it if hls4ml has one of the name."""
    said = f"{type(found).__name__!r} object has no attribute {name!r}"
    return AttributeError(f"{said}: {instead[name]}" if name in instead else said, name=name, obj=found)


def unknown(module: str, name: str) -> AttributeError:
    """The error about a name that a module of bitsmith has not, with what stands in for it if hls4ml has one of the name."""
    text, theirs = f"module {module!r} has no attribute {name!r}", f"{module.replace('bitsmith', NAME, 1)}.{name}"
    if theirs in MODULES:
        text += f": import bitsmith.compat, and then import {NAME}, which has it"
    elif theirs in INSTEAD:
        text += f": {INSTEAD[theirs]}"
    return AttributeError(text, name=name, obj=sys.modules[module])


def missing(name: str) -> str:
    """The message about a name of hls4ml that bitsmith has not, with what to use instead."""
    above = name
    while above not in INSTEAD and "." in above:
        above = above.rpartition(".")[0]
    return f"bitsmith has no {name}: {INSTEAD.get(above, 'docs/coming-from.md lists what it has')}"
