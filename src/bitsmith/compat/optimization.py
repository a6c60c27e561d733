"""hls4ml's function that prunes a Keras model while it trains, with the names of its objectives and schedules.

Prices are those of :func:`bitsmith.cost`, of the circuit that ``hls_config`` gives; importances are magnitudes of weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import tell, warn
from bitsmith.config.resolving import ConfigLike
from bitsmith.conversion.conversion import convert
from bitsmith.errors import BitsmithWarning, ConfigError
from bitsmith.model.cost import Cost
from bitsmith.model.masks import Masks
from bitsmith.model.pricing import cost

_CALIBRATION = 1000
"""Most samples that ranges of ``auto`` follow from."""

_LEAST = 1e-9
"""Least share of the resources that stays: budgets are positive."""

_ABOVE_ONE = 1 + 1e-9
"""Least budget that is no share."""

_RANKS: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {"l1": np.abs, "l2": np.square}


class ObjectiveEstimator:
    """A resource that a loop saves."""

    resource: ClassVar[str]


class ParameterEstimator(ObjectiveEstimator):
    """The number of weights."""

    resource = "weights"


class VivadoDSPEstimator(ObjectiveEstimator):
    """Multiplier blocks."""

    resource = "dsp"


class VivadoFFEstimator(ObjectiveEstimator):
    """Flip-flops."""

    resource = "ff"


class VivadoMultiObjectiveEstimator(ObjectiveEstimator):
    """Multiplier blocks, with which the words of memories go that have their weights."""

    resource = "dsp"


class LUTEstimator(ObjectiveEstimator):
    """Look-up tables; hls4ml has no such objective."""

    resource = "lut"


class OptimizationScheduler(ABC):
    """A schedule of sparsity, how much of the resource is to go at each step: from ``initial_sparsity`` to ``final_sparsity``.

    ``update_step`` is called after a step that kept the metric, ``repair_step`` after another; both return whether the sparsity
    has changed, and the sparsity.
    """

    def __init__(self, initial_sparsity: float = 0.0, final_sparsity: float = 1.0) -> None:
        for name, value in (("initial_sparsity", initial_sparsity), ("final_sparsity", final_sparsity)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{value}", where=name, accepted="a share from 0 to 1")
        self.sparsity, self.lower_bound, self.upper_bound = initial_sparsity, initial_sparsity, final_sparsity

    @abstractmethod
    def update_step(self) -> tuple[bool, float]:
        """Return whether there is a further sparsity, and the sparsity from now on."""

    def repair_step(self) -> tuple[bool, float]:
        """Return the same after a step whose metric was too low."""
        return self.update_step()

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


def optimize_keras_model_for_hls4ml(
    keras_model: Any,
    hls_config: ConfigLike,
    objective: type[ObjectiveEstimator] | ObjectiveEstimator,
    scheduler: OptimizationScheduler,
    X_train: npt.NDArray[Any],
    y_train: npt.NDArray[Any],
    X_val: npt.NDArray[Any],
    y_val: npt.NDArray[Any],
    batch_size: int,
    epochs: int,
    optimizer: Any,
    loss_fn: Any,
    validation_metric: Any,
    increasing: bool,
    rtol: float,
    callbacks: Sequence[Any] | None = None,
    ranking_metric: str = "l1",
    local: bool = False,
    verbose: bool = False,
    rewinding_epochs: int = 1,
    cutoff_bad_trials: int = 3,
    directory: str = "",
    tuner: str = "",
    knapsack_solver: str = "",
    regularization_range: Sequence[float] = (),
) -> Any:
    """Prune a Keras model step by step, as long as its metric stays; the model has the best weights then, and is returned.

    Arguments are those of hls4ml. ``directory``, ``tuner``, ``knapsack_solver`` and ``regularization_range`` have no effect: no
    regularization is tuned, and groups are taken by their importance for their price. A warning names the last three if they
    are given.

    Raises:
        ConfigError: an argument that is not known, or a circuit that has nothing of the resource.
    """
    _warn_of_no_effect(tuner=tuner, regularization_range=regularization_range, knapsack_solver=knapsack_solver)
    if epochs <= rewinding_epochs:
        raise ConfigError(f"{epochs}", where="epochs", accepted=f"more than the {rewinding_epochs} rewinding_epochs")
    if ranking_metric not in _RANKS:
        raise ConfigError(repr(ranking_metric), where="ranking_metric", accepted=", ".join(_RANKS))
    if not isinstance(getattr(objective, "resource", None), str):
        accepted = ", ".join(each.__name__ for each in ObjectiveEstimator.__subclasses__())
        raise ConfigError(repr(objective), where="objective", accepted=accepted)
    compiled = {"loss": loss_fn, "metrics": [validation_metric]}
    fitted = {"batch_size": batch_size, "callbacks": callbacks, "verbose": 2 * verbose}
    training = _Training(keras_model, optimizer, compiled, fitted, (X_train, y_train), (X_val, y_val))
    loop = _Loop(keras_model, hls_config, objective.resource, ranking_metric, local, X_train[:_CALIBRATION])
    training.run(0)
    wanted, best = rtol * training.metric(), keras_model.get_weights()
    more, bad = True, 0
    while more and bad <= cutoff_bad_trials:
        loop.prune(scheduler.get_sparsity())
        training.run(epochs - rewinding_epochs)
        found = training.metric()
        tell(f"{scheduler.get_sparsity():.0%} of {objective.resource} removed, metric {found:.4g}")
        good = found >= wanted if increasing else found <= wanted
        if good:
            best = keras_model.get_weights()
        bad = 0 if good else bad + 1
        more, _ = scheduler.update_step() if good else scheduler.repair_step()
        loop.release()
        if more and bad <= cutoff_bad_trials:
            training.run(rewinding_epochs)
    keras_model.set_weights(best)
    return keras_model


def _warn_of_no_effect(**given: Sequence[object]) -> None:
    """Warn of arguments that hls4ml's results depend on, and these do not."""
    idle = [name for name, value in given.items() if len(value)]
    if idle:
        named = ", ".join(idle)
        message = (
            f"{named}: no effect here, as no regularization is tuned and groups are taken by importance for their price"
        )
        warn(message, BitsmithWarning)


