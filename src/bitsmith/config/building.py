"""Configurations to start from: every key that has an effect on a network, with a value that changes nothing."""

from collections.abc import Set as AbstractSet
from typing import Any

from bitsmith.config.begun import NAMES, TYPES, begun
from bitsmith.config.model import DEFAULT, MAXIMUM, OPTION_KEYS, read_bits, read_maximum, read_reuse_factor
from bitsmith.config.precision import parse_precision
from bitsmith.config.reading import Problems, did_you_mean, shown
from bitsmith.config.resolving import BitsLike, decided
from bitsmith.config.values import read_backend
from bitsmith.config.variables import TRAINED
from bitsmith.errors import ConfigError
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode

GRANULARITIES = ("model", "type", "name")
_AUTO = "auto"


def config_from_network(
    network: Network,
    granularity: str = "model",
    default_precision: str = _AUTO,
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    backend: str | None = None,
    bits: BitsLike = None,
) -> dict[str, Any]:
    """A configuration of ``network`` to edit and to pass to the converters.

    ``'type'`` and ``'name'`` write it out per layer type or per layer, in the order of evaluation. There ``default_precision`` is
    that of inputs and trained tensors; results and accumulators are ``auto``, as hls4ml has it: one for all results wraps.

    Args:
        network: the layers.
        granularity: ``'model'``, ``'type'`` or ``'name'``.
        default_precision: the format of inputs, weights and biases, with granularity ``'model'`` of results and accumulators,
            too; or ``'auto'``.
        default_reuse_factor: products per multiplier; 1.
        max_precision: a format whose width is the most that a result has where it is ``auto``, or None.
        backend: None, or any backend's name, those of hls4ml included: all have the same keys.
        bits: what ``auto`` keeps, if it is not 16.

    Raises:
        ConfigError: an argument that is not understood.
    """
    named = granularity.lower() if isinstance(granularity, str) else granularity
    if named not in GRANULARITIES:
        raise ConfigError(
            f"granularity {shown(granularity)}",
            accepted="'model', 'type' or 'name'",
            remedy=did_you_mean(str(granularity), GRANULARITIES),
        )
    widest = read_maximum(max_precision, "max_precision")
    read_reuse_factor(default_reuse_factor, "default_reuse_factor")
    if backend is not None:
        read_backend(backend, "backend")
    fmt = parse_precision(default_precision, "default_precision")
    precision = _AUTO if fmt is None else str(fmt)
    model: dict[str, Any] = {
        "Precision": {DEFAULT: precision},
        "ReuseFactor": default_reuse_factor,
        "Strategy": "Latency",
        "TraceOutput": False,
    }
    if widest is not None:
        model["Precision"][MAXIMUM] = max_precision
    if bits is not None:
        model["Bits"] = _read_bits(bits)
    config: dict[str, Any] = {"Model": model}
    if groups := _groups(network, named):
        section = {"type": TYPES, "name": NAMES}[named]
        own = decided(network)
        config[section] = {
            name: _entry(nodes[0], precision, default_reuse_factor, {key for node in nodes for key in own[node.name]})
            for name, nodes in groups.items()
        }
        if not any(precision in entry["Precision"].values() for entry in config[section].values()):
            model["Precision"][DEFAULT] = _AUTO  # where the model decides all of these a format would have no effect
    return begun(config, network.nodes)


def _groups(network: Network, granularity: str) -> dict[str, list[NetworkNode]]:
    """The layers that an entry of a configuration is for, by its name; none where the model has the only entry."""
    known = [node for node in network.nodes if not node.inner]
    if granularity == "name":
        return {node.name: [node] for node in known}
    by_type: dict[str, list[NetworkNode]] = {}
    if granularity == "type":
        for node in known:
            by_type.setdefault(node.layer.kind, []).append(node)
    return by_type


def _read_bits(bits: BitsLike) -> dict[str, int]:
    problems = Problems()
    found = read_bits(bits, "bits", problems)
    problems.finish()
    return found


def _entry(node: NetworkNode, precision: str, reuse_factor: int, own: AbstractSet[str]) -> dict[str, Any]:
    """The entry of ``node``, or of all of its class; variables that are the model's ``own`` are not repeated."""
    layer, is_input = node.layer, isinstance(node.layer, Input)
    variables = [name for name in layer.variables() if name not in own]
    entry: dict[str, Any] = {
        "Trace": False,
        "Precision": {name: precision if name in TRAINED or is_input else _AUTO for name in variables},
    }
    if "weight" in layer.variables():
        entry |= {"ReuseFactor": reuse_factor, "ParallelizationFactor": 1}
    entry |= {
        name: key.first for name, key in OPTION_KEYS.items() if key.first is not None and key.field in layer.options
    }
    return entry
