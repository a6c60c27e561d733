"""A configuration put onto a network: each layer gets its :class:`Settings`, key by key from the most specific level.

The levels are the user's ``LayerName`` and ``LayerType``, the quantizers of the model itself, the user's ``Model``, and ``auto``.
A format of ``LayerName`` or ``LayerType`` where the model has another quantizer is an error, unless the user insists; ``auto``
there gives the model's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bitsmith.config.inert import idle_notes
from bitsmith.config.matching import matched, of_part, owners, type_names, with_aliases
from bitsmith.config.model import (
    DEFAULT,
    KEYS,
    OPTION_KEYS,
    Auto,
    Choices,
    HLSConfig,
    collect_hls_config,
    loaded,
    read_bits,
)
from bitsmith.config.reading import Idle, Problems, did_you_mean, listed, shown
from bitsmith.config.variables import ALIASES, OF_PARTS, OTHER_VARIABLES, TRAINED, takes_default
from bitsmith.errors import nearest
from bitsmith.errors.remedies import given, remedy
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained
from bitsmith.layers.settings import FACTORS, LIMITED, MOST_BITS, Bits, Settings
from bitsmith.layers.settled import decided_inputs, exact_variables, settled
from bitsmith.layers.table import LAYERS
from bitsmith.layers.traits import Exactness

ConfigLike: TypeAlias = Mapping[str, object] | HLSConfig | str | Path | None
"""A dictionary with ``Model``, ``LayerType`` and ``LayerName``, the YAML or JSON file that holds it, or None: all auto."""

BitsLike: TypeAlias = int | Mapping[str, int] | None
"""A budget of ``auto``: bits of weights and results, or ``{"weight": 6, "result": 8}``; None: as the configuration says."""


_BETWEEN = {"accum", "result"}
"""Variables of sums and results."""

_WRITTEN_EVERYWHERE = {"table", "accum", *OTHER_VARIABLES}
"""Variables that other tools write for layers without such values."""

_QUANTIZED = "the quantizers of the model hold"
_HIDDEN = "every layer that it could apply to says 'auto' or has a format from the model"

OTHER_TYPES = frozenset(
    (
        *("Constant", "Quant", "IntQuant", "BipolarQuant", "ApplyAlpha", "BatchNormOnnx", "MatMul", "Merge"),
        *("Conv", "TimeDistributed", "LayerGroup"),
    )
)
"""Other tools' layers that are parts of layers here."""


_GENERATED = (
    *("Input", "InputLayer", "Activation", "HardActivation", "ELU", "LeakyReLU", "PReLU", "ThresholdedReLU", "Softmax"),
    *("ApplyAlpha", "BatchNormalization", "LayerNormalization", "BiasAdd", "Embedding", "Resize", "Bidirectional"),
    *("Concatenate", "Dot", "Einsum", "EinsumDense", "GarNet", "GarNetStack", "Reshape", "Transpose", "TernaryTanh"),
    *("BinaryDense", "TernaryDense", "BinaryConv2D", "QActivation", "QBatchNormalization", "QConv2DBatchnorm"),
    *(f"{quantized}{name}" for quantized in ("", "Q") for name in ("Dense", "SimpleRNN", "LSTM", "GRU")),
    *(f"{name}{rank}D" for rank in (1, 2) for name in ("Cropping", "UpSampling", "ZeroPadding")),
    *(f"{name}Pooling{rank}D" for rank in (1, 2) for name in ("Average", "GlobalAverage", "GlobalMax", "Max")),
    *(
        f"{kind}Conv{rank}D"
        for rank in (1, 2)
        for kind in ("", "Depthwise", "Separable", "Q", "QDepthwise", "QSeparable")
    ),
)

GENERATED_TYPES = OTHER_TYPES.union(_GENERATED, LAYERS)
"""Types that generated configurations name, whether or not a model has such layers."""