@dataclass(frozen=True, slots=True)
class _Training:
    """A Keras model, and how it is trained: an optimizer, arguments of its methods, and samples with labels."""

    model: Any
    optimizer: Any
    compiled: Mapping[str, Any]
    fitted: Mapping[str, Any]
    train: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    held: tuple[npt.NDArray[Any], npt.NDArray[Any]]

    def run(self, epochs: int) -> None:
        """Train, with an optimizer that has no moments of steps before."""
        optimizer = self.optimizer
        fresh = optimizer if isinstance(optimizer, str) else type(optimizer).from_config(optimizer.get_config())
        self.model.compile(fresh, **self.compiled)
        if epochs:
            self.model.fit(*self.train, epochs=epochs, **self.fitted)

    def metric(self) -> float:
        """The metric of the samples that are held out."""
        return float(self.model.evaluate(*self.held, batch_size=self.fitted["batch_size"], verbose=0)[-1])


@dataclass(slots=True)
class _Loop:
    """A model, the resource that is saved, and how much of it there was at first."""

    model: Any
    config: ConfigLike
    resource: str
    rank: str
    local: bool
    samples: npt.NDArray[Any]
    first: Mapping[str, float] | None = None

    def prune(self, sparsity: float) -> None:
        """Remove so much of the resource, and keep the weights away."""
        prices = cost(convert(self.model, None, self.config, calibration=self.samples, check=False))
        if self.first is None:
            self.first = {name: float(prices[name].price(self.resource).sum()) for name in prices}
            if not any(self.first.values()):
                remedy = "set ReuseFactor, whose products take multiplier blocks, or choose ParameterEstimator or LUTEstimator"
                raise ConfigError(f"a circuit without {self.resource}", where="objective", remedy=remedy)
        for name, mask in self._masks(prices, max(1 - sparsity, _LEAST), self.first).items():
            kernel = self.model.get_layer(name).kernel
            kernel.assign(np.asarray(kernel) * mask)
            _constrain(kernel, _Masked(mask.astype(np.float32)))

    def release(self) -> None:
        """Let all weights grow again."""
        for name in self.first or ():
            _constrain(self.model.get_layer(name).kernel, None)

    def _masks(self, prices: Cost, share: float, first: Mapping[str, float]) -> Masks:
        importance = {
            name: _RANKS[self.rank](np.asarray(self.model.get_layer(name).kernel, dtype=np.float64))
            for name in prices
            if first.get(name)
        }
        parts = [{name: each} for name, each in importance.items()] if self.local else [importance]
        masks: Masks = {}
        for part in parts:
            serve = all(prices[name].multiplier is not None for name in part)
            budget = share * sum(first[name] for name in part)
            masks |= prices.masks(part, {self.resource: max(budget, _ABOVE_ONE)}, "pattern" if serve else "weight")
        return masks


@dataclass(frozen=True, slots=True)
class _Masked:
    """A constraint of a kernel: what was removed stays away, after each step of the optimizer."""

    mask: npt.NDArray[np.float32]

    def __call__(self, kernel: Any) -> Any:
        return kernel * self.mask


def _constrain(variable: Any, constraint: _Masked | None) -> None:
    """Set the constraint of a variable of Keras 3, or of TensorFlow."""
    try:
        variable.constraint = constraint
    except AttributeError:
        variable._constraint = constraint
