"""The effect of small errors in a node's result on the outputs of a float network.

In: a network with real inputs, and a node. Out: for each element of each sample of the node's result the squared difference of
the outputs, as a share of their variance, that a squared difference there makes. Method: each channel is moved by a part of its
spread, up and down at random, and what depends on it is evaluated again. Samples and positions share a channel's effect as the
function of single numbers that reads them moves there: nothing comes through a rectifier that is shut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network

_MOVED = 0.25
"""Part of a channel's standard deviation by which it is moved."""

_SAMPLES, _FEWEST, _ELEMENTS = 128, 16, 1 << 24
"""Most samples that are moved, the fewest, and elements that are computed again for it: above those, channels move together."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A network with all its ``results`` for some samples."""

    network: Network
    results: Mapping[str, Floats]

    @classmethod
    def of(cls, network: Network, inputs: Sequence[Floats]) -> Sensitivity:
        """The sensitivity of a network at some samples."""
        return cls(network, {node.name: result for node, _, result in network.evaluation(inputs)})

    def at(self, name: str) -> Floats:
        """The effect of each element of a node's result.

        Where no output shows anything, and of networks whose samples depend on those before, that is its :meth:`own`.
        """
        result = self.results[name]
        spread = result.reshape(-1, result.shape[-1]).std(axis=0)
        if self.network.stateful:
            return self.own(name)
        step = np.where(spread > 0.0, _MOVED * spread, _MOVED)
        effects = self._of_channels(name, step)
        if not np.any(effects > 0.0):
            return self.own(name)
        opened = self._opened(name, step)
        mean = opened.reshape(-1, len(step)).mean(axis=0)
        return np.asarray(np.where(mean > 0.0, opened / np.where(mean > 0.0, mean, 1.0), 1.0) * effects)

    def own(self, name: str) -> Floats:
        """The share of its own variance that a squared difference of each element is."""
        result = self.results[name]
        return np.broadcast_to(1.0 / (result.var(axis=0).sum() or 1.0), result.shape)

    def _of_channels(self, name: str, step: Floats) -> Floats:
        """The mean effect of an element of each channel."""
        result, channels = self.results[name], len(step)
        again = sum(self.results[each].size for each in self._later(name)) // len(result) + 1
        groups = min(channels, max(_ELEMENTS // (_FEWEST * again), 1))
        few = result[: min(max(_ELEMENTS // (groups * again), _FEWEST), _SAMPLES)]
        signs = 1.0 - 2.0 * np.random.default_rng(0).integers(0, 2, few.shape)
        own = np.arange(channels) % groups == np.arange(groups)[:, None]
        moved = few + signs * step * own.reshape(groups, *(1,) * (few.ndim - 1), channels)
        changes = self._changes(name, moved) / np.where(own, step**2, 0.0).sum(axis=1)
        return np.asarray(changes[np.arange(channels) % groups] * len(few) * channels / few.size)

    def _later(self, name: str) -> Iterator[str]:
        """The nodes that depend on one."""
        found = {name}
        for node in self.network.nodes:
            if not found.isdisjoint(node.inputs):
                found.add(node.name)
                yield node.name

    def _changes(self, name: str, moved: Floats) -> Floats:
        """The squared differences of all outputs, as shares of their variance, for several ``moved`` results of a node."""
        times, samples = moved.shape[:2]
        results, changes = {name: moved.reshape(-1, *moved.shape[2:])}, np.zeros(times)
        for node in self.network.nodes:
            if not results.keys().isdisjoint(node.inputs):
                plain = ((each, self.results[each][:samples]) for each in node.inputs)
                operands = [results[x] if x in results else np.concatenate(times * [y]) for x, y in plain]
                results[node.name] = node.layer.reference(operands)
            if node.name in results and node.name in self.network.outputs:
                every = self.results[node.name]
                squared = (results[node.name].reshape(times, samples, *every.shape[1:]) - every[:samples]) ** 2
                changes += squared.reshape(times, -1).sum(axis=1) / samples / (every.var(axis=0).sum() or 1.0)
        return changes

    def _opened(self, name: str, step: Floats) -> Floats:
        """Squared slopes of the function of single numbers that alone reads a result; 1 without one."""
        result, readers = self.results[name], self.network.consumers(name)
        if len(readers) != 1 or name in self.network.outputs or not readers[0].layer.traits.elementwise:
            return np.ones(result.shape)
        if len(readers[0].inputs) != 1:
            return np.ones(result.shape)
        below, above = (readers[0].layer.reference([result + each * step]) for each in (-1.0, 1.0))
        return np.asarray(((above - below) / (2.0 * step)) ** 2)
