"""Results of fits: the circuit that meets a goal, why it was chosen, and the trade-offs around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from bitsmith.base.project import write_atomically
from bitsmith.conversion.exploration import Exploration
from bitsmith.errors import CapacityError
from bitsmith.estimate.needs import needs
from bitsmith.estimate.obstacle import crowding
from bitsmith.layers.layer import Floats
from bitsmith.model import Model
from bitsmith.model.goal import Goal
from bitsmith.model.points import Point
from bitsmith.report.sections import percent

__all__ = ["Fitted"]

CONFIGURATION, CALIBRATION = "fitted.yml", "calibration.npy"
"""Files of :meth:`Fitted.write` beside the page."""

_NAMES = {
    "lut": "look-up tables",
    "ff": "flip-flops",
    "dsp": "multiplier blocks",
    "bram": "memory blocks",
    "interval": "cycles per result",
    "latency": "cycles from sample to result",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Exploration):
    """The result of :func:`bitsmith.fit`; it prints as a table. Points, the front and the page are those of an exploration.

    Scores and losses of points are those of the held-out data.

    Attributes:
        goal: what was asked for.
        limits: bounds of area and speed, in cycles where they are times.
        chosen: the one that meets the goal; None if none does.
        losses: margin of the loss by held-out labels, within which 95 % of other draws of samples are; the loss that is to be
            expected of other samples, as these tell it; and the margin of that.
        samples: numbers of samples that were fitted on, and held out.
        calibration: the inputs that formats follow from, which ``convert`` needs beside the configuration.
        tried: networks that were tried.
        interrupted: the search was stopped before its end.
        converted: makes the model of a point.
    """

    goal: Goal
    limits: Mapping[str, int]
    chosen: Point | None
    losses: tuple[float, float, float]
    samples: tuple[int, int]
    calibration: Sequence[Floats]
    tried: int
    interrupted: bool
    converted: Callable[[Point], Model]

    def best(self, loss: float | None = None) -> Point:
        """The circuit that meets the goal; with ``loss`` as :meth:`Exploration.best` has it.

        Raises:
            CapacityError: none does.
        """
        if loss is not None:
            return Exploration.best(self, loss)
        if self.chosen is None:
            raise CapacityError(self.verdict, where="fit", remedy="relax one of the bounds, or take a larger part")
        return self.chosen

    @property
    def model(self) -> Model:
        """The converted model that meets the goal.

        Raises:
            CapacityError: none does.
        """
        return self.converted(self.best())

    @property
    def configuration(self) -> dict[str, object]:
        """The configuration of the chosen circuit, for :func:`bitsmith.convert` with the same calibration data.

        Raises:
            CapacityError: none meets the goal.
        """
        return self.config(self.best())

    @property
    def verdict(self) -> str:
        """The choice with its reason, or which bound keeps everything from meeting the goal."""
        stopped = " (interrupted)" if self.interrupted else ""
        if self.chosen is None:
            return f"No circuit of {self.tried:,} networks meets the goal{stopped}: {self._tight}"
        point, yardstick = self.chosen, self.yardstick
        held, fitted = (yardstick.text(scores) for scores in (point.scores, point.fitting))
        reference = yardstick.references
        float_model = f", the float model {reference}" if reference else ""
        too_few = f" {self.too_few[:1].upper()}{self.too_few[1:]}." if self.too_few else ""
        return (
            f"{point.text}: {held} {yardstick.kinds} on {self.samples[1]:,} held-out samples ({fitted} on those fitted on"
            f"{float_model}), a loss of "
            f"{_signed(point.loss)} +- {percent(self.margin)}, of others {_signed(self.losses[1])} +- {percent(self.losses[2])}, "
            f"in {self.takes(point)}. Of {self.tried:,} networks that were tried "
            f"it has the fewest {_NAMES[self.goal.minimize]} within the goal{stopped}.{too_few}"
        )

    @property
    def margin(self) -> float:
        """Distance within which the loss of 95 % of other draws of samples is from that of the held-out ones."""
        return self.losses[0]

    @property
    def too_few(self) -> str:
        """Loss that the held-out samples cannot tell, and how many could; empty if they are enough."""
        allowed = self.goal.allowed
        if self.chosen is None or not allowed or self.margin <= allowed:
            return ""
        enough = sum(self.samples) * (self.margin / allowed) ** 2
        return (
            f"{self.samples[1]:,} held-out samples tell a loss to +- {percent(self.margin)}, which is more than the "
            f"{percent(allowed)} that the goal allows: other samples may lose more; about {_rounded(enough):,} samples in all "
            "would tell"
        )

    @property
    def _tight(self) -> str:
        """The bounds, each of which alone would have to be relaxed, and to what."""
        ways = " or ".join(self._relaxations())
        return f"it takes {ways}, with all other bounds as they are." if ways else self._several

    @property
    def _several(self) -> str:
        """The bounds that the circuit exceeds which exceeds fewest."""
        able = [each for each in self.points if each.excess <= 0] or self.points
        near = min(able, key=lambda each: len(beyond(each, self.limits)))
        exceeded = sorted(beyond(near, self.limits) - {"part"})
        takes = [self._instead(name, near.figures[name]) for name in exceeded]
        instead = f"; the nearest circuit has {' and '.join(takes)}" if takes else ""
        return f"no bound alone is in the way{instead}. Relax several, or take a larger part."

    def _relaxations(self) -> Iterator[str]:
        """For each bound what the best circuit has that meets all others."""
        for name in self.limits:
            able = [each for each in self.points if each.excess <= 0 and beyond(each, self.limits) == {name}]
            if able:
                yield self._instead(name, min(each.figures[name] for each in able))
        able = [each for each in self.points if each.excess > 0 and not beyond(each, self.limits)]
        if able:
            near = min(able, key=lambda each: each.excess)
            asked = "limit" if self.goal.limit is not None else "loss"
            scores, by = self.yardstick.text(near.scores), _in_figures(near.excess, 2, math.ceil)
            yield f"a {asked} that is {by} more lenient (then {scores} {self.yardstick.kinds})"
        able = [each for each in self.points if each.excess <= 0 and beyond(each, self.limits) == {"part"}]
        if able:
            small = min(able, key=lambda each: crowding(each.size, self.part))
            lacking = filter(None, (need.beyond for need in needs(small.size, self.part)))
            yield f"a part with {' and '.join(lacking)} for the smallest circuit ({small.layout or small.text})"

    def _instead(self, name: str, least: int) -> str:
        """A figure beside its bound."""
        if name == "clock_ps":
            return f"fmax={_in_figures(1e6 / least, 4, math.floor)} instead of {self.goal.fmax}"
        times = {"latency": self.goal.latency_ns and f"{self.goal.latency_ns:g} ns", "interval": None}
        unit, asked = " cycles" * (name in times), times.get(name)
        return f"{name}={least:,}{unit} instead of {self.limits[name]:,}{f' ({asked})' if asked else ''}"

    def document(self) -> dict[str, object]:
        """The fit as plain values."""
        chosen = self.chosen
        own: dict[str, object] = {
            "fitted_on": self.samples[0],
            "held_out": self.samples[1],
            "networks": self.tried,
            "interrupted": self.interrupted,
            "chosen": None
            if chosen is None
            else {
                "HLSConfig": self.configuration,
                "IOType": chosen.io_type.value,
                "held_out": list(chosen.scores),
                "fitted_on": list(chosen.fitting),
                "loss": chosen.loss,
                "loss_margin": self.margin,
                "expected_loss": self.losses[1],
                "expected_loss_margin": self.losses[2],
                **chosen.figures,
            },
        }
        return {**Exploration.document(self), **own}

    def write(self, folder: str | Path) -> Path:
        """Write page and picture as an exploration does, ``fitted.yml`` and ``calibration.npy`` of one input; the page's path.

        Raises:
            ProjectError: they cannot be written.
        """
        page = Exploration.write(self, folder)
        if self.chosen is not None:
            text = yaml.safe_dump(self.configuration, sort_keys=False).encode()
            write_atomically(Path(folder) / CONFIGURATION, text)
            if len(self.calibration) == 1:
                (inputs,) = self.calibration
                write_atomically(Path(folder) / CALIBRATION, lambda file: np.save(file, inputs, allow_pickle=False))
        return page

    def __repr__(self) -> str:
        return f"<Fitted: {self.verdict}>"


def _signed(loss: float) -> str:
    return percent(loss) if loss >= 0 else f"-{percent(-loss)}"


def _in_figures(value: float, figures: int, rounded: Callable[[float], int]) -> str:
    """A positive number in a few figures, ``rounded`` so that a bound that is relaxed by it, or to it, is met."""
    unit = 10.0 ** (math.floor(math.log10(value)) + 1 - figures)
    return f"{rounded(value / unit) * unit:.{figures}g}"


def _rounded(count: float) -> int:
    """A number of samples in two figures."""
    unit = int(10 ** max(len(str(int(count))) - 2, 0))
    return math.ceil(count / unit) * unit


def beyond(point: Point, limits: Mapping[str, int]) -> set[str]:
    """The bounds of area and speed that a point does not meet; ``part`` is that the part has no room for it."""
    exceeded = {name for name, most in limits.items() if point.figures[name] > most}
    return exceeded | (set() if point.fits else {"part"})
