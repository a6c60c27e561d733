"""Fits: the circuit of a model that meets a goal with the least area, found by a descent over the bits of single layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import Progress, tell, warn
from bitsmith.building.job import Target
from bitsmith.config.model import HLSConfig, loaded, read_hls_config
from bitsmith.config.reading import integer, within
from bitsmith.config.resolving import ConfigLike
from bitsmith.config.values import read_path
from bitsmith.conversion.conversion import Conversion
from bitsmith.conversion.exploration import test_data, with_open_bits
from bitsmith.conversion.fitted import Fitted, beyond
from bitsmith.devices.delay import DEFAULT_CLOCK_UNCERTAINTY
from bitsmith.devices.parts import FAMILIES
from bitsmith.emulate import Emulator
from bitsmith.emulate.samples import Samples, arrays_of
from bitsmith.errors import CapacityError, ConfigError, FewSamplesWarning, InputDataError
from bitsmith.estimate.needs import fits, limited
from bitsmith.fidelity.scores import Yardstick
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.layers.network import Network
from bitsmith.model import Model
from bitsmith.model.descent import Descent, Trial
from bitsmith.model.estimates import least_mhz, planned_cycles
from bitsmith.model.goal import Goal
from bitsmith.model.points import Point, merged
from bitsmith.options.signature import taking
from bitsmith.options.table import Arguments, Further
from bitsmith.passes.network.few_digits import Known

SAMPLES = 10_000
"""Most samples that are fitted on."""

TRIES = 400
"""Most networks that are tried."""

LEAST_SAMPLES = 10
"""Fewest samples that are fitted on, and that are held out."""

_FASTEST_OF = 3
"""Networks among which the least interval is sought: the smallest of those that meet the goal."""

_MOST, _MANY, _WATCHED, _LEAST_WATCHED = 1_000_000_000, 1_000, 1 / 3, 20
"""The largest seed and number of tries. Samples that are fitted on from which on weights can hardly make up for errors on these
alone. Of fewer, the share that tells of networks and that weights do not follow from in the search, and the fewest that can."""

_SHOWN = 12
"""Most networks of the front whose circuits are shown."""

_NINETEEN_OF_TWENTY, _SURE = 1.96, 1.0
"""Standard errors within which 95 % of estimates are, and those that a loss to be expected must be below what is allowed."""

_CHEAPER, _STEADIER = 0.99, 2.0
"""The most that a network may cost of the one before that is asked of held-out samples, and how much more its distance from the
float model says of others than what it loses on fitted samples."""


@taking(Further)
def fit(
    model: AnyModel,
    data: Samples,
    goal: Goal | Mapping[str, object] | None = None,
    config: ConfigLike = None,
    calibration: Samples | None = None,
    weights: str | Path | None = None,
    part: str | None = None,
    clock_period: float | str | None = None,
    *,
    held_out: float = 0.5,
    seed: int = 0,
    tries: int = TRIES,
    resume: str | Path | None = None,
    progress: Progress | None = None,
    **further: Unpack[Further],
) -> Fitted:
    """Find the circuit of ``model`` that meets a goal with the least area: bits, layer by layer, and weights of few digits.

    A part of the data is fitted on, and another, which the search never sees, decides. Sizes are estimates, and scores are those
    of :meth:`Model.predict`: no tool runs, and nothing is written. Ctrl-C ends the search with what it has found.

    Args:
        model: as of :func:`bitsmith.convert`.
        data: inputs and labels, ``(x, y)``, as ``test`` of :func:`bitsmith.explore`; or inputs alone, for which circuits are
            compared with the float model.
        goal: bounds and what is to be least. Default: the fewest look-up tables at a loss of half a percent.
        config: as of :func:`bitsmith.convert`, without bits for the whole model. Its choices for single layers stay.
        calibration: as of :func:`bitsmith.convert`. Default: the inputs that are fitted on.
        held_out: share of the data that decides.
        seed: decides which samples are held out.
        tries: most networks that are tried, beside 16 at most with the same bits in all layers.
        resume: file of results, from which a fit that was stopped goes on, and which is written if it is not there.
        progress: called with a line for each step; by default a terminal shows the latest.
        further: the rest (``docs/options.md``).

    Raises:
        ConfigError: the arguments are wrong, or choose the bits themselves.
        InputDataError: data that do not fit the model, or from which nothing follows: too few, all alike, or labels of one class.
        FewSamplesWarning: the samples that are held out are too few to tell a loss as small as was asked for.
        CapacityError: no network can have exactly the latency that the conversion wants.
        UnsupportedError, RangeError: as of :func:`bitsmith.convert`.

    Examples:
        ```python
        x, labels = bitsmith.utils.fetch_example_data("digits.keras")
        found = bitsmith.fit("digits.keras", (x, labels), bitsmith.Goal(loss=0.01, part="LFE5U-25F"))
        print(found)  # what was chosen, and the best trade-offs
        model = found.model  # to predict and to build
        ```
    """
    arguments = Arguments(weights=weights, calibration=calibration, part=part, clock_period=clock_period, **further)
    from bitsmith.report.live import working

    conversion = Conversion.of(model, None, config, arguments, {})
    tree = loaded(config)
    with working("fitting", progress):
        search = Search(held_out, seed, tries, None if resume is None else read_path(resume, "resume"))
        found = fitted(conversion, data, Goal.of(goal), search, tree if isinstance(tree, Mapping) else {})
    if found.too_few:
        warn(found.too_few, FewSamplesWarning)
    return found


@dataclass(frozen=True, slots=True)
class Search:
    """Share of the data that is held out, the seed of the split, the most networks that are tried, and the file of results."""

    held_out: float = 0.5
    seed: int = 0
    tries: int = TRIES
    resume: Path | None = None

    def check(self) -> None:
        """Raise a ConfigError for values without meaning."""
        within(self.held_out, "held_out", 0.1, 0.9, "a share from 0.1 to 0.9")
        integer(self.tries, "tries", 1, _MOST)
        integer(self.seed, "seed", 0, _MOST)


def fitted(
    conversion: Conversion,
    data: Samples,
    goal: Goal,
    search: Search,
    configuration: Mapping[str, object],
    calls: Callable[[Point], Mapping[str, str]] | None = None,
) -> Fitted:
    """Return the fit of a model that is converted so, whose verdict warns of few samples; raises as :func:`fit`."""
    search.check()
    conversion = _on(conversion, goal)
    data = arrays_of(data)
    inputs: Any = data[0] if isinstance(data, tuple) and len(data) == 2 else data  # which show shapes
    network = replace(conversion, arguments={"calibration": inputs, **_given(conversion)}).network()
    fitting, held = _parts(network, data, goal, search)
    calibrated = "calibration" in _given(conversion)
    arguments: Arguments = {"calibration": list(fitting.inputs), **_given(conversion)}
    conversion = replace(conversion, arguments={**arguments, "fit": False})
    unchecked = replace(conversion, arguments={**conversion.arguments, "check": False})
    model, source = with_open_bits(unchecked, "fit", "give bits of single layers in the configuration, or none")
    watched = 0 if calibrated else _watched(len(fitting.inputs[0]))
    target = model.target if goal.fmax is None else _with_margin(model.target, goal.fmax)
    final, interrupted = Descent(source, target, goal, fitting, search.tries).with_memories_as_wanted(), False
    if goal.fmax is not None:
        project = replace(conversion.project, clock_uncertainty=target.clock_uncertainty)
        conversion = replace(conversion, project=project)
    descent = _apart(final, watched) if watched else final
    if search.resume is not None:
        descent.resume(search.resume)
    try:
        descent.run()
    except KeyboardInterrupt:
        interrupted = True
        if not descent.trials:
            raise
    judge = _Judge(descent, final, held)
    points, chosen, stopped = judge.points()
    return Fitted(
        *(points, model.network.name, model.target.known_part, held, configuration, calls),
        decided=len({trial.cost for trial in descent.trials}) == 1,
        goal=goal,
        limits=descent.limits,
        chosen=chosen,
        losses=(0.0, 0.0, 0.0) if chosen is None else judge.losses(chosen),
        samples=(len(fitting.inputs[0]), len(held.inputs[0])),
        calibration=fitting.inputs,
        tried=len(descent.trials),
        interrupted=interrupted or stopped,
        converted=partial(_converted, conversion),
    )


def _watched(count: int) -> int:
    """The last ones of ``count`` samples, of which weights do not follow during the search; 0: all tell of both."""
    watched = round(_WATCHED * count)
    return watched if watched >= _LEAST_WATCHED and count < _MANY else 0


def _apart(whole: Descent, watched: int) -> Descent:
    """The search of ``whole`` with networks whose weights follow from other samples than those that tell of them."""
    calibration, count = whole.source.calibration, len(whole.yardstick.inputs[0])
    assert calibration is not None
    some = [batch[: count - watched] for batch in calibration]
    source = replace(whole.source, calibration=some, known=Known())
    return replace(
        whole, source=source, yardstick=whole.yardstick.of_samples(np.arange(count - watched, count)), made={}
    )


def _converted(conversion: Conversion, point: Point) -> Model:
    """The model of a point, converted with the user's other choices."""
    project, own = replace(conversion.project, io_type=point.io_type), loaded(conversion.config)
    if isinstance(own, HLSConfig):
        return replace(conversion, project=project, config=own.overlaid(read_hls_config(point.configuration))).model()
    config = merged(own if isinstance(own, Mapping) else {}, point.configuration)
    return replace(conversion, project=project, config=config).model()