def resolve(
    network: Network,
    config: ConfigLike,
    bits: BitsLike = None,
    *,
    model: Mapping[str, object] | None = None,
    override: bool = False,
) -> Network:
    """``network`` with the settings of ``config`` on every layer, in place of earlier ones, and a note of what has no effect.

    Args:
        network: the layers, as read from the user's model; inner ones have the ``bits`` of the whole model alone.
        config: see :data:`ConfigLike`.
        bits: what ``Bits`` of the section ``Model`` is, where ``config`` does not say it.
        model: other keys of that section, likewise; those that are None are not given.
        override: formats of single layers and types replace quantizers of the model.

    Raises:
        ConfigError: keys, values, layers or types that are not understood, all of them in one error.
    """
    problems = Problems()
    chosen = config if isinstance(config, HLSConfig) else collect_hls_config(loaded(config), "", problems)
    chosen = _with_arguments(chosen, bits, model or {}, problems)
    known = [node for node in network.nodes if not node.inner]
    by_name = matched(known, chosen.names, problems)
    chosen = replace(chosen, names=by_name.names)
    reach = _Reach(override=override, nodes=known, decided=decided(network), owners=owners(known))
    idle = [*chosen.idle, *by_name.idle, *_check_names(known, chosen, problems), *_check_types(known, chosen, problems)]
    settings = _carried(network, {node.name: _settings(node, chosen, reach, problems) for node in known}, chosen)
    settings = _shared(known, settings, chosen)
    nodes = [
        replace(node, settings=settings.get(node.name, Settings(bits=_bits([chosen.model])))) for node in network.nodes
    ]
    problems.finish()
    idle += reach.idle
    idle += [Idle(f"Model.Precision.{key}", "", _HIDDEN) for key in sorted(reach.hidden - reach.used)]
    return replace(network.with_nodes(nodes), notes=(*network.notes, *idle_notes(idle)))


def _with_arguments(chosen: HLSConfig, bits: BitsLike, keys: Mapping[str, object], problems: Problems) -> HLSConfig:
    """``chosen`` with ``bits`` and ``keys`` of the whole model that were given as arguments."""
    known = {key: value for key, value in keys.items() if value is not None}
    model, own = collect_hls_config({"Model": known}, "", problems).model, chosen.model
    model = replace(model, bits={} if bits is None else read_bits(bits, "bits", problems))
    both: dict[str, Any] = {}
    for option in fields(Choices):
        key, value, argument = (
            option.name.title().replace("_", ""),
            getattr(model, option.name),
            getattr(own, option.name),
        )
        if isinstance(value, Mapping):
            pairs = {f"{key}.{name}": (value[name], argument[name]) for name in value.keys() & argument.keys()}
            both[option.name] = {**value, **argument}
        else:
            pairs = {key: (value, argument)} if None not in (value, argument) else {}
            both[option.name] = value if argument is None else argument
        for name, (one, other) in pairs.items():
            if one != other:
                problem = f"{one} in the argument, {other} in the configuration"
                problems.add(problem, where=f"Model.{name}", remedy="keep one of the two")
    return replace(chosen, model=replace(own, **both))


def _bits(levels: Sequence[Choices]) -> Bits:
    """The budget, each part of it from the first level that mentions it."""
    return Bits(**{key: bits for level in reversed(levels) for key, bits in level.bits.items()})


def _following(bits: Bits, levels: Sequence[Choices], precision: Mapping[str, FixedFormat]) -> Bits:
    """Return ``bits``, of results as many as the user's widest trained format where no level says how many."""
    if any("result" in level.bits for level in levels):
        return bits
    widest = max((fmt.width for variable, fmt in precision.items() if variable in TRAINED), default=0)
    return replace(bits, result=max(bits.result, min(widest, MOST_BITS)))


def _carried(network: Network, settings: Mapping[str, Settings], chosen: HLSConfig) -> Mapping[str, Settings]:
    """Return ``settings`` in which the bits of results with wide factors hold around them.

    Inputs that such layers read keep as many bits, and so do results that exact layers without factors make of theirs.
    """
    kept = dict(settings)
    if "result" in chosen.model.bits:
        return kept
    for node in network.nodes:
        own = kept.get(node.name)
        approximate = node.layer.traits.exactness is Exactness.APPROXIMATE
        if own is None or node.layer.weights() or approximate or own.bits.result != AUTO_BITS:
            continue
        around = [each.name for each in network.consumers(node.name)] if isinstance(node.layer, Input) else node.inputs
        most = max((kept[name].bits.result for name in around if name in kept), default=0)
        kept[node.name] = replace(own, bits=replace(own.bits, result=max(own.bits.result, most)))
    return kept


