"""A configuration put onto a network: each layer gets its :class:`Settings`, key by key from the most specific level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from bitsmith.config.model import DEFAULT, Auto, Choices, HLSConfig, collect_hls_config, loaded
from bitsmith.config.reading import Problems, did_you_mean, listed, shown
from bitsmith.config.types import type_names
from bitsmith.config.variables import takes_default
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings, Strategy, Weights

ConfigLike: TypeAlias = Mapping[str, object] | HLSConfig | str | Path | None
"""A dictionary with ``Model``, ``LayerType`` and ``LayerName``, the YAML or JSON file that holds it, or None: all auto."""

_Option = TypeVar("_Option")

# Options with a meaning for some layers only: the key, the field of Settings that a layer's `options` names.
_LAYER_OPTIONS = {
    "TableSize": "table_size",
    "TableRange": "table_range",
    "Binning": "binning",
    "Implementation": "implementation",
    "Skip": "skip",
    "Weights": "weights",
}


def resolve(network: Network, config: ConfigLike) -> Network:
    """``network`` with the settings of ``config`` on every layer; settings it had before are replaced.

    Args:
        network: the layers, as read from the user's model; inner ones have no settings.
        config: see :data:`ConfigLike`.

    Raises:
        ConfigError: keys, values, layers or types that are not understood, all of them in one error.
    """
    problems = Problems()
    chosen = config if isinstance(config, HLSConfig) else collect_hls_config(loaded(config), "", problems)
    known = [node for node in network.nodes if not node.inner]
    _check_names(known, chosen, problems)
    _check_types(known, chosen, problems)
    reach = _Reach()
    settings = {node.name: _settings(node, chosen, reach) for node in known}
    nodes = [replace(node, settings=settings.get(node.name, Settings())) for node in network.nodes]
    problems.finish()
    for key in sorted(reach.hidden - reach.used):
        problems.add(
            f"precision {chosen.model.precision[key]} has no effect: every layer that it could apply to says 'auto'",
            where=f"Model.Precision.{key}",
            remedy="remove the 'auto' entries that it should replace, or use granularity 'model'",
        )
    problems.finish()
    return network.with_nodes(nodes)


@dataclass(slots=True)
class _Reach:
    """Formats of the model level that some layer uses, and those hidden from some layer by an explicit ``auto``."""

    used: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)


def _settings(node: NetworkNode, chosen: HLSConfig, reach: _Reach) -> Settings:
    own = [chosen.names[node.name]] if node.name in chosen.names else []
    own += [chosen.types[name] for name in type_names(node) if name in chosen.types]
    levels = [*own, chosen.model]
    options = node.layer.options

    def option(name: str, get: Callable[[Choices], _Option | Auto | None]) -> _Option | None:
        return _first(levels, get) if name in options else None

    precision = {}
    for variable in node.layer.variables():
        fmt = _format(node, variable, own, chosen.model, reach)
        if fmt is not None:
            precision[variable] = fmt
    return Settings(
        precision=precision,
        reuse_factor=_first(levels, lambda level: level.reuse_factor) or 1,
        parallelization_factor=_first(levels, lambda level: level.parallelization_factor) or 1,
        strategy=_first(levels, lambda level: level.strategy) or Strategy.LATENCY,
        table_size=option("table_size", lambda level: level.table_size),
        table_range=option("table_range", lambda level: level.table_range),
        binning=option("binning", lambda level: level.binning),
        implementation=option("implementation", lambda level: level.implementation),
        # TraceOutput of the model turns tracing on everywhere, whatever a layer says.
        trace=bool(chosen.model.trace or _first(own, lambda level: level.trace)),
        weights=option("weights", lambda level: level.weights) or Weights.ONCHIP,
        skip=bool(option("skip", lambda level: level.skip)),
    )


def _first(levels: Sequence[Choices], get: Callable[[Choices], _Option | Auto | None]) -> _Option | None:
    """The first mention of an option; None if that is ``auto`` or there is none."""
    for level in levels:
        found = get(level)
        if found is not None:
            return None if isinstance(found, Auto) else found
    return None


def _format(
    node: NetworkNode, variable: str, own: Sequence[Choices], model: Choices, reach: _Reach
) -> FixedFormat | None:
    keys = [variable, DEFAULT] if takes_default(variable, node.layer) else [variable]
    of_model = next((key for key in keys if key in model.precision), None)
    for level in own:
        for key in keys:
            if key in level.precision:
                found = level.precision[key]
                if found is None and of_model is not None and model.precision[of_model] is not None:
                    reach.hidden.add(of_model)
                return found
    if of_model is None:
        return None
    reach.used.add(of_model)
    return model.precision[of_model]


def _check_names(known: Sequence[NetworkNode], chosen: HLSConfig, problems: Problems) -> None:
    nodes = {node.name: node for node in known}
    for name, choices in chosen.names.items():
        where = f"LayerName.{name}"
        if name not in nodes:
            problems.add(
                f"no layer is called {shown(name)}",
                where=where,
                accepted=listed(nodes),
                remedy=did_you_mean(name, nodes),
            )
        else:
            _check_choices(choices, [nodes[name]], where, nodes[name].layer.kind, problems)


def _check_types(known: Sequence[NetworkNode], chosen: HLSConfig, problems: Problems) -> None:
    by_type: dict[str, list[NetworkNode]] = {}
    for node in known:
        for type_name in type_names(node):
            by_type.setdefault(type_name, []).append(node)
    for type_name, choices in chosen.types.items():
        where = f"LayerType.{type_name}"
        if type_name not in by_type:
            problems.add(
                f"no layer has the type {shown(type_name)}",
                where=where,
                accepted=listed(sorted(by_type)),
                remedy=did_you_mean(type_name, by_type),
            )
        else:
            _check_choices(choices, by_type[type_name], where, type_name, problems)


def _check_choices(choices: Choices, nodes: Sequence[NetworkNode], where: str, kind: str, problems: Problems) -> None:
    """Note what has a meaning for none of ``nodes``."""
    variables = list(dict.fromkeys(name for node in nodes for name in node.layer.variables()))
    for variable in choices.precision:
        if variable not in (*variables, DEFAULT):
            problems.add(
                f"{kind} has no {variable}",
                where=f"{where}.Precision.{variable}",
                accepted=listed((DEFAULT, *variables)),
            )
    options = {name for node in nodes for name in node.layer.options}
    given = {
        "table_size": choices.table_size,
        "table_range": choices.table_range,
        "binning": choices.binning,
        "implementation": choices.implementation,
        "skip": choices.skip,
        "weights": choices.weights,
    }
    for key, option in _LAYER_OPTIONS.items():
        if given[option] is not None and option not in options:
            accepted = listed(key for key, option in _LAYER_OPTIONS.items() if option in options)
            problems.add(
                f"{key} has no meaning for {kind}",
                where=f"{where}.{key}",
                accepted=accepted and f"of such keys: {accepted}",
                remedy="remove it",
            )