def _given(conversion: Conversion) -> Arguments:
    """The arguments of a conversion that say something."""
    return {name: value for name, value in conversion.arguments.items() if value is not None}  # type: ignore[return-value]


def _on(conversion: Conversion, goal: Goal) -> Conversion:
    """The conversion for the part or the board of a goal."""
    project = conversion.project
    wanted = {"part": goal.part, "board": None if goal.board is None else str(goal.board)}
    for name, value in wanted.items():
        said = getattr(project, name)
        if None not in (said, value) and said != value:
            raise ConfigError(f"{said} in the arguments, {value} in the goal", where=name, remedy="keep one of the two")
    chosen = replace(project, part=wanted["part"] or project.part, board=wanted["board"] or project.board)
    if goal.fmax is not None and chosen.clock_period_ns is None:
        chosen = replace(chosen, clock_period_ns=1e3 / goal.fmax)
    return replace(conversion, project=chosen)


def _with_margin(target: Target, fmax: float) -> Target:
    """``target`` with stages so short that place and route reaches ``fmax`` if its clock is as much too slow as it ever was.

    Raises:
        ConfigError: nobody measured that for the family.
    """
    measured = {each.name: each.place_and_route.slower for each in FAMILIES if each.place_and_route is not None}
    slower = measured.get(target.known_part.family.name)
    if slower is None:
        accepted = ", ".join(name for name, share in measured.items() if share is not None)
        found, remedy = f"a part of {target.known_part.family.name}", "give clock_period and clock_uncertainty"
        raise ConfigError(found, where="goal fmax", accepted=accepted, remedy=remedy)
    share = (1.0 - DEFAULT_CLOCK_UNCERTAINTY) * (1.0 - slower) * 1e3 / (fmax * target.clock_period_ns)
    return replace(target, clock_uncertainty=max(target.clock_uncertainty, 1.0 - share))