def _shared(
    nodes: Sequence[NetworkNode], settings: Mapping[str, Settings], chosen: HLSConfig
) -> Mapping[str, Settings]:
    """Return ``settings`` in which later uses of a layer have the weights of the first, if they have no entry of their own."""
    shared, first = dict(settings), dict[tuple[int, ...], NetworkNode]()
    for node in nodes:
        owner = node.owner(first)
        if owner is not node and node.name not in chosen.names:
            own, other = shared[node.name], shared[owner.name]
            formats = {name: fmt for name, fmt in other.precision.items() if name in node.layer.weights()}
            shared[node.name] = replace(own, weights=other.weights, precision={**own.precision, **formats})
    return shared


@dataclass(slots=True)
class _Reach:
    """Formats of the user's ``Model`` that some layer uses, and those that more specific levels hide from some layer.

    ``nodes`` are the user's layers; ``decided`` are the variables of layers that the model itself has decided, unless the user
    wants to ``override`` it; ``owners`` are the user's layers of those that are parts.
    """

    override: bool
    nodes: Sequence[NetworkNode]
    decided: Mapping[str, Mapping[str, Quantizer | None]]
    owners: Mapping[str, tuple[str, str]]
    used: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    idle: list[Idle] = field(default_factory=list)


def quantized(node: NetworkNode) -> Mapping[str, Quantizer]:
    """The quantizers of a layer, by the variable that they decide."""
    own = {"result": node.layer.quantizer} if isinstance(node.layer, Quantize) else {}
    return {**node.quantizers, **own}


def decided(network: Network) -> dict[str, dict[str, Quantizer | None]]:
    """Return the types that the model's quantizers decide, by layer and variable; None is an exact value between quantizers."""
    exact, inputs = settled(network, of_few_bits=False), decided_inputs(network)
    quantizers: dict[str, dict[str, Quantizer | None]] = {}
    for node in network.nodes:
        decides = node.name in (inputs if isinstance(node.layer, Input) else exact)
        between = _BETWEEN if decides else set()
        numbers = node.layer.weights().keys() if decides and isinstance(node.layer, Constant) else set()
        quantizers[node.name] = {**dict.fromkeys(between | numbers | exact_variables(node)), **quantized(node)}
    return quantizers


def _settings(node: NetworkNode, chosen: HLSConfig, reach: _Reach, problems: Problems) -> Settings:
    named = _own_levels(node, chosen, reach)
    own = list(named.values())
    levels = [*own, chosen.model]
    precision = {}
    for variable in node.layer.variables():
        fmt = _format(node, variable, named, chosen.model, reach, problems)
        if fmt is not None:
            precision[variable] = fmt
    settled: Callable[..., Settings] = Settings
    return settled(
        precision=precision,
        bits=_following(_bits(levels), levels, precision),
        widest=_first(levels, "widest"),
        # TraceOutput of the model turns tracing on everywhere, whatever a layer says.
        trace=bool(chosen.model.trace or _first(own, "trace")),
        **{
            key.field: value
            for key in KEYS.values()
            if key.of_layers
            and key.read
            and key.field != "trace"
            and (not key.is_option or key.field in node.layer.options)
            if (value := _first(levels, key.field)) is not None
        },
    )


def _own_levels(node: NetworkNode, chosen: HLSConfig, reach: _Reach) -> dict[str, Choices]:
    """The entries that are about this layer or its type, the most specific first, with its own names of variables."""
    levels = {f"LayerName.{node.name}": chosen.names[node.name]} if node.name in chosen.names else {}
    owner, part = reach.owners.get(node.name, ("", ""))
    if owner in chosen.names:
        levels[f"LayerName.{owner}"] = of_part(chosen.names[owner], part)
    for name in type_names(node):
        if name in chosen.types:
            levels[f"LayerType.{name}"] = of_part(chosen.types[name], part) if part else chosen.types[name]
    return {where: with_aliases(level, node.layer.variables()) for where, level in levels.items()}


