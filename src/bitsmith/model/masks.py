"""Choice of the weights that stay: the most important ones that resources allow, weight by weight, or in groups.

In: the price, group and importance of each weight, by layer, and budgets. Out: masks, True where a weight stays.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ConfigError

Floats: TypeAlias = npt.NDArray[np.float64]
Masks: TypeAlias = dict[str, npt.NDArray[np.bool_]]


class Structure(enum.Enum):
    """Weights that are removed together: one, those of an output channel, a block of the matrix, or those of a multiplier."""

    WEIGHT = "weight"
    CHANNEL = "channel"
    BLOCK = "block"
    PATTERN = "pattern"


_ALSO = {"unstructured": Structure.WEIGHT, "structured": Structure.CHANNEL}
"""Names of other tools."""


def read_structure(name: str | Structure) -> Structure:
    """The structure of that name; raises a ConfigError if there is none."""
    known = {each.value: each for each in Structure} | _ALSO
    found = name if isinstance(name, Structure) else known.get(name)
    if found is None:
        raise ConfigError(repr(name), where="structure", accepted=", ".join(known))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The weights of a layer: the group of each, its importance, its price in each resource, and whether it is there now."""

    groups: npt.NDArray[np.int64]
    importance: Floats
    prices: Sequence[Floats]
    there: npt.NDArray[np.bool_]


def knapsack(layers: Mapping[str, Candidates], budgets: Sequence[float]) -> Masks:
    """Masks of the layers whose prices, summed, are within ``budgets``.

    Groups are taken in the order of their importance for their price, each price as a share of its budget. One that does not
    fit any more is left out. Weights that are not there now are left out, unless others of their group stay.
    """
    worth, prices, sizes = [], [], []
    for layer in layers.values():
        count = int(layer.groups.max(initial=-1)) + 1
        sizes.append(count)

        there = _summed(layer.there.astype(np.float64), layer.groups, count) > 0
        worth.append(np.where(there, _summed(layer.importance, layer.groups, count), -1.0))
        prices.append(np.stack([_summed(price, layer.groups, count) for price in layer.prices]))
    kept = _taken(np.concatenate(worth), np.concatenate(prices, axis=1), np.asarray(budgets, dtype=np.float64))
    parts = np.split(kept, np.cumsum(sizes)[:-1])
    return {name: part[each.groups] for (name, each), part in zip(layers.items(), parts, strict=True)}


def _summed(values: Floats, groups: npt.NDArray[np.int64], count: int) -> Floats:
    """The sum of the values of each group."""
    return np.bincount(groups.ravel(), values.ravel(), count).astype(np.float64)


def _taken(worth: Floats, prices: Floats, budgets: Floats) -> npt.NDArray[np.bool_]:
    """The groups that are taken; those of negative worth are not."""
    taken = np.zeros(len(worth), dtype=np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(prices > 0, prices / budgets[:, None], 0.0).sum(axis=0)
        density = np.where(shares > 0, worth / shares, np.inf)
    left = budgets * (1 + 1e-9)
    for group in np.argsort(-density, kind="stable"):
        if worth[group] >= 0 and bool(np.all(prices[:, group] <= left)):
            taken[group] = True
            left = left - prices[:, group]
    return taken