def _parts(network: Network, data: Samples, goal: Goal, search: Search) -> tuple[Yardstick, Yardstick]:
    """The data that are fitted on, and those that are held out, as yardsticks.

    Raises:
        InputDataError, ConfigError: data from which nothing follows; a loss or a limit that their scores never reach.
    """
    inputs, labels = test_data(network, data)
    count = len(inputs[0])
    first = min(round(count * (1 - search.held_out)), SAMPLES)
    if min(first, count - first) < LEAST_SAMPLES:
        found = f"{first} samples to fit on, and {count - first} that are held out"
        raise InputDataError(
            found, where="data", accepted=f"{LEAST_SAMPLES} or more of both: more data, or other shares"
        )
    if all(_constant(batch) for batch in inputs):
        raise InputDataError("inputs that are all alike", where="data", accepted="inputs as the circuit will see them")
    # Labels for a function may have any shape; it is asked of none that are all alike, which it may not take.
    every = None if callable(goal.score) else Yardstick.of(network, inputs, labels, goal.score)
    for wanted in labels or ():
        if _constant(wanted):
            accepted = "labels of two classes or more, or values that differ"
            raise InputDataError("labels that are all alike", where="data", accepted=accepted)
    order = np.random.default_rng(search.seed).permutation(count)
    every = every or Yardstick.of(network, inputs, labels, goal.score)
    goal.check(every)
    return every.of_samples(order[:first]), every.of_samples(order[first:])


