"""Explorations: accuracy against area and speed of one model with different bits of weights and results, and reuse factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

import numpy as np
import numpy.typing as npt
import yaml

from bitsmith.base.progress import Progress, tell
from bitsmith.base.project import write_atomically
from bitsmith.compiler import Source
from bitsmith.config.model import loaded
from bitsmith.config.resolving import ConfigLike
from bitsmith.conversion.conversion import Conversion
from bitsmith.devices.family import Part
from bitsmith.emulate.batches import float_batches
from bitsmith.emulate.samples import Samples, arrays_of, labels_apart
from bitsmith.errors import CapacityError, ConfigError, InputDataError, UnsupportedError
from bitsmith.errors.remedies import OPEN, given, in_python, remedy
from bitsmith.estimate.needs import needs, packed_luts
from bitsmith.fidelity.bounds import bounds
from bitsmith.fidelity.samples import samples, without_data
from bitsmith.fidelity.scores import Yardstick
from bitsmith.fidelity.words import in_words
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settings import LEAST_BITS, MOST_BITS
from bitsmith.model.points import RESULTS, WEIGHTS, Grid, Point, merged, points
from bitsmith.options.signature import taking
from bitsmith.options.table import Arguments, Further
from bitsmith.report.exploration import Circuit, Sheet, layer_rows, page, table
from bitsmith.report.figures.scatter import Mark, Scatter, svg
from bitsmith.report.sections import number, percent
from bitsmith.report.shown import Shown
from bitsmith.report.summary import rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bitsmith.model import Model

__all__ = ["Exploration"]

PAGE, PICTURE = "exploration.html", "exploration.svg"
"""The files of :meth:`Exploration.write`."""

SAMPLES = 2000
"""Most samples of the test data that are looked at, evenly spaced."""

DECIDED = (
    "There are no bits to choose: the model's quantizers or your formats decide all types. Reuse factors make circuits smaller: "
    "name some to try"
)

_ESTIMATES = (
    "Areas are estimates before any tool, of what is in use once placed; accuracy is that of the circuit, bit for bit."
)

LOSS = 0.01
"""Loss against the float model that is small: a percent of the samples, or of a range."""


_Words: TypeAlias = Callable[[], tuple[str, ...]]
"""Gives sentences, which are computed when they are first asked for: bounds of formulas take seconds."""


@dataclass(frozen=True, slots=True)
class Exploration(Shown):
    """Circuits of one model, from few bits to many; it prints as a table.

    Attributes:
        points: the circuits, each with its bits, size, interval, score and loss.
        name: the model's.
        part: what they are to fit.
        yardstick: what scores them: the test data, and the float model's own score.
        users: the user's configuration, without bits.
        calls: texts that lead to a circuit, by heading, for the page.
        decided: no bits make another circuit, as of a model whose quantizers decide all types.
        assumed: what took the place of data that were not given, as a sentence; empty where none were needed.
    """

    points: tuple[Point, ...]
    name: str
    part: Part
    yardstick: Yardstick
    users: Mapping[str, object]
    calls: Callable[[Point], Mapping[str, str]] | None = None
    decided: bool = False
    assumed: str = ""
    _words: tuple[_Words, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", tuple(cache(partial(_words, point)) for point in self.points))

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other beats in area, accuracy or speed without being worse in another; the smallest first."""
        front: list[Point] = []
        for point in sorted(self.points, key=lambda point: (self.area(point), point.loss, point.size.interval)):
            if all(point.loss < other.loss or point.size.interval < other.size.interval for other in front):
                front.append(point)
        return tuple(front)

    def best(self, loss: float = LOSS) -> Point:
        """The fastest point that fits and is at most ``loss`` worse than the float model; without one the best that fits.

        The smallest of those that are as fast.

        Raises:
            CapacityError: nothing fits.
        """
        fitting = [point for point in self.points if point.fits]
        if not fitting:
            raise CapacityError(
                f"none of {len(self.points)} circuits fits {self.part.name}",
                where="explore",
                remedy="a larger part, larger reuse factors, or a smaller network",
            )
        good = [point for point in fitting if point.loss <= loss]
        return min(good or fitting, key=lambda point: (0.0 if good else point.loss, *point.rank("interval")))

    def config(self, point: Point) -> dict[str, object]:
        """The configuration that :func:`bitsmith.convert` makes a point's circuit of: yours, with its bits and reuse factors.

        A point has also an ``io_type``, which may be another than yours where it has other reuse factors.
        """
        return merged(self.users, point.configuration)

    def area(self, point: Point) -> int:
        """About the look-up tables of a point, as place and route packs them."""
        return packed_luts(point.size, self.part)

    @property
    def verdict(self) -> str:
        """The best circuit in a sentence, or why there is no choice."""
        if self.decided:
            return DECIDED
        try:
            best = self.best()
        except CapacityError as error:
            return f"{error.found}; {error.remedy}"
        score = f"{self.yardstick.text(best.scores)} {self.yardstick.kinds}"
        reference = self.yardstick.references
        float_model = f" (the float model {reference})" if reference else ""
        beside = f". {self.assumed}" if self.assumed else ""
        far = "" if best.loss <= LOSS else "; no circuit that fits is within a percent of the float model"
        return f"{best.text}: {score}{float_model} in {self.takes(best)}{far}{beside}"

    def takes(self, point: Point) -> str:
        """Area and speed of a point in words."""
        area, every = self.area(point), f", a result every {point.size.interval:,} cycles" * (point.size.interval > 1)
        return f"about {area:,} LUTs, {percent(area / self.part.die.luts)} of {self.part.name}{every}"

    def write(self, folder: str | Path) -> Path:
        """Write the page ``exploration.html`` and the picture ``exploration.svg`` into a folder; the page's path.

        Raises:
            ProjectError: they cannot be written.
        """
        folder, sheet = Path(folder), self._sheet
        folder.mkdir(parents=True, exist_ok=True)
        title = f"{self.name} on {self.part.name}"
        for name, content in ((PICTURE, svg(sheet.chart, title)), (PAGE, page(sheet).encode())):
            write_atomically(folder / name, content)
        return folder / PAGE

    def document(self) -> dict[str, object]:
        """The exploration as plain values."""
        front = set(map(id, self.front))
        return {
            "verdict": self.verdict,
            "score": self.yardstick.score.value,
            "float": self.yardstick.reference,
            "samples": len(self.yardstick.inputs[0]),
            "part": self.part.name,
            "points": [
                {
                    **point.configuration,
                    "Bits": point.bits and point.bits.keys,
                    "IOType": point.io_type.value,
                    "II": point.size.interval,
                    "Score": point.score,
                    "Scores": list(point.scores),
                    "Loss": point.loss,
                    "Estimate": point.size.section(),
                    "Fits": point.fits,
                    "Front": id(point) in front,
                }
                for point in self.points
            ],
        }

    @property
    def _sheet(self) -> Sheet:
        """The exploration as the page and the terminal show it."""
        front, yardstick = self.front, self.yardstick
        chosen = None
        with suppress(CapacityError):
            chosen = self.best()
        circuits = [
            self._circuit(point, words, front, chosen) for point, words in zip(self.points, self._words, strict=True)
        ]
        limit = next(round(need.comfortably * need.available) for need in needs(self.points[0].size, self.part))
        marks = [circuit.mark for circuit in circuits]
        score, reference = yardstick.score, yardstick.reference
        chart = Scatter(marks, "LUTs (estimate)", limit, score.value, score.rises, True, reference)
        data = f"{len(yardstick.inputs[0]):,} samples"
        columns = ("Weight bits", "Result bits", yardstick.kinds.capitalize(), "LUTs", "Cycles per result", "Fits")
        return Sheet(
            title=f"{self.name} on {self.part.name}",
            kind="exploration",
            part=self.part.name,
            data=data,
            reference=yardstick.references,
            verdict=self.verdict,
            note=_ESTIMATES,
            chart=chart,
            columns=columns,
            texts=2,
            circuits=circuits,
            decided=(),
        )

    def _circuit(self, point: Point, words: _Words, front: Sequence[Point], chosen: Point | None) -> Circuit:
        """A point as the page shows it."""
        area, score, interval = self.area(point), self.yardstick.text(point.scores), point.size.interval
        every = f", a result every {interval:,} cycles" if interval > 1 else ""
        label = f"{point.text}{every}: {score}, about {area:,} LUTs"
        best = any(point is other for other in front)
        mark = Mark(area, point.score, label, point.fits, best, point is chosen)
        layers = layer_rows(rows(point.compiled.network, point.compiled.program), point.size.layers)
        calls = self.calls(point) if self.calls is not None else self._calls(point)
        cells = (*point.ranges, score, number(area), number(interval), number(point.fits))
        title = "{} bits of weights, {} bits of results".format(*point.ranges)
        taken, said = needs(point.size, self.part), self._sentence(point, score)
        return Circuit(mark, title, said, cells, interval > 1, taken, layers, words, calls)

    def _sentence(self, point: Point, score: str) -> str:
        """Score and speed of a point."""
        references = self.yardstick.references
        model = f"; the float model {references}" if references else ""
        every = "cycle" if point.size.interval == 1 else f"{number(point.size.interval)} cycles"
        layout = f": {point.layout}" if point.layout else ""
        return f"{score} {self.yardstick.kinds}{model}. A result in every {every}{layout}."

    def _calls(self, point: Point) -> dict[str, str]:
        """Return what a user of Python copies."""
        return {
            "Python": f"model = bitsmith.convert(..., {in_python(point.argued)})",
            "Configuration (YAML)": yaml.safe_dump(self.config(point), sort_keys=False),
        }

    def __rich__(self) -> RenderableType:
        return table(self._sheet)

    def __repr__(self) -> str:
        return f"<Exploration of {len(self.points)} circuits: {self.verdict}>"

    def _repr_html_(self) -> str:
        return Shown._repr_html_(self) + svg(self._sheet.chart, f"{self.name} on {self.part.name}").decode()