def _first(levels: Sequence[Choices], field: str) -> object:
    """The first mention of an option; None if that is ``auto`` or there is none."""
    for level in levels:
        found = level.softmax if field == "implementation" and level.implementation is None else getattr(level, field)
        if found is not None:
            return None if isinstance(found, Auto) else found
    return None


def _format(
    node: NetworkNode, variable: str, own: Mapping[str, Choices], model: Choices, reach: _Reach, problems: Problems
) -> FixedFormat | None:
    keys = [variable, DEFAULT] if takes_default(variable, node.layer) else [variable]
    of_model = next((key for key in keys if key in model.precision), None)
    general = None if of_model is None else model.precision[of_model]
    by_model = reach.decided.get(node.name, {})
    brought = variable in by_model
    for where, level in own.items():
        key = next((key for key in keys if key in level.precision), None)
        if key is None:
            continue
        fmt = level.precision[key]
        if of_model is not None and general is not None and fmt in (None, general):
            (reach.hidden if fmt is None else reach.used).add(of_model)
        outer = variable in TRAINED or isinstance(node.layer, Input)
        if fmt is None and outer and not brought:
            break  # as other tools have it: trained values and inputs without a format of their own have the model's
        if fmt is None or not brought or reach.override or isinstance(node.layer, Input | Constant):
            return fmt
        quantizer = by_model[variable]
        text = "exact" if quantizer is None else str(quantizer)
        if quantizer is not None and _is_format(quantizer, fmt, trained=variable in node.quantizers):
            return None
        if _describes(variable, quantizer, fmt, where, reach.nodes):
            reach.idle.append(Idle(f"Precision.{variable}", node.name, _QUANTIZED))
        else:
            problems.add(
                f"precision {fmt} for the {variable} of layer {node.name!r}, which the quantizers of the model make {text}",
                where=f"{where}.Precision.{key}",
                accepted="'auto', which is the model's own",
                remedy=remedy("remove it; ", given(override=True), " insists on it"),
            )
        return None
    if of_model is not None and general is not None:
        (reach.hidden if brought else reach.used).add(of_model)
    return None if brought else general


def _is_format(quantizer: Quantizer, fmt: FixedFormat, *, trained: bool) -> bool:
    """Return True if ``fmt`` is what the quantizer is; of trained values, if it has the same step and room for them all."""
    if not trained:
        return quantizer.format == fmt
    steps = bool(np.all(quantizer.step * Fraction(2) ** fmt.frac == 1))
    return steps and bool(np.all(fmt.lo <= quantizer.lo)) and bool(np.all(quantizer.hi <= fmt.hi))


def _holds_codes(fmt: FixedFormat, quantizer: Quantizer) -> bool:
    """Return True if integers of ``fmt`` can tell the codes apart; numbers on uneven grids may have any codes."""
    if quantizer.retrained is Retrained.UNEVEN:
        return True
    binary = (quantizer.lo == -1) & (quantizer.hi == 1)
    return bool(np.all(np.where(binary, 2, quantizer.hi - quantizer.lo + 1) <= 1 << fmt.width))


def _describes(
    variable: str, quantizer: Quantizer | None, fmt: FixedFormat, where: str, nodes: Sequence[NetworkNode]
) -> bool:
    """Return True of a format that other tools write beside a quantizer.

    That is the format of the codes of trained values, with room for them all, or, for a type, that of one of its layers.
    """
    if variable in TRAINED and fmt.frac == 0 and (quantizer is None or _holds_codes(fmt, quantizer)):
        return True
    section, _, name = where.partition(".")
    alike = [
        node for node in nodes if section == "LayerType" and name in type_names(node) and variable in quantized(node)
    ]
    return any(_is_format(quantized(node)[variable], fmt, trained=variable in node.quantizers) for node in alike)