def _constant(values: npt.NDArray[np.generic]) -> bool:
    return bool(np.all(values == values[:1]))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Choice among networks that a descent has tried, by exact sizes and ``held`` data; ``seen`` keeps their scores.

    The networks are ``final`` ones: their weights follow from all samples that are fitted on. Of those that need more cycles than
    the conversion wants exactly, ``refused`` keeps what was said.
    """

    descent: Descent
    final: Descent
    held: Yardstick
    seen: dict[str, tuple[tuple[float, ...], float, float]] = field(default_factory=dict)
    refused: list[CapacityError] = field(default_factory=list)

    def points(self) -> tuple[tuple[Point, ...], Point | None, bool]:
        """The circuits of the front, the one that meets the goal, and whether an interrupt kept others from both.

        There is no circuit that meets the goal if none does.
        """
        judged, interrupted = dict[str, list[Point]](), False
        try:
            self._judge(judged)
        except KeyboardInterrupt:
            interrupted = True
            if not judged:
                raise
        every = [point for points in judged.values() for point in points]
        if not every and self.refused:
            raise self.refused[0]
        goal = self.descent.goal
        chosen = min(filter(self._meets, every), key=lambda point: point.rank(goal.minimize), default=None)
        return tuple(every), chosen, interrupted

    def _judge(self, judged: dict[str, list[Point]]) -> None:
        """Find the circuits of the cheapest networks that the held-out data accept, and of the front, by the keys of trials."""
        in_order = sorted(self.descent.trials, key=lambda trial: (trial.cost, trial.distance))
        fast = self.descent.goal.minimize == "interval"
        left = _FASTEST_OF if fast else 1
        for trial in sorted(self._accepted(), key=lambda trial: (trial.cost, trial.distance)):
            if left:
                judged[trial.key] = self._of(trial, _least_shared(judged), fast=fast)
                left -= any(map(self._meets, judged[trial.key]))
        front, loss = list[Trial](), self.descent.yardstick.loss
        for trial in in_order:
            if not front or loss(trial.scores) < loss(front[-1].scores):
                front.append(trial)
        for trial in front[:: -(-len(front) // _SHOWN)]:
            if trial.key not in judged:
                judged[trial.key] = self._of(trial, _least_shared(judged), fast=False)

    def _accepted(self) -> Iterator[Trial]:
        """Networks that lose no more than the goal allows, as far as held-out samples can tell.

        They are asked in an order that fitted samples alone decide, and the first that may lose more ends it. So all are good
        as often as one that is asked alone, however many there are: a fixed sequence of tests.
        """
        able = [trial for trial in self.descent.trials if trial.excess <= 0]
        least: Trial | None = None
        for trial in _least_likely_to_lose_first(able):
            if least is not None and not self.descent.limits and not _saves(trial, least, self.descent.goal.minimize):
                continue
            least = trial if least is None else min(least, trial, key=lambda each: each.cost)
            _, seen, most = self._held(trial)
            if most > 0:
                return
            if seen <= 0:
                yield trial

    def _held(self, trial: Trial) -> tuple[tuple[float, ...], float, float]:
        """Scores of the held-out samples, and by how much these, and the worst to be expected of others, miss the goal."""
        if trial.key not in self.seen:
            goal, held, laid_out = self.descent.goal, self.held, self.final.layouts(trial.configuration)
            outputs = Emulator(laid_out.compiled.program).run(held.inputs)
            scores, spread = held.of_outputs(outputs), _SURE * held.spread(outputs, Yardstick.expected)
            most = goal.excess_of(held, outputs, held.expected(outputs)) + spread
            self.seen[trial.key] = scores, goal.excess_of(held, outputs, scores), most
        return self.seen[trial.key]

    def _fitting(self, trial: Trial) -> tuple[float, ...]:
        """Scores of the samples that are fitted on, of which the search may have watched a part alone."""
        if self.final is self.descent:
            return trial.scores
        return self.final.yardstick.of_program(self.final.layouts(trial.configuration).compiled.program)

    def losses(self, point: Point) -> tuple[float, float, float]:
        """The margin of a loss by held-out labels, the loss that is to be expected of other samples, and the margin of that."""
        held, outputs = self.held, Emulator(point.compiled.program).run(self.held.inputs)
        margins = held.uncertainty(outputs), held.spread(outputs, Yardstick.expected)
        by_labels, as_expected = (_NINETEEN_OF_TWENTY * each for each in margins)
        return by_labels, held.loss(held.expected(outputs)), as_expected

    def _meets(self, point: Point) -> bool:
        return point.excess <= 0 and not beyond(point, self.descent.limits)

    def _of(self, trial: Trial, near: int | None, *, fast: bool) -> list[Point]:
        """The circuits of a network: as configured, with reuse factors if that is too large, and as slow as the goal allows.

        Reuse factors are sought ``near`` the least interval of other networks. All shorter ones are looked at if the circuit is
        to be ``fast``. Where nothing fits there is the smallest circuit, which says what is in the way.
        """
        tell(f"fit: {trial.common.bits}: sizes and held-out samples")
        laid_out, limits = self.final.final_layouts(trial.configuration), self.descent.limits
        (scores, *excesses), part = self._held(trial), limited(laid_out.part, limits)
        fitting = self._fitting(trial)
        try:
            circuits = [*laid_out.ways(part, near)] if trial.has_room else [laid_out.as_asked]
        except CapacityError as error:
            self.refused.append(error)
            return []
        circuits += laid_out.slower(limits.get("interval", 1))
        shared = [each.size.interval for each in circuits if each is not laid_out.as_asked]
        if fast and shared:
            circuits += laid_out.sooner(part, min(shared))
        if not any(fits(each.size, part) for each in circuits):
            circuits.append(laid_out.smallest(part))
        own, goal, points = {name: dials.bits for name, dials in trial.layers.items()}, self.descent.goal, []
        for circuit in circuits:
            point = laid_out.point(circuit, trial.configuration, trial.common.bits).scored(self.held, scores)
            planned = laid_out.program, circuit.directives, laid_out.target
            latency = planned_cycles(*planned)[0] if goal.wants_latency else None
            point = replace(point, own=own, fitting=fitting, excess=max(trial.excess, *excesses))
            clock = None if goal.fmax is None else math.ceil(1e6 / least_mhz(circuit.size, laid_out.target))
            points.append(replace(point, latency=latency, clock_ps=clock))
        return points


def _saves(trial: Trial, least: Trial, minimized: str) -> bool:
    """Return True if a network costs noticeably less, or a little less and takes noticeably fewer look-up tables."""
    fewer = minimized != "lut" and trial.luts <= _CHEAPER * least.luts
    return trial.cost <= _CHEAPER * least.cost or (trial.cost < least.cost and fewer)


def _least_likely_to_lose_first(trials: Sequence[Trial]) -> list[Trial]:
    """Networks by losses on fitted samples, which may be luck, and distances, which have less of it, as shares of their means."""
    least = min((trial.excess for trial in trials), default=0.0)
    lost = sum(trial.excess - least for trial in trials) or 1.0
    far = sum(trial.distance for trial in trials) / _STEADIER or 1.0
    doubts = {trial.key: (trial.excess - least) / lost + trial.distance / far for trial in trials}
    return sorted(trials, key=lambda trial: (not trial.has_room, doubts[trial.key], trial.cost))


def _least_shared(found: Mapping[str, Sequence[Point]]) -> int | None:
    """The least interval of the networks that reuse factors make fit; None without one."""
    shared = (point for points in found.values() for point in points if point.layout and point.fits)
    return min((point.size.interval for point in shared), default=None)
