"""Schedules of sparsity, by hls4ml's names: how much of the resources is to go at each step of a loop that prunes.

Each begins at ``initial_sparsity`` and never exceeds ``final_sparsity``, both from 0 to 1. ``update_step`` is called after a step
that kept the metric, ``repair_step`` after another; both return whether the sparsity has changed, and the sparsity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from bitsmith.errors import ConfigError


class OptimizationScheduler(ABC):
    """A schedule; subclasses say how the sparsity goes on."""

    def __init__(self, initial_sparsity: float = 0.0, final_sparsity: float = 1.0) -> None:
        for name, value in (("initial_sparsity", initial_sparsity), ("final_sparsity", final_sparsity)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{value}", where=name, accepted="a share from 0 to 1")
        self.sparsity, self.lower_bound, self.upper_bound = initial_sparsity, initial_sparsity, final_sparsity

    @abstractmethod
    def update_step(self) -> tuple[bool, float]:
        """Return whether there is a further sparsity, and the sparsity from now on."""

    @abstractmethod
    def repair_step(self) -> tuple[bool, float]:
        """Return the same after a step whose metric was too low."""

    def get_sparsity(self) -> float:
        """Return the sparsity."""
        return self.sparsity

    def _moved(self, sparsity: float | None) -> tuple[bool, float]:
        """Take another sparsity; None keeps it."""
        self.sparsity = self.sparsity if sparsity is None else sparsity
        return sparsity is not None, self.sparsity


class ConstantScheduler(OptimizationScheduler):
    """The same amount more at each step."""

    def __init__(self, initial_sparsity: float = 0.0, final_sparsity: float = 1.0, update_step: float = 0.05) -> None:
        super().__init__(initial_sparsity, final_sparsity)
        self.increment = update_step

    def update_step(self) -> tuple[bool, float]:
        following = self.sparsity + self.increment
        return self._moved(following if following <= self.upper_bound else None)

    def repair_step(self) -> tuple[bool, float]:
        return self.update_step()


class BinaryScheduler(OptimizationScheduler):
    """Half of the way to what failed, or to the last that did not, until that is less than a ``threshold``."""

    def __init__(self, initial_sparsity: float = 0.0, final_sparsity: float = 1.0, threshold: float = 0.01) -> None:
        super().__init__(initial_sparsity, final_sparsity)
        self.threshold = threshold

    def update_step(self) -> tuple[bool, float]:
        self.lower_bound = self.sparsity
        return self._between()

    def repair_step(self) -> tuple[bool, float]:
        self.upper_bound = self.sparsity
        return self._between()

    def _between(self) -> tuple[bool, float]:
        far = self.upper_bound - self.lower_bound >= self.threshold
        return self._moved((self.lower_bound + self.upper_bound) / 2 if far else None)


class PolynomialScheduler(OptimizationScheduler):
    """Ever smaller amounts (M. Zhu and S. Gupta, To prune, or not to prune, 2017)."""

    def __init__(
        self, maximum_steps: int, initial_sparsity: float = 0.0, final_sparsity: float = 1.0, decay_power: float = 3
    ) -> None:
        super().__init__(initial_sparsity, final_sparsity)
        self.maximum_steps, self.decay_power, self.current_step = maximum_steps, decay_power, 0

    def update_step(self) -> tuple[bool, float]:
        if self.current_step >= self.maximum_steps:
            return self._moved(None)
        self.current_step += 1
        left = (1 - self.current_step / self.maximum_steps) ** self.decay_power
        return self._moved(self.upper_bound + (self.lower_bound - self.upper_bound) * left)

    def repair_step(self) -> tuple[bool, float]:
        return self.update_step()