def _words(point: Point) -> tuple[str, ...]:
    """Sentences of the layers of a circuit on themselves, and proved bounds of its distance from formulas."""
    network, program = point.compiled.network, point.compiled.program
    return (*in_words(network, program), *map(str, bounds(network, program, {})))


@taking(Further)
def explore(
    model: AnyModel,
    config: ConfigLike = None,
    calibration: Samples | None = None,
    test: Samples | None = None,
    weights: str | Path | None = None,
    part: str | None = None,
    clock_period: float | str | None = None,
    *,
    weight_bits: Sequence[int] = WEIGHTS,
    result_bits: Sequence[int] = RESULTS,
    reuse_factors: Sequence[int] = (),
    samples: int = SAMPLES,
    progress: Progress | None = None,
    **further: Unpack[Further],
) -> Exploration:
    """Compile ``model`` with different bits of weights and results, and reuse factors; the size and the score of each circuit.

    Sizes are estimates, and scores are those of :meth:`Model.predict`: no tool runs, and nothing is written.

    Args:
        model: as of :func:`bitsmith.convert`.
        config: as of :func:`bitsmith.convert`, without bits for the whole model.
        test: inputs and labels, ``(x, y)``: classes, values, or zeros and ones, and of a model with several outputs
            ``(x, (y1, y2))``; or inputs alone, for which circuits are compared with the float model. Default: the
            calibration data.
        weight_bits: bits of trained factors to try.
        result_bits: bits of results to try.
        reuse_factors: reuse factors of the model to try. Default: those of ``config``, and where a circuit does not fit the part
            also the least with which it does, as of ``fit``.
        samples: most samples of ``test`` that are taken, evenly spaced.
        progress: called with a line for each step and circuit; by default a terminal shows the latest.
        further: the rest (``docs/options.md``).

    Raises:
        ConfigError: the arguments are wrong, or choose the bits themselves.
        InputDataError: test data that do not fit the model.
        UnsupportedError, RangeError: as of :func:`bitsmith.convert`.

    Examples:
        ```python
        x, labels = bitsmith.utils.fetch_example_data("digits.keras")
        found = bitsmith.explore("digits.keras", calibration=x, test=(x, labels), part="LFE5U-25F")
        print(found)  # the verdict, and the circuits that are the best for their area
        best = found.best()
        config, io_type = found.config(best), best.io_type.value
        model = bitsmith.convert("digits.keras", "out", config, x, part="LFE5U-25F", io_type=io_type)
        ```
    """
    arguments = Arguments(weights=weights, calibration=calibration, part=part, clock_period=clock_period, **further)
    from bitsmith.report.live import working

    tree = loaded(config)
    conversion = Conversion.of(model, Path(), config, arguments, {})
    grid = Grid(tuple(weight_bits), tuple(result_bits), tuple(reuse_factors))
    with working("exploring", progress):
        return explored(conversion, grid, Tests(test, samples), tree if isinstance(tree, Mapping) else {})


