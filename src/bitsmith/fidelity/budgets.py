"""Errors that are excused by the bits that the user lets ``auto`` keep."""

from collections.abc import Iterable, Mapping

from bitsmith.base.graphs import reached
from bitsmith.layers.auto import AUTO_BITS
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.settings import FACTORS

_MOST_STEPS = 32
"""Steps of the budget, as shares of a layer's range, that its own error stays well below."""

_WIDE = 24
"""Bits of a user's format from which on it is to be as accurate as those of ``auto``, whose inputs have no more."""


def made_by(nodes: Mapping[str, NetworkNode], name: str) -> list[NetworkNode]:
    """The node called ``name``, and those that are folded into it."""
    names = reached([name], lambda one: [before for before in nodes[one].inputs if nodes[before].folded])
    return [nodes[one] for one in names]


def budgets(nodes: Iterable[NetworkNode]) -> dict[str, int]:
    """The least budgets of ``nodes``, of results and, if they have any, of weights."""
    least: dict[str, int] = {}
    for node in nodes:
        bits = node.settings.bits
        results = min(map(bits.of, {"result", *node.layer.variables()} - FACTORS))
        least["result"] = min(results, least.get("result", results))
        if FACTORS.intersection(node.layer.variables()):
            least["weight"] = min(bits.weight, least.get("weight", bits.weight))
    return least


def excused(nodes: Iterable[NetworkNode]) -> bool:
    """Return True if formats of the user's that are not wide may cost any error."""
    return any(node.is_given and any(fmt.width < _WIDE for fmt in node.settings.precision.values()) for node in nodes)


def allowance(nodes: Iterable[NetworkNode]) -> float:
    """Return the error that the budgets of ``nodes`` may cost, over that of 16 bits; 1 if they have as many."""
    return 2.0 ** max(AUTO_BITS - min(budgets(nodes).values()), 0)


def explains(nodes: Iterable[NetworkNode], error: float) -> bool:
    """Return True if few bits of ``nodes`` explain an error of their own of that share of the range."""
    few = min(budgets(nodes).values())
    return few < AUTO_BITS and error <= _MOST_STEPS * 2.0**-few