def _check_names(known: Sequence[NetworkNode], chosen: HLSConfig, problems: Problems) -> Iterator[Idle]:
    nodes = {node.name: node for node in known}
    parts = {owner: nodes[name] for name, (owner, _) in owners(known).items()}
    for name, choices in chosen.names.items():
        node = nodes[name]
        several = [node, parts[name]] if name in parts else [node]
        yield from _check_choices(choices, several, known, f"LayerName.{name}", node.layer.kind, problems)


def _check_types(known: Sequence[NetworkNode], chosen: HLSConfig, problems: Problems) -> Iterator[Idle]:
    by_type: dict[str, list[NetworkNode]] = {}
    for node in known:
        for type_name in type_names(node):
            by_type.setdefault(type_name, []).append(node)
    for type_name, choices in chosen.types.items():
        where = f"LayerType.{type_name}"
        if type_name in by_type:
            yield from _check_choices(choices, by_type[type_name], known, where, type_name, problems)
        elif type_name in OTHER_TYPES:
            yield Idle("LayerType", type_name, "it is part of other layers here")
        elif type_name in GENERATED_TYPES:
            yield Idle("LayerType", type_name, "the model has no such layer")
        else:
            problems.add(
                f"no layer has the type {shown(type_name)}",
                where=where,
                accepted=nearest([type_name], sorted(by_type)),
                remedy=did_you_mean(type_name, by_type),
            )


def _check_choices(
    choices: Choices,
    nodes: Sequence[NetworkNode],
    known: Sequence[NetworkNode],
    where: str,
    kind: str,
    problems: Problems,
) -> Iterator[Idle]:
    """Check choices that apply to none of ``nodes``: keys that other tools write are handed back, others are problems."""
    names = {node.name for node in nodes}
    behind = [node for node in known if names.intersection(node.inputs)]
    owner = where.partition(".")[2]
    variables = list(dict.fromkeys(name for node in nodes for name in node.layer.variables()))
    for variable, fmt in choices.precision.items():
        meant = {ALIASES.get(variable, variable), OF_PARTS.get(variable, ("", variable))[1]}
        if fmt is None or meant.intersection((*variables, DEFAULT)):
            continue  # `auto` asks for nothing
        if variable in _WRITTEN_EVERYWHERE:
            yield Idle(f"Precision.{variable}", owner, "there is no such value in it")
        else:
            at = f"{where}.Precision.{variable}"
            others = [node.name for node in behind if meant.intersection(node.layer.variables())]
            accepted = listed((DEFAULT, *variables))
            problems.add(f"{kind} has no {variable}", where=at, accepted=accepted, remedy=_moved(others))
    for part, having in {"weight": FACTORS, **LIMITED}.items():
        if choices.bits.keys() == {part} and not having.intersection(variables):
            found, at = f"{kind} has no {part}s", f"{where}.Bits"
            problems.add(found, where=at, accepted="a budget of results", remedy="remove it")
    options = {name for node in nodes for name in node.layer.options}
    if choices.softmax is not None and choices.strategy is None and "implementation" not in options:
        accepted = "Latency, Resource, Unrolled, MultiplierBlocks, DistributedArithmetic"
        problems.add("the strategy of a softmax", where=f"{where}.Strategy", accepted=accepted)
    yield from _check_options(choices, options, behind, where, kind, problems)


def _moved(names: Sequence[str]) -> str:
    """The remedy for a key of an activation that stands in the entry of the layer in front of it."""
    return f"move it to LayerName.{names[0]}, which reads this layer and has it" if names else ""


def _check_options(
    choices: Choices,
    options: AbstractSet[str],
    behind: Sequence[NetworkNode],
    where: str,
    kind: str,
    problems: Problems,
) -> Iterator[Idle]:
    for key, record in OPTION_KEYS.items():
        option = record.field
        if getattr(choices, option) is None or option in options:
            continue
        if option == "table_size":
            yield Idle(key, where.partition(".")[2], "there is no table in it")
            continue
        accepted = listed(key for key, record in OPTION_KEYS.items() if record.field in options)
        others = [node.name for node in behind if option in node.layer.options]
        problems.add(
            f"{key} has no meaning for {kind}",
            where=f"{where}.{key}",
            accepted=accepted and f"of such keys: {accepted}",
            remedy=_moved(others) or "remove it",
        )