@dataclass(frozen=True, slots=True)
class Tests:
    """Test data, and the most samples of them that are taken."""

    data: Samples | None = None
    most: int = SAMPLES


def _check(grid: Grid, most: int) -> None:
    """Refuse bits and reuse factors that there are not.

    Raises:
        ConfigError: one of them, or no bits at all.
    """
    for where, bits in (("weight_bits", grid.weights), ("result_bits", grid.results)):
        if not bits or not all(LEAST_BITS <= each <= MOST_BITS for each in bits):
            raise ConfigError(f"{list(bits)}", where=where, accepted=f"numbers from {LEAST_BITS} to {MOST_BITS}")
    if not all(factor >= 1 for factor in grid.reuse):
        raise ConfigError(f"{list(grid.reuse)}", where="reuse_factors", accepted="1 or more")
    if most < 1:
        raise ConfigError(f"{most}", where="samples", accepted="1 or more")


def explored(
    conversion: Conversion,
    grid: Grid,
    tests: Tests,
    configuration: Mapping[str, object],
    calls: Callable[[Point], Mapping[str, str]] | None = None,
) -> Exploration:
    """Return the exploration of a model that is converted so; raises as :func:`explore`."""
    _check(grid, tests.most)
    model, source = with_open_bits(conversion, "explore", "weight_bits and result_bits say which to try")
    yardstick = yardstick_of(model, tests, conversion.arguments.get("calibration"))
    circuits: list[Point] = []
    for point in points(source, model.target, yardstick, grid):
        circuits.append(point)
        tell(f"explore: {point.bits}: {len(circuits)} circuits; {len(grid.bits)} pairs of bits to try")
    part = model.target.known_part
    decided = len(grid.bits) > 1 and len(circuits) == 1
    assumed = without_data(model.network, source.calibration, tests.data)
    return Exploration(tuple(circuits), model.network.name, part, yardstick, configuration, calls, decided, assumed)


