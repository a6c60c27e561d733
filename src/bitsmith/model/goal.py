"""Goals: bounds of a circuit's score, area and speed, and the figure that is to be least within them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from bitsmith.config.latency import read_latency
from bitsmith.config.reading import Problems, did_you_mean, listed, plain, shown
from bitsmith.config.values import read_part
from bitsmith.devices.family import Part
from bitsmith.errors import ConfigError
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import packed_luts
from bitsmith.fidelity.scores import METRICS, CustomMetric, Score, Yardstick
from bitsmith.layers.layer import Floats
from bitsmith.options.signature import answering

Minimized: TypeAlias = Literal["lut", "ff", "dsp", "bram", "interval", "latency"]
"""Figures that can be least."""

LOSS = 0.005
"""Loss against the float model that a goal allows unless it says another: half a percent of the samples, or of a range."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal of :func:`bitsmith.fit`. Bounds that are None are none.

    Attributes:
        metric: of labels ``accuracy``, ``auc``, ``rmse`` (a share of their spread) or ``mse`` (of their variance). Beside the
            float model ``agreement`` of decisions or ``error`` (mean difference, a share of its range). Or a function of outputs
            and labels of which more is better. Default: what the labels mean, as in :func:`bitsmith.explore`.
        loss: how much worse than the float model's the metric may be: 0.005 is half a percent of the samples, or of a range.
            Default: 0.005, unless ``limit`` says more.
        limit: what the metric must reach in itself: at least, or of errors at most.
        lut: most look-up tables, as place and route packs them.
        ff: most flip-flops.
        dsp: most multiplier blocks.
        bram: most memory blocks.
        latency: most cycles from a sample to its result, or text such as ``'50 ns'``, which is ``latency_ns``.
        latency_ns: the same in nanoseconds, at the clock of the conversion.
        interval: most cycles from one result to the next.
        frames_per_second: fewest results in a second, at the clock of the conversion.
        fmax: least clock in MHz that place and route is to reach, also where its estimate is as wrong as it ever was. It is the
            clock of the conversion unless that has another.
        part: part that must hold the circuit, with room for routing.
        board: board, whose part must.
        minimize: figure that is to be least: ``lut``, ``ff``, ``dsp``, ``bram``, ``interval`` or ``latency``.
    """

    metric: str | CustomMetric | None = None
    loss: float | None = None
    limit: float | None = None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram: int | None = None
    latency: int | str | None = None
    latency_ns: float | None = None
    interval: int | None = None
    frames_per_second: float | None = None
    fmax: float | None = None
    part: str | None = None
    board: str | Path | None = None
    minimize: Minimized = "lut"

    @staticmethod
    def of(goal: object) -> Goal:
        """A goal, also of a dictionary; None is one without bounds but the usual loss.

        Raises:
            ConfigError: a name or a value without meaning.
        """
        if isinstance(goal, Goal):
            return goal
        names = [field.name for field in fields(Goal)]
        if not isinstance(goal, Mapping | None):
            remedy = "" if isinstance(goal, str) else "give samples and labels as one argument: data=(x, labels)"
            raise ConfigError(shown(goal), where="goal", accepted='a dictionary, such as {"loss": 0.01}', remedy=remedy)
        for name in goal or {}:
            if name not in names:
                raise ConfigError(shown(name), where="goal", accepted=listed(names), remedy=did_you_mean(name, names))
        made: Callable[..., Goal] = Goal
        return made(**dict(goal or {}))

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            ConfigError: some have no meaning; all at once.
        """
        problems = Problems()

        def named(value: object, where: str, names: Sequence[str]) -> None:
            if value not in names:
                remedy = did_you_mean(value, names) if isinstance(value, str) else ""
                problems.add(shown(value), where=f"goal {where}", accepted=listed(names), remedy=remedy)

        if self.metric is not None and not callable(self.metric):
            named(self.metric, "metric", tuple(METRICS))
        named(self.minimize, "minimize", get_args(Minimized))
        most_ns = None
        if isinstance(self.latency, str) and (most := problems.attempt(read_latency, self.latency, "goal latency")):
            most_ns = most.most if most.in_ns and not most.exactly else None
            if not most.exactly:
                object.__setattr__(self, "latency", None if most.in_ns else int(most.most))
        for name, least, kinds in _NUMBERS:
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not least <= value):
                accepted = f"{'an integer' if kinds is int else 'a number'} from {least:g} on"
                remedy = "give latency beside the goal for that of a build" if name == "latency" else ""
                problems.add(shown(value), where=f"goal {name}", accepted=accepted, remedy=remedy)
        if self.part is not None:
            problems.attempt(read_part, self.part, "goal part")
        if self.loss is not None and self.limit is not None:
            found = "a loss against the float model, and a limit of the metric"
            problems.add(found, where="goal", accepted="one of the two")
        problems.finish()
        if most_ns is not None:
            least_ns = most_ns if self.latency_ns is None else min(most_ns, self.latency_ns)
            object.__setattr__(self, "latency_ns", least_ns)

    @property
    def score(self) -> Score | CustomMetric | None:
        """The kind of score, or the user's function; None: what labels mean."""
        return METRICS[self.metric] if isinstance(self.metric, str) else self.metric

    @property
    def allowed(self) -> float | None:
        """The loss against the float model that is allowed; None where a limit of the metric says more."""
        if self.limit is not None:
            return None
        return LOSS if self.loss is None else self.loss

    def check(self, yardstick: Yardstick) -> None:
        """Raise a ConfigError for percents in place of shares: a loss or a limit that the yardstick's scores never reach."""
        kinds = _kinds(yardstick)
        if Score.CUSTOM in kinds:
            return
        if self.loss is not None and self.loss >= 1:
            raise ConfigError(f"{self.loss:g}", where="goal loss", accepted="a share below 1: 0.01 is one percent")
        if self.limit is not None and self.limit > 1 and any(kind.rises for kind in kinds):
            raise ConfigError(f"{self.limit:g}", where="goal limit", accepted="a share up to 1: 0.95 is 95 percent")

    def excess_of(self, yardstick: Yardstick, outputs: Sequence[Floats], *scores: Sequence[float]) -> float:
        """Return by how much the worst of some scores of ``outputs`` is worse than allowed: by all if these tell nothing."""
        return 1.0 if yardstick.tells_nothing(outputs) else max(self.excess(yardstick, each) for each in scores)

    def excess(self, yardstick: Yardstick, scores: Sequence[float]) -> float:
        """Return by how much scores are worse than the goal allows; 0 or less where they are good enough."""
        if self.limit is None:
            return yardstick.loss(scores) - (self.allowed or 0.0) - _ROUNDING
        kinds = _kinds(yardstick)
        beyond = (
            self.limit - score if kind.rises else score - self.limit for kind, score in zip(kinds, scores, strict=True)
        )
        return max(beyond) - _ROUNDING

    def limits(self, clock_ns: float, samples: int) -> dict[str, int]:
        """The most of each figure that is bounded, in cycles of ``clock_ns`` for so many ``samples`` where it is a time."""
        bounds = {name: getattr(self, name) for name in get_args(Minimized)}
        if self.latency_ns is not None:
            bounds["latency"] = min(bounds["latency"] or _MANY, int(self.latency_ns / clock_ns + _ROUNDING))
        if self.frames_per_second is not None:
            most = int(1e9 * samples / (self.frames_per_second * clock_ns) + _ROUNDING)
            bounds["interval"] = min(bounds["interval"] or _MANY, most)
        if self.fmax is not None:
            bounds["clock_ps"] = int(1e6 / self.fmax + _ROUNDING)
        return {name: most for name, most in bounds.items() if most is not None}

    def cost(self, size: Size, part: Part) -> float:
        """The figure that is to be least, as far as formats decide it; look-up tables decide between equal ones."""
        luts = packed_luts(size, part)
        figures = {"ff": size.ff, "dsp": size.dsp, "bram": size.bram}
        return figures.get(self.minimize, luts) + _OF_A_LUT * luts

    @property
    def wants_latency(self) -> bool:
        """Return True if latencies, which take circuits that are made, matter."""
        return self.minimize == "latency" or self.latency is not None or self.latency_ns is not None


def _kinds(yardstick: Yardstick) -> list[Score]:
    """The kinds of its scores; without labels the one beside the float model."""
    return [measure.score for measure in yardstick.measures] or [Score.ERROR]


_MANY, _OF_A_LUT = 1 << 62, 1e-6
_NUMBERS: tuple[tuple[str, float, type[int] | tuple[type[int], type[float]]], ...] = (
    ("loss", 0.0, (int, float)),
    ("limit", float("-inf"), (int, float)),
    *((name, 0, int) for name in ("lut", "ff", "dsp", "bram")),
    *((name, 1, int) for name in ("latency", "interval")),
    ("latency_ns", 0.0, (int, float)),
    *((name, 1e-9, (int, float)) for name in ("frames_per_second", "fmax")),
)
"""Bounds that are numbers, the least of each, and its types."""

type.__setattr__(Goal, "__init__", answering(Goal.__init__, {bound.name for bound in fields(Goal)}))