def with_open_bits(conversion: Conversion, where: str, instead: str) -> tuple[Model, Source]:
    """The model that is converted so, as it is without a part to fit, and what it was compiled from.

    Raises:
        ConfigError: the user chose the bits of the whole model; ``instead`` is what else there is.
        UnsupportedError: the model has states, so that its samples are a stream, of which none can be left out.
    """
    model = replace(conversion, arguments={**conversion.arguments, "fit": False}).model()
    if model.network.stateful:
        raise UnsupportedError(
            "a model with states between samples, whose scores are those of a whole stream",
            where=where,
            accepted="models that take each sample alone",
            remedy=f"{where} the model of whole sequences, and make it bitsmith.streamed(model) afterwards",
        )
    assert model.source is not None
    if model.source.changed is None:
        found = "bits of the whole model, which are to be found"
        raise ConfigError(found, where=where, remedy=remedy(f"{instead}, without ", given(bits=OPEN)))
    return model, model.source


def yardstick_of(model: Model, tests: Tests, calibration: Samples | None) -> Yardstick:
    """The test data, or else the calibration data, or generated inputs."""
    assert model.source is not None
    network, data = model.source.network, calibration if tests.data is None else tests.data
    if data is None:
        return Yardstick.of(network, samples(network, None))
    batches, labels = test_data(network, data)
    count = len(batches[0])
    few = np.unique(np.linspace(0, count - 1, min(count, tests.most)).astype(np.int64))
    return Yardstick.of(
        network, [batch[few] for batch in batches], None if labels is None else [each[few] for each in labels]
    )


def test_data(network: Network, data: Samples) -> tuple[list[Floats], list[npt.NDArray[np.generic]] | None]:
    """Inputs of a network, and labels if there are some, as many as inputs.

    Raises:
        InputDataError: data that do not fit the model, or another number of labels.
    """
    shapes = network.input_shapes()
    arrays, labels = labels_apart(arrays_of(data), len(shapes), len(network.outputs))
    batches = float_batches(shapes, network.columns(), arrays)
    count = len(batches[0])
    if labels is not None and any(each.shape[:1] != (count,) for each in labels):
        numbers = " and ".join(map(str, sorted({each.shape[0] if each.ndim else 0 for each in labels})))
        raise InputDataError(f"{numbers} labels for {count} samples", where="test data", accepted="as many")
    return batches, labels
